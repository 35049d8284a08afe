"""Whether `cross_attention` picks a fast form: random shapes, each form measured, the pick beside the best

    python tools/forms.py --n 200 --save    # writes nbs/results/forms.json
    python tools/forms.py --n 3 --most 20   # a quick look

A shape is a grid, content and position channels, queries, heads, widths, a batch, float32 or bfloat16, without gradients
or with them (of the parameters alone). Time is this process's own, on one thread, so that other programs disturb it
little: medians of five turns, the contenders one after the other in each. A pick is good if it takes at most 15 % more
than the fastest form. Prints the others, and counts; with `--save` all measurements are kept."""
import argparse, os, random, statistics, sys, time

os.environ.setdefault('OMP_NUM_THREADS', '1')
import torch
from perceivers.attention import CrossAttention
from perceivers.fast_attention import cross_attention, form_costs, form_times, wants_grid
from perceivers.position import FourierPosition, Tokens
from results import about, store


def shape(rng, most):
    "A random shape of at most so many million multiply-adds in its cheapest form"
    while True:
        side = lambda: rng.choice((4,8,14,16,24,28,32,48,56,64,96,128,160,224))
        heads = rng.choice((1,1,1,2,4,8))
        s = dict(grid=(side(),side()), batch=rng.choice((1,1,2,4,8,16,32,64)), content=rng.choice((1,3,3,3,16,48,64)), bands=rng.choice((4,6,16,32,64)),
                 queries=rng.choice((8,16,32,64,128,256,512)), d_q=rng.choice((64,128,256,512,1024)), heads=heads, narrow=rng.random() < .3,
                 dtype=rng.choice(('float32','float32','bfloat16')), step=rng.random() < .5)
        C = s['content']+2*(2*s['bands']+1)
        s['d_qk'] = (C//2 if s['narrow'] else C)//heads*heads
        if not s['d_qk']: continue
        layer = CrossAttention(s['d_q'], C, n_heads=heads, d_qk=s['d_qk'])
        costs = form_costs(layer, s['queries'], s['grid'][0]*s['grid'][1])
        if 1e6 < min(costs.values())*s['batch'] < most*1e6: return s,layer


def measure(s, layer, turns=5):
    "Milliseconds of each form, and the form that is picked"
    torch.manual_seed(0)
    dtype = getattr(torch, s['dtype'])
    layer = layer.to(dtype)
    axes = FourierPosition(s['bands'], s['grid']).axes(s['grid'])
    tokens = Tokens(torch.randn(s['batch'], s['grid'][0]*s['grid'][1], s['content']).to(dtype), tuple(t.to(dtype) for t in axes))
    x,array = torch.randn(1, s['queries'], s['d_q'], dtype=dtype),tokens.array()
    def run(form):
        with torch.set_grad_enabled(s['step']):
            y = cross_attention(layer, x, tokens if form=='separable' else array, form=form)
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
    with torch.set_grad_enabled(s['step']):
        times_said = form_times(layer, s['batch'], s['queries'], array.shape[1], s['content'], dtype, s['step'])
        picked = min(times_said, key=times_said.get)
        assert wants_grid(layer, s['queries'], tokens)==(picked=='separable')
    return {f:statistics.median(t[1:] or t) for f,t in times.items()},picked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--n', type=int, default=200, help='shapes')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--most', type=float, default=3000, help='million multiply-adds of the cheapest form')
    parser.add_argument('--save', action='store_true', help='keep the measurements in nbs/results/forms.json')
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng,rows = random.Random(args.seed),[]
    for i in range(args.n):
        s,layer = shape(rng, args.most)
        times,picked = measure(s, layer)
        best = min(times, key=times.get)
        rows.append(dict(shape=s, ms={k:round(v, 3) for k,v in times.items()}, picked=picked, best=best, over=round(times[picked]/times[best], 3)))
        if rows[-1]['over'] > 1.15: print(f'{i}: {picked} takes {rows[-1]["over"]:.2f} times {best}: {s} {rows[-1]["ms"]}', flush=True)
    good = sum(r['over'] <= 1.15 for r in rows)
    print(f"{good} of {len(rows)} picks are within 15 % of the fastest form")
    if args.save: store('forms', dict(good=good, n=len(rows), seed=args.seed, rows=rows, **about()))
    sys.exit(good < 0.9*len(rows) and args.n >= 100)


if __name__=='__main__': main()
