"""Which kernel of attention is fastest for which shape: the same queries, keys and values, in turns

    python tools/kernels.py --device cuda --save     # into nbs/results/kernels.json
    python tools/kernels.py --threads 2              # on a processor
    python tools/kernels.py --small                  # tiny sizes, one round, nothing is written

A head of 261 channels, as in the paper's ImageNet model, is wider than flash attention takes on a GPU (256). So several ways are
timed: PyTorch's kernels one by one, the same on heads that are padded with zeros to a multiple of 8 or to 512 channels, FlexAttention
(compiled), and plain products. Each is compared with plain products in float64 first. A kernel that refuses a shape is a row that
says why. `forward` is without gradients, `step` is forward and backward. What is said is the median and half the distance of the quartiles."""
import argparse, os, sys, time, warnings
from statistics import median
if __name__=='__main__' and '--threads' in sys.argv: os.environ['OMP_NUM_THREADS'] = sys.argv[sys.argv.index('--threads')+1]
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from bench import spread, sync
from results import about, store

# name: (B, H, N, M, channels of a head)
shapes = {'ImageNet, cross-attention':(8,1,512,50_176,261), 'ImageNet, latents':(8,8,512,512,128), 'language, cross-attention':(8,8,256,2048,32),
    'language, latents':(8,8,256,256,32), 'MNIST recipe, latents':(64,4,16,16,16), 'optical flow, decoder':(1,1,182_528,2048,512)}
small = {'small':(2,2,8,40,13)}

def plain(q, k, v): return (q@k.mT*q.shape[-1]**-.5).softmax(-1)@v

def padded(q, k, v, d, f):
    "Attention on heads that are filled up to `d` channels; the scale is that of the channels there are"
    more = d-q.shape[-1]
    q,k,v = (F.pad(o, (0,more)) for o in (q,k,v))
    return f(q, k, v, scale=(d-more)**-.5)[...,:d-more]

def by(backend):
    "PyTorch's attention by one of its kernels"
    def run(q, k, v, **kwargs):
        with sdpa_kernel(backend): return F.scaled_dot_product_attention(q, k, v, **kwargs)
    return run

def kernels(d):
    "{name: function of queries, keys and values}"
    backends = {'flash':SDPBackend.FLASH_ATTENTION, 'memory-efficient':SDPBackend.EFFICIENT_ATTENTION, 'cuDNN':SDPBackend.CUDNN_ATTENTION, 'math':SDPBackend.MATH}
    found = {'plain products':plain, 'SDPA, its own choice':F.scaled_dot_product_attention, **{f'SDPA, {k}':by(o) for k,o in backends.items()}}
    for width in dict.fromkeys((-(-d//8)*8, 512)):
        if width > d: found[f'SDPA, padded to {width}'] = lambda q, k, v, width=width: padded(q, k, v, width, F.scaled_dot_product_attention)
    return {**found, 'FlexAttention, compiled':torch.compile(flex_attention)}

def once(f, data, mode, device):
    "Seconds of one call"
    for o in data: o.grad = None
    sync(device)
    start = time.perf_counter()
    if mode=='forward':
        with torch.no_grad(): f(*data)
    else: f(*data).float().square().mean().backward()
    sync(device)
    return time.perf_counter()-start

def measure(shape, kind, device, rounds):
    "{kernel: {mode: milliseconds}, or why not}"
    B,H,N,M,d = shape
    g = torch.Generator().manual_seed(0)
    data = [torch.randn(B, H, n, d, generator=g).to(device, kind).requires_grad_() for n in (N,M,M)]
    few = [o[:1,:,:64] if i==0 else o[:1] for i,o in enumerate(data)] # enough to see whether a kernel is right
    with torch.no_grad(): target = plain(*(o.double() for o in few))
    able,rows = {},{}
    for name,f in kernels(d).items():
        try:
            with torch.no_grad(): off = ((f(*few).double()-target).abs().max()/target.abs().max()).item()
            for mode in ('forward','step'): once(f, data, mode, device)
        except Exception as e: # whatever a kernel raises is its answer, a row of the table
            rows[name] = dict(reason=f'{type(e).__name__}: {str(e).splitlines()[0][:100] if str(e) else ""}')
            continue
        rows[name] = dict(error=off)
        if off < (1e-3 if kind==torch.float32 else .05): able[name] = f
        else: rows[name]['reason'] = f'differs by {off:.1e} of the largest result'
    for mode in ('forward','step'):
        times,names = {k:[] for k in able},list(able)
        for i in range(rounds):
            names = names[1:]+names[:1]
            for name in names: times[name].append(once(able[name], data, mode, device))
        for name,t in times.items(): rows[name][mode] = dict(ms=round(1e3*median(t), 3), spread=round(1e3*spread(t), 3), rounds=len(t))
    return rows

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--device', choices=('cpu','cuda'), default='cpu')
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--threads', type=int, default=int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
    parser.add_argument('--small', action='store_true', help='tiny sizes, one round, nothing is written')
    parser.add_argument('--save', action='store_true', help='into nbs/results/kernels.json')
    args = parser.parse_args()
    if args.device=='cuda' and not torch.cuda.is_available(): sys.exit('--device cuda: PyTorch finds no GPU here')
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    here = torch.cuda.get_device_name() if args.device=='cuda' else 'a processor'
    for name,shape in (small if args.small else shapes).items():
        for kind in (torch.float32, torch.bfloat16):
            rows = measure(shape, kind, args.device, 1 if args.small else args.rounds)
            print(f"\n{name}: {shape}, {str(kind)[6:]}, {here}")
            for k,o in rows.items():
                said = o.get('reason') or ', '.join(f"{m} {o[m]['ms']:.2f} ± {o[m]['spread']:.2f} ms" for m in ('forward','step')) + f", error {o['error']:.0e}"
                print(f'  {k:26} {said}', flush=True)
            if args.save and not args.small:
                store('kernels', {f'{name}, {str(kind)[6:]}, {args.device}':dict(shape=shape, on=here, rows=rows, **{**about(), 'threads':args.threads})})


if __name__=='__main__': main()
