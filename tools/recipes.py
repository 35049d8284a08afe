"""The recipes of `perceivers-train` on their data, a run a seed, and the accuracies of all in one file

    python tools/recipes.py digits --seeds 5                # trains what is not in runs/ yet, and reads each test set once
    python tools/recipes.py mnist --seeds 3 --runs runs
    python tools/recipes.py digits --small                  # one epoch, no test set, and nothing is written

A run's folder says everything: `RUNS/DATA-SEED/run.json` holds settings, versions, threads, minutes and accuracies.
Results are written to nbs/results/recipes.json, data by data."""
import argparse, json, subprocess, sys, tempfile
from pathlib import Path
from statistics import mean
from results import about, store


def train(data, seed, out, *options):
    "Runs the command as a user would, unless the run is there"
    if (out/'run.json').is_file(): return
    run = [sys.executable, '-m', 'perceivers', 'train', '--data', data, '--seed', str(seed), '--out', str(out), *options]
    if subprocess.run(run).returncode: sys.exit(f'{data}, seed {seed}: the training failed')


def collect(data, folders):
    "What the runs say, in the order of seeds; ends the program where one is unfinished or has another recipe"
    runs = [json.loads((o/'run.json').read_text(encoding='utf-8')) for o in folders]
    for o,r in zip(folders, runs):
        if r['status']!='finished' or 'test_accuracy' not in r: sys.exit(f'{o} is not finished, or its test set is unread')
        if r['recipe']!=runs[0]['recipe']: sys.exit(f'{o} has another recipe than {folders[0]}')
    first = runs[0]
    return dict(command=f'perceivers-train --data {data} --seed SEED', seeds=[r['seed'] for r in runs],
                test=[round(r['test_accuracy'], 4) for r in runs], validation=[round(r['validation_accuracy'], 4) for r in runs],
                test_mean=round(mean(r['test_accuracy'] for r in runs), 4), validation_mean=round(mean(r['validation_accuracy'] for r in runs), 4),
                minutes=[r['minutes'] for r in runs], parameters=first['parameters'], threads=first['threads'], device=first['device'],
                recipe=first['recipe'], versions=first['versions'])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', choices=('digits','mnist','cifar10','cifar100'))
    parser.add_argument('--seeds', type=int, default=1, help='how many, from 0 on')
    parser.add_argument('--runs', type=Path, default=Path('runs'), help="the runs' folder")
    parser.add_argument('--small', action='store_true', help='one epoch, and nothing is written')
    args = parser.parse_args()
    if args.small:
        with tempfile.TemporaryDirectory() as d: return train(args.data, 0, Path(d)/'run', '--epochs', '1', '--no-test')
    folders = [args.runs/f'{args.data}-{seed}' for seed in range(args.seeds)]
    for seed,o in enumerate(folders): train(args.data, seed, o)
    here = about()
    found = {**collect(args.data, folders), 'machine':here['machine'], 'collected_at':here['commit']}
    print(json.dumps({k:v for k,v in found.items() if k not in ('recipe','versions')}))
    store('recipes', {args.data:found})


if __name__=='__main__': main()
