"""One picture in every form that image files come in, and whether everybody reads the same from it.

    python tools/image_zoo.py            # the whole zoo
    python tools/image_zoo.py --every 7  # each seventh file, for a quick look
    python tools/image_zoo.py --command  # by the commands: train on a few, predict all

A grid of colours is drawn in three shapes and written in all modes, formats and EXIF orientations that apply. For each
file, the training loader (with and without worker processes), `test_dl` from paths and from bytes, and the preparation
made from its settings in JSON must give the same tensor, bit for bit; and it must be the picture that was drawn: to one
level of 255 for files without loss, on average to 8 for JPEG and WebP with loss. With `--command`, a run is trained on
each 20th file, and `perceivers-predict` goes over all of them and some that are damaged: each must be the tensor that
the training loader makes of it, and be predicted, or be named as one that cannot be read. Prints the counts, and the
files that are wrong; `--save` writes the counts to nbs/results/image_zoo.json. The exit status is 1 if any are wrong."""
import contextlib, csv, io, json, shutil, sys, tempfile, warnings
from collections import Counter
from pathlib import Path
import numpy as np, torch
from PIL import Image
from fastcore.script import call_parse
warnings.filterwarnings('ignore', '.*torch.jit.script')
from perceivers.images import folder_dls, from_settings, preparation_settings
from results import about, store

# What a camera does to the pixels that a note of 2 to 8 turns back (Pillow's names)
T = Image.Transpose
undo = {2:T.FLIP_LEFT_RIGHT, 3:T.ROTATE_180, 4:T.FLIP_TOP_BOTTOM, 5:T.TRANSPOSE, 6:T.ROTATE_90, 7:T.TRANSVERSE,
        8:T.ROTATE_270}
shapes = dict(square=(48,48), wide=(48,96), tall=(96,48)) # height and width
size = 48
plain,jpeg = {'png':{}, 'tif':{}},dict(quality=95, subsampling=0)
webp,whole = dict(quality=95),dict(lossless=True)
formats = { # by mode: file endings, and how they are written; with a quality they lose something
    'RGB': {**plain, 'jpg':jpeg, 'webp':webp, 'lossless.webp':whole, 'gif':{}},
    'L': {**plain, 'jpg':dict(quality=95), 'webp':webp, 'lossless.webp':whole, 'gif':{}},
    'LA': {**plain, 'lossless.webp':whole},
    'RGBA': {**plain, 'webp':webp, 'lossless.webp':whole},
    'P': {'png':{}, 'gif':{}},
    'CMYK': {'tif':{}, 'jpg':jpeg},
    '1': {**plain, 'gif':{}},
    '16 bits': plain,
    'float': {'tif':{}},
}

def drawn(h, w):
    "A grid of 4 by 4 colours (h,w,3), and its alpha (h,w): one row of cells is clear, one half clear"
    rng = np.random.default_rng(3)
    cells = rng.integers(0, 256, (4,4,3)).astype(np.uint8)
    alpha = np.full((4,4), 255, np.uint8)
    alpha[0],alpha[1] = 0,(255,128,255,128)
    big = np.ones((h//4,w//4), np.uint8)
    return np.kron(cells, big[...,None]),np.kron(alpha, big)

def in_mode(mode, rgb, alpha):
    "The picture to be written, and the colours (h,w,3) that must be read from it, as floats"
    im = Image.fromarray(rgb)
    grey = np.asarray(im.convert('L'))
    def on_white(colours, a): return colours*(a[...,None]/255) + 255*(1-a[...,None]/255)
    def coloured(g): return np.repeat(np.asarray(g, dtype=float)[...,None], 3, 2)
    if mode=='RGB': return im,rgb.astype(float)
    if mode=='CMYK': return im.convert('CMYK'),rgb.astype(float)
    if mode=='L': return Image.fromarray(grey),coloured(grey)
    if mode=='LA': return Image.merge('LA', [Image.fromarray(o) for o in (grey,alpha)]),on_white(coloured(grey), alpha)
    if mode=='RGBA': return Image.fromarray(np.dstack([rgb,alpha])),on_white(rgb.astype(float), alpha)
    if mode=='1': return Image.fromarray(grey > 127),coloured((grey > 127)*255)
    if mode=='16 bits': return Image.fromarray(grey.astype(np.uint16)*257),coloured(grey)
    if mode=='float': return Image.fromarray(grey.astype(np.float32)/255),coloured(grey)
    clear = np.where(alpha > 0, 255, 0).astype(np.uint8) # a palette has clear and opaque colours only
    colours,index = np.unique(np.where(clear[...,None]>0, rgb, 1).reshape(-1,3), axis=0, return_inverse=True)
    p = Image.fromarray(index.reshape(clear.shape).astype(np.uint8))
    p.putpalette(colours.astype(np.uint8).tobytes())
    p.info['transparency'] = int(index.reshape(clear.shape)[clear==0][0])
    return p,on_white(rgb.astype(float), clear)

def written(folder):
    "Writes the zoo; gives of each file what must come out, whether it loses something, and its kind"
    zoo = {}
    for mode,endings in formats.items():
        for ending,how in endings.items():
            for shape,(h,w) in shapes.items():
                im,right = in_mode(mode, *drawn(h, w))
                for n in range(1, 9):
                    if ending=='gif' and n>1: continue # GIF has no EXIF
                    f = folder/'ab'[len(zoo)%2]/f'{mode.replace(" ","")}_{shape}_{n}.{ending}'
                    f.parent.mkdir(exist_ok=True)
                    exif = Image.Exif(); exif[0x0112] = n
                    note = {} if ending=='gif' else dict(exif=exif)
                    keep = dict(transparency=im.info['transparency']) if mode=='P' else {}
                    turned = im if n==1 else im.transpose(undo[n])
                    turned.save(f, **how, **note, **keep)
                    y,x = (h-size)//2,(w-size)//2
                    zoo[f] = right[y:y+size,x:x+size],'quality' in how,(mode,ending)
    return zoo

def tensors(dl, files):
    "What a loader gives for each of its files, in order"
    return dict(zip(files, torch.cat([b[0].as_subclass(torch.Tensor) for b in dl])))

def damaged(folder, zoo):
    "Files of the zoo's formats that cannot be read"
    folder.mkdir()
    for ending in ('png','jpg','webp','tif','gif'):
        f = next(o for o in zoo if o.suffix=='.'+ending)
        raw = f.read_bytes()
        for name,data in (('cut', raw[:len(raw)//2]), ('empty', b''), ('text', b'no image'), ('script', b'%!PS\n'+raw)):
            (folder/f'{name}.{ending}').write_bytes(data)
    Image.fromarray(np.full((9,9), 70_000, np.int32)).save(folder/'32bit.tif')

def by_command(d):
    "Trains on each 20th file, predicts all: how many are wrong, and the counts"
    from perceivers.commands import perceivers_command
    from perceivers.runs import load_run
    def called(*args):
        out,err,code = io.StringIO(),io.StringIO(),0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try: perceivers_command(list(map(str, args)))
            except SystemExit as e: code = e.code
        return code,out.getvalue(),err.getvalue()
    (d/'all').mkdir()
    zoo = list(written(d/'all'))
    for f in zoo[::20]+zoo[1::20]:
        to = d/'few'/f.parent.name/f.name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(f, to)
    small = '--image-size 48 --patch 8 --n-latents 4 --d-latent 8 --epochs 1 --no-test'.split()
    code,_,err = called('train', '--data', d/'few', '--out', d/'run', *small)
    if code: raise SystemExit(f'training failed: {err}')
    damaged(d/'all'/'damaged', zoo)
    code,said,err = called('predict', d/'run', d/'all', '--csv', d/'all.csv')
    with open(d/'all.csv', newline='') as f: rows = {o['file']:o for o in csv.DictReader(f)}
    run,dls = load_run(d/'run'),folder_dls(d/'few', size=size, bs=64, device='cpu')
    dl = dls.train.new(shuffle=False, drop_last=False)
    trained = tensors(dls.test_dl(zoo), zoo) # by the training loader's own steps
    few = tensors(dl, dls.train.items)
    own = {o.name:x for o,x in few.items()}
    counts = Counter()
    for f in sorted((d/'all').rglob('*.*')):
        row,is_bad = rows.get(str(f)),f.parent.name=='damaged'
        if row is None: counts['WRONG, not in the table'] += 1
        elif row['error']: counts['named' if f.name in row['error'] and str(f) in err else 'WRONG, not named'] += 1
        elif is_bad: counts['damaged, and read'] += 1
        else:
            x = run.prepare(f)[0][0][0]
            same = torch.equal(x, trained[f]) and (f.name not in own or torch.equal(x, own[f.name]))
            counts['the same tensor' if same and row['prediction'] in 'ab' else 'WRONG, another tensor'] += 1
        if row and row['error'] and not is_bad: print('   cannot be read:', f.name, row['error'])
    print(f"trained on {len(few)+len(dls.valid.items)} files, predicted {len(rows)} with exit code {code}: {dict(counts)}")
    print(f"{len(few)} of them compared with the training loader's own batches")
    wrong = sum(n for k,n in counts.items() if k.startswith('WRONG')) + (code!=2)
    return wrong,dict(trained=len(few)+len(dls.valid.items), predicted=len(rows), exit_code=code, counts=dict(counts))

@call_parse
def main(
    every:int=1, # only each so-many-th file
    command:bool=False, # by the commands: train on a few, predict all
    resize:str='crop', # the rule by which pictures are brought to one size
    save:bool=False, # keep the counts in nbs/results/image_zoo.json
):
    "Reads one picture from every form of image file in every way, and compares"
    with tempfile.TemporaryDirectory() as d:
        if command:
            bad,found = by_command(Path(d))
            if save: store('image_zoo', {'command':{**found, **about('fastai','pillow')}})
            sys.exit(bad > 0)
        zoo = written(Path(d))
        for i,f in enumerate(list(zoo)):
            if i%every: f.unlink(); del zoo[f]
        wrong = Counter()
        for workers in (0, 2):
            dls = folder_dls(d, size=size, bs=64, resize=resize, num_workers=workers, device='cpu')
            read = from_settings(json.loads(json.dumps(preparation_settings(dls))))
            files = list(zoo)
            ways = {'training loader': tensors(dls.train.new(shuffle=False, drop_last=False), dls.train.items),
                    'validation loader': tensors(dls.valid, dls.valid.items),
                    'test loader': tensors(dls.test, dls.test.items),
                    'test_dl, paths': tensors(dls.test_dl(files), files),
                    'test_dl, bytes': tensors(dls.test_dl([f.read_bytes() for f in files]), files),
                    'test_dl, pictures': tensors(dls.test_dl([*map(Image.open, files)], num_workers=0), files)}
            alone = {f:read(f) for f in files}
            for way,got in ways.items():
                bad = [f for f,x in got.items() if not torch.equal(x, alone[f])]
                print(f'{workers} workers, {way}: {len(got)-len(bad)} of {len(got)} are what the settings give, bit for bit')
                for f in bad[:10]: print('   differs:', f.name)
                wrong['differ'] += len(bad)
        kinds = Counter(kind for _,_,kind in zoo.values())
        good = Counter()
        for f,(right,lossy,kind) in zoo.items() if resize=='crop' else ():
            off = np.abs(read.pixels(f).permute(1,2,0).numpy()-right)
            if off.mean() <= 8 if lossy else off.max() <= 1: good[kind] += 1
            else: print(f'   not the picture: {f.name}, off by {off.mean():.1f} on average, {off.max():.0f} at most')
        if resize=='crop':
            for (mode,ending),n in kinds.items(): print(f'{mode:8} {ending:14} {good[mode,ending]:4} of {n:4} are the picture')
            wrong['not the picture'] = len(zoo)-good.total()
        print(f"{len(zoo)} files: {wrong['differ']} differences, {wrong['not the picture']} not the picture")
        found = dict(files=len(zoo), resize=resize, differences=wrong['differ'], not_the_picture=wrong['not the picture'])
        if save: store('image_zoo', {f'loaders, {resize}':{**found, **about('fastai','pillow')}})
    sys.exit(wrong.total()>0)
