"""Calls the commands with random options, good and odd, and checks how they end

    python tools/random_commands.py --n 300 --seed 0

A call must end with code 0 and its usual last line, or with code 2 and one line of words; never with a traceback, nor
with an error that nobody foresaw. Most calls are made in one process; one in eight is a process of its own, some of
them with a limit on the size of files (a full disk), or as a user who may not read everything. Prints what went wrong,
and counts; ends with 1 if anything did.
"""
import argparse, contextlib, functools, io, json, os, random, resource, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')
import numpy as np
import pandas as pd
from PIL import Image
from perceivers.commands import perceivers_command

small = '--n-latents 4 --d-latent 8 --n-blocks 1 --n-layers 1 --n-bands 2 --bs 16 --epochs 1'.split()
odd = ['', '0', '-1', 'x', '99999999999999999999', '1e400', 'nan', '1.5', ' ', '../..', 'ünïcödé', '--', '\n', '0x10', 'None', '\U0001f600']
good = {'--epochs':['1','2'], '--n-latents':['1','4'], '--d-latent':['4','8','6'], '--n-blocks':['1','2'], '--n-layers':['1','2'],
    '--n-bands':['1','4'], '--patch':['1','2','3'], '--dropout':['0.1','0.99'], '--image-size':['8','9','16'], '--shift':['0','1','30'],
    '--lr':['1e-3','1e10','5'], '--bs':['1','7','5000'], '--seed':['0','5'], '--device':['cpu','cuda','mps','cpu:0','cpu:7','meta'],
    '--precision':['auto','float32','bf16','fp16','int8'], '--workers':['0','1'], '--log':['csv','xml'], '--save-every':['1','5'],
    '--recipe':['standard','long'], '--classes':['json','nomodule','os.path'], '--from':['run','folder','nowhere/x','language'],
    '--out':['run','new a','file.txt','file.txt/x','locked/x','ünï'], '--resume':['run','half','nowhere','file.txt'],
    '--target':['kind','value','nothing'], '--task':['category','regression','x']}
switches = ['--flip','--no-flip','--class-weights','--overwrite','--anyway','--no-test','--compile-not','--version']
data = ['digits','images','images with spaces ünï','tiny','one class','empty','locked','file.txt','nowhere','texts','sounds','table.csv',
        'empty.csv','broken','mixed','.','/','','auto-not']

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
    t = pd.DataFrame({'a':rng.normal(size=60), 'b':rng.choice(['u','v'], 60), 'kind':rng.choice(['x','y'], 60), 'value':rng.normal(size=60)})
    t.to_csv(d/'table.csv', index=False)
    with quiet()[0]: perceivers_command(['train','--data','images','--out','run','--image-size','8','--no-test',*small])
    (d/'half').mkdir()
    for o in ('run.json','metrics.csv'): (d/'half'/o).write_bytes((d/'run'/o).read_bytes())
    os.chmod(d/'locked', 0)

def quiet():
    out = io.StringIO()
    return contextlib.redirect_stdout(out),out

def arguments(rng):
    "A random command line"
    command = rng.choice(['train']*6+['predict']*3+['export','fly'])
    if command=='predict':
        files = rng.choices(['images/a/0 x.png','images','broken/a/bad.png','nothing.png','empty','table.csv','file.txt','run','locked','texts'], k=rng.randint(0, 3))
        more = rng.choice([[], ['--top','2'], ['--top',rng.choice(odd)], ['--csv','said.csv'], ['--csv','no/where.csv'], ['--input','a'], ['--classes','json'], ['--csv']])
        return [command, *([rng.choice(['run','run','half','nowhere','file.txt','locked'])] if rng.random() < .95 else []), *files, *more]
    if command=='export': return [command, rng.choice(['run','half','nowhere']), *rng.choice([[], ['--overwrite'], ['--out','no/where.onnx'], ['--out','x.onnx']])]
    if command=='fly': return rng.choice([['fly'], [], ['--version'], ['train','--help'], ['--help'], ['train','--fly'], ['predict']])
    res = [command, '--data', rng.choice(data[:2]*3+data), *small]
    if rng.random() < .5: res += ['--image-size', '8', '--patch', '1']
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

def become_other():
    os.setgid(65534)
    os.setuid(65534)

@functools.cache
def others_may_run():
    "Whether this is the superuser, and another user may run this Python"
    if os.getuid(): return False
    try: return not subprocess.run([sys.executable, '-c', 'import torch'], preexec_fn=become_other, capture_output=True).returncode
    except OSError: return False

def process(argv, rng):
    "The same in a process of its own, perhaps with a limit on the size of files, or as another user"
    limit,other = rng.choice([None,None,4096,200_000]),rng.random() < .3 and others_may_run()
    def preexec():
        if limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit,limit))
        if other: become_other()
    env = {**os.environ, 'HOME':os.getcwd(), 'PYTHONDONTWRITEBYTECODE':'1', 'MPLCONFIGDIR':os.getcwd()}
    r = subprocess.run([sys.executable, '-m', 'perceivers', *argv], capture_output=True, text=True, preexec_fn=preexec, env=env, timeout=300)
    return r.returncode,r.stdout,r.stderr

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--n', type=int, default=40, help='calls')
    p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    rng,ends,bad,start = random.Random(args.seed),Counter(),[],time.time()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as d:
        os.chmod(d, 0o777)
        with contextlib.chdir(d):
            prepare(Path(d))
            for i in range(args.n):
                argv,own = arguments(rng),i%8==7
                if any('\0' in o for o in argv): continue
                try: code,out,err = process(argv, rng) if own else call(argv)
                except Exception as e: code,out,err = 1,'',f'Traceback: {type(e).__name__}: {e}'
                why = complaint(argv, code, out, err)
                ends['a process' if own else 'in this process'] += 1
                ends['finished' if code==0 else 'refused' if why is None else 'wrong'] += 1
                if why:
                    bad.append(argv)
                    print(f"{i} {'process ' if own else ''}{argv}\n   {why}: {(err or out)[-600:]}", flush=True)
            os.chmod(f'{d}/locked', 0o755)
    print(json.dumps(dict(command=' '.join(['python', *sys.argv]), calls=args.n, seed=args.seed, seconds=round(time.time()-start), another_user=others_may_run(), ends=dict(ends))))
    sys.exit(bool(bad))

if __name__=='__main__': main()
