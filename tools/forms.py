"""Whether `cross_attention` picks a fast form: random shapes, each form measured, the pick beside the best

    python tools/forms.py --n 200 --save    # writes nbs/results/forms.json
    python tools/forms.py --n 3 --most 20   # a quick look
    python tools/forms.py --judge           # the picks of today's estimate, on what nbs/results/forms.json holds
    python tools/forms.py --seed 1 --n 160 --keep FILE      # other shapes, into a file
    python tools/forms.py --fit FILE        # the numbers of `TIMES` that fit those best

A shape is a grid, content and position channels, queries, heads, widths, a batch, float32 or bfloat16, without gradients
or with them (of the parameters alone). In three of four the grid is attended to; in one it is a decoder's queries. Time is this process's own, on one thread, so that other programs disturb it
little: medians of five turns, the contenders one after the other in each. A pick is good if it takes at most 15 % more
than the fastest form. Prints the others, and counts; with `--save` all measurements are kept. Fit and judge on different
shapes: the seed says which."""
import argparse, json, os, random, statistics, sys, time
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np
import torch
from perceivers.attention import CrossAttention
from perceivers.fast_attention import cross_attention, form_costs, form_times, form_work, wants_grid, wants_grid_queries
from perceivers.position import FourierPosition, Tokens
from results import about, root, store


def layer_of(s):
    "The layer of a shape"
    C = s['content']+2*(2*s['bands']+1)
    return CrossAttention(*((C,s['d']) if s['decoder'] else (s['d'],C)), n_heads=s['heads'], d_qk=s['d_qk'])


def sizes_of(s):
    "Queries and tokens of a shape"
    M = s['grid'][0]*s['grid'][1]
    return (M,s['others']) if s['decoder'] else (s['others'],M)


def pick_of(s):
    "The form that the estimate picks"
    times = form_times(layer_of(s), s['batch'], *sizes_of(s), s['content'], getattr(torch, s['dtype']), s['step'], queries=s['decoder'])
    return min(times, key=times.get)


def shape(rng, most):
    "A random shape of at most so many million multiply-adds in its cheapest form, and its layer"
    while True:
        side = lambda: rng.choice((4,8,14,16,24,28,32,48,56,64,96,128,160,224))
        heads,decoder = rng.choice((1,1,1,2,4,8)),rng.random() < .25
        s = dict(grid=(side(),side()), decoder=decoder, batch=rng.choice((1,1,2,4,8,16,32,64)),
                 content=rng.choice((0,0,0,3,64) if decoder else (1,3,3,3,16,48,64)), bands=rng.choice((4,6,16,32,64)),
                 others=rng.choice((16,64,128,256,512,1024,2048) if decoder else (8,16,32,64,128,256,512)), # latents
                 d=rng.choice((64,128,256,512) if decoder else (64,128,256,512,1024)), heads=heads, narrow=rng.random() < .3,
                 dtype=rng.choice(('float32','float32','bfloat16')), step=rng.random() < .5)
        C,M = s['content']+2*(2*s['bands']+1),s['grid'][0]*s['grid'][1]
        wide = s['d'] if decoder else C
        s['d_qk'] = (wide//2 if s['narrow'] else wide)//heads*heads
        if not s['d_qk']: continue
        layer = layer_of(s)
        costs = form_costs(layer, *sizes_of(s))
        if 1e6 < min(costs.values())*s['batch'] < most*1e6: return s,layer


def measure(s, layer, turns=5):
    "Milliseconds of each form, and the form that is picked"
    torch.manual_seed(0)
    dtype = getattr(torch, s['dtype'])
    layer,M = layer.to(dtype),s['grid'][0]*s['grid'][1]
    axes = tuple(t.to(dtype) for t in FourierPosition(s['bands'], s['grid']).axes(s['grid']))
    shared = s['decoder'] and not s['content'] # one set of queries for all samples
    tokens = Tokens(torch.randn(1 if shared else s['batch'], M, s['content']).to(dtype), axes)
    array,other = tokens.array(),torch.randn(s['batch'] if s['decoder'] else 1, s['others'], s['d']).to(dtype)
    def run(form):
        grid = tokens if form=='separable' else array
        with torch.set_grad_enabled(s['step']):
            y = cross_attention(layer, *((grid,other) if s['decoder'] else (other,grid)), form=form)
            if s['step']: y.float().square().mean().backward()
    forms = ('textbook','queries','context','separable')
    times = {f:[] for f in forms}
    for i in range(turns+1):
        for f in forms:
            if i==1 and times[f][0] > 20*min(times[o][0] for o in forms): continue # hopeless
            if i and len(times[f]) < i: continue
            start = time.process_time()
            run(f)
            times[f].append((time.process_time()-start)*1e3)
    picked = pick_of(s)
    with torch.set_grad_enabled(s['step']):
        grid = wants_grid_queries(layer, tokens, other) if s['decoder'] else wants_grid(layer, s['others'], tokens)
        assert grid==(picked=='separable')
    return {f:statistics.median(t[1:] or t) for f,t in times.items()},picked


def judged(rows):
    "Rows with today's pick and how much longer it takes than the fastest; prints those of more than 15 %"
    found = []
    for i,r in enumerate(rows):
        s,ms = r['shape'],r['ms']
        picked,best = pick_of(s),min(ms, key=ms.get)
        found.append(dict(shape=s, ms=ms, picked=picked, best=best, over=round(ms[picked]/ms[best], 3)))
        if found[-1]['over'] > 1.15: print(f'{i}: {picked} takes {found[-1]["over"]:.2f} times {best}: {s} {ms}', flush=True)
    good = sum(r['over'] <= 1.15 for r in found)
    print(f"{good} of {len(found)} picks are within 15 % of the fastest form")
    return found,good


def fit(rows):
    """Prints `TIMES` by least squares of relative errors, none below zero

    Only forms that take less than three times the fastest count: others are never in doubt. Large errors weigh less."""
    from scipy.optimize import nnls
    forms = ('textbook','queries','context','separable','from_grid')
    for dtype in ('float32','bfloat16'):
        for step in (False,True):
            A = []
            for r in rows:
                s,ms = r['shape'],r['ms']
                if (s['dtype'],s['step']) != (dtype,step): continue
                for form,(cost,elements,scores,pieces) in form_work(layer_of(s), s['batch'], *sizes_of(s), s['content'], s['decoder']).items():
                    took = ms['separable' if form=='from_grid' else form]
                    if took > 3*min(ms.values()): continue
                    line,k = np.zeros(3+2*len(forms)),forms.index(form)
                    line[:3] = s['batch']*cost,s['batch']*elements,pieces
                    line[3+2*k:5+2*k] = s['batch']*scores,1
                    A.append(line/(took*1e6))
            if len(A) < 20:
                print(f'    # {dtype}, {step}: {len(A)} times are too few')
                continue
            A = np.array(A)
            weights = np.ones(len(A))
            for _ in range(20):
                x,_ = nnls(A*weights[:,None], weights)
                weights = 1/np.sqrt(np.abs(A@x-1)+.05)
            each = ', '.join(f'{o}=({x[3+2*k]:.2f}, {x[4+2*k]:.1e})' for k,o in enumerate(forms))
            print(f"    ('{dtype}', {step}): dict(product={x[0]:.4f}, element={x[1]:.2f}, piece={x[2]:.1e}, {each}),")
            print(f'    # {len(A)} times, half of them within {np.median(np.abs(A@x-1)):.0%}, nine of ten within {np.quantile(np.abs(A@x-1), .9):.0%}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--n', type=int, default=200, help='shapes')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--most', type=float, default=3000, help='million multiply-adds of the cheapest form')
    parser.add_argument('--save', action='store_true', help='keep the measurements in nbs/results/forms.json')
    parser.add_argument('--keep', type=Path, help='keep them in this file instead')
    parser.add_argument('--judge', action='store_true', help='measure nothing: judge what is in nbs/results/forms.json again; with --save, keep that')
    parser.add_argument('--fit', type=Path, help='measure nothing: fit the estimate to the measurements in this file')
    args = parser.parse_args()
    if args.fit: return fit(json.loads(args.fit.read_text(encoding='utf-8'))['rows'])
    torch.set_num_threads(1)
    if args.judge:
        kept = json.loads((root/'nbs/results/forms.json').read_text(encoding='utf-8'))
        rows,here = kept['rows'],{k:v for k,v in kept.items() if k not in ('rows','good','n')}
    else:
        rng,rows,here = random.Random(args.seed),[],dict(seed=args.seed, **about())
        for _ in range(args.n):
            s,layer = shape(rng, args.most)
            times,_ = measure(s, layer)
            rows.append(dict(shape=s, ms={k:round(v, 3) for k,v in times.items()}))
    rows,good = judged(rows)
    found = dict(good=good, n=len(rows), rows=rows, **here)
    if args.save: store('forms', found)
    if args.keep: args.keep.write_text(json.dumps(found), encoding='utf-8')
    sys.exit(good < 0.9*len(rows) and len(rows) >= 100)


if __name__=='__main__': main()
