"""Calls the commands with random options, good and odd, and checks how they end

    python tools/random_commands.py --n 300 --seed 0

A call must end with code 0 and its usual last line, or with code 2 and one line of words; never with a traceback, nor
with an error that nobody foresaw. Most calls are made in one process; one in eight is a process of its own, some of
them with a limit on the size of files (a full disk), and all of them, on Linux, without the superuser's right to read
and write everything; a third of those meet folders and files that are locked. Prints what went wrong, and counts, which
`--save` writes to nbs/results/random_commands.json; ends with 1 if anything did.
"""
import argparse, contextlib, ctypes, io, json, os, random, resource, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np
import pandas as pd
from PIL import Image
from perceivers.commands import perceivers_command
from results import about, store

small = '--n-latents 4 --d-latent 8 --n-blocks 1 --n-layers 1 --n-bands 2 --bs 16 --epochs 1'.split()
odd = ['', '0', '-1', 'x', '99999999999999999999', '1e400', 'nan', '1.5', ' ', '../..', 'ünïcödé', '--', '\n', '0x10', 'None', '\U0001f600']
good = {'--epochs':['1','2'], '--n-latents':['1','4'], '--d-latent':['4','8','6'], '--n-blocks':['1','2'], '--n-layers':['1','2'],
    '--n-bands':['1','4'], '--patch':['1','2','3'], '--dropout':['0.1','0.99'], '--image-size':['8','9','16'], '--shift':['0','1','30'],
    '--lr':['1e-3','1e10','5'], '--bs':['1','7','5000'], '--seed':['0','5'], '--device':['cpu','cuda','mps','cpu:0','cpu:7','meta'],
    '--precision':['auto','float32','bf16','fp16','int8'], '--workers':['0','1'], '--log':['csv','xml'], '--save-every':['1','5'],
    '--recipe':['standard','long'], '--classes':['json','nomodule','os.path'], '--from':['run','folder','nowhere/x','language'],
    '--out':['run','new a','file.txt','file.txt/x','locked/x','ünï'], '--resume':['run','half','nowhere','file.txt'],
    '--target':['kind','value','nothing','tags','u,v','labels','y','kind,value'], '--input':['a','photo','text','x','a,b','nothing','f'],
    '--task':['category','regression','multi','segmentation','x'], '--bad':['raise','skip','ignore'], '--epoch':['3']}
switches = ['--flip','--no-flip','--class-weights','--overwrite','--anyway','--no-test','--compile-not','--version']
data = ['digits','images','images with spaces ünï','tiny','one class','empty','locked','file.txt','nowhere','texts','sounds','table.csv','both.csv','labels.npz',
        'empty.csv','broken','mixed','.','/','','auto-not','photos.csv','words.csv','arrays.npz','series.npz','bad.npz','seg','seg bad','points']
needed = {'table.csv':['--target','kind'], 'both.csv':['--target','kind'], 'photos.csv':['--input','photo','--target','tags'], 'words.csv':['--target','kind']} # mostly given
locked = [['train','--data','locked'], ['train','--data','locked file'], ['train','--data','images','--out','locked/x'], ['train','--data','locked.csv','--target','kind'],
    ['train','--data','images','--out','closed/x'], ['train','--resume','locked'], ['predict','locked','images'], ['predict','run','locked'], ['predict','run','locked.png'],
    ['predict','run','images','--csv','closed/x.csv'], ['export','run','--out','closed/x.onnx'], ['train','--from','locked','--data','images']]

def prepare(d):
    "Files of every kind, good and bad, in a folder"
    rng = np.random.default_rng(0)
    def picture(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (12,10,3), dtype=np.uint8)).save(path)
    for name,n in (('images',12), ('images with spaces ünï',8), ('tiny',1), ('mixed',4), ('broken',6), ('locked',3)):
        for k in ('a','b c'):
            for i in range(n): picture(d/name/k/f'{i} x.png')
    for i in range(4): picture(d/'one class'/'a'/f'{i}.png')
    (d/'broken'/'a'/'bad.png').write_bytes(b'no image')
    (d/'mixed'/'top.png').write_bytes((d/'mixed'/'a'/'0 x.png').read_bytes())
    (d/'empty').mkdir()
    (d/'file.txt').write_text('text')
    (d/'empty.csv').write_text('')
    for k,words in (('en','the and of it'), ('de','der und das es')):
        for i in range(12):
            (d/'texts'/k).mkdir(parents=True, exist_ok=True)
            (d/'texts'/k/f'{i}.txt').write_text(' '.join(rng.choice(words.split(), 20)))
    from scipy.io import wavfile
    for k,hz in (('low',200), ('high',900)):
        for i in range(10):
            (d/'sounds'/k).mkdir(parents=True, exist_ok=True)
            wavfile.write(d/'sounds'/k/f'{i}.wav', 4000, (np.sin(np.arange(800+i)*hz/4000*6.28)*9000).astype(np.int16))
        for k,scale in (('flat',.1), ('full',1)):
            (d/'points'/k).mkdir(parents=True, exist_ok=True)
            np.save(d/'points'/k/f'{i}.npy', rng.normal(size=(9+i,3))*[1,1,scale])
    t = pd.DataFrame({'a':rng.normal(size=60), 'b':rng.choice(['u','v'], 60), 'kind':rng.choice(['x','y'], 60), 'value':rng.normal(size=60)})
    t.to_csv(d/'table.csv', index=False)
    names = [f'images/{k}/{i} x.png' for k in ('a','b c') for i in range(12)]
    pd.DataFrame({'photo':names, 'tags':['u;v','u','v','']*6, 'u':[1,1,0,0]*6, 'v':[1,0,1,0]*6}).to_csv(d/'photos.csv', index=False)
    pd.DataFrame({'text':[' '.join(rng.choice('the and of it der und das es'.split(), 9)) for _ in range(40)], 'kind':['x','y']*20}).to_csv(d/'words.csv', index=False)
    pd.DataFrame({'photo':names, 'size':rng.normal(size=24), 'kind':['x','y']*12}).to_csv(d/'both.csv', index=False)
    x,y = rng.integers(0, 255, (30,8,8), dtype=np.uint8),np.arange(30)%3
    np.savez(d/'arrays.npz', x=x, y=y, text=np.array(['t']*30))
    np.savez_compressed(d/'series.npz', x=rng.normal(size=(30,2,12)), y=rng.normal(size=(30,2)), labels=rng.integers(0, 2, (30,3)))
    np.savez(d/'labels.npz', x=x, y=np.array(['even','odd'])[y%2], objects=np.array([{}]*30))
    (d/'bad.npz').write_bytes((d/'arrays.npz').read_bytes()[:1000])
    for name in ('seg','seg bad'):
        for i in range(12):
            picture(d/name/'images'/f'{i}.png')
            (d/name/'masks').mkdir(exist_ok=True)
            Image.fromarray((rng.random((12,10)) > .5).astype(np.uint8)*255).save(d/name/'masks'/f'{i}.png')
    (d/'seg bad'/'masks'/'3.png').write_bytes(b'no mask')
    for i in range(12): picture(d/'locked file'/'ab'[i%2]/f'{i}.png')
    t.to_csv(d/'locked.csv', index=False)
    picture(d/'locked.png')
    (d/'closed').mkdir()
    with quiet()[0]: perceivers_command(['train','--data','images','--out','run','--image-size','8','--no-test',*small])
    (d/'half').mkdir()
    for o in ('run.json','metrics.csv'): (d/'half'/o).write_bytes((d/'run'/o).read_bytes())
    with quiet()[0]: perceivers_command(['train','--data','seg','--out','seg run','--image-size','8','--no-test',*small])
    with quiet()[0]: perceivers_command(['train','--data','series.npz','--out','series run','--no-test',*[o for o in small if o not in ('--n-bands','2')]])
    for o in ('locked','locked.csv','locked.png','locked file/a/0.png'): os.chmod(d/o, 0)
    os.chmod(d/'closed', 0o555)

def quiet():
    out = io.StringIO()
    return contextlib.redirect_stdout(out),out

def arguments(rng):
    "A random command line"
    command = rng.choice(['train']*6+['predict']*3+['export','fly'])
    if command=='predict':
        files = rng.choices(['images/a/0 x.png','images','broken/a/bad.png','nothing.png','empty','table.csv','file.txt','run','locked','texts','photos.csv','both.csv','arrays.npz','series.npz','bad.npz','seg/images'], k=rng.randint(0, 3))
        more = rng.choice([[], ['--top','2'], ['--top',rng.choice(odd)], ['--csv','said.csv'], ['--csv','said.csv','--overwrite'], ['--csv','table.csv'], ['--out','masks'], ['--out','masks','--overwrite'],
            ['--out','file.txt'], ['--csv','no/where.csv'], ['--input','a'], ['--input','x'], ['--classes','json'], ['--csv']])
        return [command, *([rng.choice(['run','run','seg run','series run','half','nowhere','file.txt','locked'])] if rng.random() < .95 else []), *files, *more]
    if command=='export': return [command, rng.choice(['run','series run','half','nowhere']), *rng.choice([[], ['--overwrite'], ['--out','no/where.onnx'], ['--out','x.onnx'], ['--out','x.txt'], ['--out','images']])]
    if command=='fly': return rng.choice([['fly'], [], ['--version'], ['train','--help'], ['--help'], ['train','--fly'], ['predict']])
    what = rng.choice(data[:2]*3+data)
    has_bands = what in ('digits','photos.csv','both.csv','arrays.npz','labels.npz') or 'images' in what or what.startswith('seg') or rng.random() < .2
    res = [command, '--data', what, *(small if has_bands else [o for o in small if o not in ('--n-bands','2')])]
    if rng.random() < .8: res += needed.get(what, [])
    if rng.random() < .5 and has_bands: res += ['--image-size', '8', '--patch', '1']
    for _ in range(rng.choice((0,0,1,1,2,3))):
        k = rng.choice([*good, *switches])
        res += [k] if k in switches else [k, rng.choice(good[k] if rng.random() < .7 else odd)]
    return res

def complaint(argv, code, out, err):
    "What is wrong with the end of a call, or None"
    lines = [o for o in err.splitlines() if ': note: ' not in o]
    if 'Traceback' in out+err: return 'a traceback'
    if 'a fault of perceivers' in err: return 'an error that nobody foresaw'
    if code==0 and not lines: return None if out.strip() else 'nothing said'
    if code==0: return 'words on stderr, and code 0'
    if code==2 and argv[:1]==['predict'] and lines and all(': error: ' in o for o in lines): return None
    if code==2 and len(lines)==1 and ': error: ' in lines[0] and len(lines[0]) > 30: return None
    return f'code {code} and {len(lines)} lines'

def call(argv):
    "Code, stdout and stderr of a call in this process"
    out,err,code = io.StringIO(),io.StringIO(),0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try: perceivers_command(argv)
        except SystemExit as e: code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    return code,out.getvalue(),err.getvalue()

def drop_rights():
    "Gives up the superuser's right to read and write everything, from the next program on; True if that worked"
    try: drop = ctypes.CDLL(None).prctl
    except (OSError, AttributeError): return not os.getuid()==0
    return os.getuid()!=0 or not any(drop(24, o, 0, 0, 0) for o in (1,2)) # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE and …READ_SEARCH

def rights_can_be_dropped():
    "Whether a process of ours may be kept out of a locked folder"
    r = subprocess.run([sys.executable, '-c', 'import os; os.listdir("locked")'], preexec_fn=drop_rights, capture_output=True, text=True)
    return 'PermissionError' in r.stderr

def process(argv, rng):
    "The same in a process of its own, perhaps with a limit on the size of files, without the superuser's rights"
    limit = rng.choice([None,None,4096,200_000])
    def preexec():
        if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit,limit))
        drop_rights()
    env = {**os.environ, 'PYTHONDONTWRITEBYTECODE':'1', 'MPLCONFIGDIR':os.getcwd()}
    r = subprocess.run([sys.executable, '-m', 'perceivers', *argv], capture_output=True, text=True, preexec_fn=preexec, env=env, timeout=300)
    return r.returncode,r.stdout,r.stderr

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=40, help='calls')
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--save', action='store_true', help='keep the counts in nbs/results/random_commands.json')
    args = p.parse_args()
    rng,ends,bad,start = random.Random(args.seed),Counter(),[],time.time()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as d:
        os.chmod(d, 0o777)
        with contextlib.chdir(d):
            prepare(Path(d))
            ordinary = rights_can_be_dropped()
            for i in range(args.n):
                argv,own = arguments(rng),i%8==7
                if own and rng.random() < 1/3: argv = rng.choice(locked)
                if any('\0' in o for o in argv): continue
                try: code,out,err = process(argv, rng) if own else call(argv)
                except Exception as e: code,out,err = 1,'',f'Traceback: {type(e).__name__}: {e}'
                why = complaint(argv, code, out, err)
                ends['a process' if own else 'in this process'] += 1
                if argv in locked: ends['something locked'] += 1
                ends['finished' if code==0 else 'refused' if why is None else 'wrong'] += 1
                if why:
                    bad.append(argv)
                    print(f"{i} {'process ' if own else ''}{argv}\n   {why}: {(err or out)[-600:]}", flush=True)
            for o in ('locked','closed'): os.chmod(f'{d}/{o}', 0o755)
    found = dict(calls=args.n, seed=args.seed, ends=dict(ends), ordinary_rights=ordinary, seconds=round(time.time()-start))
    print(json.dumps(found))
    if args.save: store('random_commands', {f'seed {args.seed}':{**found, **about('fastai')}})
    sys.exit(bool(bad))

if __name__=='__main__': main()
