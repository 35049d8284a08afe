"""Two processes by `torchrun` beside one process with twice the batch: the same samples at each step, so the same weights

    python tools/two_processes.py                # SGD and Adam, 50 steps each; writes nbs/results/two_processes.json
    python tools/two_processes.py --steps 5      # fewer steps, and nothing is written

Scikit-learn's digits, no augmentation, no dropout, 640 samples, 64 at a step. With SGD all weights should agree to 1e-5.
Adam divides by the size of gradients: where a gradient is nothing but rounding (a bias of keys: softmax ignores what is
added to all scores of a query), its step is not determined; the other weights should agree, and the logits."""
import argparse, json, os, subprocess, sys, tempfile
from functools import partial

import torch
from fastai.vision.all import Adam, SGD, rank_distrib
from safetensors.torch import load_file, save_file
from perceivers.all import *
from results import about, store

n_samples,global_batch = 640,64
optimizers = dict(SGD=(partial(SGD, mom=0.9), 0.1), Adam=(Adam, 4e-3))


def train(optimizer, processes, steps, out):
    "Trains in this process, which is one of several or alone; the first writes weights, logits and the samples of each step"
    torch.set_num_threads(1)
    set_seed(0)
    digits = digits_dls()
    x,y = (o[:n_samples] for o in digits.train_ds.arrays)
    dls = array_dls((x, y), digits.valid_ds.arrays, bs=global_batch//processes, vocab=digits.vocab)
    model = Perceiver(ImageInput((8,8), n_ch=1, n_bands=4), 10, n_latents=16, d_latent=64, n_blocks=2, n_layers=2, n_heads=4, latent_std=0.5)
    opt,lr = optimizers[optimizer]
    learn = perceiver_learner(dls, model, opt_func=opt, wd=0., precision='float32')
    start = [p.detach().clone() for p in model.parameters()]
    with learn.no_bar(), learn.no_logging(), several_processes(learn): learn.fit(steps//(n_samples//global_batch), lr)
    if rank_distrib(): return
    weights = {k:v.detach().contiguous() for k,v in learn.model.state_dict().items()}
    x = digits.valid_ds.arrays[0][:100].as_subclass(torch.Tensor).float()/255
    with torch.no_grad(): logits = learn.model.eval()(x)
    moved = max((a-b).abs().max() for a,b in zip(start, learn.model.parameters())).detach()
    save_file({**weights, '#logits':logits, '#moved':moved}, out)


def compare(optimizer, steps):
    "Largest differences between two processes and one"
    with tempfile.TemporaryDirectory() as d:
        for n in (1, 2):
            run = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', str(n)] if n > 1 else [sys.executable]
            command = [*run, __file__, '--worker', optimizer, str(n), str(steps), f'{d}/{n}']
            def launch(): return subprocess.run(command, capture_output=True, text=True, timeout=500, env={**os.environ, 'OMP_NUM_THREADS':'1'})
            r = launch()
            if r.returncode: # on a machine under load a process of gloo's may die while it leaves
                print(f'{n} processes ended with {r.returncode}: once more', file=sys.stderr)
                r = launch()
            if r.returncode: raise RuntimeError(r.stderr[-2000:])
        one,two = (load_file(f'{d}/{n}') for n in (1, 2))
    assert one.keys()==two.keys()
    diff = {k:(one[k]-two[k]).abs().max().item() for k in one}
    logits,_ = diff.pop('#logits'),diff.pop('#moved')
    keys = {k:v for k,v in diff.items() if k.endswith(('k.bias','qkv.bias'))}
    others = {k:v for k,v in diff.items() if k not in keys}
    return dict(optimizer=optimizer, steps=steps, weights=max(others.values()), key_biases=max(keys.values(), default=0.), logits=logits,
                largest_logit=one['#logits'].abs().max().item(), weights_moved=one['#moved'].item(), worst=max(others, key=others.get))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--steps', type=int, default=50, help='steps of the optimizer, a multiple of 10')
    parser.add_argument('--worker', nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        optimizer,processes,steps,out = args.worker
        return train(optimizer, int(processes), int(steps), out)
    here = {**about('fastai', 'accelerate'), 'threads':'one a process'}
    results = [compare(o, args.steps) for o in optimizers]
    for r in results: print(json.dumps(r), flush=True)
    if args.steps==50: store('two_processes', dict(results=results, **here))
    sys.exit(any(r['weights'] > 1e-5 or r['logits'] > 1e-5 for r in results))


if __name__=='__main__': main()
