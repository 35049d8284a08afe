"""What the page `demo.html` needs beside its text, written into a built site's folder: OUT/demo/

    npm ci --prefix tools                     # once: onnxruntime-web and others, in the versions of tools/package-lock.json
    python tools/demo.py _docs                # with the trained weights that ship with the package
    python tools/demo.py _docs --run runs/0   # with a run of perceivers-train --data mnist

It writes `model.onnx` (the model from pixels and positions to logits and attention weights; its weights in half
precision, computed in float32), `model.json` (what the page says about it), `ort/` (onnxruntime-web: two files), and
copies `nbs/demo/`. It ends with an error where onnxruntime and the model differ by more than 1e-5."""
import argparse, json, shutil, sys, tempfile
from copy import deepcopy
from pathlib import Path
import numpy as np, onnx, onnxruntime, torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn, Tensor
from perceivers.export import Exported
from perceivers.interpret import attention_maps
from perceivers.position import FourierPosition, grid_positions
from perceivers.runs import load_run

root = Path(__file__).resolve().parent.parent
runtime = 'ort.wasm.bundle.min.mjs','ort-wasm-simd-threaded.wasm'
max_bytes,max_difference = 3_000_000,1e-5


class PixelModel(nn.Module):
    "A classifier of grey images, from pixels and their positions to logits and attention weights"
    def __init__(self,
        model:nn.Module, # Perceiver with an ImageInput of one channel, a pixel a token, and Fourier features
        mean:float, # that the training subtracted from pixels between 0 and 1
        std:float, # that it divided by
    )->None:
        "Raises ValueError for a model with other tokens"
        super().__init__()
        adapter = model.input
        plain = adapter.stem is None and set(adapter.patch)=={1} and adapter.n_ch==1 and len(adapter.size)==2
        if not plain or not isinstance(adapter.position, FourierPosition):
            raise ValueError('the page needs a model of grey images, a pixel a token, with Fourier features')
        self.position,self.exported = adapter.position,Exported(model, attention=True, from_tokens=True)
        self.mean,self.std = mean,std

    def forward(self,
        values:Tensor, # (1, M, 1) pixels from 0 to 1
        positions:Tensor, # (1, M, 2) their positions: row and column, from -1 to 1
    )->tuple[Tensor, ...]: # (1, n_out) logits; then (1, N, M) for each cross-attention, the mean of its heads
        "Logits and attention weights"
        tokens = torch.cat([(values-self.mean)/self.std, self.position(positions)], -1)
        logits,*maps = self.exported(tokens)
        return logits,*(o.mean(1) for o in maps)


def store_half(
    proto:onnx.ModelProto, # whose weights are float32; changed
)->None:
    """Keeps weights in half precision where that changes none, each with a conversion to float32 behind it

    Others stay: the exporter computed them from several weights."""
    graph,casts = proto.graph,[]
    for o in graph.initializer:
        if o.data_type!=TensorProto.FLOAT: continue
        name,full = o.name,numpy_helper.to_array(o)
        half = full.astype(np.float16)
        if half.size < 64 or (half.astype(np.float32)!=full).any(): continue
        o.CopyFrom(numpy_helper.from_array(half, f'{name}_half'))
        casts.append(helper.make_node('Cast', [o.name], [name], name=f'{name}_float', to=TensorProto.FLOAT))
    kept = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts+kept)


def rounded(
    model:nn.Module, # changed
)->nn.Module: # itself
    "The model with its weights rounded to half precision"
    with torch.no_grad():
        for p in model.parameters(): p.copy_(p.half().float())
    return model


def example(
    grid:tuple[int, int], # rows and columns
)->tuple[Tensor, Tensor]: # (1, M, 1) and (1, M, 2)
    "A picture of a ring, as pixels and positions"
    pos = grid_positions(grid).float().view(1, -1, 2)
    return (1-6*(pos.norm(dim=-1, keepdim=True)-.5).abs()).clamp(0, 1),pos


def export(
    model:PixelModel, # in evaluation mode
    grid:tuple[int, int], # rows and columns
    path:Path, # the file
)->None:
    "The model as an ONNX file, with its weights in half precision"
    xb = example(grid)
    n_maps = len(model(*xb))-1
    program = torch.onnx.export(model, xb, dynamo=True, input_names=['values','positions'], verbose=False,
        output_names=['logits', *(f'attention{i}' for i in range(n_maps))])
    with tempfile.TemporaryDirectory(dir=path.parent, prefix='.writing') as d:
        new = Path(d)/path.name
        program.save(new, external_data=False)
        proto = onnx.load(new)
        store_half(proto)
        for o in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
            del o.metadata_props[:] # where in which file each operation came from
        onnx.checker.check_model(proto, full_check=True)
        onnx.save(proto, new)
        new.replace(path)


@torch.no_grad()
def difference(
    path:Path, # the ONNX file
    model:nn.Module, # the Perceiver
    mean:float, # as for PixelModel
    std:float, # as for PixelModel
)->tuple[float, float]: # of the probabilities and of the attention weights
    "By how much onnxruntime and the model differ at most, on pictures of noise and one of a ring"
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    ring,pos = example(model.input.grid)
    found,rng = [],torch.Generator().manual_seed(0)
    for values in (ring, torch.zeros_like(ring), *(torch.rand(ring.shape, generator=rng) for _ in range(4))):
        logits,*maps = map(torch.from_numpy, session.run(None, dict(values=values.numpy(), positions=pos.numpy())))
        image = ((values-mean)/std).view(1, 1, *model.input.grid)
        theirs = [o.mean(1) for o in attention_maps(model, image)]
        found.append([(logits.softmax(-1)-model(image).softmax(-1)).abs().max().item(),
                      max((a-b).abs().max().item() for a,b in zip(maps, theirs, strict=True))])
    return tuple(max(o) for o in zip(*found))


def copy_whole(
    source:Path, # a file
    to:Path, # the folder it goes to, made if need be
)->None:
    "Copies a file under a temporary name, then renames it"
    to.mkdir(parents=True, exist_ok=True)
    new = to/f'.{source.name}.new'
    shutil.copyfile(source, new)
    new.replace(to/source.name)


def build(
    out:Path, # a built site's folder
    name:str='mnist', # the run's folder, or the name of weights that ship with the package
)->dict: # what model.json says
    "Writes OUT/demo/; ends the program where something is missing, too large, or differs from the model"
    folder,where = out/'demo',root/'tools/node_modules/onnxruntime-web'
    for o in sorted((root/'nbs/demo').iterdir()): copy_whole(o, folder)
    if not where.is_dir(): sys.exit('onnxruntime-web is missing: npm ci --prefix tools')
    run = load_run(name)
    given,p = run.model.eval(),run.preparation
    model,n_crosses = rounded(deepcopy(given)),len(given.encoder.cross_order)
    if n_crosses!=2: sys.exit(f'{name}: the text of the page is for two cross-attentions, not {n_crosses}')
    if run.vocab!=list('0123456789'): sys.exit(f'{name}: the page is for the digits 0 to 9, not {run.vocab}')
    plain,path = PixelModel(model, *p.mean, *p.std).eval(),folder/'model.onnx'
    with torch.no_grad(): export(plain, model.input.grid, path)
    near,far = (difference(path, o, *p.mean, *p.std) for o in (model, given))
    encoder = model.encoder
    said = dict(latents=encoder.n_latents, channels=encoder.d_latent, crosses=n_crosses,
        heads=encoder.n_cross_heads, bands=model.input.position.n_bands, parameters=model.num_params(),
        bytes=path.stat().st_size, runtime_bytes=(where/'dist'/runtime[1]).stat().st_size, ink=p.options['ink'],
        runtime=json.loads((where/'package.json').read_text(encoding='utf-8'))['version'])
    said.update({k:run.settings[k] for k in ('validation_accuracy','test_accuracy') if k in run.settings})
    (folder/'.model.json.new').write_text(json.dumps(said, indent=1)+'\n', encoding='utf-8')
    (folder/'.model.json.new').replace(folder/'model.json')
    for o in runtime: copy_whole(where/'dist'/o, folder/'ort')
    print(f"model.onnx: {said['bytes']:,} bytes. Largest difference of onnxruntime to the model in half precision: "
          f"{near[0]:.1e} in the probabilities, {near[1]:.1e} in the attention weights; to the model as it was given: "
          f"{far[0]:.1e}, {far[1]:.1e}. onnxruntime-web {said['runtime']}: {said['runtime_bytes']:,} bytes.")
    if said['bytes'] >= max_bytes: sys.exit(f'model.onnx has more than {max_bytes:,} bytes')
    if not max(near) <= max_difference: sys.exit(f'onnxruntime and the model differ by more than {max_difference:g}')
    return said


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path, help="a built site's folder, such as _docs")
    parser.add_argument('--run', default='mnist', help="a run's folder, or the name of weights that ship with the package")
    args = parser.parse_args()
    if not args.out.is_dir(): sys.exit(f'{args.out}: there is no such folder')
    build(args.out, args.run)


if __name__=='__main__': main()
