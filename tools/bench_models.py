"""The implementations that tools/bench.py measures, each as a module from an array to an array: this package, transformers, perceiver-io (krasserm),
perceiver-pytorch (lucidrains), flash-perceiver, a textbook of nn.MultiheadAttention, and a plain Transformer encoder

A `Shape` says what a model is. Where two implementations compute the same function, `load` gives one the other's weights, by the names of this package."""
import importlib, sys, types
from dataclasses import dataclass
from pathlib import Path
import torch
from torch import nn
from torch.nn import functional as F
from perceivers.attention import CrossAttention
from perceivers.fast_attention import cross_attention
from perceivers.models import ClassOutput, ImageInput, ImageOutput, Perceiver, PerceiverIO, Tokens
from perceivers.encoder import PerceiverEncoder
from perceivers.position import FourierPosition


@dataclass(frozen=True)
class Shape:
    "What a model is; a `None` is filled in as the papers do"
    C: int                      # channels of a token
    N: int                      # latents
    D: int                      # channels of a latent
    n_layers: int = 6           # self-attentions of a block
    n_blocks: int = 1
    n_heads: int = 8
    n_cross_heads: int = 1
    d_qk: int|None = None       # of the self-attentions; None: D
    d_v: int|None = None        # None: d_qk
    d_cross_qk: int|None = None # None: C
    d_cross_v: int|None = None  # None: d_cross_qk
    widening: int = 1
    shared: bool = True         # blocks share their weights, and there is one cross-attention; False: nothing is shared, a cross-attention a block
    size: tuple|None = None     # of an image; its channels are n_ch and Fourier features of n_bands
    n_ch: int = 3
    n_bands: int = 64
    n_classes: int = 1000
    d_query: int = 258          # of a decoder alone: Fourier queries of n_bands on a grid `size`
    d_out: int = 2

    @property
    def qk(self): return self.d_qk or self.D
    @property
    def v(self): return self.d_v or self.qk
    @property
    def cross_qk(self): return self.d_cross_qk or self.C
    @property
    def cross_v(self): return self.d_cross_v or self.cross_qk


class Missing(Exception):
    "Why a contender cannot be measured; the message becomes its row"


# --- libraries

def _stub(name, **names):
    "A module that is imported and never used while a model runs; one that is installed is taken as it is"
    try: importlib.import_module(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(names)

def _never(*args, **kwargs): raise RuntimeError('called a stub: this is no measurement')

def use_folder(
    folder:Path, # where tools/bench_install.sh put what does not resolve beside this PyTorch
):
    if folder.is_dir() and str(folder) not in sys.path: sys.path.append(str(folder))

def library(
    name:str, # of a module
): # the module
    "A library; raises Missing with the reason where it cannot be loaded"
    if name.startswith('perceiver.'): # its trainers, metrics and checkpointing are replaced: no model calls them
        _stub('pytorch_lightning', LightningModule=nn.Module)
        _stub('pytorch_lightning.loggers', TensorBoardLogger=_never)
        _stub('torchmetrics')
        _stub('fairscale')
        _stub('fairscale.nn', checkpoint_wrapper=_never)
    try: return importlib.import_module(name)
    except Exception as e: raise Missing(f'could not be loaded: {type(e).__name__}: {str(e)[:120]}') from e


# --- weights by the names of this package

def _copy(target, w, b=None):
    with torch.no_grad():
        target.weight.copy_(w)
        if target.bias is not None: target.bias.copy_(b)
        elif b is not None and b.any(): raise ValueError('the target has no bias, and this one is not zero')

def fill(
    layer:dict,  # {'q_norm', 'kv_norm', 'q', 'k', 'v', 'out', 'mlp.0', 'mlp.1', 'mlp.3': module}; a self-attention has no 'kv_norm'
    state:dict,  # {our name: tensor}
    prefix:str,  # of a block, such as 'encoder.cross.0'
):
    "Copies a block's weights into the layers of another implementation"
    pre = f'{prefix}.attention'
    qkv = ('q','k','v')
    if f'{pre}.qkv.weight' in state:
        sizes = [layer[o].weight.shape[0] for o in qkv]
        for o,w,b in zip(qkv, state[f'{pre}.qkv.weight'].split(sizes), state[f'{pre}.qkv.bias'].split(sizes)): _copy(layer[o], w, b)
        _copy(layer['q_norm'], state[f'{pre}.norm.weight'], state[f'{pre}.norm.bias'])
        rest = ('out','mlp.0','mlp.1','mlp.3')
    else: rest = ('q_norm','kv_norm','q','k','v','out','mlp.0','mlp.1','mlp.3')
    for o in rest:
        if o not in layer: continue
        at = f'{prefix}.{o}' if o.startswith('mlp') else f'{pre}.{o}'
        _copy(layer[o], state[f'{at}.weight'], state[f'{at}.bias'])

def load(
    blocks:dict,  # {prefix of a block: its layers, for `fill`}
    singles:dict, # {our name: parameter}
    state:dict|None, # {our name: tensor}; None: weights stay as they are
):
    "Gives another implementation our weights; raises ValueError where a tensor of ours is left over"
    if state is None: return
    for prefix,layer in blocks.items(): fill(layer, state, prefix)
    with torch.no_grad():
        for name,p in singles.items(): p.copy_(state[name].reshape(p.shape))
    left = [k for k in state if k not in singles and not k.startswith(tuple(f'{o}.' for o in blocks))]
    if left: raise ValueError(f'left over: {left[:4]}')

def _linear(name, layer): return {f'{name}.weight':layer.weight, f'{name}.bias':layer.bias}

def _block_names(s):
    "Prefixes of the self-attentions' and cross-attentions' blocks of an encoder"
    n = 1 if s.shared else s.n_blocks
    return [f'encoder.cross.{i}' for i in range(n)], [[f'encoder.blocks.{i}.{j}' for j in range(s.n_layers)] for i in range(n)]


# --- this package

def our_settings(s):
    share = dict(n_cross=1) if s.shared else dict(n_cross=None, share_cross='none', share_blocks='none')
    return dict(n_latents=s.N, d_latent=s.D, n_blocks=s.n_blocks, n_layers=s.n_layers, n_heads=s.n_heads, d_qk=s.d_qk, d_v=s.d_v, widening=s.widening,
        n_cross_heads=s.n_cross_heads, d_cross_qk=s.d_cross_qk, d_cross_v=s.d_cross_v, **share)

class OurCross(nn.Module):
    "One cross-attention of this package: learned queries, tokens or an array"
    def __init__(self, s):
        super().__init__()
        self.latents,self.attention = nn.Parameter(torch.randn(s.N, s.D)),CrossAttention(s.D, s.C, n_heads=s.n_cross_heads, d_qk=s.cross_qk, d_v=s.cross_v)
        for o in (self.attention.q, self.attention.k, self.attention.v): nn.init.zeros_(o.bias) # perceiver-pytorch has none
    def forward(self, x): return cross_attention(self.attention, self.latents[None], x)

def our_image(s):
    "The classifier that transformers has: one cross-attention, blocks that share weights, a decoder; or, where nothing is shared, a recipe's"
    adapter = ImageInput(s.size, n_ch=s.n_ch, n_bands=s.n_bands)
    if s.shared: return PerceiverIO(adapter, ClassOutput(s.n_classes), **our_settings(s))
    return Perceiver(adapter, s.n_classes, latent_std=.5, **our_settings(s))

class OurEncoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.encoder = PerceiverEncoder(s.C, **our_settings(s))
    def forward(self, x): return self.encoder(Tokens(x))

class OurDecoder(nn.Module):
    "From latents to a grid of outputs"
    def __init__(self, s):
        super().__init__()
        from perceivers.perceiver_io import PerceiverDecoder
        self.output = ImageOutput(s.size, n_ch=s.d_out, n_bands=s.n_bands)
        self.decoder = PerceiverDecoder(s.d_query, s.D, s.d_out, d_qk=s.cross_qk, d_v=s.cross_v, residual=False)
    def forward(self, z):
        def results(queries): return self.decoder(queries, z)
        results.takes_tokens = True # as PerceiverIO.decode has it
        return self.output.answer(results, None)

def ours(make):
    def build(s, state=None):
        model = make(s)
        if state is not None: model.load_state_dict(state)
        return model
    return build


# --- transformers

class _Of(nn.Module):
    "Another library's model, called and read its own way"
    def __init__(self, model, call, **more):
        super().__init__()
        self.model,self.call = model,call
        for k,o in more.items(): setattr(self, k, o)
    def forward(self, x): return self.call(self.model, x)

def _hf(): return library('transformers.models.perceiver.modeling_perceiver')

def _hf_config(s):
    return library('transformers').PerceiverConfig(num_latents=s.N, d_latents=s.D, d_model=s.C, num_blocks=s.n_blocks, num_self_attends_per_block=s.n_layers,
        num_self_attention_heads=s.n_heads, num_cross_attention_heads=s.n_cross_heads, qk_channels=s.d_qk, v_channels=s.d_v,
        cross_attention_shape_for_attention='q' if s.cross_qk==s.D and s.cross_qk!=s.C else 'kv', self_attention_widening_factor=s.widening,
        cross_attention_widening_factor=s.widening, attention_probs_dropout_prob=0., num_labels=s.n_classes, max_position_embeddings=2048)

def _hf_layer(o):
    a = o.attention.self
    layer = dict(q_norm=a.layernorm1, q=a.query, k=a.key, v=a.value, out=o.attention.output.dense)
    if isinstance(a.layernorm2, nn.LayerNorm): layer['kv_norm'] = a.layernorm2
    return {**layer, 'mlp.0':o.layernorm, 'mlp.1':o.mlp.dense1, 'mlp.3':o.mlp.dense2}

def _hf_encoder(m, s):
    cross,blocks = _block_names(s)
    return {cross[0]:_hf_layer(m.encoder.cross_attention), **{k:_hf_layer(o) for k,o in zip(blocks[0], m.encoder.self_attends)}}

def _hf_only_shared(s):
    if not s.shared: raise Missing('has one cross-attention and one set of weights for all blocks: this model has two of each')

def _hf_latents(m): return {'encoder.latents':m.embeddings.latents}

def hf_image(s, state=None):
    _hf_only_shared(s)
    hf,config = _hf(),_hf_config(s)
    fourier = dict(concat_pos=True, max_resolution=s.size, num_bands=s.n_bands, sine_only=False)
    prepare = hf.PerceiverImagePreprocessor(config, prep_type='pixels', spatial_downsample=1, in_channels=s.n_ch, fourier_position_encoding_kwargs=fourier)
    decoder = hf.PerceiverClassificationDecoder(config, num_channels=s.D, use_query_residual=True,
        trainable_position_encoding_kwargs=dict(num_channels=s.D, index_dims=1))
    m = hf.PerceiverModel(config, input_preprocessor=prepare, decoder=decoder)
    d = decoder.decoder
    load({**_hf_encoder(m, s), 'decoder.cross':_hf_layer(d.decoding_cross_attention)},
         {**_hf_latents(m), 'output.query.table':d.output_position_encodings.position_embeddings, **_linear('decoder.project', d.final_layer)}, state)
    return _Of(m, lambda m, x: m(inputs=x).logits)

def hf_text(s, state=None):
    m = _hf().PerceiverForMaskedLM(_hf_config(s))
    p = m.perceiver
    load({**_hf_encoder(p, s), 'decoder.cross':_hf_layer(p.decoder.decoding_cross_attention)},
         {**_hf_latents(p), 'input.embed.weight':p.input_preprocessor.embeddings.weight, 'input.position.table':p.input_preprocessor.position_embeddings.weight,
          'output.position.table':p.decoder.output_position_encodings.position_embeddings, 'output.bias':m.embedding_decoder.bias}, state)
    return _Of(m, lambda m, x: m(inputs=x).logits)

def hf_encoder(s, state=None):
    m = _hf().PerceiverModel(_hf_config(s))
    load(_hf_encoder(m, s), _hf_latents(m), state)
    return _Of(m, lambda m, x: m(inputs=x).last_hidden_state)

def hf_cross(s, state=None):
    hf,config = _hf(),_hf_config(s)
    a = hf.PerceiverAttention(config, is_cross_attention=True, qk_channels=s.cross_qk, v_channels=s.cross_v, num_heads=s.n_cross_heads, q_dim=s.D, kv_dim=s.C,
        use_query_residual=False)
    m = _Of(a, None, latents=nn.Parameter(torch.randn(s.N, s.D)))
    m.call = lambda a, x: a(m.latents.expand(x.shape[0], -1, -1), inputs=x)[0]
    if state is not None:
        fill(dict(q_norm=a.self.layernorm1, kv_norm=a.self.layernorm2, q=a.self.query, k=a.self.key, v=a.self.value, out=a.output.dense), _as_block(state), 'x')
        m.latents.data.copy_(state['latents'])
    return m

def _as_block(state): return {f'x.{k}':o for k,o in state.items()}

def hf_decoder(s, state=None):
    hf = _hf()
    fourier = dict(concat_pos=True, max_resolution=s.size, num_bands=s.n_bands, sine_only=False)
    d = hf.PerceiverBasicDecoder(_hf_config(s), output_num_channels=s.d_out, position_encoding_type='fourier', num_channels=s.d_query, output_index_dims=s.size,
        qk_channels=s.cross_qk, v_channels=s.cross_v, num_heads=1, use_query_residual=False, fourier_position_encoding_kwargs=fourier)
    load({'decoder.cross':_hf_layer(d.decoding_cross_attention)}, _linear('decoder.project', d.final_layer), state)
    def call(d, z):
        y = d(d.decoder_query(z.new_empty(z.shape[0], 1, *s.size)), z).logits
        return y.mT.unflatten(-1, s.size)
    return _Of(d, call)


# --- perceiver-io (krasserm)

def _pio(): return library('perceiver.model.core')

def _pio_layer(o, residual=True):
    a = o[0].module if residual else o[0]
    norms = dict(q_norm=a.q_norm, kv_norm=a.kv_norm) if hasattr(a, 'q_norm') else dict(q_norm=a.norm)
    m,mlp = a.attention,o[1].module
    return {**norms, 'q':m.q_proj, 'k':m.k_proj, 'v':m.v_proj, 'out':m.o_proj, 'mlp.0':mlp[0], 'mlp.1':mlp[1], 'mlp.3':mlp[3]}

def _pio_settings(s):
    n = 1 if s.shared else s.n_blocks
    return dict(num_cross_attention_heads=s.n_cross_heads, num_cross_attention_qk_channels=s.cross_qk, num_cross_attention_v_channels=s.cross_v,
        num_cross_attention_layers=n, first_cross_attention_layer_shared=s.shared, cross_attention_widening_factor=s.widening,
        num_self_attention_heads=s.n_heads, num_self_attention_qk_channels=s.d_qk, num_self_attention_v_channels=s.d_v,
        num_self_attention_layers_per_block=s.n_layers, num_self_attention_blocks=s.n_blocks, first_self_attention_block_shared=s.shared,
        self_attention_widening_factor=s.widening)

def _pio_encoder(e, s):
    cross,blocks = _block_names(s)
    if len(cross) > 2: raise Missing('has two sets of weights at most')
    found = {}
    for c,b,which in zip(cross, blocks, '1n'):
        found[c] = _pio_layer(getattr(e, f'cross_attn_{which}'))
        found |= {k:_pio_layer(o) for k,o in zip(b, getattr(e, f'self_attn_{which}'))}
    return found

def pio_image(s, state=None):
    image = library('perceiver.model.image.classifier')
    core = _pio()
    encoder = image.ImageEncoderConfig(image_shape=(*s.size, s.n_ch), num_frequency_bands=s.n_bands, **_pio_settings(s))
    decoder = image.ClassificationDecoderConfig(num_output_query_channels=s.D, num_classes=s.n_classes, num_cross_attention_heads=1)
    m = image.ImageClassifier(core.PerceiverConfig(encoder, decoder, num_latents=s.N, num_latent_channels=s.D))
    e,d = m.encoder,m.decoder
    if s.shared:
        load({**_pio_encoder(e, s), 'decoder.cross':_pio_layer(d.cross_attn)},
             {'encoder.latents':e.latent, 'output.query.table':d.output_adapter._output_query, **_linear('decoder.project', d.output_adapter.linear)}, state)
        return m
    head = nn.Linear(s.D, s.n_classes)
    load(_pio_encoder(e, s), {'encoder.latents':e.latent, **_linear('head', head)}, state)
    m = _Of(e, None, head=head)
    m.call = lambda e, x: m.head(e(x).mean(1))
    return m

def pio_text(s, state=None):
    text,mlm,core = library('perceiver.model.text.common'),library('perceiver.model.text.mlm'),_pio()
    encoder = text.TextEncoderConfig(vocab_size=262, max_seq_len=2048, num_input_channels=s.C, **_pio_settings(s))
    decoder = mlm.TextDecoderConfig(vocab_size=262, max_seq_len=2048, num_cross_attention_heads=8, num_cross_attention_qk_channels=256,
        num_cross_attention_v_channels=s.C, cross_attention_residual=False)
    m = mlm.MaskedLanguageModel(core.PerceiverConfig(encoder, decoder, num_latents=s.N, num_latent_channels=s.D))
    e,d = m.encoder,m.decoder
    load({**_pio_encoder(e, s), 'decoder.cross':_pio_layer(d.cross_attn, False)},
         {'encoder.latents':e.latent, 'input.embed.weight':e.input_adapter.txt_embedding.weight, 'input.position.table':e.input_adapter.pos_encoding,
          'output.position.table':d.output_adapter._output_query, 'output.bias':d.output_adapter.bias}, state)
    return m

def pio_encoder(s, state=None):
    core = _pio()
    class Plain(core.InputAdapter):
        def forward(self, x): return x
    e = core.PerceiverEncoder(Plain(s.C), s.N, s.D, **_pio_settings(s))
    load(_pio_encoder(e, s), {'encoder.latents':e.latent}, state)
    return e

def pio_cross(s, state=None):
    a = _pio().CrossAttention(s.n_cross_heads, s.D, s.C, num_qk_channels=s.cross_qk, num_v_channels=s.cross_v)
    m = _Of(a, None, latents=nn.Parameter(torch.randn(s.N, s.D)))
    m.call = lambda a, x: a(m.latents.expand(x.shape[0], -1, -1), x)
    if state is not None:
        p = a.attention
        fill(dict(q_norm=a.q_norm, kv_norm=a.kv_norm, q=p.q_proj, k=p.k_proj, v=p.v_proj, out=p.o_proj), _as_block(state), 'x')
        m.latents.data.copy_(state['latents'])
    return m

def pio_decoder(s, state=None):
    core = _pio()
    class Grid(core.OutputAdapter):
        def __init__(self):
            super().__init__(torch.empty(1, 1), .02)
            self._output_query = nn.Parameter(fourier_array(s), requires_grad=False)
            self.linear = nn.Linear(s.d_query, s.d_out)
        def forward(self, x): return self.linear(x).mT.unflatten(-1, s.size)
    d = core.PerceiverDecoder(Grid(), s.D, num_cross_attention_heads=1, num_cross_attention_qk_channels=s.cross_qk, num_cross_attention_v_channels=s.cross_v,
        cross_attention_residual=False)
    d.output_adapter._output_query.data.copy_(fourier_array(s))
    load({'decoder.cross':_pio_layer(d.cross_attn, False)}, _linear('decoder.project', d.output_adapter.linear), state)
    return d


# --- perceiver-pytorch (lucidrains): other activations in the MLP and no biases of queries, keys and values, so weights cannot be equal

def _lucid(name='perceiver_pytorch'): return library(f'perceiver_pytorch.{name}')

def _narrow(m, widening):
    "Its MLPs as wide as makes their parameters as many as those of an MLP with one activation: two thirds of the width, for the gate has one too"
    for o in m.modules():
        if type(o).__name__=='FeedForward':
            d = o.net[0].in_features
            inner = round(2*widening*d/3)
            o.net[0],o.net[2] = nn.Linear(d, 2*inner),nn.Linear(inner, d)
    return m

def _lucid_settings(s):
    return dict(num_latents=s.N, latent_dim=s.D, cross_heads=s.n_cross_heads, latent_heads=s.n_heads,
        cross_dim_head=round((s.cross_qk+s.cross_v)/2/s.n_cross_heads), latent_dim_head=round((s.qk+s.v)/2/s.n_heads))

def _lucid_io(s, **kwargs):
    m = _lucid('perceiver_io').PerceiverIO(depth=s.n_layers, dim=s.C, decoder_ff=True, **_lucid_settings(s), **kwargs)
    m.layers,m.attn_residuals = (nn.ModuleList(list(o)*s.n_blocks) for o in (m.layers, m.attn_residuals))
    return m

class LucidImage(nn.Module):
    "Its PerceiverIO for classes, on an image whose Fourier features are made once; or its Perceiver, which makes its own each time"
    def __init__(self, s):
        super().__init__()
        if s.shared:
            o,m = _lucid('perceiver_io'),_lucid_io(s, queries_dim=s.D, logits_dim=s.n_classes)
            m.decoder_cross_attn = o.PreNorm(s.D, o.Attention(s.D, s.D, heads=1, dim_head=s.D), context_dim=s.D) # as wide as the others' decoder
            self.model = _narrow(m, s.widening)
            self.query = nn.Parameter(.02*torch.randn(1, s.D))
            self.register_buffer('position', fourier_array(s), persistent=False)
        else:
            self.model = _narrow(_lucid().Perceiver(num_freq_bands=s.n_bands, depth=s.n_blocks, max_freq=s.size[0], input_channels=s.n_ch, input_axis=2,
                num_classes=s.n_classes, self_per_cross_attn=s.n_layers, **_lucid_settings(s)), s.widening)
        self.shared = s.shared
    def forward(self, x):
        if not self.shared: return self.model(x)
        x = torch.cat([x.flatten(1, 2), self.position.to(x).expand(x.shape[0], -1, -1)], -1)
        return self.model(x, queries=self.query)[:,0]

def lucid_image(s, state=None): return LucidImage(s)

def lucid_text(s, state=None):
    m = _lucid('perceiver_io').PerceiverLM(dim=s.C, num_tokens=262, max_seq_len=2048, depth=s.n_layers, decoder_ff=True, **_lucid_settings(s))
    return _narrow(m, s.widening)

def lucid_encoder(s, state=None):
    m = _narrow(_lucid_io(s, queries_dim=s.D), s.widening)
    m.decoder_cross_attn,m.decoder_ff = None,None # without queries it gives the latents
    return m

def lucid_cross(s, state=None):
    o = _lucid()
    a = o.Attention(s.D, s.C, heads=s.n_cross_heads, dim_head=s.cross_qk//s.n_cross_heads)
    m = _Of(o.PreNorm(s.D, a, context_dim=s.C), None, latents=nn.Parameter(torch.randn(s.N, s.D)))
    m.call = lambda a, x: a(m.latents.expand(x.shape[0], -1, -1), context=x)
    if state is not None: # biases of queries, keys and values are zero in ours, and absent here
        with torch.no_grad():
            m.latents.copy_(state['latents'])
            a.to_kv.weight.copy_(torch.cat([state['attention.k.weight'], state['attention.v.weight']]))
        for target,name in ((a.to_q,'q'), (a.to_out,'out'), (m.model.norm,'q_norm'), (m.model.norm_context,'kv_norm')):
            _copy(target, state[f'attention.{name}.weight'], state[f'attention.{name}.bias'])
    return m

def lucid_decoder(s, state=None):
    o = _lucid('perceiver_io')
    a = o.PreNorm(s.d_query, o.Attention(s.d_query, s.D, heads=1, dim_head=s.cross_qk), context_dim=s.D)
    ff = o.PreNorm(s.d_query, o.FeedForward(s.d_query))
    m = _Of(_narrow(nn.ModuleList([a, ff]), 1), None, project=nn.Linear(s.d_query, s.d_out))
    m.register_buffer('queries', fourier_array(s), persistent=False)
    def call(parts, z):
        y = parts[0](m.queries.to(z).expand(z.shape[0], -1, -1), context=z)
        return m.project(y + parts[1](y)).mT.unflatten(-1, s.size)
    m.call = call
    return m


# --- flash-perceiver: on a GPU, in sixteen bits, where flash-attn is installed

def flash_encoder(s, state=None):
    m = library('flash_perceiver').Perceiver(input_dim=s.C, depth=1, num_latents=s.N, latent_dim=s.D, cross_heads=s.n_cross_heads,
        cross_head_dim=64, latent_heads=s.n_heads, latent_head_dim=s.D//s.n_heads, self_per_cross_attn=s.n_layers*s.n_blocks, gated_mlp=False)
    return _Of(m, lambda m, x: m(x))

def flash_image(s, state=None):
    m = flash_encoder(s)
    m.head = nn.Linear(s.D, s.n_classes)
    m.register_buffer('position', fourier_array(s), persistent=False)
    def call(model, x):
        x = torch.cat([x.flatten(1, 2), m.position.to(x).expand(x.shape[0], -1, -1)], -1)
        return m.head(model(x).mean(1))
    m.call = call
    return m

def flash_missing(s, state=None):
    library('flash_perceiver')
    raise Missing('has no such model')


# --- the textbook: nn.MultiheadAttention where it has one width for queries, keys, values and outputs; linear layers around SDPA elsewhere

class TextbookAttention(nn.Module):
    def __init__(self, d_q, d_kv, d_qk, d_v, n_heads, own=False):
        super().__init__()
        self.q_norm = nn.LayerNorm(d_q)
        if not own: self.kv_norm = nn.LayerNorm(d_kv)
        self.own,self.n_heads,self.mha = own,n_heads,None
        if d_qk==d_v==d_q: self.mha = nn.MultiheadAttention(d_q, n_heads, kdim=d_kv, vdim=d_kv, batch_first=True)
        else: self.q,self.k,self.v,self.out = nn.Linear(d_q, d_qk),nn.Linear(d_kv, d_qk),nn.Linear(d_kv, d_v),nn.Linear(d_v, d_q)

    def forward(self, x, context=None):
        x = self.q_norm(x)
        context = x if self.own else self.kv_norm(context)
        if self.mha is not None: return self.mha(x, context, context, need_weights=False)[0]
        q,k,v = (o.unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for o in (self.q(x), self.k(context), self.v(context)))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))

    def layers(self):
        "For `fill`"
        norms = dict(q_norm=self.q_norm) if self.own else dict(q_norm=self.q_norm, kv_norm=self.kv_norm)
        if self.mha is None: return {**norms, 'q':self.q, 'k':self.k, 'v':self.v, 'out':self.out}
        m = self.mha
        weights = m.in_proj_weight.chunk(3) if m._qkv_same_embed_dim else (m.q_proj_weight, m.k_proj_weight, m.v_proj_weight)
        parts = {o:types.SimpleNamespace(weight=w, bias=b) for o,w,b in zip('qkv', weights, m.in_proj_bias.chunk(3))}
        return {**norms, **parts, 'out':m.out_proj}

class TextbookBlock(nn.Module):
    def __init__(self, d_q, *args, widening=1, residual=True, **kwargs):
        super().__init__()
        self.attention,self.residual = TextbookAttention(d_q, *args, **kwargs),residual
        self.mlp = nn.Sequential(nn.LayerNorm(d_q), nn.Linear(d_q, widening*d_q), nn.GELU(), nn.Linear(widening*d_q, d_q))
    def forward(self, x, context=None):
        y = self.attention(x, context)
        if self.residual: y = x + y
        return y + self.mlp(y)
    def layers(self): return {**self.attention.layers(), 'mlp.0':self.mlp[0], 'mlp.1':self.mlp[1], 'mlp.3':self.mlp[3]}

class TextbookEncoder(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.latents,self.s = nn.Parameter(.02*torch.randn(s.N, s.D)),s
        n = 1 if s.shared else s.n_blocks
        self.cross = nn.ModuleList(TextbookBlock(s.D, s.C, s.cross_qk, s.cross_v, s.n_cross_heads, widening=s.widening) for _ in range(n))
        self.blocks = nn.ModuleList(nn.ModuleList(TextbookBlock(s.D, s.D, s.qk, s.v, s.n_heads, own=True, widening=s.widening) for _ in range(s.n_layers))
                                    for _ in range(n))
    def forward(self, x):
        z = self.latents.expand(x.shape[0], -1, -1)
        for i in range(self.s.n_blocks):
            if i < len(self.cross): z = self.cross[i](z, x)
            for block in self.blocks[0 if self.s.shared else i]: z = block(z)
        return z
    def layers(self):
        cross,blocks = _block_names(self.s)
        found = {k:o.layers() for k,o in zip(cross, self.cross)}
        for names,block in zip(blocks, self.blocks): found |= {k:o.layers() for k,o in zip(names, block)}
        return found

class TextbookImage(nn.Module):
    def __init__(self, s, state=None):
        super().__init__()
        self.encoder,self.shared = TextbookEncoder(s),s.shared
        self.register_buffer('position', fourier_array(s), persistent=False)
        self.project = nn.Linear(s.D, s.n_classes)
        if s.shared: self.query,self.decoder = nn.Parameter(torch.randn(1, s.D)),TextbookBlock(s.D, s.D, s.D, s.D, 1)
        e = {'encoder.latents':self.encoder.latents}
        if s.shared: load({**self.encoder.layers(), 'decoder.cross':self.decoder.layers()},
                          {**e, 'output.query.table':self.query, **_linear('decoder.project', self.project)}, state)
        else: load(self.encoder.layers(), {**e, **_linear('head', self.project)}, state)
    def forward(self, x):
        x = torch.cat([x.flatten(2).mT, self.position.to(x).expand(x.shape[0], -1, -1)], -1)
        z = self.encoder(x)
        z = self.decoder(self.query.expand(x.shape[0], -1, -1), z)[:,0] if self.shared else z.mean(1)
        return self.project(z)

class TextbookText(nn.Module):
    def __init__(self, s, state=None):
        super().__init__()
        self.embed,self.position = nn.Embedding(262, s.C),nn.Parameter(torch.randn(2048, s.C))
        self.query,self.bias = nn.Parameter(torch.randn(2048, s.C)),nn.Parameter(torch.zeros(262))
        self.encoder,self.decoder = TextbookEncoder(s),TextbookBlock(s.C, s.D, 256, s.C, 8, residual=False)
        load({**self.encoder.layers(), 'decoder.cross':self.decoder.layers()},
             {'encoder.latents':self.encoder.latents, 'input.embed.weight':self.embed.weight, 'input.position.table':self.position,
              'output.position.table':self.query, 'output.bias':self.bias}, state)
    def forward(self, x):
        z = self.encoder(self.embed(x) + self.position[:x.shape[1]])
        y = self.decoder(self.query.expand(x.shape[0], -1, -1), z)
        return y@self.embed.weight.mT + self.bias

def textbook_encoder(s, state=None):
    m = TextbookEncoder(s)
    load(m.layers(), {'encoder.latents':m.latents}, state)
    return m

def textbook_cross(s, state=None):
    a = TextbookAttention(s.D, s.C, s.cross_qk, s.cross_v, s.n_cross_heads)
    m = _Of(a, None, latents=nn.Parameter(torch.randn(s.N, s.D)))
    m.call = lambda a, x: a(m.latents.expand(x.shape[0], -1, -1), x)
    if state is not None:
        fill(a.layers(), _as_block(state), 'x')
        m.latents.data.copy_(state['latents'])
    return m

def textbook_decoder(s, state=None):
    m = _Of(TextbookBlock(s.d_query, s.D, s.cross_qk, s.cross_v, 1, residual=False), None, project=nn.Linear(s.d_query, s.d_out))
    m.register_buffer('queries', fourier_array(s), persistent=False)
    m.call = lambda block, z: m.project(block(m.queries.to(z).expand(z.shape[0], -1, -1), z)).mT.unflatten(-1, s.size)
    load({'decoder.cross':m.model.layers()}, _linear('decoder.project', m.project), state)
    return m


# --- a plain Transformer encoder: every token attends to every token

class PlainTransformer(nn.Module):
    def __init__(self, s, state=None):
        super().__init__()
        layer = nn.TransformerEncoderLayer(s.D, s.n_heads, s.D*s.widening, dropout=0., activation='gelu', batch_first=True, norm_first=True)
        self.embed,self.layers = nn.Linear(s.C, s.D),nn.TransformerEncoder(layer, s.n_layers, enable_nested_tensor=False)
        self.head = None
        if s.size is not None:
            self.head = nn.Linear(s.D, s.n_classes)
            self.register_buffer('position', fourier_array(s), persistent=False)
    def forward(self, x):
        if self.head is None: return self.layers(self.embed(x))
        x = torch.cat([x.flatten(2).mT, self.position.to(x).expand(x.shape[0], -1, -1)], -1)
        return self.head(self.layers(self.embed(x)).mean(1))


def fourier_array(s):
    "(M, C1) Fourier features of a grid, as all of these implementations have them but for the order of the channels"
    axes = FourierPosition(s.n_bands, s.size).axes(s.size)
    return Tokens(axes[0][None,:1,:0], axes).position()
