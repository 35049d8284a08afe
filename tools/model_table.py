"""Models and what other people's tools do with them: a table whose cells are run, not claimed

    python tools/model_table.py                                   # the table, in markdown
    python tools/model_table.py --only text --check export vmap   # some rows (by a part of the name) and columns
    python tools/model_table.py --check threads --threads-calls 100000

A cell is `ok`, or says in a few words why not; the whole error follows below the table. A failure that `EXPECTED` names
is let pass, but only if it fails for that reason. The exit status is 1 where another cell fails, or one that should
fail passes. Everything runs on one thread of a CPU, in evaluation mode. `onnx`, `onnxscript` and `onnxruntime` are
needed for the column ONNX."""
import argparse, contextlib, copy, inspect, io, logging, os, pickle, sys, tempfile, threading, time, traceback, warnings
from pathlib import Path
from typing import NamedTuple

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ |= dict(OMP_NUM_THREADS='1')

import torch
from torch import Tensor
from torch.export import Dim
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

# ---- The models: each is built when it is needed, so that one which cannot be built is a row of reasons.
# With four heads attention is PyTorch's own kernel, with one or two it is plain products: both occur in each model.
small = dict(n_latents=8, d_latent=32, n_blocks=2, n_layers=1, n_heads=4)

def build_perceiver_image():
    from perceivers.models import ImageInput, Perceiver
    return Perceiver(ImageInput((8, 8), n_ch=3, n_bands=4), 5, **small)

def build_perceiver_large_image():
    from perceivers.models import ImageInput, Perceiver
    return Perceiver(ImageInput((128, 128), n_ch=3, n_bands=2), 5, **{**small, 'n_latents':64})

def build_perceiver_sets():
    from perceivers.models import Perceiver, SetInput
    return Perceiver(SetInput(5, 3, n_bands=4, max_res=(200,)*3), 5, n_cross_heads=4, d_cross_qk=16, **small)

def build_perceiver_audio():
    from perceivers.models import AudioInput, Perceiver
    return Perceiver(AudioInput(64, patch=4, n_bands=4, stretch=False), 5, **small)

def build_io_class():
    from perceivers.models import ClassOutput, ImageInput, PerceiverIO
    return PerceiverIO(ImageInput((8, 8), n_ch=3, n_bands=4), ClassOutput(5), **small)

def build_io_image():
    from perceivers.models import ImageInput, ImageOutput, PerceiverIO
    output = ImageOutput((6, 6), n_ch=2, n_bands=4)
    return PerceiverIO(ImageInput((8, 8), n_ch=3, n_bands=4), output, n_decoder_heads=4, **small)

def build_io_text():
    from perceivers.models import PerceiverIO, TextInput, TextOutput
    return PerceiverIO(TextInput(16, 24), TextOutput(), **small)

def build_io_sets():
    from perceivers.models import ClassOutput, PerceiverIO, SetInput
    return PerceiverIO(SetInput(5, 3, n_bands=4, max_res=(8, 8, 8)), ClassOutput(5), **small)

def build_io_multimodal():
    from perceivers.models import ClassOutput, ImageInput, ImageOutput, PerceiverIO, SetInput
    from perceivers.models import MultimodalInput, MultimodalOutput, VectorInput
    inputs = {'image':ImageInput((8, 8), n_ch=3, n_bands=4), 'points':SetInput(5), 'label':VectorInput(4)}
    outputs = {'class':ClassOutput(5), 'image':ImageOutput((6, 6), n_ch=2, n_bands=4)}
    return PerceiverIO(MultimodalInput(inputs), MultimodalOutput(outputs), **small)

def build_resampler():
    from perceivers.models import Resampler
    return Resampler(24, n_latents=6, n_layers=2, n_heads=4, d_head=8)

# ---- Their inputs: batches of `b` samples and, where it can differ, of length `m`.
def images(b, m, g): return torch.rand(b, 3, 8, 8, generator=g),
def large_images(b, m, g): return torch.rand(b, 3, 128, 128, generator=g),
def real(b, m, g): return torch.arange(m) < torch.randint(1, m+1, (b,1), generator=g)
def points(b, m, g): return torch.rand(b, m, 5, generator=g)*2-1,real(b, m, g)
def sounds(b, m, g): return torch.rand(b, 1, 4*m, generator=g)*2-1,real(b, m, g)
def symbols(b, m, g): return torch.randint(6, 262, (b,m), generator=g),real(b, m, g)
def features(b, m, g): return torch.randn(b, m, 24, generator=g),real(b, m, g)
def several(b, m, g): return *images(b, m, g),*points(b, m, g),torch.randn(b, 4, generator=g)

# What differs between the calls of many threads: batch, length or size, and which outputs are wanted.
def pixels(shapes, g): return [((torch.rand(b, 3, h, w, generator=g),), {}) for b,h,w in shapes]
def many_sizes(g): return pixels([(2,8,8), (1,12,8), (2,16,16), (3,8,20)], g)
def many_large(g): return pixels([(1,128,128), (1,8,8), (1,160,128), (2,12,8)], g)
def many_lengths(inputs): return lambda g: [(inputs(b, m, g), {}) for b,m in ((2,5), (1,9), (3,16), (2,12))]

def many_outputs(g): # of images
    kwargs = [{}, dict(at=torch.tensor([0,7,35])), dict(size=(4,4)), dict(at=torch.tensor([3]), chunk=1)]
    return [(x, kw) for (x,_),kw in zip(many_sizes(g), kwargs)]

def many_symbols(g):
    kwargs = [{}, dict(at=torch.tensor([0,7])), dict(at=torch.tensor([15,2,2])), dict(chunk=5)]
    return [(x, kw) for (x,_),kw in zip(many_lengths(symbols)(g), kwargs)]

def many_modalities(g):
    at = [{'image':torch.tensor(o)} for o in ([0,7,35], [3])]
    kwargs = [{}, dict(at=at[0]), dict(size={'image':(4,4)}), dict(at=at[1], chunk=2)]
    return [(x, kw) for (x,_),kw in zip(many_lengths(several)(g), kwargs)]

class Spec(NamedTuple):
    "A row of the table"
    build:object # function that gives the model
    inputs:object # function from batch size, length and generator to the arguments of a call
    dims:object # function from the dimensions of batch and length to those of the arguments that may differ
    variants:object # function from a generator to four calls: (arguments, keywords)
    lengths:tuple = (7,4,12) # of the example, and of two other calls
    large:bool = False # so large that attention goes a piece at a time: fewer calls, no numeric second gradients

def dims_b(B, M): return {0:B},
def dims_bm(B, M): return {0:B, 1:M},{0:B, 1:M}
def dims_audio(B, M): return {0:B, 2:4*M},{0:B, 1:M}
def dims_several(B, M): return {0:B},{0:B, 1:M},{0:B, 1:M},{0:B}

models = {
    'Perceiver, image': Spec(build_perceiver_image, images, dims_b, many_sizes),
    'Perceiver, 16,384 pixels': Spec(build_perceiver_large_image, large_images, dims_b, many_large, large=True),
    'Perceiver, sets with mask': Spec(build_perceiver_sets, points, dims_bm, many_lengths(points)),
    'Perceiver, audio with mask': Spec(build_perceiver_audio, sounds, dims_audio, many_lengths(sounds)),
    'PerceiverIO, image to class': Spec(build_io_class, images, dims_b, many_sizes),
    'PerceiverIO, image to image': Spec(build_io_image, images, dims_b, many_outputs),
    'PerceiverIO, text to text': Spec(build_io_text, symbols, dims_bm, many_symbols),
    'PerceiverIO, sets to class': Spec(build_io_sets, points, dims_bm, many_lengths(points)),
    'PerceiverIO, several to several': Spec(build_io_multimodal, several, dims_several, many_modalities),
    'Resampler': Spec(build_resampler, features, dims_bm, many_lengths(features))}

# Cells that cannot pass: {(row, column): a part of the error}. A cell that passes all the same is reported.
EXPECTED = {}

# ---- What every check uses.
def leaves(
    y, # what a model gave
)->list[Tensor]: # in a fixed order
    "The tensors of an output"
    return torch.utils._pytree.tree_leaves(y)

def same(
    got, # output
    want, # output that it should be
    rtol:float=1e-4, # largest difference, relative to the largest value
)->None:
    "Raises AssertionError unless two outputs are equal up to rounding"
    got,want = leaves(got),leaves(want)
    if len(got) != len(want): raise AssertionError(f"{len(got)} tensors, should be {len(want)}")
    for a,b in zip(got, want):
        if a.shape != b.shape: raise AssertionError(f"shape {tuple(a.shape)}, should be {tuple(b.shape)}")
        if not a.isfinite().all(): raise AssertionError("not finite")
        off,top = (a.double()-b.double()).abs().max().item(),max(b.abs().max().item(), 1e-30)
        if off > rtol*top: raise AssertionError(f"off by {off:.1e}, the largest value is {top:.1e}")

def loss(y)->Tensor: return sum(o.square().mean() for o in leaves(y)) # to have gradients, and gradients of gradients

def param_grads(
    model, # whose parameters
    args:tuple, # of a call
    call=None, # what is called; None: the model
)->dict[str, Tensor]: # by name; zeros for a parameter that has no influence
    "Gradients of the loss in all parameters"
    params,y = dict(model.named_parameters()),(model if call is None else call)(*args)
    found = torch.autograd.grad(loss(y), list(params.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(params, found))

def same_grads(
    got:dict, # {name: gradient}
    want:dict, # {name: gradient} as it should be
    rtol:float=1e-3, # largest difference, relative to the largest gradient of all parameters
)->None:
    "Raises AssertionError unless gradients are equal up to rounding, which is all that key biases have"
    top = max(v.abs().max().item() for v in want.values())
    for k,v in want.items():
        if not got[k].isfinite().all(): raise AssertionError(f"gradient of {k} is not finite")
        off = (got[k].double()-v.double()).abs().max().item()
        if off > rtol*top: raise AssertionError(f"gradient of {k} is off by {off:.1e}, the largest is {top:.1e}")

def gen(seed:int=0)->torch.Generator: return torch.Generator().manual_seed(seed)

def dynamic_shapes(
    model, # to be exported
    spec:Spec, # its row
): # as `torch.export` takes it
    "Which dimensions of the arguments may differ, by the names that `forward` gives them"
    dims = spec.dims(Dim('batch', min=1, max=64), Dim('length', min=2, max=16))
    return dict(inspect.signature(model.forward).bind(*dims).arguments)

def cast(
    args:tuple, # of a call
    dtype:torch.dtype, # of the floating ones
)->tuple: # the others as they are
    "Arguments in another type"
    return tuple(o.to(dtype) if o.is_floating_point() else o for o in args)

def textbook(
    model, # any
): # a copy that computes attention in the plain form, in float64
    "The slow and obvious version of a model"
    model = copy.deepcopy(model).double()
    for m in model.modules():
        if hasattr(m, 'fast'): m.fast = False
    return model

# ---- The checks: each takes a model and its row, and raises where something is wrong.
def check_export(model, spec):
    "`torch.export` with dynamic batch and length, run at two other sizes with and without gradients, equals eager"
    example,*others = [spec.inputs(b, m, gen(b)) for b,m in zip((3,1,5), spec.lengths)]
    m = torch.export.export(model, example, dynamic_shapes=dynamic_shapes(model, spec)).module()
    for args in others:
        with torch.no_grad(): same(m(*args), model(*args))
        same(m(*args), model(*args))
        same_grads(param_grads(m, args), param_grads(model, args))

def check_onnx(model, spec):
    "ONNX, exported with dynamic batch and length, run by onnxruntime at two other sizes: off by less than 1e-4"
    import onnxruntime
    example,*others = [spec.inputs(b, m, gen(b)) for b,m in zip((3,1,5), spec.lengths)]
    shapes = dynamic_shapes(model, spec)
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(model, example, f'{folder}/model.onnx', dynamo=True, dynamic_shapes=shapes, verbose=False)
        session = onnxruntime.InferenceSession(f'{folder}/model.onnx', providers=['CPUExecutionProvider'])
    for args in others:
        with torch.no_grad(): want = leaves(model(*args))
        got = session.run(None, {i.name:o.numpy() for i,o in zip(session.get_inputs(), args)})
        for a,b in zip(got, want):
            if a.shape != b.shape: raise AssertionError(f"shape {tuple(a.shape)}, should be {tuple(b.shape)}")
            off = (torch.from_numpy(a)-b).abs().max().item()
            if not off < 1e-4: raise AssertionError(f"off by {off:.1e}")

def check_compile(model, spec):
    "`torch.compile(fullgraph=True, backend='eager')` at two sizes: outputs and gradients equal eager's"
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend='eager')
    for b,m in zip((3,5), spec.lengths):
        args = spec.inputs(b, m, gen(b))
        same(compiled(*args), model(*args))
        same_grads(param_grads(model, args, compiled), param_grads(model, args))

def check_vmap(model, spec):
    "`vmap` over samples equals the batch; `vmap(grad)` equals a loop over samples"
    args = spec.inputs(3, spec.lengths[0], gen())
    params,dims = {k:v.detach() for k,v in model.named_parameters()},(None,)+(0,)*len(args)
    def one(params, *args): return functional_call(model, params, tuple(o[None] for o in args))
    with torch.no_grad(): want = model(*args)
    same([o.squeeze(1) for o in leaves(vmap(one, in_dims=dims)(params, *args))], want)
    got = vmap(grad(lambda *o: loss(one(*o))), in_dims=dims)(params, *args)
    for i in range(3): same_grads({k:v[i] for k,v in got.items()}, param_grads(model, tuple(o[i:i+1] for o in args)))

def check_functional(model, spec):
    "`functional_call` with other parameters equals a model that has them, and leaves the model as it was"
    args = spec.inputs(3, spec.lengths[0], gen())
    other = copy.deepcopy(model)
    with torch.no_grad():
        for p in other.parameters(): p.mul_(1.1).add_(0.01)
        before = model(*args)
        same(functional_call(model, dict(other.named_parameters()), args), other(*args))
        same(model(*args), before, 0)
    try: same(other(*args), before)
    except AssertionError: return
    raise AssertionError("other parameters do not change the output")

def second(model, args)->dict: # {name: gradient of the gradients' squared length}
    "A gradient of gradients in all parameters"
    params = dict(model.named_parameters())
    first = torch.autograd.grad(loss(model(*args)), list(params.values()), create_graph=True, allow_unused=True)
    length = sum(o.square().sum() for o in first if o is not None)
    found = torch.autograd.grad(length, list(params.values()), allow_unused=True, materialize_grads=True)
    return dict(zip(params, found))

def check_double_backward(model, spec):
    "Gradients of gradients: in float32 and float64 equal to the textbook form's in float64; `gradgradcheck`"
    args = spec.inputs(1 if spec.large else 2, spec.lengths[0], gen())
    twice = cast(args, torch.float64)
    with sdpa_kernel(SDPBackend.MATH): want = second(textbook(model), twice)
    same_grads(second(model, args), want)
    same_grads(second(copy.deepcopy(model).double(), twice), want, 1e-9)
    if spec.large: return
    tiny,args = copy.deepcopy(model).double(),tuple(o[:1] for o in twice)
    params = {k:v.detach().requires_grad_() for k,v in tiny.named_parameters()}
    def outputs(*values): return tuple(leaves(functional_call(tiny, dict(zip(params, values)), args)))
    torch.autograd.gradgradcheck(outputs, tuple(params.values()), fast_mode=True)

def check_twin(model, twin, args):
    "Raises unless `twin` is a copy of `model` that shares nothing with it, with the same parameters tied"
    with torch.no_grad():
        before = model(*args)
        same(twin(*args), before, 0)
        for p in twin.parameters(): p.mul_(1.1).add_(0.01)
        same(model(*args), before, 0)
        same(twin(*args), functional_call(model, dict(twin.named_parameters()), args))

def check_deepcopy(model, spec):
    "A copy of a model in use gives the same, and goes its own way"
    args = spec.inputs(2, spec.lengths[0], gen())
    model(*args)
    check_twin(model, copy.deepcopy(model), args)

def check_pickle(model, spec):
    "A model in use that was pickled and read again gives the same, and goes its own way"
    args = spec.inputs(2, spec.lengths[0], gen())
    model(*args)
    check_twin(model, pickle.loads(pickle.dumps(model)), args)

def check_bf16(model, spec):
    "`model.bfloat16()`, for inputs that bfloat16 holds exactly: off by less than 3 % of the output's length"
    args = cast(spec.inputs(3, spec.lengths[0], gen()), torch.bfloat16)
    with torch.no_grad():
        want = leaves(model(*cast(args, torch.float32)))
        half = copy.deepcopy(model).bfloat16()
        try: got = leaves(half(*args))
        except ValueError as e: # points in sixteen bits are refused: a model in sixteen bits takes them in float32
            if 'positions must be float32' not in str(e): raise
            got = leaves(half(*cast(args, torch.float32)))
    for a,b in zip(got, want):
        if a.dtype != torch.bfloat16: raise AssertionError(f"output is {a.dtype}")
        off = ((a.float()-b).norm()/b.norm()).item()
        if not off < 0.03: raise AssertionError(f"off by {off:.0%} of the output's length")

def check_float64(model, spec):
    "`model.double()`: float32 is off by less than 1e-4 of the largest value"
    args = spec.inputs(3, spec.lengths[0], gen())
    with torch.no_grad():
        double = copy.deepcopy(model).double()(*cast(args, torch.float64))
        kinds = {o.dtype for o in leaves(double)}
        if kinds != {torch.float64}: raise AssertionError(f"output is {kinds}")
        same(model(*args), double)

def check_threads(model, spec):
    "Eight threads over four sizes, lengths or wishes, some with gradients on, get what one thread gets"
    calls,n_threads,each = spec.variants(gen()),8,400
    with torch.no_grad(): want = [model(*args, **kw) for args,kw in calls]
    wrong,errors,todo = [],[],threads_calls // (50 if spec.large else 1)
    def work(model, seed, n, start):
        torch.set_grad_enabled(bool(seed % 2)) # a thread's own
        order = torch.randint(len(calls), (n,), generator=gen(seed)).tolist()
        start.wait()
        for i in order:
            try: same(model(*calls[i][0], **calls[i][1]), want[i], 1e-5)
            except AssertionError as e: wrong.append(str(e))
            except Exception as e: errors.append(f'{type(e).__name__}: {e}')
    for done in range(0, todo, each): # a new copy each time, whose caches are empty
        fresh,start = copy.deepcopy(model),threading.Barrier(n_threads)
        n = max(1, min(each, todo-done)//n_threads)
        team = [threading.Thread(target=work, args=(fresh, done+i, n, start)) for i in range(n_threads)]
        for t in team: t.start()
        for t in team: t.join()
    if not wrong and not errors: return
    raise AssertionError(f"{len(wrong)} wrong, {len(errors)} exceptions in {todo} calls: {(errors+wrong)[0]}")

def check_jit_trace(model, spec):
    "`torch.jit.trace(check_trace=False)`, for inputs of the same shapes"
    traced = torch.jit.trace(model, spec.inputs(3, spec.lengths[0], gen(0)), check_trace=False, strict=False)
    args = spec.inputs(3, spec.lengths[0], gen(1))
    with torch.no_grad(): same(traced(*args), model(*args))

checks = {'export':check_export, 'ONNX':check_onnx, 'compile':check_compile, 'vmap':check_vmap,
    'functional_call':check_functional, 'double backward':check_double_backward, 'deepcopy':check_deepcopy,
    'pickle':check_pickle, 'bf16':check_bf16, 'float64':check_float64, 'threads':check_threads,
    'jit.trace':check_jit_trace}

# ---- The table.
class Cell(NamedTuple):
    "What became of a check"
    text:str # 'ok', or a few words
    good:bool # whether all is well: it passed, or failed as expected
    error:str = '' # the whole error
    seconds:float = 0.

def run_cell(
    row:str, # name of a model
    column:str, # name of a check
)->Cell: # whatever happens
    "Builds the model anew and runs the check"
    start,expected,error = time.time(),EXPECTED.get((row, column)),''
    try:
        torch.manual_seed(0)
        checks[column](models[row].build().eval(), models[row])
    except Exception as e: error = f'{type(e).__name__}: {e}\n' + ''.join(traceback.format_tb(e.__traceback__)[-3:])
    seconds = time.time()-start
    said = ' '.join(error.split('\n')[0].split())
    if expected is None: return Cell('ok' if not error else said[:60], not error, error, seconds)
    if not error: return Cell('passes, but should not', False, f'EXPECTED says: {expected}', seconds)
    return Cell(f'no: {expected}' if expected in error else said[:60], expected in error, error, seconds)

def main()->int: # exit status
    "Prints the table and the errors"
    global threads_calls
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='*', default=[], help="parts of the rows' names")
    parser.add_argument('--check', nargs='*', default=[], choices=list(checks), help="columns")
    parser.add_argument('--threads-calls', type=int, default=2000, help="calls of a model from eight threads together")
    args = parser.parse_args()
    threads_calls = args.threads_calls
    torch.set_num_threads(1)
    sys.setswitchinterval(1e-5) # threads take turns as often as they can
    warnings.filterwarnings('ignore')
    logging.disable(logging.WARNING)
    rows = [o for o in models if not args.only or any(k.lower() in o.lower() for k in args.only)]
    columns,start = args.check or list(checks),time.time()
    if not rows: parser.error(f"--only {args.only}: no such row, there are {list(models)}")
    cells = {(r,c):run_cell(r, c) for r in rows for c in columns}
    print('| model | ' + ' | '.join(columns) + ' |', '|' + '---|'*(len(columns)+1), sep='\n')
    for r in rows: print(f'| {r} | ' + ' | '.join(cells[r,c].text.replace('|', '\\|') for c in columns) + ' |')
    errors = {}
    for (r,c),cell in cells.items():
        text = cell.error if len(cell.error) <= 1600 else f'{cell.error[:800]}\n…\n{cell.error[-800:]}'
        if not cell.good: errors.setdefault((r, text), []).append(c)
    for (r,error),found in errors.items(): print(f"\n{r} × {', '.join(found)}:\n{error}")
    bad = sum(not cell.good for cell in cells.values())
    slowest = ', '.join(f'{c} {sum(cells[r,c].seconds for r in rows):.0f} s' for c in columns)
    print(f'\n{len(cells)} cells, {bad} bad, {time.time()-start:.0f} s ({slowest}), torch {torch.__version__}')
    return int(bad > 0)

threads_calls = 2000 # set by an option
if __name__=='__main__': sys.exit(main())
