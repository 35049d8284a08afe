"""Kills training runs at random moments (SIGKILL), continues them, and compares the weights, bit for bit

    python tools/resume.py --n 20 --data digits
    python tools/resume.py --n 5 --data mnist --samples 3000

A run that nothing interrupts gives the weights to compare with. Then `n` runs of the same settings, each in a process
of its own, are killed after a random share of the time that such a run takes, some of them twice. Every file under its
final name must be whole then. A killed run is resumed and must end with the same weights. Prints where the runs were
killed, and counts, which `--save` writes to nbs/results/resume.json; ends with 1 if any run differs.
"""
import argparse, contextlib, functools, io, json, multiprocessing, os, random, signal, sys, tempfile, time
from collections import Counter
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1') # a process that is forked must not share threads
import matplotlib
matplotlib.use('agg')
import torch
from PIL import Image
from safetensors.torch import load_file
from perceivers import files, images, runs
from results import about, store

def quiet(f, *args, **kwargs):
    "Calls a function and keeps what it prints"
    with contextlib.redirect_stdout(io.StringIO()): return f(*args, **kwargs)

def where(out):
    "How far a killed run has come, in words; raises an error for a file that is not whole"
    for o in out.glob('*.png'): Image.open(o).load()
    if not (out/'run.json').is_file(): return 'before run.json'
    settings = runs.read_settings(out)
    if (out/'model.safetensors').is_file(): load_file(out/'model.safetensors')
    if not (out/'state.safetensors').is_file():
        return 'before the first state' if settings['status']=='training' else 'after the end'
    said = runs.read_tensors(out/'state.safetensors')[1]
    if said['epoch']==said['n_epoch']: return 'after the last epoch'
    return 'in the middle of an epoch' if said['seen'] else "within an epoch, state of the epoch's start"

def use_few(n):
    "MNIST's first samples alone, a tenth of them to check"
    whole = images._mnist_part
    images._mnist_part = lambda *args: tuple(o[:n] for o in whole(*args))
    files.named_data['mnist'] = functools.partial(images.mnist_dls, n_valid=n//10)

def killed(f, seconds):
    "Runs a function in another process and kills it after so many seconds"
    p = multiprocessing.get_context('fork').Process(target=quiet, args=(f,))
    p.start()
    p.join(seconds)
    with contextlib.suppress(ProcessLookupError): os.kill(p.pid, signal.SIGKILL)
    p.join()

def trial(out, settings, seconds, rng):
    "One run that is killed, once or twice, and continued: where it was killed"
    places,again = [],False
    def work():
        if again and (out/'run.json').is_file(): runs.resume_run(out)
        else: runs.start_run(out=out, overwrite=again, **settings)
    for _ in range(rng.choice((1,1,2))):
        killed(work, rng.uniform(0, seconds))
        places.append(where(out) if out.is_dir() else 'before run.json')
        if places[-1]=='after the end': break
        again = out.is_dir()
    if places[-1]!='after the end': quiet(work)
    return places

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=3, help='runs to kill')
    p.add_argument('--data', default='digits', help='digits or mnist')
    p.add_argument('--epochs', type=int, default=4)
    p.add_argument('--samples', type=int, help="of mnist: how many of its 60,000 images are used")
    p.add_argument('--seed', type=int, default=0, help='of the moments')
    p.add_argument('--save', action='store_true', help='keep the counts in nbs/results/resume.json')
    args = p.parse_args()
    if args.samples and args.data!='mnist': p.error('--samples goes with --data mnist')
    if args.samples: use_few(args.samples)
    torch.set_num_threads(1)
    rng = random.Random(args.seed)
    settings = dict(data=args.data, epochs=args.epochs, n_layers=1, dropout=0.1, shift=1, no_test=True, save_every=11)
    places,equal = Counter(),0
    with tempfile.TemporaryDirectory() as d:
        start = time.time()
        quiet(runs.start_run, out=f'{d}/whole', **settings)
        seconds,want = time.time()-start,load_file(f'{d}/whole/model.safetensors')
        of = f' ({args.samples:,} images)' if args.samples else ''
        print(f"{args.data}{of}, {args.epochs} epochs: {seconds:.1f} s without interruption", flush=True)
        for i in range(args.n):
            found = trial(Path(d)/f'{i}', settings, seconds, rng)
            got = load_file(f'{d}/{i}/model.safetensors')
            same = want.keys()==got.keys() and all(torch.equal(want[k], got[k]) for k in want)
            places.update(found)
            equal += same
            print(f"run {i}: killed {' and '.join(found)}: {'the same weights' if same else 'OTHER WEIGHTS'}", flush=True)
    found = dict(runs=args.n, equal=equal, kills=sum(places.values()), killed=dict(places), samples=args.samples, seed=args.seed)
    print(json.dumps(found))
    if args.save: store('resume', {args.data:{**found, **about('fastai')}})
    sys.exit(equal!=args.n)

if __name__=='__main__': main()
