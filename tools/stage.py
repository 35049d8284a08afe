"""The notebooks as pages, in `_proc`, ready for Quarto or for the preview: run it by `tools/run python tools/stage.py`

    tools/run python tools/stage.py                          # a site whose address is not known: without links to a repository
    tools/run python tools/stage.py --repository OWNER/NAME  # with them: to the notebooks, their sources, and Colab

nbdev stages the notebooks (`nbdev-proc-nbs`); this fills in what only the published site knows. `_quarto.yml` holds the placeholder
OWNER/REPOSITORY where an address stands. With a repository, `_proc/_colab` holds the tutorials with a first cell that installs the
package; the workflow pushes them to the branch `colab`, where Colab opens them."""
import argparse, json, os, re, subprocess, sys
from pathlib import Path
import yaml
from checks import dev_tool, notebooks, repo_root

placeholder = 'OWNER/REPOSITORY'
colab_branch = 'colab'

# Words that people look for where a page uses others: they are shown at the page's end, so that a search finds them, and on the page Names.
also_called = {
    'tutorials/fine_tuning.ipynb': 'finetune, finetuning, transfer learning, LoRA, PEFT, adapters, freeze layers, new classes',
    '00_position.ipynb': 'positional encoding, positional embedding, position embedding, Fourier embedding, sinusoidal encoding, NeRF encoding',
    'tutorials/many_gpus.ipynb': 'multi-gpu, multiple GPUs, distributed training, DDP, FSDP, torchrun, accelerate',
    '28_commands.ipynb': 'own images, custom dataset, my own data, folder of pictures, command line, CLI',
    '21_images.ipynb': 'own images, custom dataset, ImageFolder, augmentation, resize, transforms',
    '22_datablocks.ipynb': 'DataBlock, custom dataset, dataloader, collate',
    '17_export.ipynb': 'ONNX, onnxruntime, TorchScript, deployment, serving, torch.export, dynamic batch, quantization',
    '01_attention.ipynb': 'multi-head attention, scaled dot-product attention, QKV, flash attention, SDPA, attention mask, padding mask',
    '03_blocks.ipynb': 'cross attention block, cross-attention block, transformer block, feed-forward network, FFN, GELU, layer norm, residual, skip connection',
    '04_encoder.ipynb': 'latent array, bottleneck, weight sharing, encoder, depth, Set Transformer, inducing points',
    '05_inputs.ipynb': 'preprocessor, embedding, tokenizer, patch embedding, byte array',
    '06_perceiver.ipynb': 'classifier, image classification, model',
    '08_checkpoint.ipynb': 'save model, load model, state_dict, safetensors, weights, from_pretrained',
    '10_outputs.ipynb': 'decoder, postprocessor, output query, head, segmentation, regression',
    '11_perceiver_io.ipynb': 'PerceiverIO, encoder-decoder, structured outputs',
    '12_text.ipynb': 'language model, masked language modelling, MLM, BERT, tokenizer-free, UTF-8',
    '13_sets.ipynb': 'point cloud, ModelNet40, PointNet, sets, 3D',
    '14_audio.ipynb': 'speech, sound, waveform, spectrogram, AudioSet',
    '15_flow.ipynb': 'optical flow, video, motion, Sintel',
    '16_multimodal.ipynb': 'multimodal, multi-modal, several inputs, video and audio, fusion',
    '18_tables.ipynb': 'tabular data, CSV, dataframe, categorical columns',
    '23_learner.ipynb': 'trainer, training loop, learning rate, optimizer, mixed precision, AMP, bf16, EMA, gradient clipping',
    '24_interpret.ipynb': 'visualize attention, attention map, heat map, attention rollout, explain, interpretability',
    '27_runs.ipynb': 'resume training, checkpointing, crash, reproducibility, seed, random state',
    '30_resampler.ipynb': 'Perceiver Resampler, Flamingo, Q-Former, pooling, compress tokens',
    '40_presets.ipynb': 'model zoo, configuration, create_model, ImageNet, ModelNet40, AudioSet',
    '41_pretrained.ipynb': 'pretrained weights, Hugging Face, transformers, DeepMind, convert checkpoint, from_pretrained',
    '44_weights.ipynb': 'pretrained, pretrained models, model zoo, download weights, model card',
    'benchmarks/speed.ipynb': 'speed, memory, benchmark, throughput, FLOPs, torch.compile, slow',
    'tutorials/own_modality.ipynb': 'custom input, own data type, new modality, time series, sensor',
    'tutorials/when_it_does_not_learn.ipynb': 'loss does not decrease, not learning, stuck, NaN, debugging, hyperparameters',
    'tutorials/larger_images.ipynb': 'large images, high resolution, out of memory, patches, ImageNet, timm, backbone',
    'tutorials/masked_bytes.ipynb': 'masked language modelling, pretraining, MLM, text completion',
    'tutorials/spoken_digits.ipynb': 'speech recognition, speech commands, audio classification, wav',
    'tutorials/choosing_sizes.ipynb': 'number of latents, num_latents, depth, width, hyperparameters, model size',
}


def fill_in(
    text:str,       # of `_quarto.yml`
    repository:str, # OWNER/NAME, or '' where there is none
)->str:
    "Quarto's settings with the repository's name in place of the placeholder, or without the lines that need one"
    if not repository: return ''.join(o for o in text.splitlines(True) if not re.search(r'OWNER|^ *repo-', o))
    owner,name = repository.split('/')
    return text.replace('OWNER', owner).replace('REPOSITORY', name)


def code_links(source, repository):
    "The links of a page to its notebook, as Quarto wants them"
    links = [dict(text='The notebook', icon='journal-code', href=f'https://github.com/{repository}/blob/main/nbs/{source}')]
    if source.startswith('tutorials/'):
        at = f'https://colab.research.google.com/github/{repository}/blob/{colab_branch}/{source}'
        links.insert(0, dict(text='Open in Colab', icon='play-circle', href=at))
    return links


def cell(kind, id, source):
    more = dict(outputs=[], execution_count=None) if kind=='code' else {}
    return dict(cell_type=kind, id=id, metadata={}, source=source.splitlines(True), **more)


def finish_page(
    path:Path,      # a staged notebook
    source:str,     # its name, seen from `nbs`
    repository:str, # OWNER/NAME, or ''
)->None:
    "Adds to a staged page the words that people look for, and the links to its notebook"
    nb = json.loads(path.read_text(encoding='utf-8'))
    where = f'`jupyter lab nbs/{source}` opens this page as a notebook'
    if repository: where = ', '.join(f"[{o['text']}]({o['href']})" for o in code_links(source, repository))
    for c in nb['cells']:
        if c['cell_type']=='markdown' and c.get('id')=='takes': c['source'] = f"{''.join(c['source'])}\n\n*{where}.*".splitlines(True)
    if source in also_called:
        words = f"*Other words for what is on this page: {also_called[source]}.*"
        nb['cells'].append(cell('markdown', 'also-called', words))
    if repository:
        for c in nb['cells']:
            found = re.fullmatch(r'---\n(.*)\n---\s*', ''.join(c['source']), re.S) if c['cell_type']=='raw' else None
            if not found: continue
            meta = {**yaml.safe_load(found[1]), 'code-links':code_links(source, repository)}
            c['source'] = f'---\n{yaml.safe_dump(meta, allow_unicode=True)}---\n'.splitlines(True)
            break
    path.write_text(json.dumps(nb, ensure_ascii=False, indent=1)+'\n', encoding='utf-8')


def for_colab(
    root:Path,      # a checkout
    to:Path,        # the folder for them
    repository:str, # OWNER/NAME
)->None:
    "The tutorials with a first cell that installs the package"
    for p in notebooks(root):
        source = p.relative_to(root/'nbs')
        if source.parts[0]!='tutorials': continue
        nb = json.loads(p.read_text(encoding='utf-8'))
        install = f'#| eval: false\n!pip install -q "perceivers @ git+https://github.com/{repository}"'
        nb['cells'].insert(1, cell('code', 'colab', install))
        path = to/source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(nb, ensure_ascii=False, indent=1)+'\n', encoding='utf-8')


def stage(
    root:Path,         # a checkout
    repository:str='', # OWNER/NAME, or '' where there is none
)->Path:               # the folder `_proc`
    "Stages a checkout's notebooks; ends the program, with the end of nbdev's message, where that fails"
    env = {k:v for k,v in os.environ.items() if k!='IN_TEST'} | {'PERCEIVERS_REPOSITORY':repository}
    command = [Path(__file__).with_name('run'), dev_tool('nbdev-proc-nbs'), '--force', '--n-workers', '0']
    done = subprocess.run(command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode: sys.exit(f'nbdev-proc-nbs fails: {(done.stderr or done.stdout).strip()[-1500:]}')
    staged = root/'_proc'
    settings = staged/'_quarto.yml'
    settings.write_text(fill_in(settings.read_text(encoding='utf-8'), repository), encoding='utf-8')
    for p in notebooks(root):
        source = p.relative_to(root/'nbs').as_posix()
        finish_page(staged/source, source, repository)
    if repository: for_colab(root, staged/'_colab', repository)
    return staged


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--repository', default='', help='OWNER/NAME of the repository on GitHub')
    args = parser.parse_args()
    if args.repository and not re.fullmatch(r'[\w.-]+/[\w.-]+', args.repository):
        parser.error(f'--repository {args.repository}: must be OWNER/NAME')
    print(stage(repo_root(), args.repository))


if __name__=='__main__': main()
