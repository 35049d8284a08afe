"The pages Names and Reference: what others call things, and every public name (for `nbs/names.qmd.py` and `nbs/api.qmd.py`)"
import ast, json, re
from pathlib import Path
from checks import lib_name, module_imports, notebooks
from reference import plain
from stage import also_called


def table_rows(text):
    "The rows of each markdown table in a text whose first column is called `here`"
    bar = r'(?<!\\)\|(?=(?:[^`]*`[^`]*`)*[^`]*$)' # not in code, not behind a backslash
    for table in re.findall(r'^\|[ \t]*here[ \t]*\|.*(?:\n\|.*)+', text, re.M):
        lines = [[c.strip() for c in re.split(bar, l.strip()[1:].rstrip('|'))] for l in table.splitlines()]
        for r in lines[2:]: yield dict(zip(lines[0], r))


def three(row):
    "A row's entries as: here, the papers, elsewhere"
    out = dict(papers='', elsewhere='')
    for k,v in row.items():
        if k=='here' or v in ('', '-'): continue
        to = 'papers' if k in ('the papers','the paper') else 'elsewhere'
        label = '' if k in ('the papers','the paper','elsewhere') else f'{k}: '
        out[to] = '; '.join(o for o in (out[to], label+v) if o)
    return row['here'],out['papers'],out['elsewhere']


def names_table(
    root:str|Path='.', # a checkout
)->str: # a markdown table
    "The names tables of all notebooks as one, with where each row comes from"
    nbs,rows = Path(root)/'nbs',[]
    for p in notebooks(root):
        cells = json.loads(p.read_text(encoding='utf-8'))['cells']
        texts = [''.join(c['source']) for c in cells if c['cell_type']=='markdown']
        rows += [(*three(r), f'[{page_title(p)}]({p.relative_to(nbs).as_posix()})') for t in texts for r in table_rows(t)]
    found = {n:(nb,n.lower()) for n,nb,_ in public_names(root)}
    def link(m): return f'[`{m[1]}`]({found[m[1]][0]}#{found[m[1]][1]})' if m[1] in found else m[0]
    rows = [(re.sub(r'`(\w+)`', link, r[0]), *r[1:]) for r in rows]
    head = ['| here | the papers | elsewhere | explained in |', '|-----|-----|-----|---|']
    return '\n'.join(head + [f"| {' | '.join(r)} |" for r in rows])


def public_names(
    root:str|Path='.', # a checkout
)->list[tuple[str,str,str]]: # name, notebook, first line of its docstring
    "Every name that the modules export, module by module"
    found = []
    for module,(nb,_) in module_imports(root).items():
        path = Path(root)/lib_name(root)/f'{module}.py'
        tree = ast.parse(path.read_text(encoding='utf-8')).body if path.exists() else []
        assigned = {getattr(o.targets[0], 'id', ''): o.value for o in tree if isinstance(o, ast.Assign)}
        defined = [o for o in tree if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
        docs = {o.name: ast.get_docstring(o) or '' for o in defined}
        names = [n.value for n in getattr(assigned.get('__all__'), 'elts', [])]
        found += [(n, nb, docs.get(n, '').split('\n')[0]) for n in names]
    return found


def page_title(
    path:Path, # a notebook
)->str:
    "The title of a page"
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    texts = [''.join(c['source']) for c in cells if c['cell_type']=='markdown']
    return next((m[1] for t in texts for m in [re.match(r'# (.+)', t)] if m), path.stem)


def names_page(
    root:str|Path='.', # a checkout
)->str: # markdown
    "The text of the page Names"
    nbs = Path(root)/'nbs'
    rows = '\n'.join(f'| {words} | [{page_title(nbs/source)}]({source}) |' for source,words in also_called.items())
    return f"""## Words you may look for {{#words}}

| you look for | it is on the page |
|-----|---|
{rows}

## Other names for the same things {{#elsewhere}}

{names_table(root)}

Every name of the package is on the page [Reference](api.qmd)."""


def reference_page(
    root:str|Path='.', # a checkout
)->str: # markdown
    "The text of the page Reference"
    names = sorted(public_names(root), key=lambda o: o[0].lower())
    titles = {nb:page_title(Path(root)/'nbs'/nb) for _,nb,_ in names}
    rows = '\n'.join(f'| [`{n}`]({nb}#{n.lower()}) | {plain(doc) or "a value"} | [{titles[nb]}]({nb}) |' for n,nb,doc in names)
    return f"""In alphabetical order, each with a link to its entry. Names of other libraries are on the page [Names](names.qmd).

| name | what it is or gives | page |
|-----|-------|-|
{rows}"""
