"""A Perceiver that reads more tokens than fit into memory: time and memory of a training step, by the number of tokens

    python tools/stream.py --save                 # 1, 4 and 16 million tokens; writes nbs/results/stream.json
    python tools/stream.py --tokens 65536         # a quick look

A file of M x 8 float32 is memory-mapped and read in pieces of 65,536 tokens. An adapter with parameters projects the 8
channels; the positions of a line of M, as Fourier features, are made for each piece. One cross-attention with 256 latents
of 512 channels and six self-attention layers follow; the gradients of every parameter are computed. Each size runs in a
process of its own, whose anonymous memory (what a program holds, without the file's pages) is watched all the time."""
import argparse, json, subprocess, sys, tempfile, threading, time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from perceivers.encoder import PerceiverEncoder
from perceivers.fast_attention import TokenStream
from perceivers.position import FourierPosition
from results import about, store

piece,n_ch,n_bands = 2**16,8,64


def memory(what):
    "Mebibytes of this process, by the operating system's name for them"
    return int(next(o for o in open('/proc/self/status') if o.startswith(what)).split()[1])/1024


def step(file, M):
    "Seconds forward and backward, and memory, for the first M tokens of a file"
    torch.manual_seed(0)
    data,position,adapter = np.memmap(file, np.float32, 'r', shape=(M,n_ch)),FourierPosition(n_bands, (M,)),nn.Linear(n_ch, n_ch)
    def pieces():
        for i in range(0, M, piece):
            j = min(i+piece, M)
            line = torch.arange(i, j, dtype=torch.float64)*2/(M-1) - 1
            yield torch.cat([adapter(torch.from_numpy(data[i:j].copy())), position(line[:,None].float())], -1)[None]
    encoder = PerceiverEncoder(n_ch+position.d_out, n_latents=256, d_latent=512, n_blocks=1, n_layers=6, n_heads=8)
    stream = TokenStream(pieces, encoder.d_in, adapter.parameters())
    before,top,done = memory('RssAnon'),[0.],threading.Event()
    def watch():
        while not done.wait(0.02): top[0] = max(top[0], memory('RssAnon'))
    threading.Thread(target=watch, daemon=True).start()
    start = time.perf_counter()
    y = encoder(stream)
    forward = time.perf_counter()-start
    y.square().mean().backward()
    whole = time.perf_counter()-start
    done.set()
    missing = [n for m in (encoder,adapter) for n,p in m.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    return dict(tokens=M, forward=round(forward, 2), step=round(whole, 2), anonymous_before=round(before), anonymous_peak=round(top[0]),
                resident_peak=round(memory('VmHWM')), channels=encoder.d_in, without_gradient=missing)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tokens', type=int, nargs='+', default=[2**20,2**22,2**24])
    parser.add_argument('--save', action='store_true', help='keep the figures in nbs/results/stream.json')
    parser.add_argument('--worker', nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker: return print(json.dumps(step(args.worker[0], int(args.worker[1]))))
    rows = []
    with tempfile.TemporaryDirectory() as d:
        file,rng = Path(d)/'data',np.random.default_rng(0)
        with open(file, 'wb') as f:
            for i in range(0, max(args.tokens), piece): rng.standard_normal((min(piece, max(args.tokens)-i),n_ch), np.float32).tofile(f)
        for M in args.tokens:
            out = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--worker', str(file), str(M)], capture_output=True, text=True)
            if out.returncode: sys.exit(out.stderr[-2000:])
            rows.append(json.loads(out.stdout.splitlines()[-1]))
            print(json.dumps(rows[-1]), flush=True)
    per_token = [1e6*(b['step']-a['step'])/(b['tokens']-a['tokens']) for a,b in zip(rows, rows[1:])]
    print('microseconds for each further token:', ' '.join(f'{o:.2f}' for o in per_token))
    if args.save: store('stream', dict(rows=rows, microseconds=[round(o, 3) for o in per_token], **{**about(), 'threads':torch.get_num_threads()}))
    sys.exit(any(r['without_gradient'] for r in rows))


if __name__=='__main__': main()
