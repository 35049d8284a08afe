"""This package beside other implementations, on the same work: time, memory, operations

    tools/bench_install.sh                                            # what is compared with, once
    python tools/bench.py a b --threads 2 --save                      # workloads by letter or key, into nbs/results/bench.json
    python tools/bench.py --precision float32 autocast bfloat16       # everything, in three precisions
    python tools/bench.py c --compile                                 # through torch.compile
    python tools/bench.py --device cuda --save                        # on a GPU: TFLOP/s and percent of its measured peak, too
    python tools/bench.py --small                                     # tiny sizes, one round: whether it works; nothing is written

Workloads: a one cross-attention (a1 one head, a8 eight), b models of the size of MNIST and of the recipes (b, b-mnist, b-cifar10), c vision-perceiver-fourier
(c1 one block, c8 eight), d dense outputs, e language-perceiver, f from 4,096 to a million tokens (f-4096 … f-1048576), g the resampler. Contenders take turns
in one process, in another order each round; the first rounds are dropped; what is said is the median and half the distance of the quartiles. `forward` is without
gradients. `step` is forward, the mean of the squared outputs as a loss, and backward, without the optimiser, which is the same for all. Where weights
are equal, outputs are compared first. Peak memory is the operating system's, above what was there before, in a process of its own for each contender.
Precisions: float32; autocast, weights in float32 and torch.autocast in bfloat16; bfloat16, weights in bfloat16."""
import argparse, contextlib, ctypes, gc, os, platform, subprocess, sys, time, warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles

if __name__=='__main__' and '--threads' in sys.argv: os.environ['OMP_NUM_THREADS'] = sys.argv[sys.argv.index('--threads')+1]
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from perceivers.models import Tokens
from results import about, root, store
from bench_models import Missing, use_folder
from bench_workloads import EQUAL, workloads

precisions = {'float32':torch.float32, 'autocast':torch.float32, 'bfloat16':torch.bfloat16}
TOLERANCE = {'float32':1e-3, 'autocast':.1, 'bfloat16':.1} # of the largest output, for contenders with equal weights
SLOW = 10. # seconds: what takes longer is run for three rounds only


# --- the machine

def processor():
    "The processor's name, as the operating system has it"
    if sys.platform=='linux':
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'): return line.split(':', 1)[1].strip()
    return platform.processor() or platform.machine()

def sync(device):
    if device=='cuda': torch.cuda.synchronize()

def best_time(f, device, rounds):
    "The fewest seconds of `f`, after two calls that do not count: a rate is what the machine can reach"
    times = []
    for i in range(rounds+2):
        sync(device)
        start = time.perf_counter()
        f()
        sync(device)
        if i > 1: times.append(time.perf_counter()-start)
    return min(times)

def machine(device, rounds, small):
    "Rates that this machine reaches: products of large matrices in two types, and a copy of an array that no cache holds"
    n = 256 if small else 8192 if device=='cuda' else 2048
    size = 2**20 if small else 2**28
    res = dict(device=torch.cuda.get_device_name() if device=='cuda' else processor(), threads=torch.get_num_threads(), matrix=n)
    for name,kind in (('float32',torch.float32), ('bfloat16',torch.bfloat16)):
        a,b = (torch.randn(n, n, device=device).to(kind) for _ in range(2))
        out = a@b
        res[f'gflops_{name}'] = round(2*n**3/best_time(lambda: torch.mm(a, b, out=out), device, rounds)/1e9, 1)
    x = torch.ones(size//4, device=device)
    y = torch.empty_like(x)
    res['copy_gb_per_s'] = round(2*size/best_time(lambda: y.copy_(x), device, rounds)/1e9, 1)
    return res


# --- one contender

def moved(x, kind):
    "Data in a type; whole numbers as they are, and a grid's positions in float32 at least"
    if isinstance(x, Tokens): return x._replace(content=x.content.to(kind))
    return x.to(kind) if x.is_floating_point() else x

class Runner:
    "A contender that is ready to run"
    def __init__(self, model, x, device, precision, compiled):
        self.model,self.device,self.precision = model.to(device, precisions[precision]),device,precision
        self.x,self.f = moved(x, precisions[precision]),torch.compile(self.model) if compiled else self.model
        self.parameters = sum(p.numel() for p in {id(p):p for p in model.parameters() if p.requires_grad}.values())

    def cast(self):
        return torch.autocast(self.device, torch.bfloat16) if self.precision=='autocast' else contextlib.nullcontext()

    def forward(self):
        with torch.no_grad(), self.cast(): return self.f(self.x)

    def step(self):
        with self.cast(): loss = self.f(self.x).float().square().mean()
        loss.backward()

    def prepare(self, mode):
        self.model.train(mode=='step')
        for p in self.model.parameters(): p.grad = None

    def time(self, mode):
        "Seconds of one call"
        self.prepare(mode)
        sync(self.device)
        start = time.perf_counter()
        getattr(self, mode)()
        sync(self.device)
        return time.perf_counter()-start

    def flops(self, mode):
        "Operations in products of what this contender calls; a multiply-add is two"
        self.prepare(mode)
        f,self.f = self.f,self.model
        torch.backends.mha.set_fastpath_enabled(False) # one kernel for a whole layer, which would be counted as nothing
        try:
            with CountFlops() as counter: getattr(self, mode)()
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
            self.f = f
        return counter.total

class CountFlops(TorchDispatchMode):
    """Counts operations in products by PyTorch's own formulas, and those below

    PyTorch's FlopCounterMode hooks every module, so that this package, which reads no weight of a hooked layer, would run another form."""
    def __init__(self):
        super().__init__()
        self.total,own,aten = 0,torch.ops.perceivers,torch.ops.aten
        self.known = {aten._scaled_dot_product_flash_attention_for_cpu:attend_flops, aten._scaled_dot_product_flash_attention_for_cpu_backward:attend_grad_flops,
            aten.addmm_:into_flops, aten.baddbmm_:into_batch_flops, own.streamed_attention:stream_flops, own.streamed_attention_grads:stream_grad_flops}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in self.known: self.total += self.known[packet](*args)
        elif packet in flop_registry: self.total += flop_registry[packet](*args, **{**(kwargs or {}), 'out_val':out})
        return out

def attend_flops(q, k, v, *_): return 2*q[...,0].numel()*k.shape[2]*(q.shape[3]+v.shape[3])
def attend_grad_flops(g, q, k, v, *_): return 2*q[...,0].numel()*k.shape[2]*(3*q.shape[3]+2*v.shape[3])
def into_flops(y, a, b, *_): return 2*a.numel()*b.shape[1]
def into_batch_flops(y, a, b, *_): return 2*a.numel()*b.shape[2]
def stream_flops(q, x, *_): return 4*q.numel()*x.shape[1]
def stream_grad_flops(q, x, mask, lse, g, gy, eps, for_x): return 2*q.numel()*x.shape[1]*(5 if for_x else 3)

def our_state(w):
    "Our weights, on a CPU"
    torch.manual_seed(0)
    first = next(iter(w.contenders.values()))
    return first.make(w.shape).state_dict()

def make(w, name, state, device, precision, compiled):
    c = w.contenders[name]
    return Runner(c.make(w.shape, state), w.data[c.data](device), device, precision, compiled)


# --- peak memory, in a process of its own

def status(what): return int(next(o for o in open('/proc/self/status') if o.startswith(what)).split()[1])/1024

def peak(args):
    "MiB above what was there before one call of one contender"
    key,name,mode = args.peak
    runner = make(workloads(args.small)[key](), name, None, args.device, args.precision[0], args.compile)
    runner.prepare(mode)
    if args.device=='cuda':
        getattr(runner, mode)()
        runner.prepare(mode)
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        getattr(runner, mode)()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated()-before)/2**20
    few = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8)) # what PyTorch loads once, at the first product and the first gradient
    few(torch.randn(4, 8)).sum().backward()
    q = torch.randn(1, 1, 4, 8, requires_grad=True)
    nn.functional.scaled_dot_product_attention(q, q, q).sum().backward()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError): ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError): Path('/proc/self/clear_refs').write_text('5') # VmHWM starts anew
    before = status('VmRSS')
    getattr(runner, mode)()
    return status('VmHWM')-before

def peak_of(args, key, name, mode, precision):
    "The same, asked of a new process; None where the system cannot say"
    if args.device=='cpu' and not Path('/proc/self/status').is_file(): return None
    run = [sys.executable, __file__, '--peak', key, name, mode, '--precision', precision, '--device', args.device, '--threads', str(args.threads),
           '--folder', str(args.folder), *['--compile']*args.compile, *['--small']*args.small]
    done = subprocess.run(run, capture_output=True, text=True)
    try: return round(float(done.stdout.split()[-1]), 1)
    except (IndexError, ValueError):
        print(f'{key}, {name}, {mode}: no peak memory: {(done.stderr.strip() or "?").splitlines()[-1][:160]}')
        return None


# --- a workload

def ready(w, args, precision):
    "Contenders that can run, {name: Runner}, and a row for each, which says why where one cannot"
    state,runners,rows,target = our_state(w),{},{},None
    for name,c in w.contenders.items():
        rows[name] = row = dict(weights=c.weights)
        try:
            runners[name] = runner = make(w, name, state, args.device, precision, args.compile)
            runner.prepare('forward')
            row['parameters'] = runner.parameters
            y = runner.forward().float()
        except Missing as e: row['reason'] = str(e)
        except Exception as e:
            if name=='perceivers': raise
            row['reason'] = f'failed: {type(e).__name__}: {str(e)[:200]}'
        if 'reason' in row:
            runners.pop(name, None)
            continue
        if target is None: target = y
        elif c.weights.startswith(EQUAL):
            row['difference'] = diff = float((y-target).abs().max()/target.abs().max())
            if not diff <= TOLERANCE[precision]:
                row['reason'] = f'outputs differ by {diff:.1e} of the largest: not measured'
                del runners[name]
    for name,why in w.notes.items():
        try: why(w.shape)
        except Missing as e: rows[name] = dict(reason=str(e))
    return runners,rows

def race(runners, mode, rounds, warm):
    "Seconds of each contender, in turns; what takes long, for three rounds"
    times,left = {k:[] for k in runners},{k:warm+rounds for k in runners}
    names = list(runners)
    while any(left.values()):
        names = names[1:]+names[:1]
        for name in [k for k in names if left[k]]:
            seconds = runners[name].time(mode)
            done = warm+rounds-left[name]
            if done >= warm: times[name].append(seconds)
            elif done==warm-1 and seconds > SLOW: left[name] = min(3, rounds)+1 # this one told: three more, which count
            left[name] -= 1
            runners[name].prepare('forward') # gives its gradients back
    return {k:v[-rounds:] for k,v in times.items()}

def spread(times):
    "Half the distance of the quartiles"
    if len(times) < 3: return 0.
    low,_,high = quantiles(times, n=4, method='inclusive')
    return (high-low)/2

def measure(key, w, args, precision, rates):
    "All rows of a workload, printed"
    print(f'\n{key}: {w.title}; {precision}{", compiled" if args.compile else ""}, {args.device}')
    runners,rows = ready(w, args, precision)
    rate = rates['gflops_bfloat16' if precision != 'float32' else 'gflops_float32']*1e9
    for mode in w.modes:
        times = race(runners, mode, args.rounds, args.warm)
        for name,t in times.items():
            flops = runners[name].flops(mode)
            rows[name][mode] = dict(ms=round(1e3*median(t), 3), spread=round(1e3*spread(t), 3), rounds=len(t), gflop=round(flops/1e9, 4), floor_ms=round(1e3*flops/rate, 3))
    del runners
    gc.collect()
    if args.device=='cuda': torch.cuda.empty_cache()
    for name,row in rows.items():
        for mode in w.modes:
            if mode in row and args.memory: row[mode]['peak_mib'] = peak_of(args, key, name, mode, precision)
    report(rows, w.modes, args, rate)
    return dict(title=w.title, precision=precision, compiled=args.compile, device=args.device, rows=rows)

def report(rows, modes, args, rate):
    for mode in modes:
        others = {k:row[mode]['ms'] for k,row in rows.items() if mode in row and not k.startswith('perceivers') and k != 'Transformer encoder'}
        libraries = {k:o for k,o in others.items() if k != 'textbook'}
        for name,row in rows.items():
            if mode not in row:
                if mode==modes[0]: print(f"  {name:27} {row['reason']}")
                continue
            r = row[mode]
            text = f"  {mode:8} {name:27} {r['ms']:10.1f} ± {r['spread']:.1f} ms, floor {r['floor_ms']:8.1f} ms for {r['gflop']/2:.3g} G multiply-adds"
            if args.device=='cuda': text += f", {r['gflop']/r['ms']:.1f} TFLOP/s, {100*r['floor_ms']/r['ms']:.0f} % of the peak"
            if r.get('peak_mib') is not None: text += f", peak {r['peak_mib']:,.0f} MiB"
            if mode==modes[0]: text += f"; {row['parameters']:,} parameters, {row['weights'].split(':')[0].split(';')[0]}"
            if 'difference' in row and mode==modes[0]: text += f", outputs differ by {row['difference']:.0e}"
            print(text)
        for what,found in (('best other',others), ('best library',libraries)):
            best = min(found, key=found.get, default=None)
            if best: print(f"  {mode:8} perceivers is {found[best]/rows['perceivers'][mode]['ms']:.2f} times as fast as the {what}, {best}")


def versions():
    "Versions of what is compared with, where it is installed"
    found = {}
    for name in ('transformers','perceiver-pytorch','perceiver-io','flash-perceiver'):
        with contextlib.suppress(PackageNotFoundError): found[name] = version(name)
    return found

def chosen(names, known):
    "Keys of the workloads that are named by key or letter"
    for o in names:
        if not any(k==o or k[0]==o for k in known): sys.exit(f'{o}: must be a letter or one of {", ".join(known)}')
    return [k for k in known if not names or k in names or k[0] in names]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('workload', nargs='*', help='letters or keys; all by default')
    parser.add_argument('--device', choices=('cpu','cuda'), default='cpu')
    parser.add_argument('--precision', nargs='+', choices=list(precisions), default=['float32'])
    parser.add_argument('--compile', action='store_true', help='every contender through torch.compile')
    parser.add_argument('--rounds', type=int, default=9, help='that count')
    parser.add_argument('--warm', type=int, default=2, help='rounds before them that do not')
    parser.add_argument('--threads', type=int, default=int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
    parser.add_argument('--memory', action=argparse.BooleanOptionalAction, default=None, help='peak memory, too; not with --small unless asked for')
    parser.add_argument('--folder', type=Path, default=root/'.bench', help='where tools/bench_install.sh put what it installed')
    parser.add_argument('--small', action='store_true', help='tiny sizes, one round, nothing is written')
    parser.add_argument('--save', action='store_true', help='into nbs/results/bench.json, an entry a workload and precision')
    parser.add_argument('--peak', nargs=3, metavar=('KEY','NAME','MODE'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings('ignore')
    torch.set_num_threads(args.threads)
    use_folder(args.folder)
    if args.device=='cuda' and not torch.cuda.is_available(): sys.exit('--device cuda: PyTorch finds no GPU here')
    if args.peak: return print(peak(args))
    if args.small: args.rounds,args.warm,args.save = 1,int(args.compile),False
    if args.compile: # the contenders share code, such as nn.Linear's, and each must be compiled: none may fall back without a word
        import torch._dynamo as dynamo
        dynamo.config.recompile_limit,dynamo.config.accumulated_recompile_limit,dynamo.config.fail_on_recompile_limit_hit = 512,4096,True
    if args.memory is None: args.memory = not args.small
    if args.save and args.rounds < 7: sys.exit(f'--save needs 7 rounds or more, --rounds {args.rounds}')
    known = workloads(args.small)
    rates = machine(args.device, args.rounds, args.small)
    print(f"{rates['device']}, {rates['threads']} threads: products {rates['gflops_float32']:,} GFLOP/s in float32, {rates['gflops_bfloat16']:,} in bfloat16; "
          f"copies {rates['copy_gb_per_s']:,} GB/s")
    here = {**about(), 'threads':args.threads, **versions()}
    if args.save: store('bench', {f'machine {args.device}':{**rates, **here}})
    for key in chosen(args.workload, known):
        for precision in args.precision:
            entry = measure(key, known[key](), args, precision, rates)
            name = f'{key} {precision}{" compiled"*args.compile}{" cuda"*(args.device=="cuda")}'
            if args.save: store('bench', {name:{**entry, 'machine_rates':rates, **here}})


if __name__=='__main__': main()
