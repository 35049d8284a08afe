"""The trained weights that the package brings: training, the test set read once, half precision, the card

    python tools/weights.py mnist                 # trains into runs/weights-mnist unless it is there, and writes perceivers/weights/mnist
    python tools/weights.py spoken-digits --train # the training only; its validation accuracy chooses
    python tools/weights.py mnist --run runs/a    # of a run that is there already

Images are trained by the command `perceivers-train` that the card states; the two others by the functions below. Settings and epochs
were chosen on the validation set. The test set is read once, when the weights are stored, and its accuracy goes into `run.json`."""
import argparse, json, math, os, platform, random, shlex, shutil, subprocess, sys, tempfile, time, warnings
from pathlib import Path
warnings.filterwarnings('ignore', '`torch.jit.script` is deprecated', FutureWarning) # fastai's, while it is imported
import numpy as np
import torch
from fastai.vision.all import RandTransform
import perceivers
from perceivers.all import *
from perceivers.archives import data_roots, find_data
from perceivers.learner import element_patches, with_mask
from perceivers.runs import plain_model, read_settings, write_settings

commands = dict(
    mnist='perceivers-train --data mnist --n-latents 32 --d-latent 96 --epochs 30 --affine 0.12 --bs 96 --lr 0.004 --precision bf16 --compile',
    cifar10='perceivers-train --data cifar10 --patch 2 --epochs 12 --precision bf16 --compile')


# Spoken digits

def recordings():
    "Files of the free spoken digits, and which set each is of: indices 0 to 4 are the official test set, 5 to 9 the validation set"
    def fetch(): raise OSError('the recordings are not downloaded here')
    folder = find_data({'free-spoken-digit-dataset':'free-spoken-digit-dataset.tgz'}, fetch)/'recordings'
    files = sorted(folder.glob('*.wav'))
    k = np.array([int(f.stem.split('_')[2]) for f in files])
    return {name:[f for f,o in zip(files, part) if o] for name,part in dict(train=k>=10, valid=(k>=5)&(k<10), test=k<5).items()}


class VarySound(RandTransform):
    "A recording at another speed, with silence around it, some noise, and of another loudness, at random; of the training set alone"
    split_idx = 0
    def encodes(self, x:TensorAudio):
        w,u = x.as_subclass(Tensor),random.uniform
        w = F.interpolate(w[None], scale_factor=u(.9, 1.1), mode='linear')[0]
        w = F.pad(w, [random.randrange(1200) for _ in range(2)])
        w = w + w.square().mean().sqrt()*10**u(-4, -2)*torch.randn_like(w)
        return TensorAudio(w*10**u(-.5, .3), rate=x.rate)


def digit_of(f): return f.name[0]


def sounds_dls(files, bs=32):
    "Loaders of the training and the validation set"
    block = DataBlock((AudioBlock(rate=8000), CategoryBlock(list('0123456789'))), get_y=digit_of, item_tfms=VarySound(p=1),
                      splitter=IndexSplitter(range(len(files['train']), len(files['train'])+len(files['valid']))))
    return block.dataloaders(files['train']+files['valid'], bs=bs)


def train_spoken_digits(out, epochs=100, lr=3e-3):
    "A tiny Perceiver with a learned stem"
    set_seed(0, reproducible=True)
    dls = sounds_dls(recordings())
    dls.train.rng = random.Random(0)
    learn = perceiver_learner(dls, scale='tiny', n_samples=8000, dropout=0.1, seed=0)
    fit(learn, epochs, lr, out, dict(data='free-spoken-digit-dataset', kind='sounds', recipe=dict(epochs=epochs, lr=lr, bs=32, dropout=0.1)))


# Masked bytes

M = 32 # bytes that the model reads at once

def shakespeare():
    "The text as three sets of ids: the last tenth is the test set, the tenth before it the validation set"
    file = next((o/'tinyshakespeare.txt' for o in data_roots(None) if (o/'tinyshakespeare.txt').is_file()), None)
    if file is None: sys.exit('there is no tinyshakespeare.txt in the folder of PERCEIVERS_DATA')
    ids = encode_text(file.read_bytes())
    return ids.split([len(ids)-2*(len(ids)//10), len(ids)//10, len(ids)//10])


def windows(ids): return ids[:len(ids)//M*M].view(-1, M)


def hidden(ids, share=.15):
    "Windows with bytes hidden once, always alike; and what was hidden"
    return hide_bytes(windows(ids), share, torch.Generator().manual_seed(0))


def bytes_model():
    "A Perceiver IO that gives logits of all bytes at each position; positions start as Fourier features"
    model = PerceiverIO(TextInput(M, 64, std=0.3), TextOutput(std=0.3), n_latents=32, d_latent=64, n_blocks=1, n_layers=2, n_heads=4, widening=2,
                        latent_std=0.5, n_cross_heads=4, n_decoder_heads=4, decoder_residual=False, decoder_widening=2)
    features = fourier_features(grid_positions((M,)), 14, (M,))
    with torch.no_grad():
        for table in (model.input.position.table, model.output.position.table):
            table[:,:features.shape[1]] = 0.7*features
            table[:,features.shape[1]:] *= 0.1
    return model


def train_masked_bytes(out, epochs=8, lr=4e-3, bs=128):
    "Hides a byte in seven, anew in each batch; the text is cut into windows at two places"
    train,valid,_ = shakespeare()
    def again(b): return tuple(map(TensorBytes, hide_bytes(b[0].as_subclass(Tensor))))
    cuts = torch.cat([windows(train[i:]) for i in (0, M//2)])
    dls = array_dls((cuts,), hidden(valid), bs=bs, tfm=again, types=(TensorBytes,TensorBytes))
    set_seed(0, reproducible=True)
    dls.train.rng = random.Random(0)
    learn = perceiver_learner(dls, bytes_model(), metrics=hidden_accuracy)
    fit(learn, epochs, lr, out, dict(data='tinyshakespeare', kind='texts', recipe=dict(epochs=epochs, lr=lr, bs=bs)))


# What all have in common

def fit(learn, epochs, lr, out, settings):
    "Trains, says a line an epoch, and writes the checkpoint and what was measured"
    start = time.time()
    with learn.no_bar(): learn.fit_one_cycle(epochs, lr, pct_start=.15)
    loss,accuracy = learn.recorder.values[-1][1:3]
    more = dict(minutes=round((time.time()-start)/60, 1), validation_accuracy=float(accuracy), validation_loss=float(loss),
                parameters=learn.model.num_params(), test='left out')
    if settings['kind']=='sounds': save_run(learn, out, {**settings, **more})
    else:
        save_checkpoint(plain_model(learn.model), out)
        write_settings(out, dict(task='masked', preparation={}, vocab=None, seed=0, device=str(learn.dls.device), threads=torch.get_num_threads(),
                                 versions=dict(perceivers=perceivers.__version__, torch=torch.__version__, python=platform.python_version()),
                                 status='finished', **settings, **more))
    print(f"validation accuracy {float(accuracy):.4f}, {more['minutes']} minutes, {more['parameters']:,} parameters", flush=True)


trainings = {'spoken-digits':train_spoken_digits, 'masked-bytes':train_masked_bytes}

def train(name, out):
    "Trains unless the run is there"
    if (out/'run.json').is_file(): return
    if name in trainings: return trainings[name](out)
    options = shlex.split(commands[name])[1:]
    if subprocess.run([sys.executable, '-m', 'perceivers', 'train', *options, '--no-test', '--out', str(out)]).returncode:
        sys.exit(f'{name}: the training failed')


def batches(name, settings):
    "Functions that give the batches of the validation set, and of the test set"
    if name=='masked-bytes':
        _,valid,test = shakespeare()
        return [lambda ids=ids: zip(*(o.split(256) for o in hidden(ids))) for ids in (valid,test)]
    if name=='spoken-digits':
        files = recordings()
        dls = sounds_dls(files, bs=64)
        learn = perceiver_learner(dls, scale='tiny', n_samples=8000) # gives batches their masks
        def masked(dl):
            for b in dl: yield *with_mask(b[0], element_patches(learn.model.input)[0]),b[-1]
        return [lambda: masked(dls.valid), lambda: masked(dls.test_dl(files['test'], with_labels=True))]
    dls = load_data(settings['data'], **{k:v for k,v in settings['recipe'].items() if k in ('patch','bs')})[2]
    return [lambda: dls.valid, lambda: dls.test]


@torch.no_grad()
def logits(model, batches):
    "Logits and targets of all batches; of texts, of what was hidden alone"
    found = []
    for *xb,y in batches:
        x,*mask = (o.as_subclass(Tensor) for o in xb)
        pred,y = model(x, *mask),y.as_subclass(Tensor)
        if pred.ndim==3: pred,y = pred[:,:y.shape[1]][y!=-100],y[y!=-100]
        found.append((pred,y))
    return [torch.cat(o) for o in zip(*found)]


def figures(pred, y):
    "Accuracy and, in bits, the mean cross-entropy"
    return dict(accuracy=(pred.argmax(1)==y).float().mean().item(), bits=F.cross_entropy(pred, y).item()/math.log(2), n=len(y))


kept = ('data','kind','columns','source','names','recipe','seed','device','threads','precision','compile','preparation','vocab','task',
        'minutes','parameters','versions','status','validation_loss')

def store(name, run, dest):
    "Writes the folder of weights in half precision, after reading the validation set twice and the test set once"
    settings,model = read_settings(run),load_checkpoint(run)
    valid,test = batches(name, settings)
    full,y = logits(model, valid())
    dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=dest.parent, prefix='.writing') as d:
        new = Path(d)/name
        save_checkpoint(model.half(), new)
        back = load_checkpoint(new).float()
        half,_ = logits(back, valid())
        v32,v16,t = figures(full, y),figures(half, y),figures(*logits(back, test()))
        said = dict(float32=v32, half=v16, test=t, changed=int((full.argmax(1)!=half.argmax(1)).sum()), off=(full-half).abs().max().item(),
                    megabytes=(new/'model.safetensors').stat().st_size/1e6)
        more = dict(half_precision=True, validation_accuracy=v16['accuracy'], test_accuracy=t['accuracy'], test='read')
        if name=='masked-bytes': more |= dict(validation_bits=v16['bits'], test_bits=t['bits'])
        write_settings(new, {**{k:v for k,v in settings.items() if k in kept}, **more})
        (new/'card.md').write_text(card(name, {**settings, **more}, said), encoding='utf-8')
        shutil.rmtree(dest, ignore_errors=True)
        os.replace(new, dest)
    print(json.dumps(said))


# Cards

facts = {
    'mnist': dict(
        title='MNIST: a handwritten digit from 784 single pixels', sets='55,000 images to train, 5,000 to check, 10,000 to test',
        data='MNIST (LeCun, Cortes and Burges), the original files', licence='CC BY-SA 3.0',
        use="""    $ perceivers-predict mnist digit.png

    create_model('mnist', pretrained=True)       # logits of ten digits, of (B, 1, 28, 28), normalised as run.json says
    load_run('mnist').predict('digit.png')       # prepares the file, too""",
        limits=['One digit in a picture, with clear ink on plain paper. Ink is cut out and centred before the model sees it, so a shadow, a frame or '
                'a second digit misleads it.', 'A picture without a digit gets one of the ten classes all the same.',
                'MNIST was written by people in the United States: a 1 with a long upstroke or a 7 with a bar is rare in it.']),
    'cifar10': dict(
        title='CIFAR-10: a small photograph as one of ten things', sets='45,000 images to train, 5,000 to check, 10,000 to test',
        data='CIFAR-10 (Krizhevsky, 2009), in JPEG copies, whose pixels differ a little from the original ones',
        licence='none is stated by its author; the weights are under the licence of this package',
        use="""    $ perceivers-predict cifar10 photo.jpg

    create_model('cifar10', pretrained=True)     # logits of ten classes, of (B, 3, 32, 32), normalised as run.json says
    load_run('cifar10').predict('photo.jpg')     # crops the middle and scales it to 32×32""",
        limits=['Airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck, and nothing else: a picture of anything else gets one of them.',
                'It sees 32×32 pixels of the middle of a picture. More than one in three pictures of the test set is wrong. It is a start for a training '
                'of your own and a model to look into, and no product.']),
    'spoken-digits': dict(
        title='Spoken digits: English zero to nine from raw samples', sets='2,400 recordings to train, 300 to check, 300 to test',
        data='the Free Spoken Digit Dataset (Jackson and others): 3,000 recordings of six speakers', licence='CC BY-SA 4.0',
        use="""    $ perceivers-predict spoken-digits seven.wav

    create_model('spoken-digits', pretrained=True)   # logits of ten digits, of (B, 1, samples) at 8,000 samples a second
    load_run('spoken-digits').predict('seven.wav')   # another rate is converted""",
        limits=['The same six speakers are in all three sets. How well it does on other voices was not measured; expect much less.',
                'One word in a recording, of about half a second. Noise and music were not in the data.']),
    'masked-bytes': dict(
        title="Masked bytes: the gaps of an English text, byte by byte", sets='892,316 bytes to train, 111,539 to check, 111,539 to test',
        data="a million bytes of Shakespeare's plays, known as tinyshakespeare; the last tenth is the test set, the tenth before it the validation set",
        licence='in the public domain',
        use="""    model = create_model('masked-bytes', pretrained=True)   # logits (B, 32, 262) of ids (B, M), M at most 32

No command completes a text: the page *Trained weights* has ten lines of Python that do.""",
        limits=['It read plays of 400 years ago: it completes English of that time, names in capitals and short lines.',
                'It sees 32 bytes and fills each gap by itself, so several gaps in one word need not fit each other.'])}

def percent(n): return f'{100*n:.2f} %'

def card(name, run, said):
    "What a reader has to know, as text"
    o,r = facts[name],run['recipe']
    command = commands.get(name, f'python tools/weights.py {name}')
    bits = {k:f", {said[k]['bits']:.2f} bits a byte" if name=='masked-bytes' else '' for k in ('float32','half','test')}
    what = 'hidden bytes' if name=='masked-bytes' else 'samples'
    lines = '\n'.join(f'- {k}' for k in o['limits'])
    return f"""# {o['title']}

{o['use']}

| | |
|---|---|
| Data | {o['data']}; {o['sets']} |
| Licence of the data | {o['licence']} |
| Model | `create_model({name!r})`: {run['parameters']:,} parameters, {said['megabytes']:.2f} MB in half precision |
| Training | `{command}` |
| Settings | {', '.join(f'{k} {v}' for k,v in r.items() if v not in (None, False, 0))}; seed {run['seed']} |
| Time | {run['minutes']} minutes on {run['threads']} thread of a CPU that did other work as well |
| Validation accuracy | {percent(said['float32']['accuracy'])} of {said['float32']['n']:,} {what}{bits['float32']} |
| In half precision | {percent(said['half']['accuracy'])}{bits['half']}; {said['changed']} predictions differ, a logit by {said['off']:.4f} at most |
| Test accuracy | {percent(said['test']['accuracy'])} of {said['test']['n']:,} {what}{bits['test']}, read once |

## Limits

{lines}

Weights and card are under the licence of this package, Apache 2.0.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('name', choices=(*commands, *trainings))
    parser.add_argument('--run', type=Path, help='the folder of the run; runs/weights-NAME by default')
    parser.add_argument('--train', action='store_true', help='stop after the training')
    parser.add_argument('--to', type=Path, default=Path('perceivers/weights'), help='the folder of the folder of weights')
    args = parser.parse_args()
    out = args.run or Path('runs')/f'weights-{args.name}'
    train(args.name, out)
    if not args.train: store(args.name, out, args.to/args.name)


if __name__=='__main__': main()
