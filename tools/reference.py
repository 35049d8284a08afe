"""Reference entries: nbdev calls these classes while it stages the notebooks (`renderer` and `doc_procs` in pyproject.toml)

An entry is made from the module's source: signature, types and defaults as they are written there. No cell of a notebook is run."""
import ast, inspect, json, os, re
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from fastcore.basics import AttrDict
from fastcore.docments import docments, docstring, qual_name
from checks import lib_name, repo_root


def plain(
    text:str, # plain text; what stands between backticks is code
)->str:       # markdown that shows it as it is
    "Text with the signs escaped that markdown would take for its own"
    parts = re.split(r'(`[^`\n]+`)', ' '.join(text.split()))
    return ''.join(s if i%2 else re.sub(r'([\\*_|<>\[\]$@^~#])', r'\\\1', s) for i,s in enumerate(parts))


def repository():
    "The repository's address, where the workflow that publishes the site has given it, else ''"
    name = os.environ.get('PERCEIVERS_REPOSITORY', '')
    return f'https://github.com/{name}' if name else ''


def written(sym):
    "The source of a function or class and its syntax tree; ('', None) where there is none"
    try: source = dedent(inspect.getsource(sym))
    except (OSError, TypeError): return '', None
    try: return source, ast.parse(source).body[0]
    except (SyntaxError, IndexError): return source, None


def fields(cls):
    "A NamedTuple's fields: name, type, default and comment of each"
    source,node = written(cls)
    lines = source.splitlines()
    for o in node.body:
        if isinstance(o, ast.AnnAssign):
            default = ast.get_source_segment(source, o.value) if o.value else ''
            yield o.target.id, ast.get_source_segment(source, o.annotation), default, lines[o.end_lineno-1].partition('# ')[2]


def parameters(sym):
    "What a function or a class takes, as it is written: name, type, default and meaning of each"
    if hasattr(sym, '_fields'):
        yield from fields(sym)
        return
    if inspect.isclass(sym) and '__init__' not in vars(sym): return
    function = sym.__init__ if inspect.isclass(sym) else sym
    source,node = written(getattr(function, '__wrapped__', function))
    lines = source.splitlines()
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)): return
    said = docments(sym, full=True, returns=False, args_kwargs=True)
    def text(o): return ' '.join(ast.get_source_segment(source, o).split()) if o else ''
    def row(a, stars='', default=None):
        meaning = getattr(said.get(a.arg), 'docment', None) or lines[a.end_lineno-1].partition('# ')[2]
        return stars+a.arg, text(a.annotation), text(default), meaning
    args = node.args
    positional = args.posonlyargs+args.args
    defaults = [None]*(len(positional)-len(args.defaults))+args.defaults
    for a,d in zip(positional, defaults):
        if a.arg not in ('self','cls'): yield row(a, default=d)
    if args.vararg: yield row(args.vararg, '*')
    for a,d in zip(args.kwonlyargs, args.kw_defaults): yield row(a, default=d)
    if args.kwarg:
        name,anno,_,meaning = row(args.kwarg, '**')
        own = {a.arg for a in positional+args.kwonlyargs}
        more = [f'`{k}`' for k,p in inspect.signature(sym).parameters.items()
                if k not in own and p.kind is p.KEYWORD_ONLY]
        if more: meaning = '; '.join(filter(None, [meaning, f"passed on: {', '.join(more)}"]))
        yield name, anno, '', meaning


def returned(sym):
    "Type and meaning of what a function returns, or None"
    if inspect.isclass(sym): return None
    _,node = written(getattr(sym, '__wrapped__', sym))
    back = docments(sym, full=True).get('return')
    anno = ast.unparse(node.returns) if getattr(node, 'returns', None) else ''
    meaning = back.docment if back is not None and back.docment else ''
    return (anno, meaning) if meaning or anno not in ('', 'None') else None


def place(sym):
    "Where the source of a name is: a link where the repository is known, else file and line"
    try:
        path = Path(inspect.getsourcefile(sym))
        line = inspect.getsourcelines(sym)[1]
    except (OSError, TypeError): return ''
    root = repo_root()
    if not path.is_relative_to(root): return ''
    where = path.relative_to(root).as_posix()
    address = repository()
    return f'[source]({address}/blob/main/{where}#L{line}){{.source}}' if address else f'[{where}, line {line}]{{.source}}'


class Reference:
    """A name's entry as markdown: where its source is, signature, docstring, table of parameters and of what is returned

    Of a name whose source stands open on the page, only heading and docstring: the source says the rest."""
    shown = False # whether its source is on the page
    def __init__(self,
        sym,                # a function, a class, a property, or any other value
        name:str|None=None, # as what to show it; None: its own name
        title_level:int=3,  # of its heading
    ):
        if isinstance(sym, property): sym = sym.fget
        if not hasattr(sym, '__signature__'): sym = getattr(sym, '__wrapped__', sym)
        self.sym,self.nm,self.title_level = sym,name or qual_name(sym),title_level

    def heading(self): return f"{'#'*self.title_level} `{self.nm}` {{#{self.nm.lower()} .entry}}"

    def signature(self):
        "The call, without types, on lines of at most 100 characters"
        kind = 'class ' if inspect.isclass(self.sym) else ''
        args = [f'{n}={d}' if d else n for n,_,d,_ in parameters(self.sym)]
        call = f"{kind}{self.nm}({', '.join(args)})"
        return call if len(call)<=100 else f'{kind}{self.nm}(\n    ' + ',\n    '.join(args) + ',\n)'

    def table(self):
        "Parameters and what is returned"
        rows = [(f'`{n}`', t, d, m) for n,t,d,m in parameters(self.sym)]
        back = returned(self.sym)
        if back: rows.append(('*returns*', back[0], '', back[1]))
        if not any(t or m for _,t,_,m in rows): return '' # the signature says as much
        def code(text): return f'`{text}`' if text else ''
        def line(n, t, d, m): return f'| {n} | {code(t)} | {code(d)} | {plain(m)} |'
        return '\n'.join(['| name | type | default | meaning |', '|---|---|---|-----|', *(line(*r) for r in rows)])

    def methods(self):
        "Entries of the public methods that a class defines in its own lines"
        body = getattr(written(self.sym)[1], 'body', []) if inspect.isclass(self.sym) else []
        for o in body:
            if not isinstance(o, ast.FunctionDef) or o.name[0]=='_' or not ast.get_docstring(o): continue
            if o.name=='extra_repr': continue # PyTorch calls it, nobody else
            method = vars(self.sym)[o.name]
            r = Reference(getattr(method, '__func__', method), f'{self.nm}.{o.name}', self.title_level+1)
            r.shown = self.shown
            yield r._repr_markdown_()

    def _repr_markdown_(self):
        if not callable(self.sym): return f'{self.heading()}\n\n{self.value()}'.rstrip()
        open_source = [] if self.shown else [place(self.sym), f'```python\n{self.signature()}\n```']
        parts = [self.heading(), *open_source, *map(plain, docstring(self.sym).split('\n\n'))]
        if not self.shown: parts.append(self.table())
        return '\n\n'.join(o for o in [*parts, *self.methods()] if o)

    assigned = '' # a value's source
    def value(self):
        "A value, as it is written"
        text = self.assigned if len(self.assigned)<=400 else f'{self.assigned[:400]} …'
        return '' if self.shown or not text else f'```python\n{text}\n```'


class ReferenceEntries:
    """Fills in the `show_doc` cells of a staged notebook from its module

    For `doc_procs` in nbdev's settings, with `exec_show_docs` among its `skip_procs`."""
    def __init__(self,
        nb, # a notebook as nbdev reads it
    ):
        from fastcore.nbio import mk_cell
        self.nb,self.module,self.assigned,cells = nb,'',{},[]
        for c in nb.cells:
            d = c.directives_ if c.cell_type=='code' else {}
            self.module = d.get('default_exp', self.module)
            found = constants(c.source) if {'export','exports'} & d.keys() else {}
            self.assigned |= found
            cells += [c, *(mk_cell(f'show_doc({n}, name={n!r})', has_sd=True, metadata=AttrDict()) for n in found)]
        nb.cells[:] = cells

    def begin(self)->None:
        "Orders and fills in the entries, and fixes links and options"
        from nbdev.processors import add_links
        names = vars(import_module(f"{lib_name('.')}.{self.module}")) if self.module else {}
        cells = self.nb.cells
        cells[:] = entries_first([c for c in cells if not is_dunder(c)])
        for c in cells:
            if c.get('has_sd') or (c.cell_type=='code' and re.search(r'^show_doc\(', c.source, re.M)):
                c.outputs = [dict(output_type='display_data', metadata={}, data={'text/markdown': self.entry(c, names)})]
                add_links(c)
            fix_cell(c)
        rename_sections(cells)

    def entry(self, cell, names):
        "The markdown that a `show_doc` cell shows"
        from nbdev.showdoc import show_doc
        shown = eval(cell.source, {**names, 'show_doc':show_doc})
        if shown is None: return ''
        shown.shown = bool(cell.get('source_shown'))
        shown.assigned = self.assigned.get(shown.nm, '')
        return shown._repr_markdown_()


def is_dunder(cell): return bool(re.match(r'show_doc\([\w.]*\b__\w+__', cell.source)) and cell.get('has_sd')


def constants(source):
    "The public names that a cell's code assigns at its top level, and the lines that do"
    found = {}
    for o in ast.parse(source).body:
        if not isinstance(o, ast.Assign): continue
        targets = [n for t in o.targets for n in (getattr(t, 'elts', None) or [t]) if isinstance(n, ast.Name)]
        found |= {n.id: ast.get_source_segment(source, o) for n in targets if n.id[0]!='_'}
    return found


def entries_first(cells):
    "Cells with each run of entries, and the source among them, put as: entries by definition, then the source"
    run = []
    for c in cells:
        is_source = c.cell_type=='code' and 'exports' in (c.get('directives_') or {})
        if c.get('has_sd') or is_source: run.append(c)
        else:
            yield from in_order(run)
            run = []
            yield c
    yield from in_order(run)


def in_order(run):
    "One run of entries and sources, in order"
    source = [c for c in run if not c.get('has_sd')]
    text = '\n'.join(c.source for c in source)
    entries = [c for c in run if c.get('has_sd')][::-1]
    def start(c):
        name = re.search(r'show_doc\(([\w.]+)', c.source)[1].split('.')[-1]
        found = re.search(rf'^(?:[ \t]*(?:async )?(?:def|class) {name}\b|.*\b{name}\b.*=)', text, re.M)
        return found.start() if found else -1
    for c in entries: c.source_shown = bool(source) and start(c)>=0
    return [*sorted(entries, key=start), *source]


def fix_cell(cell):
    "Removes links to private names and links within links, and quotes options that are not YAML"
    import yaml
    def unlink(s):
        s = re.sub(r'\[\[(`[^`]+`)\]\([^)]*\)\]', r'[\1]', s)
        return re.sub(r'\[(`[^`]+`)\]\(/[\w/]+\.html#(?:_|[\w.]+\._)[\w.]*\)', r'\1', s)
    def quote(m):
        try: yaml.safe_load(m[0][3:])
        except yaml.YAMLError: return m[1] + json.dumps(m[2], ensure_ascii=False)
        return m[0]
    if cell.cell_type=='code': cell.source = re.sub(r'^(#\| [\w-]+: )(.*)$', quote, cell.source, flags=re.M)
    else: cell.source = unlink(cell.source)
    for o in cell.get('outputs', []):
        data = o.get('data', {})
        if 'text/markdown' in data: data['text/markdown'] = unlink(''.join(data['text/markdown']))


def rename_sections(cells):
    "Gives a section that would have an entry's anchor another one"
    texts = [''.join(o.get('data', {}).get('text/markdown', '')) for c in cells for o in c.get('outputs', [])]
    ids = {m for t in texts for m in re.findall(r'^#+ .*\{#([\w.]+) \.entry\}', t, re.M)}
    def one(m):
        anchor = m[1].strip('`').lower().replace(' ', '-')
        return f'{m[0]} {{#{m[1].lower()}-section}}' if anchor in ids else m[0]
    for c in cells:
        if c.cell_type=='markdown': c.source = re.sub(r'^#{2,4} ([\w.` -]+)$', one, c.source, flags=re.M)
