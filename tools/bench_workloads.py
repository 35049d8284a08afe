"What tools/bench.py measures, by letters: shapes, data, and the contenders of each"
from dataclasses import dataclass, field, replace
from typing import Callable
import torch
from torch import nn
from torch.nn import functional as F
from perceivers.models import FourierPosition, Resampler, Tokens, create_model
from bench_models import *
from bench_models import _copy

EQUAL = 'equal weights'

@dataclass
class Contender:
    make: Callable      # (shape, our weights or None) -> module
    weights: str        # what its weights are beside ours: EQUAL, and then outputs are compared, or in words
    data: str = 'array' # which of the workload's forms of the data it takes

@dataclass
class Workload:
    title: str
    shape: object                     # what `make` gets
    data: dict                        # {form: function(device) -> float32 or integer data}
    contenders: dict                  # {name: Contender}; the first is this package
    modes: tuple = ('forward','step')
    notes: dict = field(default_factory=dict) # {name: why it is not among the contenders}

COUNT = 'equal parameter count: queries, keys and values without biases, and a gated MLP of two thirds of the width'


def cross(heads, small):
    side,C_bands = (8,4) if small else (128,64)
    C = 3+2*(2*C_bands+1)
    # with several heads, which must divide a width, all project to D channels
    s = Shape(C=C, N=8 if small else 256, D=32 if small else 512, n_cross_heads=heads, d_cross_qk=None if heads==1 else (32 if small else 512),
        size=(side,side), n_bands=C_bands)
    def tokens(device):
        g = torch.Generator().manual_seed(0)
        content = torch.randn(2, side*side, 3, generator=g)
        return Tokens(content.to(device), tuple(o.to(device) for o in FourierPosition(C_bands, s.size).axes(s.size)))
    data = {'tokens':tokens, 'array':lambda device: tokens(device).array()}
    zero = f'{EQUAL}: biases of queries, keys and values are zero'
    mha = 'nn.MultiheadAttention' if heads > 1 else 'linear layers and SDPA: nn.MultiheadAttention cannot project to 261 channels'
    return Workload(f'one cross-attention: B 2, M {side*side:,} on a grid, C {C}, N {s.N}, D {s.D}, {heads} head{"s"*(heads>1)}', s, data, {
        'perceivers':                 Contender(ours(OurCross), EQUAL, 'tokens'),
        'perceivers, from the array': Contender(ours(OurCross), EQUAL),
        'transformers':               Contender(hf_cross, EQUAL),
        'perceiver-io':               Contender(pio_cross, EQUAL),
        'perceiver-pytorch':          Contender(lucid_cross, zero),
        'textbook':                   Contender(textbook_cross, f'{EQUAL}; {mha}')},
        notes={'flash-perceiver':flash_missing})


def image(s, B, title, plain=None, modes=('forward','step')):
    def pixels(device): return torch.randn(B, s.n_ch, *s.size, generator=torch.Generator().manual_seed(0)).to(device)
    def last(device): return pixels(device).permute(0, 2, 3, 1).contiguous()
    mha = f'{EQUAL}; nn.MultiheadAttention' + ('' if s.cross_qk==s.D else ', linear layers and SDPA in the cross-attention')
    contenders = {
        'perceivers':        Contender(ours(our_image), EQUAL, 'pixels'),
        'transformers':      Contender(hf_image, EQUAL, 'pixels'),
        'perceiver-io':      Contender(pio_image, EQUAL, 'channels last'),
        'perceiver-pytorch': Contender(lucid_image, COUNT, 'channels last'),
        'textbook':          Contender(TextbookImage, mha, 'pixels'),
        'flash-perceiver':   Contender(flash_image, 'similar parameter count', 'channels last')}
    if plain: contenders['Transformer encoder'] = Contender(lambda _,state=None: PlainTransformer(plain), f'equal parameter count: {plain.n_layers} layers', 'pixels')
    return Workload(title, s, {'pixels':pixels, 'channels last':last}, contenders, modes)


def mnist_size(small):
    s = Shape(C=67, N=64, D=128, d_cross_qk=128, size=(28,28), n_ch=1, n_bands=16, n_classes=10)
    if small: s = replace(s, C=19, N=4, D=16, d_cross_qk=16, n_layers=1, size=(6,6), n_bands=4)
    return image(s, 2 if small else 64, f'a model of MNIST size: {s.N} latents × {s.D}, {s.n_layers} layers, B {2 if small else 64}',
        plain=replace(s, n_layers=1 if small else 8))

def recipe(name, small):
    from perceivers.files import recipes
    r = recipes[name]['standard']
    n_ch,size = (1,(28,28)) if name=='mnist' else (3,(32,32))
    if small: size = (6,6)
    s = Shape(C=n_ch+2*(2*r['n_bands']+1), size=size, n_ch=n_ch, n_bands=r['n_bands'], n_classes=10, N=r['n_latents'], D=r['d_latent'], n_layers=r['n_layers'],
        n_blocks=r['n_blocks'], n_heads=r['n_heads'], widening=r['widening'], shared=False)
    B = 2 if small else r['bs']
    return image(s, B, f"the recipe of {name}: {s.N} latents × {s.D}, {s.n_blocks} blocks of {s.n_layers} layers, nothing shared, B {B}")

def imagenet(n_blocks, small):
    s = Shape(C=261, N=512, D=1024, n_blocks=n_blocks, size=(224,224))
    if small: s = replace(s, C=21, N=8, D=32, n_layers=1, size=(8,8), n_bands=4, n_classes=10)
    w = image(s, 1, f'vision-perceiver-fourier at {s.size[0]}², {n_blocks} block{"s"*(n_blocks>1)} of {s.n_layers} layers, B 1')
    w.notes['Transformer encoder'] = lambda *_: stop(f'not run: {s.size[0]**2:,} tokens have {s.size[0]**4:.1e} scores a head and layer')
    return w

def stop(why): raise Missing(why)


def dense(small):
    s = Shape(C=258, N=2048, D=512, d_cross_qk=512, size=(224,224), d_query=258)
    if small: s = replace(s, N=16, D=32, d_cross_qk=32, size=(8,8), n_bands=4, d_query=18)
    def latents(device): return torch.randn(1, s.N, s.D, generator=torch.Generator().manual_seed(0)).to(device)
    return Workload(f'a decoder: {s.size[0]*s.size[1]:,} Fourier queries of a grid, {s.N} latents × {s.D}, {s.d_out} channels out, B 1', s, {'array':latents}, {
        'perceivers':        Contender(ours(OurDecoder), EQUAL),
        'transformers':      Contender(hf_decoder, EQUAL),
        'perceiver-io':      Contender(pio_decoder, EQUAL),
        'perceiver-pytorch': Contender(lucid_decoder, COUNT),
        'textbook':          Contender(textbook_decoder, f'{EQUAL}; linear layers and SDPA')}, notes={'flash-perceiver':flash_missing})


def text(small):
    s = Shape(C=768, N=256, D=1280, n_layers=26, n_cross_heads=8, d_qk=256, d_v=1280, d_cross_qk=256, d_cross_v=1280)
    if small: s = replace(s, N=8, D=32, d_v=32, n_layers=1, C=16, d_cross_v=32)
    n = 32 if small else 2048
    def our_text(s):
        return create_model('language-perceiver', d_model=s.C, d_latent=s.D, n_latents=s.N, n_layers=s.n_layers, d_v=s.d_v, d_cross_v=s.d_cross_v)
    def ids(device): return torch.randint(6, 262, (1, 2048), generator=torch.Generator().manual_seed(0)).to(device)
    count = 'equal parameter count: queries, keys and values of one width (768), no biases, a gated MLP of two thirds of the width'
    return Workload(f'language-perceiver: 2,048 bytes, {s.n_layers} layers, B 1', s, {'ids':ids}, {
        'perceivers':        Contender(ours(our_text), EQUAL, 'ids'),
        'transformers':      Contender(hf_text, EQUAL, 'ids'),
        'perceiver-io':      Contender(pio_text, EQUAL, 'ids'),
        'perceiver-pytorch': Contender(lucid_text, count, 'ids'),
        'textbook':          Contender(TextbookText, f'{EQUAL}; linear layers and SDPA', 'ids')}, notes={'flash-perceiver':flash_missing})


def scale(M, small):
    s = Shape(C=8, N=256, D=512)
    if small: s = replace(s, N=8, D=32, n_layers=1)
    def tokens(device): return torch.randn(1, M, s.C, generator=torch.Generator().manual_seed(0)).to(device)
    contenders = {
        'perceivers':        Contender(ours(OurEncoder), EQUAL),
        'transformers':      Contender(hf_encoder, EQUAL),
        'perceiver-io':      Contender(pio_encoder, EQUAL),
        'perceiver-pytorch': Contender(lucid_encoder, COUNT),
        'textbook':          Contender(textbook_encoder, f'{EQUAL}; nn.MultiheadAttention, linear layers and SDPA in the cross-attention'),
        'flash-perceiver':   Contender(flash_encoder, 'similar parameter count')}
    notes = {}
    if M <= 2**14: contenders['Transformer encoder'] = Contender(lambda _,state=None: PlainTransformer(s), 'six layers of the same width')
    else: notes['Transformer encoder'] = lambda *_: stop(f'not run: {M**2:.1e} scores a head and layer; from 4,096 to 16,384 tokens shows how it grows')
    return Workload(f'{M:,} tokens of {s.C} channels: {s.N} latents × {s.D}, one cross-attention, {s.n_layers} layers, B 1', s, {'array':tokens}, contenders, notes=notes)


# --- the resampler

class FlamingoAttention(nn.Module):
    "As in the paper's pseudocode, with nn.Linear and SDPA"
    def __init__(self, d, n_heads, d_head):
        super().__init__()
        self.n_heads,inner = n_heads,n_heads*d_head
        self.context_norm,self.latent_norm = nn.LayerNorm(d),nn.LayerNorm(d)
        self.q,self.kv,self.out = nn.Linear(d, inner, bias=False),nn.Linear(d, 2*inner, bias=False),nn.Linear(inner, d, bias=False)
    def forward(self, z, x):
        x,z = self.context_norm(x),self.latent_norm(z)
        k,v = self.kv(torch.cat([x, z], 1)).chunk(2, -1)
        q,k,v = (o.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for o in (self.q(z), k, v))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

class Flamingo(nn.Module):
    def __init__(self, s, state=None):
        super().__init__()
        d = s['d']
        self.latents,self.norm = nn.Parameter(torch.randn(s['n_latents'], d)),nn.LayerNorm(d)
        self.attentions = nn.ModuleList(FlamingoAttention(d, s['n_heads'], s['d_head']) for _ in range(s['n_layers']))
        self.mlps = nn.ModuleList(nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 4*d, bias=False), nn.ReLU(), nn.Linear(4*d, d, bias=False)) for _ in range(s['n_layers']))
        if state is None: return
        with torch.no_grad(): self.latents.copy_(state['latents'])
        _copy(self.norm, state['norm.weight'], state['norm.bias'])
        for i,(a,m) in enumerate(zip(self.attentions, self.mlps)):
            at,mlp = f'attentions.{i}',f'mlps.{i}'
            for o in ('context_norm','latent_norm'): _copy(getattr(a, o), state[f'{at}.{o}.weight'], state[f'{at}.{o}.bias'])
            for o in ('q','out'): _copy(getattr(a, o), state[f'{at}.{o}.weight'])
            _copy(a.kv, torch.cat([state[f'{at}.k.weight'], state[f'{at}.v.weight']]))
            _copy(m[0], state[f'{mlp}.norm.weight'], state[f'{mlp}.norm.bias'])
            for o,name in ((m[1],'up'), (m[3],'down')): _copy(o, state[f'{mlp}.{name}.weight'])
    def forward(self, x):
        z,x = self.latents.expand(x.shape[0], -1, -1),x.flatten(1, 2)
        for attention,mlp in zip(self.attentions, self.mlps):
            z = z + attention(z, x)
            z = z + mlp(z)
        return self.norm(z)

def our_resampler(s): return Resampler(**s, power=1)

def idefics(s, state=None):
    hf = library('transformers')
    config = hf.IdeficsConfig(vision_config=dict(embed_dim=s['d']), perceiver_config=dict(qk_layer_norms_perceiver=False))
    m = library('transformers.models.idefics.perceiver').IdeficsPerceiverResampler(config, s['d'], s['n_layers'], s['n_heads'], s['d_head'], s['n_latents'])
    if state is None: return _Flat(m)
    with torch.no_grad(): m.latents.copy_(state['latents'])
    _copy(m.layer_norm, state['norm.weight'], state['norm.bias'])
    for i,(a,mlp) in enumerate(m.blocks):
        for o,name in ((a.context_layer_norm,'context_norm'), (a.latents_layer_norm,'latent_norm')):
            _copy(o, state[f'attentions.{i}.{name}.weight'], state[f'attentions.{i}.{name}.bias'])
        for o,name in ((a.q_proj,'q'), (a.k_proj,'k'), (a.v_proj,'v'), (a.output_proj,'out')): _copy(o, state[f'attentions.{i}.{name}.weight'])
        _copy(mlp.ln, state[f'mlps.{i}.norm.weight'], state[f'mlps.{i}.norm.bias'])
        for o,name in ((mlp.fc,'up'), (mlp.c_proj,'down')): _copy(o, state[f'mlps.{i}.{name}.weight'])
    return _Flat(m)

class _Flat(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
    def forward(self, x): return self.model(x.flatten(1, 2))

def resampler(small):
    s = dict(d=1024, n_latents=64, n_layers=6, n_heads=8, d_head=64)
    frames,features = 8,576
    if small: s,frames,features = dict(d=32, n_latents=4, n_layers=1, n_heads=2, d_head=8),2,9
    def data(device): return torch.randn(1, frames, features, s['d'], generator=torch.Generator().manual_seed(0)).to(device)
    return Workload(f"the resampler: {frames} frames of {features} features × {s['d']}, {s['n_latents']} latents, {s['n_layers']} layers, B 1", s, {'array':data}, {
        'perceivers':              Contender(ours(our_resampler), EQUAL),
        'transformers (Idefics)':  Contender(idefics, EQUAL),
        'textbook':                Contender(Flamingo, f"{EQUAL}; the paper's pseudocode with SDPA")})


SIZES = 2**12, 2**14, 2**16, 2**18, 2**20

def workloads(small=False):
    "{key: function that makes the workload}; a key's first letter is its letter"
    found = {'a1':lambda: cross(1, small), 'a8':lambda: cross(8, small), 'b':lambda: mnist_size(small), 'b-mnist':lambda: recipe('mnist', small),
        'b-cifar10':lambda: recipe('cifar10', small), 'c1':lambda: imagenet(1, small), 'c8':lambda: imagenet(8, small), 'd':lambda: dense(small),
        'e':lambda: text(small)}
    for M in (64,) if small else SIZES: found[f'f-{M}'] = lambda M=M: scale(M, small)
    return {**found, 'g':lambda: resampler(small)}
