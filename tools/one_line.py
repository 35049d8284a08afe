"""One line for each kind of data: `perceiver_learner(dls)` on real data, beside a simple baseline on the same samples

    python tools/one_line.py                       # every task that has its data, validation figures only
    python tools/one_line.py digits wine --test    # these two, and the test set, which is read once, at the end
    python tools/one_line.py --small               # a few batches of each: does every task still start?

Settings and epochs were chosen on validation sets. Figures are written to nbs/results/one_line.json, a line for each task."""
import argparse, json, sys, time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from fastai.tabular.all import IndexSplitter
from sklearn import datasets
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from perceivers.all import *
from results import about, store

logistic = partial(make_pipeline, StandardScaler())


def linear(max_iter=300, C=1.): return logistic(LogisticRegression(max_iter=max_iter, C=C))


def three(n, seed=0):
    "Indices of training, validation and test set: 60, 20 and 20 %"
    order = np.random.default_rng(seed).permutation(n)
    return np.split(order, [int(.6*n), int(.8*n)])


def baseline(models, train, *others):
    "The score of each model on the other sets, fitted on the training set"
    return {k: [m.fit(*train).score(*o) for o in others] for k,m in models.items()}


class Task:
    "Loaders, a test loader, the score of predictions, baselines' scores (validation, test), and the settings"
    def __init__(self, line, dls, test, baselines, epochs, lr=4e-3, score='accuracy', **settings):
        self.line,self.dls,self.test,self.baselines = line,dls,test,baselines
        self.epochs,self.lr,self.score,self.settings = epochs,lr,score,settings


def images(make, epochs, loaders={}, **settings):
    dls = make(**loaders)
    def flat(ds): return np.asarray(ds.arrays[0]).reshape(len(ds), -1)/255, np.asarray(ds.arrays[1])
    def base(test): return baseline({'logistic regression': linear(100, .01 if len(dls.train_ds) > 5000 else 1.)},
                                    *map(flat, (dls.train_ds, dls.valid_ds, *([dls.test.dataset] if test else []))))
    args = ', '.join(f'{k}={v}' for k,v in loaders.items())
    return Task(f'dls = {make.__name__}({args})', dls, lambda: dls.test, base, epochs, **settings)


def digits(): return images(digits_dls, 60, dict(bs=32, affine=.15), scale='tiny', patch=2, n_bands=4, loss_func=LabelSmoothingCrossEntropyFlat())
def mnist(): return images(mnist_dls, 3, scale='tiny', patch=1, n_bands=8)
def cifar10(): return images(cifar10_dls, 5, scale='small', patch=2)


def recordings():
    "Files of the free spoken digits, and for each: digit, speaker, and the set it belongs to (0 training, 1 validation, 2 test)"
    def no_download(): raise OSError("nothing is downloaded here")
    folder = find_data({'free-spoken-digit-dataset':'free-spoken-digit-dataset.tgz'}, no_download)/'recordings'
    files = get_audio_files(folder)
    digit,speaker,k = zip(*(f.stem.split('_') for f in files))
    part = [2 if int(o) < 5 else 1 if int(o) < 10 else 0 for o in k]
    return files,list(digit),list(speaker),np.array(part)


def bands(f, n=20):
    "Loudness of n bands of frequencies over time, as logarithms: (n, steps)"
    x = np.asarray(read_audio(f, 8000))[0]
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, (0,max(0, 256-len(x)))), 256)[::128]
    power = np.abs(np.fft.rfft(frames*np.hanning(256)))**2
    edges = np.unique(np.geomspace(2, 129, n+1).astype(int))
    return np.log(np.stack([power[:,a:b].sum(1) for a,b in zip(edges, edges[1:])]) + 1e-4).astype(np.float32)


def sums(series): return np.stack([np.concatenate([o.mean(1), o.std(1)]) for o in series])


def sounds():
    files,y,_,part = recordings()
    labels = dict(zip(files, y))
    block = DataBlock((AudioBlock(rate=8000, seconds=1), CategoryBlock), get_y=labels.get,
                      splitter=IndexSplitter(np.where(part[part<2]==1)[0]))
    dls = block.dataloaders([f for f,p in zip(files, part) if p < 2], bs=64)
    def test(): return dls.test_dl([f for f,p in zip(files, part) if p==2], with_labels=True)
    def base(test):
        x,t = sums([bands(f) for f in files]),np.array(y)
        return baseline({"logistic regression on bands' mean and spread": linear()}, *((x[part==p], t[part==p]) for p in range(2+test)))
    return Task("DataBlock((AudioBlock(rate=8000), CategoryBlock), …)", dls, test, base, 20)


def series():
    files,_,who,part = recordings()
    x,y = [bands(f) for f in files],np.array(who)
    names = sorted(set(who))
    data = [([TensorSeries(torch.tensor((x[i]+4)/3)) for i in np.where(part==p)[0]],
             torch.tensor([names.index(y[i]) for i in np.where(part==p)[0]])) for p in range(3)]
    dls = array_dls(data[0], data[1], lambda: data[2], vocab=names, bs=64)
    def base(test):
        s = sums(x)
        return baseline({"logistic regression on bands' mean and spread": linear()}, *((s[part==p], y[part==p]) for p in range(2+test)))
    return Task("array_dls((series, speakers), …)", dls, lambda: dls.test, base, 10)


def kinds_of_files(n=400, length=256):
    "Pieces of text files of the Python environment, and the kind of each: a piece a file"
    root,rng = Path(torch.__file__).parents[1],np.random.default_rng(0)
    texts,kinds = [],[]
    for kind in ('py','pyi','h','js','css','json','md'):
        files = [f for f in sorted(root.rglob(f'*.{kind}')) if 4*length < f.stat().st_size < 10**6][:20*n]
        for i in rng.permutation(len(files))[:n]:
            raw = files[i].read_bytes()
            at = rng.integers(0, len(raw)-length)
            texts.append(raw[at:at+length].decode('utf-8', 'replace'))
            kinds.append(kind)
    return np.array(texts),np.array(kinds)


def text():
    x,y = kinds_of_files()
    parts = three(len(x))
    frame = pd.DataFrame({'text': x, 'kind': y})
    rows = frame.iloc[np.concatenate(parts[:2])].reset_index(drop=True)
    block = DataBlock((BytesBlock(max_len=256), CategoryBlock), get_x=ColReader('text'), get_y=ColReader('kind'),
                      splitter=IndexSplitter(range(len(parts[0]), len(rows))))
    dls = block.dataloaders(rows, bs=64)
    def base(test):
        grams = make_pipeline(HashingVectorizer(analyzer='char', ngram_range=(1,3), n_features=2**16), LogisticRegression(max_iter=300, C=30))
        return baseline({'logistic regression on 1 to 3 characters': grams}, *((x[p], y[p]) for p in parts[:2+test]))
    return Task("DataBlock((BytesBlock(), CategoryBlock), …)", dls, lambda: dls.test_dl(frame.iloc[parts[2]], with_labels=True), base, 20)


def ink(ds, n, seed, points=96):
    "Points of the ink of n images: positions from -1 to 1"
    x,y = ds.arrays[0][:n],ds.arrays[1][:n]
    g = torch.Generator().manual_seed(seed)
    at = torch.multinomial(x.flatten(1).float()+1e-6, points, replacement=True, generator=g)
    p = torch.stack([at//28, at%28], -1) + torch.rand(*at.shape, 2, generator=g)
    return TensorPointCloud(p/14-1),y


def points():
    m = mnist_dls()
    train,valid = ink(m.train_ds, 20_000, 0),ink(m.valid_ds, 5000, 1)
    def test(): return ink(m.test.dataset, 10_000, 2)
    dls = array_dls(train, valid, test, vocab=list('0123456789'), bs=64)
    def counts(xy):
        at = ((np.asarray(xy[0])+1)*7).astype(int).clip(0, 13)
        return np.stack([np.bincount(o[:,0]*14+o[:,1], minlength=196) for o in at]),np.asarray(xy[1])
    def base(t): return baseline({'logistic regression on counts in 14×14 cells': linear(100, .01)}, *map(counts, (train, valid, *([test()] if t else []))))
    return Task("array_dls((points, digits), …)", dls, lambda: dls.test, base, 6)


def table(load, regression=False):
    d = load(as_frame=True)
    parts,names = three(len(d.data)),list(d.data.columns)
    frame = d.data.assign(y=d.target.astype(float) if regression else np.array(d.target_names)[d.target])
    rows = frame.iloc[np.concatenate(parts[:2])].reset_index(drop=True)
    mean,std = (rows.y[:len(parts[0])].mean(),rows.y[:len(parts[0])].std()) if regression else (0,1)
    target = RegressionBlock() if regression else CategoryBlock()
    def get_y(r): return (r['y']-mean)/std if regression else r['y']
    block = DataBlock((TableBlock(numbers=names), target), get_y=get_y, splitter=IndexSplitter(range(len(parts[0]), len(rows))))
    dls = block.dataloaders(rows, bs=32)
    def base(test):
        models = {'ridge regression': make_pipeline(StandardScaler(), RidgeCV(np.geomspace(.1, 1000, 13))),
                  'gradient boosting': GradientBoostingRegressor(random_state=0)} if regression else {
                  'logistic regression': linear(), 'gradient boosting': GradientBoostingClassifier(random_state=0)}
        return baseline(models, *((frame[names].values[p], frame.y.values[p]) for p in parts[:2+test]))
    return Task("DataBlock((TableBlock(numbers=…), …), …)", dls, lambda: dls.test_dl(frame.iloc[parts[2]], with_labels=True), base, 40,
                score='R²' if regression else 'accuracy', lr=2e-3, scale='tiny', dropout=.1)


def breast_cancer(): return table(datasets.load_breast_cancer)
def wine(): return table(datasets.load_wine)
def diabetes(): return table(datasets.load_diabetes, True)


def on_clutter(ds, n, seed):
    "Digits on a ground of pieces of other digits; the mask says where the digit's own ink is"
    x,g = ds.arrays[0][:n],torch.Generator().manual_seed(seed)
    pieces = torch.zeros_like(x)
    for _ in range(3):
        other = ds.arrays[0][torch.randint(len(ds), (n,), generator=g)]
        r,c = torch.randint(0, 22, (2,n), generator=g)
        rows = torch.arange(28)
        inside = ((rows>=r[:,None])&(rows<r[:,None]+7))[:,None,:,None] & ((rows>=c[:,None])&(rows<c[:,None]+7))[:,None,None]
        pieces = torch.maximum(pieces, other.masked_fill(~inside, 0))
    return torch.maximum(x, pieces), TensorMask((x[:,0] > 127).long())


def segmentation():
    m = mnist_dls()
    train,valid = on_clutter(m.train_ds, 10_000, 0),on_clutter(m.valid_ds, 2000, 1)
    def test(): return on_clutter(m.test.dataset, 5000, 2)
    dls = array_dls(train, valid, test, vocab=['ground','digit'], bs=32)
    def near(xy, n=600):
        x = torch.nn.functional.unfold(torch.as_tensor(xy[0][:n]).as_subclass(torch.Tensor).float()/255, 5, padding=2)
        return x.transpose(1, 2).flatten(0, 1).numpy(),np.asarray(xy[1][:n]).reshape(-1)
    def base(t): return baseline({'logistic regression on 5×5 pixels': linear(100)}, *map(near, (train, valid, *([test()] if t else []))))
    return Task("array_dls((images, masks), …)", dls, lambda: dls.test, base, 6, score='accuracy of pixels')


def both():
    "A spoken and a written digit of the same value, both under noise"
    files,y,_,part = recordings()
    m,g = mnist_dls(),torch.Generator().manual_seed(0)
    sets = []
    for p,ds in enumerate((m.train_ds, m.valid_ds, m.test)):
        rows = np.repeat(np.where(part==p)[0], 4 if p==0 else 1)
        ds = ds.dataset if p==2 else ds
        pick = [np.where(np.asarray(ds.arrays[1])==c)[0] for c in range(10)]
        label = torch.tensor([int(y[i]) for i in rows])
        image = torch.stack([ds.arrays[0][pick[c][int(torch.randint(len(pick[c]), (1,), generator=g))]] for c in label.tolist()])
        noise = torch.randint(0, 256, image.shape, generator=g)
        seen = torch.where(torch.rand(image.shape, generator=g) < .5, noise, image.long()).byte()
        sound = [read_audio(files[i], 8000) for i in rows]
        sets.append((sound, seen, label))
    dls = array_dls(*sets[:2], lambda: sets[2], n_inp=2, vocab=list('0123456789'), bs=64)
    def flat(o): return np.asarray(o[1]).reshape(len(o[1]), -1)/255,np.asarray(o[2])
    def base(t): return baseline({'logistic regression on the picture': linear(100, .01)}, *map(flat, sets[:2+t]))
    return Task("array_dls((sounds, images, digits), …, n_inp=2)", dls, lambda: dls.test, base, 6)


tasks = {f.__name__: f for f in (digits, mnist, cifar10, sounds, series, text, points, breast_cancer, wine, diabetes, segmentation, both)}


def run(name, test, seed, small):
    "A task's line for the table"
    task = tasks[name]()
    start = time.time()
    learn = perceiver_learner(task.dls, seed=seed, **task.settings)
    short = [ShortEpochCallback(pct=min(1., 3/len(task.dls.train)))] if small else []
    with learn.no_bar(): learn.fit_one_cycle(1 if small else task.epochs, task.lr, pct_start=.15, cbs=short)
    seconds = time.time()-start

    def score(dl):
        pred,y = learn.get_preds(dl=dl)
        if task.score=='R²': return float(r2_score(y.flatten(), pred.flatten()))
        return float((pred.argmax(1).as_subclass(torch.Tensor)==y.as_subclass(torch.Tensor)).float().mean())
    with learn.no_bar(): ours = [score(task.dls.valid), *([score(task.test())] if test else [])]
    def named(o): return dict(zip(('validation','test'), (round(float(v), 4) for v in o)))
    res = dict(task=name, line=task.line, score=task.score, settings={k:v if isinstance(v, (int,float,str)) else type(v).__name__ for k,v in task.settings.items()}, epochs=task.epochs, lr=task.lr, seed=seed, n_train=len(task.dls.train_ds),
               parameters=learn.model.num_params(), seconds=round(seconds), perceiver=named(ours))
    if not small: res['baselines'] = {k:named(v) for k,v in task.baselines(test).items()}
    print(json.dumps(res, ensure_ascii=False), flush=True)
    return res


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('task', nargs='*', choices=[*tasks, []], help='which; all by default')
    parser.add_argument('--test', action='store_true', help='read the test set, too')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--small', action='store_true', help='three batches of each task, and nothing is written')
    args = parser.parse_args()
    here = {**about('fastai'), 'threads':torch.get_num_threads()}
    failed = 0
    for name in args.task or tasks:
        try: res = run(name, args.test, args.seed, args.small)
        except FileNotFoundError as e:
            print(f'{name}: left out, {e}')
            continue
        except Exception as e:
            if not args.small: raise
            failed += 1
            print(f'{name}: FAILED, {type(e).__name__}: {e}')
            continue
        if args.small: continue
        store('one_line', {name:{**res, **here}})
    sys.exit(failed > 0)


if __name__=='__main__': main()
