"""The recipes of `perceivers-train` on their data, a run a seed, and the accuracies of all in one file

    python tools/recipes.py digits --seeds 5                # trains what is not in runs/ yet, and reads each test set once
    python tools/recipes.py mnist --seeds 3 --runs runs
    python tools/recipes.py mnist --precision bf16          # in another precision: the validation set only; kept as `mnist bf16`
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


def collect(data, folders, precision=None):
    "What the runs say, in the order of seeds; ends the program where one is unfinished or has another recipe"
    runs = [json.loads((o/'run.json').read_text(encoding='utf-8')) for o in folders]
    for o,r in zip(folders, runs):
        if r['status']!='finished' or precision is None and 'test_accuracy' not in r: sys.exit(f'{o} is not finished, or its test set is unread')
        if r['recipe']!=runs[0]['recipe']: sys.exit(f'{o} has another recipe than {folders[0]}')
    first = runs[0]
    option = '' if precision is None else f' --precision {precision} --no-test'
    parts = ('validation',) if precision else ('test','validation')
    found = {o:[round(r[f'{o}_accuracy'], 4) for r in runs] for o in parts}
    return dict(command=f'perceivers-train --data {data} --seed SEED{option}', seeds=[r['seed'] for r in runs],
                **found, **{f'{o}_mean':round(mean(r[f'{o}_accuracy'] for r in runs), 4) for o in parts},
                minutes=[r['minutes'] for r in runs], parameters=first['parameters'], threads=first['threads'], device=first['device'],
                recipe=first['recipe'], versions=first['versions'])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', choices=('digits','mnist','cifar10','cifar100'))
    parser.add_argument('--seeds', type=int, default=1, help='how many, from 0 on')
    parser.add_argument('--runs', type=Path, default=Path('runs'), help="the runs' folder")
    parser.add_argument('--precision', choices=('float32','bf16'), help='of the training; then the test set is not read')
    parser.add_argument('--small', action='store_true', help='one epoch, and nothing is written')
    args = parser.parse_args()
    if args.small:
        with tempfile.TemporaryDirectory() as d: return train(args.data, 0, Path(d)/'run', '--epochs', '1', '--no-test')
    name = args.data if args.precision is None else f'{args.data} {args.precision}'
    folders = [args.runs/f'{name.replace(" ", "-")}-{seed}' for seed in range(args.seeds)]
    options = [] if args.precision is None else ['--precision', args.precision, '--no-test']
    for seed,o in enumerate(folders): train(args.data, seed, o, *options)
    here = about()
    found = {**collect(args.data, folders, args.precision), 'machine':here['machine'], 'collected_at':here['commit']}
    print(json.dumps({k:v for k,v in found.items() if k not in ('recipe','versions')}))
    store('recipes', {name:found})


if __name__=='__main__': main()
