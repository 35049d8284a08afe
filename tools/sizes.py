"""How an encoder's sizes change accuracy and cost: one setting at a time, at least three seeds each, on a validation set

    python tools/sizes.py mnist                  # trains what is not in nbs/results/sizes.json yet; goes on where it was stopped
    python tools/sizes.py cifar10 --seeds 5
    python tools/sizes.py mnist --time           # times a training step of each setting, in turns (run it on a machine with nothing else to do)
    python tools/sizes.py mnist --small          # one setting, 500 images, and nothing is written

Each run trains `perceiver_learner(dls, scale='tiny', …)` with one setting changed, on 10,000 images of the training set (MNIST: the first ones; CIFAR-10,
which may be stored class by class: evenly spread), and reads the 5,000 of the validation set once. The test set is not read. Every setting gets
the same number of images, so these are curves of short trainings: what pays later, such as depth, may not pay here."""
import argparse, contextlib, io, json, random, statistics, time
from torch import Tensor
from torch.nn import functional as F
from fastai.metrics import accuracy
from perceivers.images import cifar10_dls, mnist_dls
from perceivers.learner import perceiver_learner
from results import about, root, store

base = dict(patch=4, n_bands=4, n_latents=16, d_latent=64, n_blocks=2, n_layers=2, n_heads=4)
varied = dict(n_latents=(1,4,64), d_latent=(16,32,128), n_blocks=(1,4), n_layers=(1,4), n_bands=(1,2,8), n_heads=(1,2,8))
fewer = dict(n_latents=(4,64), d_latent=(32,128), n_bands=(1,8), patch=(2,8))
tasks = dict(mnist=(mnist_dls, 6, dict(varied, patch=(2,7)), {}), cifar10=(cifar10_dls, 8, fewer, dict(flip=True)))
n_train = 10_000

def loaders(data, n=n_train):
    "Batches of some images of the training set, and of the whole validation set"
    make,_,_,how = tasks[data]
    dls = make(bs=64, seed=42, **how)
    step = 1 if data=='mnist' else len(dls.train_ds)//n
    dls.train_ds.x,dls.train_ds.y = (o[::step][:n] for o in (dls.train_ds.x, dls.train_ds.y))
    dls.train.n = n
    return dls

def learner(data, setting, value, seed, n=n_train):
    "A learner with one setting changed"
    settings = dict(base, **({setting:value} if setting!='base' else {}))
    with contextlib.redirect_stdout(io.StringIO()):
        return perceiver_learner(loaders(data, n), scale='tiny', metrics=accuracy, seed=seed, **settings)

def settings_of(data):
    "Every setting with its values; the base first"
    return [('base', None)] + [(k,v) for k,values in tasks[data][2].items() for v in values]

def train(data, setting, value, seed, epochs, n=n_train):
    "Validation accuracy after a training, and how many parameters"
    learn = learner(data, setting, value, seed, n)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, 4e-3)
    return dict(setting=setting, value=value, seed=seed, accuracy=round(learn.recorder.values[-1][-1], 4), parameters=learn.model.num_params())

def step_times(data, rounds):
    "Median milliseconds of a training step of 64 images, setting by setting, in turns"
    steps = {}
    for setting,value in settings_of(data):
        learn = learner(data, setting, value, 0, 640)
        x,y = (o.as_subclass(Tensor) for o in learn.dls.one_batch())
        steps[setting,value] = (learn.model.train(), x, y, [])
    for i in range(rounds+2):
        for model,x,y,found in random.Random(i).sample(list(steps.values()), len(steps)):
            start = time.perf_counter()
            F.cross_entropy(model(x), y).backward()
            model.zero_grad()
            if i > 1: found.append(1000*(time.perf_counter()-start))
    return [dict(setting=k, value=v, ms=round(statistics.median(o[3]), 2)) for (k,v),o in steps.items()]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', choices=tasks)
    parser.add_argument('--seeds', type=int, default=3, help='how many, from 0 on')
    parser.add_argument('--time', action='store_true', help='time the settings instead of training them')
    parser.add_argument('--rounds', type=int, default=15, help='of the timing')
    parser.add_argument('--small', action='store_true', help='one setting, and nothing is written')
    args = parser.parse_args()
    if args.small: return print(train(args.data, 'n_latents', 4, 0, 1, 500))
    file = root/'nbs/results/sizes.json'
    old = json.loads(file.read_text(encoding='utf-8')).get(args.data, {}) if file.is_file() else {}
    epochs,runs = tasks[args.data][1],old.get('runs', [])
    here = about()
    if args.time: here['command'] = old.get('command') # of the trainings
    def keep(): store('sizes', {args.data:dict(old, runs=runs, base=base, epochs=epochs, n_train=n_train, n_valid=5000, bs=64, lr=4e-3, **here)})
    if args.time:
        old['times'] = step_times(args.data, args.rounds)
        return keep()
    done = {(r['setting'], r['value'], r['seed']) for r in runs}
    for seed in range(args.seeds):
        for setting,value in settings_of(args.data):
            if (setting,value,seed) in done: continue
            runs.append(train(args.data, setting, value, seed, epochs))
            print(json.dumps(runs[-1]), flush=True)
            keep()


if __name__=='__main__': main()
