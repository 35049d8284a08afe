"""Images a second of a training epoch with its loading, this version of the package beside an earlier one

    python tools/epoch.py mnist cifar10 --old COMMIT --threads 2 --save     # writes nbs/results/epoch.json
    python tools/epoch.py digits --share 1 --rounds 1                       # whether it works, without an earlier version

Each version is a process of its own, from a copy of the repository at its commit. All train the recipe of the same data by
fastai's loop, with augmentation, the optimizer and the validation. They take turns: one goes through a share of an epoch
while the others wait. This version runs in float32 and in bfloat16, eager and compiled. The first turn does not count, and with it the time
that compiling takes. What is said is the median of the others, and the slowest and fastest."""
import argparse, os, subprocess, sys, tempfile, time
from pathlib import Path
from statistics import median

from results import about, root, store


def worker(data, share, precision, compiled):
    "Trains a share of an epoch for each line that comes in, and answers with images a second"
    import torch
    torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
    import fastai.callback.training as training
    import perceivers.images as images
    from perceivers.runs import recipe_learner
    try: from perceivers.files import recipe
    except ImportError: from perceivers.runs import recipe # before runs.py was cut in three
    r = recipe(data)
    dls = getattr(images, f'{data}_dls')(**{k:r[k] for k in ('bs','flip','shift','affine')})
    learn = recipe_learner(r, dls, precision=precision, **(dict(compile=True) if compiled else {}))
    n = len(dls.train_ds)
    for _ in sys.stdin:
        start = time.perf_counter()
        with learn.no_bar(), learn.no_logging(): learn.fit(1, r['lr'], cbs=training.ShortEpochCallback(share, short_valid=True))
        print(f'images {share*n/(time.perf_counter()-start)}', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='+', choices=('digits','mnist','cifar10','cifar100'))
    parser.add_argument('--old', help='commit of the earlier version')
    parser.add_argument('--share', type=float, default=0.2, help='of an epoch, in a turn')
    parser.add_argument('--rounds', type=int, default=5, help='turns that count')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--save', action='store_true', help='keep the figures in nbs/results/epoch.json')
    parser.add_argument('--worker', nargs=2, help=argparse.SUPPRESS) # precision, and 'compiled' or 'eager'
    args = parser.parse_args()
    if args.worker: return worker(args.data[0], args.share, args.worker[0], args.worker[1]=='compiled')
    with tempfile.TemporaryDirectory() as d:
        folders = {f'{precision}{", compiled"*(how=="compiled")}':(root,precision,how) for precision in ('float32','bf16') for how in ('eager','compiled')}
        if args.old:
            subprocess.run(['git','clone','-q',str(root),d], check=True)
            subprocess.run(['git','checkout','-q',args.old], cwd=d, check=True)
            folders['old'] = (Path(d),'float32','eager')
        for data in args.data:
            def start(folder, precision, how):
                env = {**os.environ, 'PYTHONPATH':str(folder), 'OMP_NUM_THREADS':str(args.threads)}
                command = [sys.executable, '-W', 'ignore', __file__, data, '--share', str(args.share), '--worker', precision, how]
                return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=folder)
            workers,speeds = {k:start(*o) for k,o in folders.items()},{k:[] for k in folders}
            for i in range(args.rounds+1):
                for name,p in workers.items():
                    print('go', file=p.stdin, flush=True)
                    line = next((o for o in p.stdout if o.startswith('images ')), None)
                    if line is None: sys.exit(f'{data}, {name}: the process ended without an answer')
                    if i: speeds[name].append(float(line.split()[1]))
            for p in workers.values(): p.communicate()
            found = {k:dict(median=round(median(v), 1), slowest=round(min(v), 1), fastest=round(max(v), 1)) for k,v in speeds.items()}
            print(data, ', '.join(f"{k} {o['median']:,.0f} images a second ({o['slowest']:,.0f} to {o['fastest']:,.0f})" for k,o in found.items()))
            if args.old: print(f'{data}, times as fast as {args.old}:', ', '.join(f"{k} {o['median']/found['old']['median']:.2f}" for k,o in found.items() if k != 'old'))
            if args.save: store('epoch', {data:dict(images_a_second=found, old=args.old, share=args.share, rounds=args.rounds, **{**about(), 'threads':args.threads})})


if __name__=='__main__': main()
