"""What keeps the notebooks, the package and the README saying the same thing

    python tools/checks.py                  # every check; the exit status is 1 if anything is left to fix
    python tools/checks.py check_style      # one of them
    python tools/checks.py --prepare        # export, test, clean, make README.md anew, then every check
    python tools/checks.py --write          # make README.md anew from nbs/index.ipynb
    python tools/checks.py --course         # the figures of the course, a line a notebook"""
import argparse, ast, io, json, os, posixpath, re, shutil, subprocess, sys, tempfile, tokenize
from configparser import ConfigParser
from pathlib import Path
from textwrap import indent


def repo_root(
    start:str|Path='.', # a folder or a file of the checkout
)->Path:                # the folder that holds `settings.ini` and `nbs`
    """The root of the checkout that `start` lies in

    Raises FileNotFoundError where there is none."""
    here = Path(start).resolve()
    for p in (here, *here.parents):
        if (p/'settings.ini').is_file() and (p/'nbs').is_dir(): return p
    raise FileNotFoundError(f"start={str(start)!r}: no folder from there upwards holds settings.ini and nbs")


def lib_name(
    root:str|Path, # a checkout
)->str: # as in `import NAME`
    "The package's name, from `settings.ini`"
    ini = ConfigParser(delimiters=['='])
    ini.read(Path(root)/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']['lib_name']


def notebooks(
    root:str|Path, # a checkout
)->list[Path]: # in the order of their names
    "Every notebook of a checkout"
    nbs = Path(root)/'nbs'
    return sorted(p for p in nbs.rglob('*.ipynb') if not any(o[0] in '._' for o in p.relative_to(nbs).parts))


def dev_tool(
    name:str, # a command, such as 'nbdev-test'
)->str: # its path
    """Where a command of the development tools is, beside this Python before anywhere else

    Raises FileNotFoundError, saying what to install, where there is none."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get('PATH', os.defpath)])
    found = shutil.which(name, path=path)
    if found is None:
        raise FileNotFoundError(f"{name} is missing; what the notebooks need comes with: pip install -e '.[dev]'")
    return found


def run_tool(
    name:str,            # a command, such as 'nbdev-export'
    *args:str,           # its arguments
    folder:str|Path='.', # where it runs
    quiet:bool=True,     # keep what it prints
)->subprocess.CompletedProcess: # with `returncode`, and `stdout` where it was kept
    "The result of a command of the development tools, run in a folder; `stdout` holds what it prints on stderr too"
    env = {k:v for k,v in os.environ.items() if k!='IN_TEST'}
    keep = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT) if quiet else {}
    return subprocess.run([dev_tool(name), *args], cwd=folder, env=env, stdin=subprocess.DEVNULL,
        text=True, encoding='utf-8', errors='replace', **keep)


def cell_options(
    src:str,               # a cell's source
)->tuple[dict[str,str],str]: # name: value of each `#|` line that the cell starts with; the rest of the cell
    "A cell's options, and its source without them"
    head = re.match(r'(?:[ \t]*#\|.*(?:\n|$))*', src)[0]
    return dict(re.findall(r'#\|[ \t]*([\w-]+):?[ \t]*(.*)', head)), src[len(head):].strip('\n')


def _relink(text, folder):
    "Markdown with its relative links seen from the folder above `folder`"
    def one(m):
        if re.match(r'[a-zA-Z][\w+.-]*:|[/#]', m[2]): return m[0]
        return m[1] + posixpath.normpath(posixpath.join(folder, m[2]))
    def prose(s): return re.sub(r'(\]\(|\b(?:src|href)=")([^)\s"]+)(?=[)"]|\s+["\'])', one, s)
    parts = re.split(r'(```.*?```|`[^`\n]+`)', text, flags=re.S)
    return ''.join(s if i%2 else prose(s) for i,s in enumerate(parts))


def _shown(cell):
    "The text of a code cell's outputs, each as markdown"
    for o in cell.get('outputs', []):
        data = {k:''.join(v) for k,v in o.get('data', {}).items() if k.startswith('text/')}
        text = ''.join(o.get('text', '')) if o.get('name')!='stderr' else ''
        plain = text or data.get('text/plain', '')
        if 'text/markdown' in data: yield data['text/markdown'].strip('\n')
        elif plain.strip() and plain[0]!='<': yield indent(plain.rstrip(), '    ')


def readme_text(
    nb:str|Path, # a notebook, in a folder of the checkout's root
)->str: # the README as markdown
    "A notebook as the README that GitHub and PyPI show"
    nb = Path(nb)
    parts = [f'<!-- Made from {nb.parent.name}/{nb.name} by tools/checks.py: edit that, not this. -->']
    for c in json.loads(nb.read_text(encoding='utf-8'))['cells']:
        opts,src = cell_options(''.join(c['source']))
        if 'hide' in opts or c['cell_type']=='raw': continue
        if c['cell_type']=='markdown': parts.append(_relink(src, nb.parent.name))
        elif src and opts.get('echo')!='false': parts.append(f'```python\n{src}\n```')
        parts += _shown(c)
    return '\n\n'.join(p for p in parts if p) + '\n'


def write_readme(
    root:str|Path, # a checkout
)->Path: # the README
    "Makes `README.md` anew from `nbs/index.ipynb`"
    path = Path(root)/'README.md'
    new = path.with_name('README.md.new')
    new.write_text(readme_text(Path(root)/'nbs/index.ipynb'), encoding='utf-8', newline='\n')
    os.replace(new, path)
    return path


def check_readme(
    root:str|Path, # a checkout
)->list[str]: # complaints, none if all is well
    "Whether `README.md` is what `nbs/index.ipynb` gives"
    root = Path(root)
    missing = [f'{o} is missing' for o in ('nbs/index.ipynb', 'README.md') if not (root/o).is_file()]
    if missing: return missing
    same = (root/'README.md').read_text(encoding='utf-8')==readme_text(root/'nbs/index.ipynb')
    return [] if same else ['README.md is not what nbs/index.ipynb gives: python tools/checks.py --write makes it anew']


def _tree(code):
    "A cell's code as a syntax tree, without the lines that are IPython's"
    if code.lstrip().startswith('%%'): return ast.parse('')
    return ast.parse(re.sub(r'^([ \t]*)(?:[\w, ]+=[ \t]*)?[%!].*$', r'\1pass', code, flags=re.M))


def _imported(code, lib):
    "Each import of package `lib` in a cell's code, as (module, name); name is '' where the whole module is imported"
    for n in ast.walk(_tree(code)):
        if isinstance(n, ast.Import): found = [a.name for a in n.names]
        elif isinstance(n, ast.ImportFrom):
            base = '.'.join(filter(None, [lib if n.level else '', n.module]))
            found = [f'{base}.{a.name}' for a in n.names]
        else: continue
        for o in found:
            package,_,rest = o.partition('.')
            module,_,name = rest.partition('.')
            if package==lib and module: yield module,name


def code_cells(
    nb:str|Path, # a notebook
)->list[tuple[dict[str,str],str,dict]]: # options, source without them, and the cell itself, of each code cell
    "A notebook's code cells"
    cells = json.loads(Path(nb).read_text(encoding='utf-8'))['cells']
    return [(*cell_options(''.join(c['source'])), c) for c in cells if c['cell_type']=='code']


def exported_code(
    nb:str|Path, # a notebook
)->list[str]:    # the source of each cell that is exported, without its options
    "What a notebook exports, cell by cell"
    return [src for options,src,_ in code_cells(nb) if options.keys() & {'export', 'exports', 'exporti'}]


def module_imports(
    root:str|Path, # a checkout
)->dict[str,tuple[str,set[str]]]: # module: its notebook's file name, and the modules that this notebook imports
    "Every numbered notebook's module, and which modules of the package it imports"
    lib,found = lib_name(root),{}
    for nb in notebooks(root):
        if not re.match(r'\d\d_', nb.name): continue
        cells = code_cells(nb)
        module = next((options['default_exp'] for options,*_ in cells if 'default_exp' in options), nb.stem)
        imports = {o for _,src,_ in cells for o,_ in _imported(src, lib)}
        found[module] = nb.name,imports-{module}
    return found


def _is_private(name): return name.startswith('_') and not name.endswith('__')


def _private_names(code, lib):
    "The private names of other modules of package `lib` that code uses, as 'module.name', each once"
    found = [f'{module}.{name}' for module,name in _imported(code, lib) if _is_private(name)]
    aliases = {}
    for n in ast.walk(_tree(code)):
        if isinstance(n, ast.Import): aliases |= {a.asname: a.name for a in n.names if a.asname}
        elif isinstance(n, ast.ImportFrom) and (n.module==lib or (n.level and not n.module)):
            aliases |= {a.asname or a.name: f'{lib}.{a.name}' for a in n.names}
    for n in ast.walk(_tree(code)):
        if not (isinstance(n, ast.Attribute) and _is_private(n.attr)): continue
        owner = ast.unparse(n.value)
        package,_,module = aliases.get(owner, owner).partition('.')
        if package==lib and module: found.append(f'{module}.{n.attr}')
    return list(dict.fromkeys(found))


def check_imports(
    root:str|Path, # a checkout
)->list[str]:      # complaints, none if all is well
    "Whether each notebook imports lower numbers only, and its exported code uses no other module's private names"
    found,lib = module_imports(root),lib_name(root)
    bad = []
    for name,imports in found.values():
        for o in sorted(imports & found.keys()):
            other = found[o][0]
            if other[:2] < name[:2]: continue
            bad.append(f'{name} imports {lib}.{o}, which {other} makes: only lower numbers are allowed')
    for nb in notebooks(root):
        for o in _private_names('\n'.join(exported_code(nb)), lib):
            bad.append(f'{nb.name} uses {lib}.{o}, which is private to its module: give it a public name there')
    return bad


def _copy(root, to):
    "The notebooks of a checkout and what nbdev reads beside them, without modules, in a new folder"
    root,to = Path(root),Path(to)
    extra = [root/o for o in ('pyproject.toml', 'settings.ini', f'{lib_name(root)}/__init__.py')]
    for p in [*notebooks(root), *(o for o in extra if o.is_file())]:
        new = to/p.relative_to(root)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(p, new)
    return to


def check_export(
    root:str|Path, # a checkout
)->list[str]: # complaints, none if all is well
    "Whether the package is what its notebooks export, file by file"
    root,lib = Path(root),lib_name(root)
    def files(r): return {p.relative_to(r).as_posix(): p.read_text(encoding='utf-8') for p in (r/lib).rglob('*.py')}
    with tempfile.TemporaryDirectory() as d:
        done = run_tool('nbdev-export', folder=_copy(root, d))
        if done.returncode: return [f'the export fails: {done.stdout.strip().splitlines()[-1]}']
        want,have = files(Path(d)),files(root)
    def wrong(f):
        if f not in have: return f'{f} is missing: nbdev-export makes it'
        if f not in want: return f'{f} is there, but no notebook makes it'
        if have[f]!=want[f]: return f'{f} is not what its notebook gives: change the notebook, then nbdev-export'
    return [o for o in map(wrong, sorted(want|have)) if o]


def _cell_faults(nb):
    "What is wrong with a notebook's cells that cleaning would not fix for good"
    cells = json.loads(nb.read_text(encoding='utf-8'))['cells']
    ids = [c.get('id') for c in cells]
    for i,c in enumerate(cells):
        if not ids[i]: yield f'{nb.name}: cell {i} has no id'
        elif ids.index(ids[i])<i: yield f'{nb.name}: cells {ids.index(ids[i])} and {i} have the same id, {ids[i]}'
        for o in c.get('outputs', []):
            if o['output_type']=='error': yield f"{nb.name}: cell {i} stores an error, {o['ename']}: {o['evalue']}"


def check_clean(
    root:str|Path, # a checkout
)->list[str]: # complaints, none if all is well
    "Whether every notebook is as `nbdev-clean` leaves it, each cell has an id, and no stored output is an error"
    root,nbs = Path(root),notebooks(root)
    faults = [o for nb in nbs for o in _cell_faults(nb)]
    with tempfile.TemporaryDirectory() as d:
        there = _copy(root, d)
        run_tool('nbdev-clean', '--fname', 'nbs', folder=there)
        dirty = [nb for nb in nbs if nb.read_bytes()!=(there/nb.relative_to(root)).read_bytes()]
    return faults + [f'{nb.name} is not clean: nbdev-clean' for nb in dirty]


max_columns = 120
_rules = {';': 'a ; between statements', ':=': 'an assignment in an expression', 'assert': 'an assert'}


def style_faults(
    code:str, # the source of an exported cell
)->list[str]: # what is wrong, each with its line in the cell
    "What the package's own rules say of exported code"
    lines = code.splitlines()
    bad = [(i, f'{len(line)} columns') for i,line in enumerate(lines, 1) if len(line) > max_columns]
    for t in tokenize.generate_tokens(io.StringIO(code).readline):
        if t.type in (tokenize.OP, tokenize.NAME) and t.string in _rules: bad.append((t.start[0], _rules[t.string]))
    return [f'{what} in line {i}: {lines[i-1].strip()[:60]}' for i,what in sorted(bad)]


def check_style(
    root:str|Path, # a checkout
)->list[str]:      # complaints, none if all is well
    "What `chkstyle` says of a checkout's notebooks, and the package's own rules of their exported code"
    done = run_tool('chkstyle', '--show-rule', '.', folder=root)
    said = [o[2:] for o in done.stdout.splitlines() if o.startswith('# ')]
    if done.returncode and not said: said = [f'chkstyle fails: {done.stdout.strip()[-500:]}']
    for nb in notebooks(root):
        said += [f'{nb.name}: {o}' for code in exported_code(nb) for o in style_faults(code)]
    return said


def _is_test(node):
    "Whether a node of a syntax tree is a test: an `assert`, or a call such as `test_eq`, `assert_close`, `expect_fail`"
    if isinstance(node, ast.Assert): return True
    if not isinstance(node, ast.Call): return False
    name = getattr(node.func, 'id', '') or getattr(node.func, 'attr', '')
    return name in ('assert_close', 'expect_fail') or name.startswith('test_')


def page_figures(
    nb:str|Path, # a notebook
)->dict[str,int]: # exported (cells that export a definition), tests, pictures, outputs (cells that show something)
    "What can be counted of a page"
    cells = code_cells(nb)
    defined = [src for src in exported_code(nb) if _defines(src)]
    return dict(exported=len(defined), tests=sum(_is_test(n) for _,src,_ in cells for n in ast.walk(_tree(src))),
        pictures=sum(_shows_picture(c) for *_,c in cells), outputs=sum(bool(c.get('outputs')) for *_,c in cells))


def _defines(src):
    "Whether code does more than import"
    return not all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in _tree(src).body)


def _shows_picture(cell):
    "Whether a picture is among a cell's stored outputs"
    return any(k.startswith('image/') for o in cell.get('outputs', []) for k in o.get('data', {}))


def course_table(
    root:str|Path, # a checkout
)->str:            # a line for each numbered notebook
    "The figures of the course"
    rows = [f"{'notebook':20} exported  tests  pictures  outputs"]
    for nb in notebooks(root):
        if not re.match(r'\d\d_', nb.name): continue
        f = page_figures(nb)
        rows.append(f"{nb.stem:20} {f['exported']:8}  {f['tests']:5}  {f['pictures']:8}  {f['outputs']:7}")
    return '\n'.join(rows)


def page_faults(
    nb:str|Path, # a notebook
)->list[str]:    # what is missing
    "What a page of the course lacks"
    cells = json.loads(Path(nb).read_text(encoding='utf-8'))['cells']
    first = next((''.join(c['source']) for c in cells if c['cell_type']=='markdown'), '')
    bad = [] if re.match(r'# \S', first) else ['a title: the first text is no heading of one #']
    if not re.search(r'^> \S', first, re.M): bad.append('a quote under its title, a line that says what it is about')
    figures,last = page_figures(nb),''
    for c in cells:
        options,src = cell_options(''.join(c['source']))
        name = f"{(src.splitlines() or [''])[0][:60]} (cell {c.get('id')})"
        shown = 'exports' in options
        if shown and last=='shown': bad.append(f'prose before {name}')
        if shown or c['cell_type']=='markdown': last = 'shown' if shown else ''
        if _shows_picture(c):
            bad += [f'{o} for the picture of {name}' for o in ('fig-alt', 'fig-cap') if not options.get(o)]
        elif options.get('fig-alt') and options.get('eval')!='false': bad.append(f'the stored picture of {name}')
    if figures['exported'] and not figures['tests']: bad.append('a test: it exports and tests nothing')
    if not figures['pictures']: bad.append('a picture')
    if not figures['outputs']: bad.append('stored outputs: it shows nothing that its code printed')
    return bad


def check_course(
    root:str|Path, # a checkout
)->list[str]:      # complaints, none if all is well
    "Whether every numbered notebook has what a page needs: title, summary, tests, pictures with their texts, outputs"
    return [f'{nb.name} lacks {o}' for nb in notebooks(root) if re.match(r'\d\d_', nb.name) for o in page_faults(nb)]


_number = re.compile(r'-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?')
_time = re.compile(r'-?[\d.,]+ ?(?=(?:ms|s|min|minutes?|seconds?|times|±)\b|±)')


def _same(a, b, rel, least):
    "Whether two printed texts are equal, except for times, and for numbers that differ by at most `least` or `rel`"
    a,b = _time.sub('', a),_time.sub('', b)
    if _number.sub('#', a)!=_number.sub('#', b): return False
    xs,ys = ([float(o.replace(',', '')) for o in _number.findall(t)] for t in (a, b))
    return all(abs(x-y) <= max(least, rel*max(abs(x), abs(y))) for x,y in zip(xs, ys))


def printed_text(
    cell:dict, # a cell of a notebook
)->str:        # what it printed and its results' plain text, without what went to stderr
    "A cell's stored outputs as text"
    outputs = [o for o in cell.get('outputs', []) if o.get('name')!='stderr']
    texts = [''.join(o.get('text') or o.get('data', {}).get('text/plain', '')) for o in outputs]
    return '\n'.join(texts).strip()


def check_outputs(
    stored:str|Path,  # a checkout as it was
    fresh:str|Path,   # the same, after its notebooks ran and saved what they printed
    rel:float=0.1,    # by how much of itself a number may differ
    least:float=0.05, # by how much any number may differ
)->list[str]:         # complaints, none if all is well
    "Whether stored outputs are what a new run prints"
    bad = []
    for nb in notebooks(stored):
        old,new = (json.loads(p.read_text(encoding='utf-8'))['cells'] for p in (nb, Path(fresh)/nb.relative_to(stored)))
        for c,d in zip(old, new):
            a,b = printed_text(c),printed_text(d)
            if not _same(a, b, rel, least): bad.append(f"{nb.name} {c.get('id')}: stored {a[:200]!r}, new {b[:200]!r}")
    return bad


all_checks = check_export, check_clean, check_readme, check_imports, check_style, check_course


def prepare(
    root:Path, # a checkout
)->list[str]:  # what failed
    "Exports, tests and cleans the notebooks, and makes the README anew"
    steps,bad = ('nbdev-export', 'nbdev-test', 'nbdev-clean'),[]
    for name in (*steps, 'chkstyle'): dev_tool(name)
    for name in steps:
        failed = run_tool(name, folder=root, quiet=False).returncode
        print(f"{name}: {'failed' if failed else 'done'}", flush=True)
        if failed: bad.append(f'{name} failed')
    print(f'{write_readme(root).name}: made', flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [f.__name__ for f in all_checks]
    parser.add_argument('checks', nargs='*', metavar='CHECK', help=f"which to run: {', '.join(names)}; all by default")
    parser.add_argument('--prepare', action='store_true', help='export, test, clean and make README.md anew first')
    parser.add_argument('--write', action='store_true', help='make README.md anew, and check nothing')
    parser.add_argument('--course', action='store_true', help='print the figures of the course, and check nothing')
    args = parser.parse_args()
    wrong = [o for o in args.checks if o not in names]
    if wrong: parser.error(f"{wrong[0]}: must be one of {', '.join(names)}")
    try:
        root = repo_root()
        if args.write: return print(write_readme(root))
        if args.course: return print(course_table(root))
        bad = prepare(root) if args.prepare else []
        for check in all_checks:
            if args.checks and check.__name__ not in args.checks: continue
            said = check(root)
            print(f"{check.__name__}: {f'{len(said)} to fix' if said else 'fine'}", flush=True)
            bad += said
    except FileNotFoundError as e: sys.exit(str(e))
    if bad: sys.exit('\n'.join(bad))


if __name__=='__main__': main()
