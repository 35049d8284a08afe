"Where the long measurements of this folder are kept: nbs/results/NAME.json, an entry a task"
import json, os, platform, subprocess, sys
from importlib.metadata import version
from pathlib import Path

root = Path(__file__).resolve().parents[1]

def about(
    *packages:str, # whose versions are said, besides torch
)->dict:           # the command, the commit, the machine and versions
    "What was run, and on what"
    git = lambda *args: subprocess.run(['git',*args], capture_output=True, text=True, cwd=root).stdout.strip()
    changed = git('status', '--porcelain', '--', 'perceivers', 'tools')
    return dict(command=' '.join(['python', os.path.relpath(sys.argv[0], root), *sys.argv[1:]]),
                commit=git('rev-parse', '--short', 'HEAD')+('+' if changed else ''), machine=f'{platform.machine()}, {os.cpu_count()} cores',
                threads=int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())), **{o:version(o) for o in ('torch', *packages)})

def store(
    name:str,        # of the file
    entries:dict,    # what to put in; entries of other names stay
):
    "Adds entries to a file of results, which is whole or the old one at any time"
    file = root/'nbs/results'/f'{name}.json'
    old = json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}
    new = file.with_suffix('.new')
    new.write_text(json.dumps({**old, **entries}, indent=1)+'\n', encoding='utf-8')
    os.replace(new, file)
