"""What `torch.compile` and bfloat16 bring to this package's own models: eager and compiled, in turns

    python tools/compiled.py a1 b-mnist c1 --threads 2 --save        # workloads of tools/bench.py by key, into nbs/results/compiled.json
    python tools/compiled.py --small                                 # tiny sizes, one round, nothing is written

Four variants of one model with one set of weights take turns, in another order each round: float32 and autocast in bfloat16, eager and compiled
(fullgraph=True: a graph break is an error). What is said is the median and half the distance of the quartiles."""
import argparse, os, sys, warnings
from statistics import median
if __name__=='__main__' and '--threads' in sys.argv: os.environ['OMP_NUM_THREADS'] = sys.argv[sys.argv.index('--threads')+1]
import torch
import bench
from bench_workloads import workloads
from results import about, store

variants = {f'{precision}{", compiled"*compiled}':(precision,compiled) for precision in ('float32','autocast') for compiled in (False,True)}

def measure(key, w, args):
    "A row for each variant"
    state = bench.our_state(w)
    runners = {name:bench.make(w, 'perceivers', state, args.device, *o) for name,o in variants.items()}
    for name,(_,compiled) in variants.items():
        if compiled: runners[name].f = torch.compile(runners[name].model, fullgraph=True)
    rows = {name:{} for name in variants}
    for mode in w.modes:
        for name,times in bench.race(runners, mode, args.rounds, args.warm).items():
            rows[name][mode] = dict(ms=round(1e3*median(times), 3), spread=round(1e3*bench.spread(times), 3), rounds=len(times))
            print(f"{key:10} {mode:8} {name:20} {rows[name][mode]['ms']:9.1f} ± {rows[name][mode]['spread']:.1f} ms", flush=True)
    return dict(title=w.title, device=args.device, rows=rows)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('workload', nargs='*', help='letters or keys; a1, b-mnist, b-cifar10 and c1 by default')
    parser.add_argument('--device', choices=('cpu','cuda'), default='cpu')
    parser.add_argument('--rounds', type=int, default=9, help='that count')
    parser.add_argument('--warm', type=int, default=2, help='rounds before them that do not')
    parser.add_argument('--threads', type=int, default=int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
    parser.add_argument('--small', action='store_true', help='tiny sizes, one round, nothing is written')
    parser.add_argument('--save', action='store_true', help='into nbs/results/compiled.json')
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    if args.small: args.rounds,args.warm,args.save = 1,1,False
    known = workloads(args.small)
    for key in bench.chosen(args.workload or ['a1','b-mnist','b-cifar10','c1'], known):
        entry = measure(key, known[key](), args)
        if args.save: store('compiled', {key:{**entry, **about(), 'threads':args.threads}})


if __name__=='__main__': main()
