"""Calls everything public of `perceivers.models` with plausible and absurd arguments, and says which calls went wrong

    python tools/random_calls.py --n 2000 --seed 0      # a table by public name, then each distinct wrong call
    python tools/random_calls.py --only Perceiver       # this name and its methods
    python tools/random_calls.py --list                 # the valid calls that all others are made from
    python tools/random_calls.py --seed 0 --index 123   # one call, with its traceback

A random call is a valid one (`lines`, below) with one or two arguments changed, also of calls inside it. It depends on
the seed, the index, `--only` and the checkout alone. Right is: it works, with finite results from finite arguments; or
it raises ValueError or TypeError by a `raise` of ours that names an argument of the call in less than 1,000 characters;
or Python's own TypeError for a missing or unknown argument; or ImportError, FileNotFoundError for a path,
NotImplementedError of a base class. Wrong is everything else, by kind:

    error      another exception, or one that PyTorch or Python raised about something else than the call
    unnamed    an error in words that name no argument
    long       an error of 1,000 characters or more
    accepted   a number argument that is 2.5, nan, '3' or a list, and was taken without a word
    infinite   results that are not finite, from finite arguments
    slow       more than 10 s
    memory     more than 4 GiB
    network    the call tried to reach the network
    files      the call wrote outside a temporary folder
    died       the process ended

The exit status is 1 where a call was wrong, or where a public name has no valid call here."""
import argparse, ast, dis, importlib, inspect, multiprocessing.connection, os, random, re, resource, signal, sys
import tempfile, time, traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

root = Path(__file__).resolve().parent.parent
os.environ |= dict(HF_HUB_OFFLINE='1', TRANSFORMERS_OFFLINE='1', OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
sys.dont_write_bytecode = True
sys.path.insert(0, str(root))

LIMIT_S = 10 # seconds of a call
LIMIT_BYTES = 4*2**30 # memory of a call
MAX_MESSAGE = 1000 # characters of an error

# What a pasted line needs. `tmp` is an empty folder with a file in it, `saved` gives the folder of a saved model,
# `idefics` a resampler of transformers.
prelude = """
import pathlib, tempfile
import numpy as np, torch
from torch import tensor
from perceivers.models import *
tmp = tempfile.mkdtemp()
pathlib.Path(tmp, 'file').write_text('')
def saved(model):
    save_checkpoint(model, tmp + '/saved')
    return tmp + '/saved'
def idefics():
    from types import SimpleNamespace as S
    from transformers.models.idefics.perceiver import IdeficsPerceiverResampler
    config = S(perceiver_config=S(qk_layer_norms_perceiver=False), vision_config=S(embed_dim=8))
    return IdeficsPerceiverResampler(config, 8, 1, 2, 4, 4)
"""

# ---- The valid calls. Capital words stand for what is defined here.
words = dict(
    SMALL   = "n_latents=4, d_latent=16, n_blocks=2, n_layers=1, n_heads=2",
    SHORT   = "n_latents=4, d_latent=16, n_layers=1, n_heads=2", # of presets that set n_blocks
    IMAGE   = "ImageInput((8, 8), n_ch=3, n_bands=2)",
    PIXELS  = "torch.rand(2, 3, 8, 8)",
    POINTS  = "SetInput(5, 3, n_bands=2, max_res=(8, 8, 8))",
    ROWS    = "torch.rand(2, 6, 5)",
    MASK    = "(torch.arange(6) < tensor([[6], [4]]))",
    GRID    = "Tokens(torch.rand(2, 6, 3), tuple(torch.rand(n, 2) for n in (2, 3)), torch.ones(2, 6).bool())",
    TEXT    = "TextInput(12, 16)",
    IDS     = "torch.randint(6, 262, (2, 6))",
    SOUND   = "AudioInput(32, patch=4, n_bands=2)",
    WAVE    = "torch.rand(2, 1, 24)",
    MANYIN  = "MultimodalInput({'a': VectorInput(3), 'b': SetInput(4)}, pad=4)",
    GRIDOUT = "ImageOutput((4, 4), n_ch=1, n_bands=2)",
    MANYOUT = "MultimodalOutput({'c': ClassOutput(3), 'g': GRIDOUT}, pad=2)",
    MANY    = "{'a': torch.rand(2, 3), 'b': torch.rand(2, 6, 4)}",
    LATENTS = "torch.rand(2, 4, 16)",
    TOKENS  = "Tokens(torch.rand(2, 6, 5), mask=MASK)",
    FRAMES  = "torch.rand(2, 2, 3, 8, 8)",
    PLAIN   = "Perceiver(IMAGE, 5, SMALL)",
    CLASSES = "PerceiverIO(IMAGE, ClassOutput(5), SMALL)",
    PICTURE = "PerceiverIO(IMAGE, ImageOutput((6, 6), n_ch=1, n_bands=2), SMALL)",
    LANG    = "PerceiverIO(TEXT, TextOutput(), SMALL)",
    MULTI   = "PerceiverIO(MANYIN, MANYOUT, SMALL)",
    FLOW    = "PerceiverIO(FlowInput((8, 8), d_content=8, n_bands=2), FlowOutput((8, 8)), SMALL)",
    OURS    = "vision_perceiver_fourier((16, 16), n_classes=3, SHORT, n_blocks=1)",
    THEIRS  = "to_transformers(OURS)",
    CROSS   = "CrossAttention(8, 5, n_heads=1)")

lines = """
grid_positions((4, 4), torch.float32)
fourier_bands(4, 16., log_bands=False)
fourier_features(torch.rand(6, 2), 4, (8, 8))
Tokens(torch.rand(2, 6, 5), mask=MASK)
Tokens(torch.rand(2, 16, 5), FourierPosition(2, (4, 4)).axes((4, 4))).array()
Tokens(torch.rand(2, 16, 5), FourierPosition(2, (4, 4)).axes((4, 4))).position()
FourierPosition(4, (8, 8), with_position=True, sine_only=False, log_bands=False)
FourierPosition(4, (8, 8), size=(8, 8))
FourierPosition(4, (8, 8))(torch.rand(6, 2))
FourierPosition(4, (8, 8)).axes((6, 6))
FourierPosition(4, (8, 8)).line(0, 6)
LearnedPosition((4, 4), 8, std=0.02)
LearnedPosition((4, 4), 8).axes((4, 4))
LearnedPosition((4, 4), 8).resize((6, 6))
ProjectedPosition(LearnedPosition((4, 4), 8), 6)
ProjectedPosition(LearnedPosition((4, 4), 8), 6).axes((4, 4))
ProjectedPosition(LearnedPosition((4, 4), 8), 6).resize((6, 6))
NoPosition()
NoPosition().axes((4, 4))

check_heads(2, d_qk=8)
split_heads(torch.rand(2, 6, 8), 2)
merge_heads(torch.rand(2, 2, 6, 4))
check_mask(ROWS, MASK)
check_tokens(ROWS, 'x', 5, torch.rand(5))
zero_masked(ROWS, MASK)
plain_attention(torch.rand(2, 2, 4, 8), torch.rand(2, 2, 6, 8), torch.rand(2, 2, 6, 8), mask=MASK, dropout=0., scale=1.)
masked_softmax(torch.rand(2, 4, 6), MASK)
plain_is_faster(torch.rand(2, 2, 4, 8), torch.rand(2, 2, 6, 8))
attention(torch.rand(2, 2, 4, 8), torch.rand(2, 2, 6, 8), torch.rand(2, 2, 6, 8), mask=MASK, dropout=0., scale=1.)
attention(torch.rand(2, 4, 4, 8), torch.rand(2, 4, 6, 8), torch.rand(2, 4, 6, 8))
SelfAttention(16, n_heads=2, d_qk=8, d_v=8, d_out=16, dropout=0.1)
SelfAttention(5, n_heads=1)(ROWS, mask=MASK)
CrossAttention(8, 5, n_heads=2, d_qk=8, d_v=8, d_out=8, dropout=0.1)
CROSS(torch.rand(2, 4, 8), ROWS, mask=MASK)
CROSS(torch.rand(1, 4, 8), ROWS)
CROSS.check(torch.rand(2, 4, 8), ROWS, MASK)
is_plain(CROSS)
attention_weights(CROSS, torch.rand(2, 4, 8), ROWS, MASK)
self_attention_weights(SelfAttention(5, n_heads=1), ROWS, MASK)
cross_attention(CROSS, torch.rand(2, 4, 8), ROWS, MASK, form='auto')
cross_attention(CROSS, torch.rand(1, 4, 8), ROWS, MASK, form='queries')
cross_attention(CROSS, torch.rand(1, 4, 8), ROWS, MASK, form='context')
fold_norm(torch.nn.Linear(5, 8), torch.nn.LayerNorm(5), 2)
whole_attention(torch.rand(2, 4, 5), torch.rand(2, 4, 1), ROWS, MASK, 0., 1.)
streamed_averages(torch.rand(4, 5), torch.rand(6, 5), None, 1e-5)
streams(torch.rand(2, 4, 5), ROWS, 0.)
shared_attention(torch.rand(2, 4, 5), torch.rand(2, 4, 1), ROWS, MASK, 0., 1., 1e-5)
absorb_queries(CROSS, torch.rand(1, 4, 8), ROWS, MASK)
absorb_context(CROSS, torch.rand(1, 4, 8), ROWS, MASK)
form_costs(CROSS, 4, 6)
form_times(CROSS, 2, 4, 6, n_content=2, dtype=torch.float32, step=True)
rows_and_columns(GRID.axes)
standardise_grid(GRID, eps=1e-5)
grid_attention(torch.rand(1, 4, 5), standardise_grid(GRID))
standardise_grid(GRID).array()
wants_grid(CROSS, 4, GRID)
Contexts(GRID, torch.float32)
Contexts(GRID, torch.float32).of(CROSS, 4)
Contexts(GRID, torch.float32).array()
Contexts(GRID, torch.float32).grid(1e-5)
cross_attention(CROSS, torch.rand(1, 4, 8), GRID)
cross_attention(CROSS, torch.rand(1, 4, 8), GRID, form='separable')
TokenStream(lambda: ROWS.split(2, 1), 5, ())
cross_attention(CROSS, torch.rand(1, 4, 8), TokenStream(lambda: ROWS.split(2, 1), 5))

MLP(16, widening=2, dropout=0.1)
MLP(16)(LATENTS)
CrossAttentionBlock(8, 5, widening=1, residual=True, dropout=0.1, fast=True, n_heads=1, d_qk=8, d_v=8)
CrossAttentionBlock(8, 5)(torch.rand(2, 4, 8), ROWS, mask=MASK)
SelfAttentionBlock(16, widening=1, dropout=0.1, n_heads=2, d_qk=8, d_v=8)
SelfAttentionBlock(5, n_heads=1)(ROWS, mask=MASK)
LatentTransformer(16, n_layers=2, n_heads=2)
LatentTransformer(16, n_layers=2, n_heads=2)(LATENTS)
sharing_order(4, 'later')
PerceiverEncoder(5, SMALL, n_cross=2, share_cross='later', share_blocks='all', latent_std=0.02)
PerceiverEncoder(6, SMALL, d_qk=8, d_v=8, widening=1, d_cross_qk=6, d_cross_v=6, cross_widening=1, dropout=0.1)
PerceiverEncoder(5, SMALL)(TOKENS)
PerceiverEncoder(5, SMALL).steps()
PerceiverEncoder(5, SMALL).set_grad_checkpointing(True)

InputAdapter()
InputAdapter()(PIXELS)
read_batch(IMAGE, (PIXELS,))
split_masks((ROWS, MASK), None, 1)
patchify(PIXELS, (2, 2))
GridInput((8, 8), n_ch=3, patch=1, n_bands=2, max_res=(8, 8))
GridInput((4, 8, 8), n_ch=3, patch=(1, 2, 2), n_bands=2, stretch=False)
GridInput((8, 8), n_ch=3, position=LearnedPosition((8, 8), 4))
GridInput((8, 8), n_ch=3, n_bands=2, stem=PointStem(3, 8))
GridInput((8, 8), n_ch=3, n_bands=2)(PIXELS, mask=torch.ones(2, 64, dtype=torch.bool))
GridInput((8, 8), n_ch=3, n_bands=2).grid_of((8, 8))
GridInput((8, 8), n_ch=3, n_bands=2).resize((12, 12))
ImageInput((8, 8), n_ch=3, patch=2, n_bands=2)
ImageInput((8, 8), patch=2, n_bands=2)(PIXELS)
ImageInput((8, 8), position=NoPosition(), stem=PointStem(3, 8))(PIXELS)
ImageInput((8, 8), position=LearnedPosition((8, 8), 4)).resize((12, 12))
VideoInput((2, 8, 8), n_ch=3, patch=(1, 4, 4), n_bands=2)
VideoInput((2, 8, 8), patch=(1, 4, 4), n_bands=2)(torch.rand(2, 3, 2, 8, 8))
AudioInput(32, n_ch=1, patch=4, n_bands=2)
AudioInput(32, patch=4, n_bands=2, stretch=False)(WAVE, mask=MASK)
ConvStem(3, 8)
ConvStem(3, 8)(torch.rand(2, 3, 16, 16))
PointStem(3, 8)
PointStem(3, 8)(PIXELS)
TimmStem('test_resnet', n_ch=3, pretrained=False)
TimmStem('test_resnet')(torch.rand(2, 3, 64, 64))

PLAIN
Perceiver(POINTS, 5, SMALL, dropout=0.1, n_cross=2)
Perceiver(IMAGE, 5, **scales['tiny'])(PIXELS)
PLAIN(PIXELS)
Perceiver(POINTS, 5, SMALL)(ROWS, mask=MASK)
Perceiver(POINTS, 5, SMALL)(ROWS, MASK)
Perceiver(SOUND, 5, SMALL)(WAVE, MASK)
Perceiver(TEXT, 5, SMALL)(IDS, MASK)
Perceiver(MANYIN, 5, SMALL)(MANY)
Perceiver(MANYIN, 5, SMALL)(MANY, mask={'b': MASK})
Perceiver(MANYIN, 5, SMALL)(torch.rand(2, 3), torch.rand(2, 6, 4), MASK)
PLAIN.encode(PIXELS)
PLAIN.forward_features(PIXELS)
PLAIN.forward_head(LATENTS, pre_logits=False)
PLAIN.reset_head(3)
PLAIN.reset_classifier(3)
PLAIN.get_classifier()
PLAIN.num_params()
PLAIN.set_grad_checkpointing(True)
PLAIN.no_weight_decay()
PLAIN.lora_targets()
PLAIN.groups()

OutputAdapter()
OutputAdapter()(torch.rand(2, 6, 5))
OutputAdapter().queries(None)
OutputAdapter().bind(IMAGE, 16)
TokenwiseOutput(3, 5).answer(lambda q: q[..., :3], TOKENS)
rows_at(torch.rand(1, 6, 5), tensor([0, 2]))
VectorOutput(3, d_query=8, std=0.02)
VectorOutput(3, d_query=8).queries(None, tensor([0]))
VectorOutput(3, d_query=8)(torch.rand(2, 1, 3))
VectorOutput(3).bind(IMAGE, 16)
ClassOutput(3, d_query=8, std=0.02)
ClassOutput(3)
ClassOutput(3, d_query=8)(torch.rand(2, 1, 3))
unpatchify(torch.rand(2, 4, 4, 12), (2, 2))
GridOutput((8, 8), n_ch=3, patch=2, n_bands=2, max_res=(4, 4))
GridOutput((8, 8), n_ch=3, position=LearnedPosition((8, 8), 4))
GridOutput((8, 8), n_ch=3, patch=2, n_bands=2).queries(None, tensor([0, 2]))
GridOutput((8, 8), n_ch=3, patch=2, n_bands=2).queries(None, size=(4, 4))
GridOutput((8, 8), n_ch=3, patch=2, n_bands=2)(torch.rand(2, 16, 12))
GridOutput((8, 8), n_ch=3, patch=2, n_bands=2).grid_of((4, 4))
ImageOutput((8, 8), n_ch=3, patch=2, n_bands=2)
ImageOutput((8, 8), patch=2, n_bands=2)(torch.rand(2, 4, 12), size=(4, 4))
VideoOutput((2, 8, 8), n_ch=3, patch=(1, 4, 4), n_bands=2)
VideoOutput((2, 8, 8), n_bands=2)(torch.rand(2, 8, 48))
AudioOutput(32, n_ch=1, patch=4, n_bands=2)
AudioOutput(32, patch=4, n_bands=2)(torch.rand(2, 8, 4))
TokenwiseOutput(3, d_query=5)
TokenwiseOutput(3, d_query=5).queries(TOKENS, tensor([0, 2]))
TokenwiseOutput(3, d_query=5)(torch.rand(2, 6, 3))

PerceiverDecoder(8, 16, 3, widening=1, residual=True, n_heads=2)
PerceiverDecoder(8, 16, 3)(torch.rand(1, 6, 8), LATENTS, chunk=4)
PerceiverDecoder(8, 16, None)(torch.rand(2, 6, 8), LATENTS, mask=torch.ones(2, 4, dtype=torch.bool))
CLASSES
PerceiverIO(IMAGE, ClassOutput(5), SMALL, n_cross=2, n_decoder_heads=2, d_decoder_qk=8, d_decoder_v=8)
PerceiverIO(IMAGE, ClassOutput(5), SMALL, decoder_widening=2, decoder_residual=False, dropout=0.1, fast=False)
CLASSES(PIXELS)
PICTURE(PIXELS, at=tensor([0, 2]))
PICTURE(PIXELS, chunk=5, size=(4, 4))
LANG(IDS, mask=MASK)
LANG(IDS, MASK, at=tensor([0, 2]), chunk=2)
MULTI(MANY)
MULTI(MANY, mask={'b': MASK}, at={'g': tensor([0, 2])}, size={'g': (4, 4)})
MULTI(torch.rand(2, 3), torch.rand(2, 6, 4), MASK, chunk=3)
PerceiverIO(POINTS, TokenwiseOutput(3), SMALL)(ROWS, MASK)
PerceiverIO(POINTS, ClassOutput(3), SMALL)(ROWS, MASK)
FLOW(FRAMES)
PICTURE.encode(PIXELS)
PICTURE.forward_features(PIXELS)
PICTURE.forward_head(LATENTS)
PICTURE.decode(LATENTS, at=tensor([0, 2]), chunk=1)
PerceiverIO(POINTS, TokenwiseOutput(3), SMALL).decode(LATENTS, POINTS(ROWS, MASK))
CLASSES.reset_head(ClassOutput(3))
CLASSES.reset_head(3)
CLASSES.reset_classifier(3)
CLASSES.get_classifier()
CLASSES.num_params()
CLASSES.set_grad_checkpointing(True)
CLASSES.no_weight_decay()
CLASSES.lora_targets()
CLASSES.groups()

encode_text('abc', ends=True)
decode_text(tensor([70, 71, 72]))
pad_texts(['abc', b'de'], length=6, ends=True)
pad_texts(['abc', tensor([70, 71]), [70, 71]])
TextInput(12, 16, n_symbols=262, std=0.02)
TEXT(IDS, mask=MASK)
TextOutput(std=0.02)
TextOutput(TEXT)(torch.rand(2, 6, 16))
TextOutput(TEXT).queries(None, tensor([0, 2]))
pad_sets([torch.rand(3, 5), torch.rand(6, 5)], 8)
SetInput(5, 3, n_bands=2, max_res=(8, 8, 8))
SetInput(5)
POINTS(ROWS, mask=MASK)
neighbourhoods(FRAMES)
FlowInput((8, 8), n_ch=3, d_content=8, n_bands=2, max_res=(8, 8))
FlowInput((8, 8), d_content=8, n_bands=2)(FRAMES)
FlowOutput((8, 8), d_query=8, scale=100.)
FlowOutput((8, 8), d_query=8)(torch.rand(2, 64, 2))
end_point_error(torch.rand(2, 8, 8, 2), torch.rand(2, 8, 8, 2), mask=torch.ones(2, 8, 8, dtype=torch.bool))
warp(PIXELS, torch.rand(2, 8, 8, 2))
flow_image(torch.rand(8, 8, 2), top=1.)
TableInput(3)
TableInput(2, (4, 3), d_out=8)(torch.tensor([[.5, float('nan'), 1., 2.], [.1, .2, 0., float('nan')]]))
SoundStem(4, 16, 8)
SoundStem(4, 16, 8)(torch.rand(2, 1, 64))
SumLoss({'a': torch.nn.functional.mse_loss}, {'a': 2.})
SumLoss({'a': torch.nn.functional.mse_loss})({'a': torch.rand(2, 3)}, torch.rand(2, 3))
hide_bytes(torch.randint(6, 262, (2, 6)), 0.5, torch.Generator())
hidden_accuracy(torch.rand(2, 6, 262), torch.tensor([[7, -100, 8, 9, -100, 10], [7, -100, 8, 9, -100, 10]]))
VectorInput(3)
VectorInput(3)(torch.rand(2, 3), mask=torch.ones(2, 1, dtype=torch.bool))
MANYIN
MultimodalInput({'a': VectorInput(3), 'b': SetInput(4)}, pad=4, hide={'b': 0.5}, ignore_extra=True)(MANY)
MANYIN(MANY)
MANYIN(torch.rand(2, 3), torch.rand(2, 6, 4))
MANYIN.adapter('a')
MANYIN.deal((MANY,), {'b': MASK})
MANYIN.deal((torch.rand(2, 3), torch.rand(2, 6, 4)), (None, MASK))
MANYOUT
MultimodalOutput({'c': ClassOutput(3, 8), 'g': GRIDOUT}, pad=2, d_out=8)
MultimodalOutput({'c': ClassOutput(3, 8), 'g': GRIDOUT}).queries(None, at={'g': tensor([0])})
MANYOUT.adapter('c')
MANYOUT.bind(MANYIN, 16)
pad_rows(torch.rand(2, 6, 5), torch.rand(3))
tags({'a': 3, 'b': 5}, 2)
by_name((torch.rand(2, 3),), ['a'], 'inputs')

Exported(PLAIN, attention=True)
Exported(PLAIN)(PIXELS)
export_program(PLAIN, PIXELS, attention=True)
export_onnx(PLAIN, tmp + '/model.onnx', PIXELS)

model_settings(PLAIN)
register(type('Own', (torch.nn.Module,), {'__module__':'own'}))
export_program(PLAIN, PIXELS)
Exported(PLAIN)(PIXELS)
model_from_settings(model_settings(PLAIN))
save_checkpoint(PLAIN, tmp + '/model')
load_checkpoint(saved(PLAIN), device='cpu')
register(type('Own', (InputAdapter,), {}))

ResamplerAttention(8, n_heads=2, d_head=4, qk_norm=True)
ResamplerAttention(5, n_heads=2, d_head=4)(torch.rand(2, 4, 5), ROWS, MASK)
ResamplerMLP(8, widening=2, power=2)
ResamplerMLP(8)(torch.rand(2, 4, 8))
Resampler(5, n_latents=4, n_layers=1, n_heads=2, d_head=4, widening=2, power=1, qk_norm=True)
Resampler(5, n_latents=4, n_layers=1, n_heads=2, d_head=4)(ROWS, MASK)
Resampler(5, n_latents=4, n_layers=1, n_heads=2, d_head=4, n_frames=3)(torch.rand(2, 3, 6, 5))
Resampler(5, n_latents=4, n_layers=1, n_heads=2, d_head=4, n_frames=3).resize(4)
resampler_from_idefics(idefics().state_dict(), 2)

perceiver_imagenet((8, 8), n_classes=3, SHORT)
perceiver_imagenet_unshared((8, 8), n_classes=3, SHORT)
perceiver_modelnet40(n_classes=3, SHORT)
perceiver_audioset_raw(256, n_classes=3, SHORT)
perceiver_audioset_mel((8, 8), n_classes=3, SHORT)
perceiver_audioset_video(256, (2, 16, 16), n_classes=3, SHORT)
vision_perceiver_fourier((16, 16), n_classes=3, SHORT)
vision_perceiver_learned((16, 16), n_classes=3, SHORT)
vision_perceiver_conv((32, 32), n_classes=3, SHORT)
language_perceiver(16, 32, n_latents=4, d_latent=16, n_layers=1, d_v=16, d_cross_v=16)
language_perceiver_large(16, 32, n_latents=4, d_latent=16, n_layers=1, d_v=16, d_cross_v=16)
optical_flow_perceiver((8, 8), n_latents=4, d_latent=16, n_layers=1, n_heads=2)
multimodal_perceiver((2, 16, 16), 64, n_classes=3, n_latents=4, d_latent=16, n_layers=1, n_heads=2)
starcraft_perceiver(8, 4, n_latents=4, d_latent=16, n_layers=1, n_heads=2)
audioset_perceiver_io(256, (2, 16, 16), n_classes=3, n_latents=4, d_latent=16, n_layers=1, n_heads=2)
perceiver_imagenet((8, 8), n_classes=3, SHORT)(PIXELS)
vision_perceiver_fourier((16, 16), n_classes=3, SHORT)(torch.rand(2, 3, 16, 16))
create_model('tiny', IMAGE, 3)
create_model('tiny', IMAGE, ClassOutput(3))
create_model('small', IMAGE, ClassOutput(3), dropout=0.1)
create_model('vision-perceiver-fourier', SHORT)
create_model('vision-perceiver-conv', output=3, SHORT)
create_model('tiny', IMAGE, ClassOutput(3), pretrained=False)
list_models('vision-*', pretrained=True)
create_model('mnist', pretrained=True, output=3)(torch.rand(2, 1, 28, 28))
create_model('spoken-digits', pretrained=True)

SamplesInput(32, patch=4, n_bands=2)
SamplesInput(32, patch=4, n_bands=2)(torch.rand(2, 32, 1))
FramesInput((2, 8, 8), patch=(1, 4, 4), n_bands=2)
FramesInput((2, 8, 8), patch=(1, 4, 4), n_bands=2)(torch.rand(2, 2, 3, 8, 8))
SamplesOutput(32, patch=4, n_bands=2)
SamplesOutput(32, patch=4, n_bands=2)(torch.rand(2, 8, 4))
FramesOutput((2, 8, 8), n_bands=2)
FramesOutput((2, 8, 8), n_bands=2)(torch.rand(2, 8, 48))
OpenFourierPosition(2, (8, 8))
OpenFourierPosition(2, (8, 8)).axes((6, 6))
official_names(OURS)
official_state(OURS, THEIRS.state_dict())
from_official('PerceiverForImageClassificationFourier', THEIRS.config.to_dict(), THEIRS.state_dict())
from_transformers(THEIRS)
to_transformers(OURS)
load_pretrained(saved(PLAIN), device='cpu')
load_pretrained('mnist', device='cpu')
prepare_picture(__import__('PIL.Image').Image.new('RGB', (32, 24)), size=(16, 16), crop=(20, 20))
load_matching(PLAIN, Perceiver(IMAGE, 3, SMALL))
"""

# Imported before the workers start, where a chosen line names what needs them.
heavy = {'transformers.models.perceiver.modeling_perceiver':r'transformers|official',
         'transformers.models.idefics.perceiver':r'idefics',
         'timm':r'TimmStem', 'matplotlib.colors':r'flow_image'}

# Values of arguments by their names, from which a call is made where `lines` has none.
guesses = dict(
    input='IMAGE', output='ClassOutput(3)', adapter='IMAGE', model='PLAIN', layer='CROSS', tokens='TOKENS',
    x='ROWS', context='ROWS', y='torch.rand(2, 6, 5)', mask='MASK', at='tensor([0])', latents='LATENTS',
    size='(8, 8)', grid='(8, 8)', max_res='(8, 8)', n='4', n_out='3', n_classes='3', num_classes='3', n_ch='3',
    n_bands='2', n_samples='32', n_frames='3', d='16', d_in='5', d_q='8', d_kv='5', d_query='8', d_latent='16',
    d_out='8', path="tmp + '/model'", name="'tiny'", texts="['abc']", sets='[torch.rand(3, 5)]',
    dtype='torch.float32')

# ---- Values that arguments are changed to, by what they usually hold: two spaces, or a line's end, separate them.
def each(text:str)->list[str]: return re.split(r'\s{2,}', text.strip())

huge = ['10**6', '10**12']
no_number = ['2.5', "float('nan')", "float('inf')", "'3'", '[]', '(3,)']
ints = huge + no_number + each('0  -1  1  2  3  4  5  8  64  True  None  np.int64(4)  tensor(4)  -10**9')
floats = each("""
    0.  -0.5  1e-30  0.1  0.5  1.  1.5  1e30  1  True  None  np.float32(0.1)  tensor(0.1)  '0.1'  []  float('nan')
    float('inf')  float('-inf')""")
sizes = each("""
    (8, 8)  (4,)  (2, 4, 4)  (1, 1)  (3, 5)  (16, 8)  ()  (0, 8)  (-1, 8)  8  [8, 8]  (8., 8.)  '88'  None
    (10**12, 10**12)  (True, 8)  torch.Size([8, 8])  np.array([8, 8])  tensor([8, 8])  (float('nan'), 8)  ('8', '8')
    (8, None)""")
texts = each("""
    ''  'none'  'later'  'all'  'auto'  'textbook'  'queries'  'context'  'tiny'  'a'  'b'  '*'
    'nothing of that name'  'x' * 2000  'é'  b'abc'  None  3  []  ['a']""")
flags = each("True  False  0  1  None  'yes'  2.5  []  tensor(True)")
modules = each("""
    NoPosition()  LearnedPosition((8, 8), 4)  FourierPosition(2, (8, 8))  ConvStem(3, 8)  PointStem(3, 8)
    torch.nn.Identity()  torch.nn.Linear(3, 4)  IMAGE  POINTS  TEXT  VectorInput(3)  MANYIN  ClassOutput(3)
    TokenwiseOutput(2)  MANYOUT  GRIDOUT  TextOutput()  ClassOutput  None  'x'  3  []  InputAdapter()
    OutputAdapter()  PLAIN""")
paths = each(r"""
    tmp + '/new'  tmp + '/a/b/c'  tmp + '/file'  tmp + '/file/x'  pathlib.Path(tmp)  tmp  tmp + '/' + 'x' * 300  ''
    '\0'  None  3  b'x'  'nothing/of-that-name'  'runs/mnist-0'""")
types = each("torch.float64  torch.bfloat16  torch.int64  torch.bool  'float32'  float  None  3")
devices = each("'cpu'  torch.device('cpu')  'cuda'  'cpu:7'  'x'  ''  None  3")
absurd = each("""
    None  'x'  3  -1  2.5  []  {}  ()  torch.nn.Linear(3, 3)  object()  float('nan')  b'x'  1 + 2j  print
    tensor([])  tensor(1.)  range(3)  np.zeros(3)  {'a': 1}  Tokens""")
# A tensor that is changed: S is the valid one.
tensors = each("""
    S.double()  S.bfloat16()  (S * 255).byte()  S.long()  S.int()  S > 0.5  S.to(torch.complex64)
    S.clone().requires_grad_()  S[0]  S[None]  S[:0]  S[:, :0]  S[..., :0]  S[..., :1]  S[..., :-1]  S[:, :1]  S[:1]
    S[..., ::2]  S.mT  S.transpose(0, 1)  S.flatten(1)  S.flatten()  S.squeeze()  torch.cat([S, S], -1)
    torch.cat([S, S], 1)  torch.cat([S, S])  S * 0  S * -1  S * 10000  S * float('nan')  S.tolist()  S.numpy()  [S]
    (S, S)  {'x': S}  Tokens(S)  tensor(1.)  torch.empty(0)  None  'x'  3""")
indices = each("""
    tensor([0])  tensor([2, 0, 0])  tensor([], dtype=torch.long)  tensor([-1])  tensor([10**6])  tensor([0.5])
    tensor([[0, 1]])  tensor([True, False])  [0, 1]  0  tensor(0)  None  '0'  tensor([0], dtype=torch.int32)
    tensor([0], dtype=torch.uint8)  {'x': tensor([0])}""")
masks = each("""
    torch.zeros(2, 6, dtype=torch.bool)  torch.ones(2, 6, dtype=torch.bool)  torch.ones(2, 64, dtype=torch.bool)
    torch.ones(2, 5, dtype=torch.bool)  torch.ones(1, 6, dtype=torch.bool)  torch.ones(0, 6, dtype=torch.bool)
    torch.ones(6, dtype=torch.bool)  torch.ones(2, 6, 1, dtype=torch.bool)  torch.ones(2, 6)
    torch.ones(2, 6, dtype=torch.long)  MASK.tolist()  None  'x'  True  {'b': MASK}  (MASK,)  []""")
dicts = each("{}  None  {'a': 3}  {'a': None}  {'zz': tensor([0])}  []  {1: 2}  {'b': 0.5}  {'b': 1.5}  {'b': '0.5'}")
dict_keys = each("'type'  'train'  'forward'  'pad'  'a.b'  ''  1  'x' * 2000")
dict_items = each("None  3  'x'  []  torch.nn.Linear(3, 3)")
list_items = each("None  3  ''  []  [1, 2]  b'abc'  torch.rand(3)  torch.rand(0, 5)  torch.rand(2, 3, 4)")

def expand(
    line:str, # with capital words
)->str: # Python
    "A line with its capital words replaced"
    capital = re.compile(rf"\b({'|'.join(words)})\b")
    while capital.search(line): line = capital.sub(lambda m: words[m[1]], line)
    return line

# ---- What a line calls.
def is_ours(
    obj, # anything
)->bool: # True: a class or function of the package
    "Whether something callable was defined in the package"
    return callable(obj) and str(getattr(obj, '__module__', '')).split('.')[0]=='perceivers'

def target(
    call:ast.Call, # a call in a line
    ns:dict, # names a line can use
): # the class or function of the package whose parameters the call fills, or None
    "What a call calls: a constructor or function, the `forward` of what another call gives, or a method of it"
    f = call.func
    if isinstance(f, ast.Name): obj = ns.get(f.id)
    elif isinstance(f, ast.Call): obj = getattr(given(f, ns), 'forward', None)
    elif isinstance(f, ast.Attribute) and isinstance(f.value, ast.Call): obj = getattr(given(f.value, ns), f.attr, None)
    else: obj = None
    return obj if is_ours(obj) else None

def given(
    call:ast.Call, # a call in a line
    ns:dict, # names a line can use
)->type|None: # the class of what the call gives, as far as annotations tell
    "What a call gives"
    f = target(call, ns)
    if f is None or isinstance(f, type): return f
    res = getattr(f, '__annotations__', {}).get('return')
    res = ns.get(res) if isinstance(res, str) else res
    return res if isinstance(res, type) else None

def parameters(
    call:ast.Call, # a call in a line
    ns:dict, # names a line can use
)->dict[str, inspect.Parameter]: # by name; empty where they are not known
    "The parameters that a call fills"
    f = target(call, ns)
    if f is None: return {}
    try: res = dict(inspect.signature(f).parameters)
    except (TypeError, ValueError): return {}
    if not isinstance(call.func, ast.Name): res.pop(next(iter(res), ''), None) # self
    return res

def row_of(
    line:str, # Python
    ns:dict, # names a line can use
)->str|None: # such as 'Perceiver', 'Perceiver.forward', 'Perceiver.encode'; None: the checkout has no such name
    "The public name that a line calls"
    call = ast.parse(line, mode='eval').body
    if target(call, ns) is None: return None
    f = call.func
    if isinstance(f, ast.Name): return f.id
    inner,name = (f,'forward') if isinstance(f, ast.Call) else (f.value,f.attr)
    cls = given(inner, ns)
    return f'{cls.__name__}.{name}'

def calls_in(
    tree:ast.AST, # of a line
    ns:dict, # names a line can use
)->list[ast.Call]: # the outermost first
    "Every call of the package in a line"
    return [o for o in ast.walk(tree) if isinstance(o, ast.Call) and target(o, ns) is not None]

def public(
    ns:dict, # names a line can use
)->dict[str, object]: # by row name
    "Everything that should have a row: what `perceivers.models` hands on, and the public methods of its classes"
    import torch, perceivers.models as models
    res = {}
    for name in models.__all__:
        obj = getattr(models, name)
        if not is_ours(obj) or isinstance(obj, type) and issubclass(obj, torch.autograd.Function): continue
        res[name] = obj
        if not isinstance(obj, type): continue
        for c in obj.__mro__:
            if not c.__module__.startswith('perceivers'): continue
            for k,v in vars(c).items():
                if inspect.isfunction(v) and not k.startswith('_') and k != 'extra_repr': res[f'{name}.{k}'] = v
    return res

def guessed_line(
    name:str, # of a row
    obj, # what it calls
    base:str, # a valid call of the class, for a method
)->str|None: # Python; None: there is no value for a parameter
    "A call with a plausible value for each parameter that has no default"
    args,params = [],list(inspect.signature(obj).parameters.values())[bool(base):]
    stars = any(p.kind==p.VAR_POSITIONAL for p in params) # what stands before *args is given by position
    for p in params:
        if p.kind==p.VAR_KEYWORD or p.name=='args' or p.default is not p.empty: continue
        value = 'PIXELS' if p.kind==p.VAR_POSITIONAL else guesses.get(p.name)
        if value is None: return None
        by_position = p.kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL) or p.kind==p.POSITIONAL_OR_KEYWORD and stars
        args.append(value if by_position else f'{p.name}={value}')
    method = name.partition('.')[2]
    return expand(f"{base or name}{'.'+method if method and method != 'forward' else ''}({', '.join(args)})")

# ---- Random calls.
class Slot(NamedTuple):
    "A place in a line where an argument stands, or could"
    call:ast.Call
    name:str # of the parameter
    annotation:str # of the parameter, '' where there is none
    at:int|ast.keyword|None # which positional argument, or keyword; None: not given
    value:ast.expr|None # what stands there now
    depth:int # 0 for the outermost call

def slots(
    tree:ast.Expression, # of a line
    ns:dict, # names a line can use
)->list[Slot]: # those of the outermost call first
    "Every argument of every call of the package in a line, given or not"
    res = []
    for call in calls_in(tree, ns):
        params,depth = parameters(call, ns),int(call is not tree.body)
        names = [k for k,p in params.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        many = next((k for k,p in params.items() if p.kind==p.VAR_POSITIONAL), None)
        def slot(name, at, value):
            p = params.get(name)
            note = '' if p is None or p.annotation is p.empty else inspect.formatannotation(p.annotation)
            res.append(Slot(call, name, note, at, value, depth))
        for i,o in enumerate(call.args):
            name = names[i] if i < len(names) else many
            if name and not isinstance(o, ast.Starred): slot(name, i, o)
        used = set(names[:len(call.args)]) | {k.arg for k in call.keywords}
        for k in call.keywords:
            if k.arg: slot(k.arg, k, k.value)
        for k,p in params.items():
            free = p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and k not in used
            if free and p.default is not p.empty: slot(k, None, None)
    return res

kinds_by_name = dict(at='indices', mask='masks', dtype='types', device='devices', path='paths', name_or_path='paths')
kinds_by_type = {bool:'flags', int:'ints', float:'floats', str:'texts', bytes:'texts'}
kinds_by_annotation = dict(
    Tensor='tensors', tuple='sizes', bool='flags', int='ints', float='floats', str='texts', dict='dict')

def kind_of(
    slot:Slot, # an argument
)->str: # name of a list of values
    "What an argument usually holds, by its name, by what is given, else by its annotation"
    v = slot.value
    if isinstance(v, ast.Dict): return 'dict'
    if slot.name in kinds_by_name: return kinds_by_name[slot.name]
    if isinstance(v, ast.Constant) and type(v.value) in kinds_by_type: return kinds_by_type[type(v.value)]
    if isinstance(v, ast.List): return 'list'
    if isinstance(v, ast.Tuple): return 'sizes' if all(isinstance(o, ast.Constant) for o in v.elts) else 'list'
    if isinstance(v, ast.Call): return 'tensors' if ast.unparse(v.func).startswith(('torch.', 'tensor')) else 'modules'
    if v is not None and 'torch' in ast.unparse(v): return 'tensors'
    for word,kind in kinds_by_annotation.items():
        if word in slot.annotation: return kind
    return 'modules' if re.search('Module|Adapter|Position', slot.annotation) else 'absurd'

def dict_values(
    v:ast.Dict|None, # what is given
)->list[str]: # Python
    "Other dicts than the one that is given: keys fewer, more and renamed, values replaced"
    if v is None or not v.keys: return dicts
    items = [(ast.unparse(k), ast.unparse(o)) for k,o in zip(v.keys, v.values)]
    def join(pairs): return '{' + ', '.join(f'{k}: {o}' for k,o in pairs) + '}'
    (k,o),rest = items[0],items[1:]
    res = [join(rest), join(items[:1]), join(items[::-1]), join(items + [("'zz'", o)]), '{}', 'None']
    res.append('[' + ', '.join(o for _,o in items) + ']')
    res += [join([(name, o)] + rest) for name in dict_keys]
    return res + [join([(k, new)] + rest) for new in (*dict_items, f'({o},)')]

def list_values(
    v:ast.List|ast.Tuple, # what is given
)->list[str]: # Python
    "Other lists than the one that is given"
    items = [ast.unparse(o) for o in v.elts]
    def join(o): return '[' + ', '.join(o) + ']'
    res = ['[]', '()', 'None', '3', "'x'", join(items[:1]), join(items*2)]
    res += [f'tuple({join(items)})', f'iter({join(items)})', f'{{1: {join(items)}}}']
    return res + [join(items[:-1] + [new]) for new in list_items]

def new_value(
    slot:Slot, # an argument
    rng:random.Random, # decides
    deep:bool, # the line goes on to call what is made, so huge sizes would be huge work and no error
)->str: # Python
    "Another value for an argument, most often of the right kind"
    kind = kind_of(slot) if rng.random() < 0.85 else 'absurd'
    if kind=='dict': return rng.choice(dict_values(slot.value if isinstance(slot.value, ast.Dict) else None))
    if kind=='list': return rng.choice(list_values(slot.value))
    if kind in ('tensors', 'masks', 'indices') and slot.value is not None and (kind=='tensors' or rng.random() < 0.5):
        return re.sub(r'\bS\b', lambda m: f'({ast.unparse(slot.value)})', rng.choice(tensors))
    if kind=='tensors': return rng.choice(['ROWS', 'LATENTS', 'PIXELS', 'MASK', 'IDS'])
    values = globals()[kind]
    if deep: values = [o for o in values if o not in huge]
    return rng.choice(values)

def must_be_refused(
    slot:Slot, # an argument
    value:str, # what it is given
)->bool: # True: no call with it should work
    "Whether the argument is a number, and the value is none"
    number = re.sub(r'\s|\|None|Optional\[(\w+)\]', r'\1', slot.annotation) in ('int', 'float')
    return number and value in (no_number[1:] + ["'0.1'", "float('-inf')"] if 'float' in slot.annotation else no_number)

class Case(NamedTuple):
    "A random call"
    row:str # public name
    line:str # Python, an expression
    grad:bool # whether gradients are on
    refuse:str # arguments that no call should take, as text; '' where there are none

def make_case(
    lines:dict, # {row: valid calls}
    seed:int, # of the run
    index:int, # of the call
    ns:dict, # names a line can use
)->Case: # the same for the same arguments
    "The random call of an index: the rows come in turns, all else is drawn"
    rng = random.Random(f'{seed} {index}')
    row = list(lines)[index % len(lines)]
    tree = ast.parse(rng.choice(lines[row]), mode='eval')
    deep,refuse = not isinstance(tree.body.func, ast.Name),[]
    for _ in range(rng.choice((1,1,1,2))):
        free = slots(tree, ns)
        if not free: break
        slot = rng.choices(free, [(1 if o.at is None else 3)*(1 if o.depth else 2) for o in free])[0]
        if rng.random() < 0.03 and 'nonsense' not in {k.arg for k in slot.call.keywords}:
            slot.call.keywords.append(ast.keyword('nonsense', ast.Constant(1)))
            continue
        value = expand(new_value(slot, rng, deep and slot.depth > 0))
        node = ast.parse(value, mode='eval').body
        if must_be_refused(slot, value): refuse.append((node, f'{slot.name}={value}'))
        if slot.at is None: slot.call.keywords.append(ast.keyword(slot.name, node))
        elif isinstance(slot.at, int): slot.call.args[slot.at] = node
        else: slot.at.value = node
    kept = list(ast.walk(tree)) # a second change can take the first one's call away
    return Case(row, ast.unparse(tree), rng.random() < 0.7, ', '.join(o for node,o in refuse if node in kept))

# ---- What became of a call.
class Result(NamedTuple):
    "What became of a call"
    kind:str # 'worked', 'refused', 'void' (the line fails before the package is called), or a kind of wrong
    text:str = '' # the error
    where:str = '' # file and line that raised it
    trace:str = '' # the whole traceback

def argument_names(
    line:str, # Python
    ns:dict, # names a line can use
)->set[str]: # all names that an error may name
    "The names of the arguments of all calls of the package in a line, and what a model's data are called"
    tree,res = ast.parse(line, mode='eval'),set()
    for call in calls_in(tree, ns):
        params = parameters(call, ns)
        res |= {*params, *(k.arg for k in call.keywords if k.arg)}
        if any(p.kind==p.VAR_POSITIONAL for p in params.values()): res |= {'input', 'inputs', 'batch'}
        if isinstance(call.func, ast.Call): res |= {'input'} # of `adapter(x)`, as of `model(x)`
        for name in ('forward', 'queries'): # an adapter inside a model gets the model's data
            f = getattr(given(call, ns), name, None)
            if f is not None: res |= {*inspect.signature(f).parameters}
    keys = {k.value for o in ast.walk(tree) if isinstance(o, ast.Dict) for k in o.keys if isinstance(k, ast.Constant)}
    return {o for o in res | keys if isinstance(o, str) and o} - {'self', 'args', 'kwargs', 'kw'}

bindings = re.compile("missing .* required|unexpected keyword|takes .*positional arg|multiple values for|takes no arg")

def judge_error(
    e:BaseException, # what the call raised
    line:str, # Python
    ns:dict, # names a line can use
    package:str, # folder of the package
)->Result: # 'refused' or 'void', or what is wrong with it
    "Whether an error says what is wrong with an argument"
    try: text = str(e)
    except Exception as other: text = f'error without text: {other!r}'
    frames = list(traceback.walk_tb(e.__traceback__))[1:] # without the worker's own
    if not frames: return Result('void', text) # not even Python
    frame,tb = frames[-1][0],e.__traceback__
    while tb.tb_next: tb = tb.tb_next
    where = f'{Path(frame.f_code.co_filename).name}:{tb.tb_lineno}'
    trace = ''.join(traceback.format_exception(e))[-6000:]
    def result(kind): return Result(kind, f'{type(e).__name__}: {text}', where, trace)
    ours = any(Path(f.f_code.co_filename).is_relative_to(package) for f,_ in frames)
    binding = isinstance(e, TypeError) and bindings.search(text)
    if not ours: return result('refused' if binding else 'void')
    if isinstance(e, MemoryError) or "can't allocate memory" in text: return result('memory')
    if len(text) >= MAX_MESSAGE: return result('long')
    names = argument_names(line, ns)
    if binding:
        named = re.findall(r"'(\w+)'", text)
        return result('refused' if names & set(named) else 'error')
    raised = dis.opname[frame.f_code.co_code[tb.tb_lasti]]=='RAISE_VARARGS'
    if not raised or not Path(frame.f_code.co_filename).is_relative_to(package): return result('error')
    if isinstance(e, (ImportError, FileNotFoundError, NotImplementedError)): return result('refused')
    if not isinstance(e, (ValueError, TypeError)): return result('error')
    if 'x' in names: names = names | {'input'} # what an adapter's forward takes is called so in its errors
    said = {o for o in names if re.search(rf'(?<!\w){re.escape(o)}(?!\w)', text)}
    return result('refused' if said else 'unnamed')

def tensors_in(
    o, # what a call gave
): # yields tensors
    "Every tensor of a result: parameters of modules, values of dicts, elements of tuples, lists and generators"
    import torch
    if isinstance(o, torch.Tensor): yield o
    elif isinstance(o, torch.nn.Module): yield from (*o.parameters(), *o.buffers())
    elif isinstance(o, dict): yield from (t for v in o.values() for t in tensors_in(v))
    elif isinstance(o, (tuple, list)) or inspect.isgenerator(o): yield from (t for v in o for t in tensors_in(v))

class Slow(BaseException): "Raised in a call that takes too long"

touched = [] # what a call did that it must not do: (kind, text)
net = 'socket.connect', 'socket.getaddrinfo', 'socket.sendto', 'socket.gethostbyname'
changes = 'os.mkdir', 'os.remove', 'os.rmdir', 'os.rename', 'os.link', 'os.symlink', 'os.truncate', 'shutil.rmtree'
programs = 'subprocess.Popen', 'os.system', 'os.posix_spawn', 'os.exec'

def watch(
    folder:str, # where a call may write
)->None:
    "From now on notes writing elsewhere, and refuses the network, in this process"
    write = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    def hook(event, args):
        if event in net:
            touched.append(('network', f'{event} {args[1:]}'))
            raise ConnectionRefusedError('no network here')
        if event in programs: touched.append(('files', f'{event} {args[0]}'))
        path = None
        if event in changes or event=='open' and isinstance(args[2], int) and args[2] & write: path = args[0]
        if not isinstance(path, (str, bytes, os.PathLike)): return
        full = os.path.abspath(os.fsdecode(path))
        if 'torchinductor' in full: return # a folder that PyTorch makes when it compiles or exports
        if not full.startswith((folder, '/dev/')): touched.append(('files', f'{event} {full}'))
    sys.addaudithook(hook)

def run_line(
    case:Case, # the call
    ns:dict, # names a line can use
    package:str, # folder of the package
)->Result: # what became of it
    "Makes a call and judges it"
    import torch
    touched.clear()
    torch.manual_seed(0)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        with torch.set_grad_enabled(case.grad): found = list(tensors_in(eval(case.line, ns)))
        res = Result('worked')
        bad = [o for o in found if o.is_floating_point() and not o.isfinite().all()]
        if bad and not re.search(r"nan|inf['\"]", case.line):
            res = Result('infinite', f'{len(bad)} of {len(found)} tensors, such as {tuple(bad[0].shape)}')
        elif case.refuse: res = Result('accepted', case.refuse)
    except Slow: res = Result('slow', f'more than {LIMIT_S} s of computing')
    except (KeyboardInterrupt, GeneratorExit): raise
    except BaseException as e: res = judge_error(e, case.line, ns, package)
    finally: signal.setitimer(signal.ITIMER_PROF, 0)
    return Result(*touched[0], trace=res.trace) if touched else res

# ---- Workers.
def work(
    conn, # an end of a pipe, through which cases come and results go
    folder:str, # where the worker may write
)->None:
    "Runs the cases that come, until the process is ended"
    import torch, perceivers
    torch.set_num_threads(1)
    def too_slow(*_): raise Slow()
    signal.signal(signal.SIGPROF, too_slow)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    tempfile.tempdir = folder
    sys.stdout = sys.stderr = open(os.devnull, 'w')
    ns = namespace()
    used = int(Path('/proc/self/statm').read_text().split()[0])*resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used+LIMIT_BYTES,)*2)
    watch(os.path.realpath(folder))
    package = os.path.dirname(os.path.realpath(perceivers.__file__))
    while True: conn.send(run_line(conn.recv(), ns, package))

def namespace()->dict: # names that a line can use
    "What the prelude defines"
    ns = {}
    exec(prelude, ns)
    return ns

class Worker:
    "A process that runs one case at a time, and is replaced when it ends or takes too long"
    def __init__(self,
        folder:str, # where it may write
    ):
        self.folder,self.case,self.process = folder,None,None

    def start(self,
        key, # what the result is kept under
        case:Case, # the call
    )->None:
        "Hands over a case, to a new process where there is none"
        if self.process is None or not self.process.is_alive():
            ctx = multiprocessing.get_context('fork')
            self.conn,other = ctx.Pipe()
            self.process = ctx.Process(target=work, args=(other, self.folder), daemon=True)
            self.process.start()
            other.close()
        self.key,self.case,self.deadline = key,case,time.monotonic()+3*LIMIT_S
        self.conn.send(case)

    def result(self)->Result|None: # None: it is still running
        "The result of the case, if it is there, or too late"
        res = None
        try:
            if self.conn.poll(): res = self.conn.recv()
            elif time.monotonic() > self.deadline:
                res = Result('slow', f'more than {3*LIMIT_S} s')
                self.stop()
        except (EOFError, ConnectionResetError):
            self.process.join()
            res = Result('died', f'exit status {self.process.exitcode}')
            self.process = None
        if res is not None: self.case = None
        return res

    def stop(self)->None:
        "Ends the process"
        if self.process is not None:
            self.process.kill()
            self.process.join()
        self.process = None

def run_all(
    cases:dict, # {key: case}
    n_workers:int, # processes
    folder:str, # where they may write
)->dict: # {key: result}
    "Runs all cases"
    workers,todo,res = [Worker(f'{folder}/{i}') for i in range(n_workers)],list(cases.items())[::-1],{}
    while todo or any(w.case for w in workers):
        for w in workers:
            if w.case is None and todo: w.start(*todo.pop())
        multiprocessing.connection.wait([w.conn for w in workers if w.case], timeout=1)
        for w in workers:
            if w.case is None: continue
            key,done = w.key,w.result()
            if done is not None: res[key] = done
    for w in workers: w.stop()
    return {k:res[k] for k in cases}

# ---- The table.
def valid_lines(
    only:str|None, # a public name; None: all
    ns:dict, # names a line can use
    run, # function from {key: case} to {key: result}
)->tuple[dict, dict, list]: # lines that work by row; the others, with what they raise; rows without any
    "Tries the valid calls, and guesses some for public names that have none"
    rows,failing,names = {},{},public(ns)
    def wanted(row): return row and (only is None or row==only or row.startswith(only+'.'))
    def try_lines(given):
        fresh = [o for o in dict.fromkeys(given) if wanted(row_of(o, ns))]
        cases = {o:Case(row_of(o, ns), o, True, '') for o in fresh}
        for line,res in run(cases).items():
            row,base = cases[line].row,res.text.startswith('NotImplementedError') and res.kind=='refused'
            if res.kind=='worked' or base: rows.setdefault(row, []).append(line)
            else: failing[line] = row,res
    try_lines(expand(o) for o in lines.strip().splitlines() if o)
    missing = [o for o in names if wanted(o) and o not in rows and '.' not in o]
    try_lines(filter(None, [guessed_line(k, names[k], '') for k in missing]))
    covered = {names[k] for k in rows if k in names}
    open_ = [k for k in names if wanted(k) and k not in rows and names[k] not in covered]
    methods = {k:rows[k.split('.')[0]][0] for k in open_ if '.' in k and k.split('.')[0] in rows}
    try_lines(filter(None, [guessed_line(k, names[k], base) for k,base in methods.items()]))
    covered = {names[k] for k in rows if k in names}
    none = [k for k in names if wanted(k) and k not in rows and names[k] not in covered]
    return dict(sorted(rows.items())), failing, none

def skeleton(
    text:str, # an error
)->str: # the same for errors that differ in numbers and values alone
    "What an error says, without what it was given"
    return re.sub(r"'[^']*'|\"[^\"]*\"|\([^()]*\)|\d+(?:\.\d+)?", '_', text)[:120]

def report(
    cases:dict[int, Case], # by index
    results:dict[int, Result], # by index
    allow:set[str], # kinds of wrong that are let pass
)->int: # how many calls went wrong
    "Prints the table by public name, and each distinct wrong call"
    good = {'worked', 'refused', 'void', *allow}
    wide = max(map(len, (c.row for c in cases.values())))
    print(f"| {'name':{wide}} | calls | worked | refused | wrong |\n| {'-'*wide} | ----: | -----: | ------: | ----: |")
    counts = {}
    for i,c in cases.items():
        kind = results[i].kind
        counts.setdefault(c.row, Counter())[kind if kind in good else 'wrong'] += 1
    total = Counter()
    for row,n in [*sorted(counts.items()), ('total', total)]:
        if row != 'total': total.update(n)
        calls = sum(n.values()) - n['void']
        print(f"| {row:{wide}} | {calls:5} | {n['worked']:6} | {n['refused']:7} | {n['wrong']:5} |")
    print(f"{total['void']} lines failed before the package was called, and are not counted")
    distinct = {}
    for i,r in results.items():
        if r.kind not in good: distinct.setdefault((r.kind, cases[i].row, r.where, skeleton(r.text)), []).append(i)
    by_kind = Counter(r.kind for r in results.values() if r.kind not in good)
    print('wrong by kind:', dict(by_kind.most_common()), f'{len(distinct)} distinct')
    for (kind,_,where,_),found in sorted(distinct.items()):
        c,r = cases[found[0]],results[found[0]]
        print(f"\n# {kind}, {len(found)}×, index {found[0]}: {' '.join(r.text.split())[:200]} ({where})")
        print(f"torch.manual_seed(0); {c.line}" if c.grad else f"torch.manual_seed(0)\nwith torch.no_grad(): {c.line}")
    return total['wrong']

def main()->int: # exit status
    "Runs what the options ask for"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--n', type=int, default=2000, help="random calls")
    parser.add_argument('--seed', type=int, default=0, help="of the random calls")
    parser.add_argument('--only', help="a public name, whose calls and methods alone are tried")
    parser.add_argument('--index', type=int, help="one call alone, with its traceback")
    parser.add_argument('--list', action='store_true', help="print the valid calls and whether they work, and stop")
    parser.add_argument('--workers', type=int, default=1, help="processes")
    parser.add_argument('--allow', nargs='*', default=[], help="kinds of wrong that are let pass, such as memory slow")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= dict(HF_HOME=f'{folder}/hf', TORCH_HOME=f'{folder}/torch', MPLCONFIGDIR=f'{folder}/mpl')
        tempfile.tempdir = folder
        import torch
        torch.set_num_threads(1)
        ns = namespace()
        import_heavy(args.only)
        def run(cases): return run_all(cases, args.workers, folder)
        start = time.time()
        rows,failing,none = valid_lines(args.only, ns, run)
        if args.list:
            for row,found in rows.items(): print(row, *(f'    {o}' for o in found), sep='\n')
        broken = {k:v for k,v in failing.items() if args.list or v[0] in none}
        for line,(row,r) in broken.items():
            print(f"# {row} does not work here: {r.kind} {r.text[:300]} ({r.where})\n{line}")
        if none: print(f"no valid call, so `lines` in {Path(__file__).name} needs one: {', '.join(none)}")
        if args.list or not rows: return int(bool(none or not rows))
        indices = range(args.n) if args.index is None else [args.index]
        cases = {i:make_case(rows, args.seed, i, ns) for i in indices}
        results = run(cases)
        if args.index is not None:
            print(cases[args.index], results[args.index]._replace(trace=''), results[args.index].trace, sep='\n')
            return int(results[args.index].kind not in ('worked', 'refused', 'void'))
        wrong = report(cases, results, set(args.allow))
        print(f"\n{args.n} calls of {len(rows)} names in {time.time()-start:.0f} s, seed {args.seed}; {wrong} wrong"
              + ("; a line is pasted after this:\n" + prelude if wrong else ''))
    return int(bool(wrong or none))

def import_heavy(
    only:str|None, # a public name; None: all
)->None:
    "Imports once, before the workers are made, what their calls would import again and again"
    for module,pattern in heavy.items():
        if only is None or re.search(pattern, only):
            try: importlib.import_module(module)
            except ImportError: pass

if __name__=='__main__': sys.exit(main())
