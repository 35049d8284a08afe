"Tests of the scripts that check and stage a project, on a small one: `python tools/test_tools.py`"
import base64, json, os, shutil, struct, subprocess, sys, tempfile, unittest, zlib
from pathlib import Path
from unittest.mock import patch as replaced
sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_site, checks, names_page, preview, reference, release, stage
from fastcore.basics import AttrDict

here = checks.repo_root(__file__)


def cell(kind, src, **kw): return dict(cell_type=kind, id=f'{zlib.crc32(src.encode()):08x}', metadata={}, source=src.splitlines(True), **kw)
def md(src): return cell('markdown', src)
def code(src, *outputs): return cell('code', src, execution_count=None, outputs=list(outputs))
def result(**data): return dict(output_type='display_data', metadata={}, data={k.replace('_', '/'):v for k,v in data.items()})
def printed(text, name='stdout'): return dict(output_type='stream', name=name, text=text.splitlines(True))

def write_nb(path, *cells):
    nb = dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False)+'\n', encoding='utf-8')

def source(path): return '\n'.join(''.join(c['source']) for c in json.loads(path.read_text(encoding='utf-8'))['cells'])

def png(pixels):
    "A grey picture's file, from rows of bytes"
    def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind+data))
    head = struct.pack('>IIBBBBB', len(pixels[0]), len(pixels), 8, 0, 0, 0, 0)
    body = zlib.compress(b''.join(b'\0'+bytes(r) for r in pixels))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', body) + chunk(b'IEND', b'')

dot = base64.b64encode(png([[0,255],[255,0]])).decode()
one = '''#| exports
def one(
    x:int=1, # anything | at all
)->int: # 1
    "The first number, see [`two`](nowhere)"
    return 1'''
pair = '''#| export
class Pair:
    "Two of them"
    def __init__(self,
        a:int, # the first
        *, b:"int|None"=None, # the second
    ): self.a,self.b = a,b'''
low = [code('#| default_exp low'), md('# The low page\n\n> Where `one` is made'),
    md('Counting starts at $1$, as @first says. `one` gives it:\n\n$$\\sin(a) = 1$$'), code(one),
    md('## Test\n\n- `assert` is a test\n\n| a | b |\n|---|---|\n| `x|y` | $2$ |'), code('assert one()==1'),
    code('#| fig-alt: Two dots: one dark, one light\n#| fig-cap: "The *dots*"\nshow()', result(image_png=dot)),
    md('| here | the papers | elsewhere |\n|---|---|---|\n| `one` | $1$ | `uno` |\n\nNext: [high](10_high.ipynb#two)')]
high = [code('#| default_exp high'), md('# The high page\n\n> Where `two` is made'), code('#| export\nfrom toy.low import one'), md('Two:'),
    code('#| export\ntwo = one()+one()'), md('A class:'), code(pair), md('## Pair\n\nBack to [low](00_low.ipynb#test). It is `Pair`.'),
    code('#| hide\nsecret = 1'), code('#| echo: false\nprint("seen")', printed('seen\n'))]
tutorial = [md('# A tutorial\n\n> By hand'), md('Start at [the front](../index.ipynb), see ![A black and a white dot](../images/dot.png)')]
front = [md('# toy\n\n> Counts to two'), md('Read [low](00_low.ipynb) first.')]
yml = '''
project: {type: website, resources: ["extra/**"]}
lang: en-GB
bibliography: references.bib
website:
  title: toy
  repo-url: https://github.com/OWNER/REPOSITORY
  site-url: https://OWNER.github.io/REPOSITORY
  navbar:
    left:
      - {text: Course, href: 00_low.ipynb}
  sidebar:
    contents:
      - index.ipynb
      - section: Course
        contents: [00_low.ipynb, 10_high.ipynb]
      - section: By hand
        contents: [tutorials/by_hand.ipynb]
      - text: Names
        href: names.qmd
'''
bib = '@book{first, title={On One}, author={First, Ada}, year={1901}, url={https://arxiv.org/abs/1901.00001}}'
names = '"""---\ntitle: Names\n---"""\nfrom names_page import names_table, reference_page\nprint(names_table("."), reference_page("."), sep="\\n\\n")\n'
project = '''[project]
name = "toy"

[tool.nbdev]
renderer = "reference.Reference"
skip_procs = "exec_show_docs"
doc_procs = "reference:ReferenceEntries"

[tool.chkstyle]
skip_paths = ["_modidx.py"]
'''

def new_toy(folder):
    for name,cells in {'00_low':low, '10_high':high, 'index':front, 'tutorials/by_hand':tutorial}.items(): write_nb(folder/f'nbs/{name}.ipynb', *cells)
    texts = {'settings.ini':'[DEFAULT]\nlib_name = toy\n', 'pyproject.toml':project, '_quarto.yml':yml, 'nbs/_quarto.yml':yml, 'nbs/references.bib':bib,
        'toy/__init__.py':'__version__ = "0.0.1"\n', 'nbs/names.qmd.py':names, 'nbs/api.qmd':'Names', 'nbs/styles.css':'', 'nbs/extra/deep/a.txt':'a'}
    for name,text in texts.items():
        (folder/name).parent.mkdir(parents=True, exist_ok=True)
        (folder/name).write_text(text)
    for o in ('site/after.html','styles.css'):
        (folder/'nbs'/o).parent.mkdir(exist_ok=True)
        shutil.copyfile(here/'nbs'/o, folder/'nbs'/o)
    (folder/'nbs/images').mkdir()
    for o in ('dot.png','favicon.png'): (folder/'nbs/images'/o).write_bytes(base64.b64decode(dot))
    (folder/'tools').mkdir()
    (folder/'tools/node_modules').symlink_to(here/'tools/node_modules')
    (folder/'tools/violations.txt').write_text('# none\n')
    done = checks.run_tool('nbdev-export', folder=folder)
    assert not done.returncode, done.stdout
    return folder


class Case(unittest.TestCase):
    "A test with a toy project of its own"
    maxDiff = None
    @classmethod
    def setUpClass(cls):
        cls.tmp = tempfile.TemporaryDirectory()
        cls.toy = new_toy(Path(cls.tmp.name).resolve()/'toy')

    @classmethod
    def tearDownClass(cls): cls.tmp.cleanup()

    def fresh(self, folder=None):
        "A copy of a folder, which the test may change"
        to = Path(tempfile.mkdtemp(dir=self.tmp.name)).resolve()/'copy'
        return Path(shutil.copytree(folder or self.toy, to, symlinks=True))


class Checks(Case):
    def test_root_and_notebooks(self):
        for start in (self.toy, self.toy/'nbs', self.toy/'toy/__init__.py'): self.assertEqual(checks.repo_root(start), self.toy)
        with self.assertRaisesRegex(FileNotFoundError, 'holds settings.ini and nbs'): checks.repo_root(self.tmp.name)
        write_nb(self.toy/'nbs/.ipynb_checkpoints/00_low-checkpoint.ipynb')
        self.assertEqual([p.name for p in checks.notebooks(self.toy)], ['00_low.ipynb', '10_high.ipynb', 'index.ipynb', 'by_hand.ipynb'])

    def test_tools(self):
        with self.assertRaisesRegex(FileNotFoundError, r"nbdev-nosuch is missing.*\[dev\]"): checks.dev_tool('nbdev-nosuch')
        wrong = checks.run_tool('nbdev-test', '--nosuch')
        self.assertTrue(wrong.returncode and '--nosuch' in wrong.stdout)

    def test_cell_options(self):
        o = checks.cell_options
        self.assertEqual(o('#| echo: false\n#| hide\nx = 1\n#| no option\n'), (dict(echo='false', hide=''), 'x = 1\n#| no option'))
        self.assertEqual(o('#|fig-alt: a picture: two dots\nx'), ({'fig-alt':'a picture: two dots'}, 'x'))

    def test_readme(self):
        relink = checks._relink
        self.assertEqual(relink('[a](06_p.ipynb) ![b](images/x.png "title")', 'nbs'), '[a](nbs/06_p.ipynb) ![b](nbs/images/x.png "title")')
        self.assertEqual(relink('<img src="images/x.png" width="4"> [l](../LICENSE)', 'nbs'), '<img src="nbs/images/x.png" width="4"> [l](LICENSE)')
        for same in ('[a](https://x.org/y)', '[a](#part)', '`[a](b)`', '```\n[a](b)\n```', 'f(x)[0](y z'): self.assertEqual(relink(same, 'nbs'), same)
        toy = self.fresh()
        write_nb(toy/'nbs/index.ipynb', md('See [low](00_low.ipynb).'), code('#| hide\nimport secret'), code('#| echo: false\nshown()', printed('only this\n')),
            code('f()', printed('careful!', 'stderr'), result(text_plain='<Figure>')))
        text = checks.readme_text(toy/'nbs/index.ipynb')
        self.assertEqual(text.split('\n\n', 1)[1], 'See [low](nbs/00_low.ipynb).\n\n    only this\n\n```python\nf()\n```\n')
        checks.write_readme(toy)
        self.assertEqual(checks.check_readme(toy), [])
        write_nb(toy/'nbs/index.ipynb', md('New'))
        self.assertEqual(len(checks.check_readme(toy)), 1)
        with replaced('os.replace', side_effect=OSError('disk full')), self.assertRaises(OSError): checks.write_readme(toy)
        self.assertEqual((toy/'README.md').read_text(), text)

    def test_imports(self):
        self.assertEqual(checks.check_imports(self.toy), [])
        toy = self.fresh()
        write_nb(toy/'nbs/00_low.ipynb', *low, code('from toy.high import two'))
        self.assertEqual(checks.check_imports(toy), ['00_low.ipynb imports toy.high, which 10_high.ipynb makes: only lower numbers are allowed'])
        write_nb(toy/'nbs/00_low.ipynb', *low)
        write_nb(toy/'nbs/10_high.ipynb', *high, code('#| exporti\nimport toy.low\ntoy.low._half'))
        self.assertEqual(checks.check_imports(toy), ['10_high.ipynb uses toy.low._half, which is private to its module: give it a public name there'])

    def test_export(self):
        self.assertEqual(checks.check_export(self.toy), [])
        toy = self.fresh()
        (toy/'toy/low.py').write_text((toy/'toy/low.py').read_text().replace('return 1', 'return 2'))
        (toy/'toy/high.py').unlink()
        (toy/'toy/stray.py').write_text('x = 1\n')
        self.assertEqual([o.split()[0] for o in checks.check_export(toy)], ['toy/high.py', 'toy/low.py', 'toy/stray.py'])

    def test_clean(self):
        self.assertEqual(checks.check_clean(self.toy), [])
        toy,crash = self.fresh(),dict(output_type='error', ename='ValueError', evalue='no heads', traceback=[])
        nameless = {k:v for k,v in code('x = 1').items() if k!='id'}
        write_nb(toy/'nbs/00_low.ipynb', *low, nameless, code('y = 1', crash), md('Twice'), md('Twice'))
        said = '\n'.join(checks.check_clean(toy))
        for want in ('cell 8 has no id', 'cell 9 stores an error, ValueError: no heads', 'cells 10 and 11 have the same id'): self.assertIn(want, said)
        write_nb(toy/'nbs/00_low.ipynb', *low, dict(code('print(1)'), execution_count=7))
        self.assertEqual(checks.check_clean(toy), ['00_low.ipynb is not clean: nbdev-clean'])

    def test_style(self):
        faults = checks.style_faults
        self.assertEqual(faults('x = 1; y = 2\nif (z := x):\n    assert z'), ['a ; between statements in line 1: x = 1; y = 2',
            'an assignment in an expression in line 2: if (z := x):', 'an assert in line 3: assert z'])
        self.assertEqual((faults('x = "a; b := c, assert d" # e; f'), faults('#'*120), len(faults('#'*121))), ([], [], 1))
        toy = self.fresh()
        write_nb(toy/'nbs/10_high.ipynb', *high, code('#| export\ndef three():\n    x = 3; return x'))
        own = [o for o in checks.check_style(toy) if o.startswith('10_high')]
        self.assertEqual(own, ['10_high.ipynb: a ; between statements in line 2: x = 3; return x'])

    def test_course(self):
        picture = result(image_png='', text_plain='<Figure>')
        page = [md('# One\n\n> Gives one'), code('#| export\ndef f():\n    return 1'), code('#| exports\ng = 1/2'), md('Half of that:'), code('#| exports\nh = g/2'),
            code('assert f()==1; test_eq(g, .5)'), code('#| fig-alt: a\n#| fig-cap: b\nplot()', picture)]
        nb = Path(self.tmp.name)/'lesson.ipynb'
        def lacks(*cells):
            write_nb(nb, *cells)
            return [o.split(' (cell')[0] for o in checks.page_faults(nb)]
        self.assertEqual(lacks(*page), [])
        self.assertEqual(checks.page_figures(nb), dict(exported=3, tests=2, pictures=1, outputs=1))
        self.assertEqual(lacks(md('# One'), *page[1:]), ['a quote under its title, a line that says what it is about'])
        self.assertEqual(lacks(*page[:3], *page[4:]), ['prose before h = g/2'])
        self.assertEqual(lacks(*page[:5], page[6]), ['a test: it exports and tests nothing'])
        self.assertEqual(lacks(*page[:6]), ['a picture', 'stored outputs: it shows nothing that its code printed'])

    def test_outputs(self):
        stored,toy = self.fresh(),self.fresh()
        for folder,text in ((stored,'accuracy 0.981, 3.2 s\n'), (toy,'accuracy 0.975, 41.0 s\n')): write_nb(folder/'nbs/20_run.ipynb', code('f()', printed(text)))
        self.assertEqual(checks.check_outputs(stored, toy), [])
        write_nb(toy/'nbs/20_run.ipynb', code('f()', printed('accuracy 0.81, 3.2 s\n')))
        self.assertEqual(len(checks.check_outputs(stored, toy)), 1)

    def test_command(self):
        def run(*args): return subprocess.run([sys.executable, here/'tools/checks.py', *args], cwd=self.toy, capture_output=True, text=True)
        done = run('check_imports')
        self.assertEqual((done.returncode, done.stdout), (0, 'check_imports: fine\n'))
        done = run('check_nothing')
        self.assertTrue(done.returncode==2 and 'must be one of' in done.stderr)


def bare(a, b=1): return a
def halve(
    x:int,                                      # an even number
    by:'float|None'=None, how:str="a" 'b', # how much | None: 2
    *rest,
    size=(2,3.),                                # of what
    **kwargs,                                   # of the rest
)->int: # (B, N*2) half of it
    """Half of `x`

    Raises ValueError for odd ones."""
    return x//2


class Entries(Case):
    def test_as_written(self):
        found = list(reference.parameters(halve))
        self.assertEqual([o[0] for o in found], ['x', 'by', 'how', '*rest', 'size', '**kwargs'])
        self.assertEqual(found[1][1:3], ("'float|None'", 'None'))
        self.assertEqual(found[4][1:], ('', '(2,3.)', 'of what'))
        entry = reference.Reference(halve)._repr_markdown_()
        for line in ['### `halve` {#halve .entry}', 'Raises ValueError for odd ones.', r'| *returns* | `int` |  | (B, N\*2) half of it |',
                     '[tools/test_tools.py, line %d]{.source}' % halve.__code__.co_firstlineno]: self.assertIn(line, entry.splitlines())
        self.assertNotIn('|', reference.Reference(bare)._repr_markdown_()) # a table of nothing but names would say no more than the signature
        with replaced.dict(os.environ, PERCEIVERS_REPOSITORY='me/it'):
            self.assertIn('[source](https://github.com/me/it/blob/main/tools/test_tools.py#L', reference.Reference(halve)._repr_markdown_())

    def test_of_the_package(self):
        "No entry shows a default that is another function's, and none has `NoneType`, or the address of an object"
        from perceivers.learner import perceiver_learner
        from perceivers.position import Tokens
        rows = {n:d for n,_,d,_ in reference.parameters(perceiver_learner)}
        self.assertEqual((rows['lr'], rows['opt_func']), ('4e-3', 'partial(Adam, mom=0.9, sqr_mom=0.98, eps=1e-8)'))
        self.assertEqual((rows['splitter'], rows['moms']), ('perceiver_splitter', '(0.9,0.9,0.9)'))
        self.assertEqual(list(reference.parameters(Tokens))[2][:3], ('mask', 'Tensor|None', 'None'))

    def test_source_open(self):
        r = reference.Reference(halve)
        r.shown = True
        self.assertEqual(r._repr_markdown_(), '### `halve` {#halve .entry}\n\nHalf of `x`\n\nRaises ValueError for odd ones.')
        r = reference.Reference(None, name='nothing')
        r.assigned = 'nothing = None'
        self.assertEqual(r._repr_markdown_(), '### `nothing` {#nothing .entry}\n\n```python\nnothing = None\n```')

    def test_dunders_and_constants(self):
        sd = AttrDict(source='show_doc(Model.__call__)', has_sd=True)
        self.assertTrue(reference.is_dunder(sd))
        self.assertFalse(reference.is_dunder(AttrDict(source='show_doc(Model.call)', has_sd=True)))
        self.assertEqual(reference.constants('a,b = 1,2\n_c = 3\nd[0] = 4\nj = k = 3'), {'a':'a,b = 1,2', 'b':'a,b = 1,2', 'j':'j = k = 3', 'k':'j = k = 3'})

    def test_order(self):
        def sd(name): return AttrDict(cell_type='code', source=f'show_doc({name})', has_sd=True)
        src = AttrDict(cell_type='code', source='def a(): pass\n\nasync def b(): pass\nc = 1', directives_=dict(exports=''))
        text = AttrDict(cell_type='markdown', source='Prose')
        run = list(reference.entries_first([text, sd('b'), src, sd('c'), sd('a'), text, sd('d'), text]))
        self.assertEqual([c.source[:11] for c in run], ['Prose', 'show_doc(a)', 'show_doc(b)', 'show_doc(c)', 'def a(): pa', 'Prose', 'show_doc(d)', 'Prose'])
        self.assertEqual([c.source_shown for c in run if c.get('has_sd')], [True]*3+[False]) # d's source is hidden: its entry shows the signature

    def test_links_and_sections(self):
        c = AttrDict(cell_type='code', source='#| fig-alt: Two: one\n#| echo: false\nx',
            outputs=[AttrDict(data={'text/markdown':'[`_a`](/low.html#_a) [`b`](/low.html#b)'})])
        reference.fix_cell(c)
        self.assertEqual((c.source, c.outputs[0].data['text/markdown']), ('#| fig-alt: "Two: one"\n#| echo: false\nx', '`_a` [`b`](/low.html#b)'))
        c = AttrDict(cell_type='markdown', source='[`C._m`](/low.html#c._m), [[`b`](/low.html#b)](low.ipynb#own)\n## Pair\n### Other')
        reference.fix_cell(c)
        reference.rename_sections([c, AttrDict(cell_type='code', outputs=[AttrDict(data={'text/markdown':'### `Pair` {#pair .entry}'})])])
        self.assertEqual(c.source, '`C._m`, [`b`](low.ipynb#own)\n## Pair {#pair-section}\n### Other')


class Staging(Case):
    def test_settings(self):
        self.assertEqual(stage.fill_in('a: 1\n  repo-subdir: nbs\n  site-url: https://OWNER.github.io/REPOSITORY\n', ''), 'a: 1\n')
        self.assertEqual(stage.fill_in('site-url: https://OWNER.github.io/REPOSITORY\n', 'me/it'), 'site-url: https://me.github.io/it\n')
        text = (here/'_quarto.yml').read_text()
        for repository in ('', 'me/it'): self.assertNotRegex(stage.fill_in(text, repository), '(?m)^ .*(OWNER|REPOSITORY)')

    def test_pages(self):
        staged = stage.stage(self.toy, 'me/it')
        meta = preview.page_text(staged/'tutorials/by_hand.ipynb', None)[0]
        self.assertEqual([o['href'] for o in meta['code-links']], ['https://colab.research.google.com/github/me/it/blob/colab/tutorials/by_hand.ipynb',
            'https://github.com/me/it/blob/main/nbs/tutorials/by_hand.ipynb'])
        cells = json.loads((staged/'_colab/tutorials/by_hand.ipynb').read_text())['cells']
        self.assertEqual(''.join(cells[1]['source']), '#| eval: false\n!pip install -q "perceivers @ git+https://github.com/me/it"')
        with replaced.dict(stage.also_called, {'00_low.ipynb':'uno, eins'}): stage.stage(self.toy)
        self.assertIn('uno, eins', source(self.toy/'_proc/00_low.ipynb'))
        self.assertNotIn('code-links', source(self.toy/'_proc/00_low.ipynb'))
        text = source(self.toy/'_proc/10_high.ipynb')
        self.assertTrue('## Pair {#pair-section}' in text and 'secret' not in text)
        toy = self.fresh()
        (toy/'toy/low.py').write_text('1/0')
        with self.assertRaisesRegex(SystemExit, 'nbdev-proc-nbs fails'): stage.stage(toy)

    def test_names_are_there(self):
        "Every page with other words is there, and the words of the reader's questions are among them"
        for o in stage.also_called: self.assertTrue((here/'nbs'/o).is_file(), o)
        words = ', '.join(stage.also_called.values()).lower()
        for o in ('finetune','positional encoding','multi-gpu','own images','onnx'): self.assertIn(o, words)

    def test_names_page(self):
        self.assertEqual(names_page.names_table(self.toy).splitlines()[2:], ['| [`one`](00_low.ipynb#one) | $1$ | `uno` | [The low page](00_low.ipynb) |'])
        self.assertIn('| [`Pair`](10_high.ipynb#pair) | Two of them | [The high page](10_high.ipynb) |', names_page.reference_page(self.toy))
        three = names_page.three
        self.assertEqual(three({'here':'a', 'Flamingo':'b', 'elsewhere':'c', 'the paper':'-'}), ('a', '', 'Flamingo: b; c'))

    def test_order(self):
        self.assertEqual((preview.check_order(self.toy), preview.check_order(here)), ([], []))
        toy = self.fresh()
        (toy/'_quarto.yml').write_text(yml.replace('[00_low.ipynb, 10_high.ipynb]', '[00_low.ipynb, 00_low.ipynb, 20_gone.ipynb]'))
        self.assertEqual(preview.check_order(toy), ['10_high.ipynb is in no section of _quarto.yml', '20_gone.ipynb is in _quarto.yml, but not in nbs',
            '00_low.ipynb is in _quarto.yml 2 times'])


# Every key of `_quarto.yml` that Quarto knows, by the page of its documentation: quarto.org/docs/reference/PAGE.html and docs/websites.
quarto_keys = {
    'projects/options': 'project.type project.output-dir project.resources project.preview.port project.preview.browser',
    'projects/websites': """website.title website.description website.site-url website.repo-url website.repo-subdir website.repo-actions website.favicon
        website.search.location website.search.type website.search.limit website.search.show-item-context website.page-navigation website.back-to-top-navigation
        website.image website.image-alt website.open-graph website.twitter-card.card-style website.navbar.left.text website.navbar.left.href
        website.sidebar.style website.sidebar.collapse-level website.sidebar.contents website.sidebar.contents.section website.sidebar.contents.contents""",
    'formats/html': """lang bibliography link-citations format.html.theme.light format.html.theme.dark format.html.respect-user-color-scheme format.html.css
        format.html.include-after-body format.html.grid.sidebar-width format.html.grid.body-width format.html.grid.margin-width format.html.grid.gutter-width
        format.html.toc format.html.toc-depth format.html.toc-expand format.html.code-copy format.html.code-overflow format.html.anchor-sections
        format.html.html-math-method format.html.lightbox""",
    'websites/website-llms': 'website.llms-txt'}

def keys_of(o, name=''):
    "The names of all values of a YAML document"
    if isinstance(o, dict):
        for k,v in o.items(): yield from keys_of(v, f'{name}.{k}' if name else k)
    elif isinstance(o, list):
        for v in o: yield from keys_of(v, name)
    else: yield name


class Quarto(unittest.TestCase):
    def test_keys(self):
        known = {k for keys in quarto_keys.values() for k in keys.split()}
        self.assertEqual(set(keys_of(preview.site_config(here)))-known, set())

    def test_release(self):
        text = '# Changelog\n\n## 0.2.0\n\nNew.\n\n## 0.1.0\n\nOld.\n'
        self.assertEqual(release.release_notes('v0.1.0', '0.1.0', text), 'Old.')
        with self.assertRaisesRegex(ValueError, 'the tag is v0.1.0, and the version'): release.release_notes('v0.1.0', '0.2.0', text)
        with self.assertRaisesRegex(ValueError, 'no section ## 0.3.0'): release.release_notes('v0.3.0', '0.3.0', text)


class Site(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with replaced.dict(stage.also_called, {'00_low.ipynb':'uno, eins'}, clear=True): cls.docs = preview.build(cls.toy, say=lambda *a, **k: None)

    def check(self, folder): # the toy has other pages than the course
        with replaced.dict(stage.also_called, {'00_low.ipynb':'uno, eins'}, clear=True): return check_site.check_pages(folder)

    def broken(self, page, old, new):
        "A copy of the toy's site with one thing changed on a page"
        site = self.fresh(self.docs)
        text = (site/page).read_text()
        self.assertIn(old, text)
        (site/page).write_text(text.replace(old, new))
        return site

    def test_pages(self):
        page = (self.docs/'low.html').read_text()
        for part in ('<h1 class="title">The low page</h1>', 'rel="next" href="high.html"', 'href="high.html#two"', 'aria-current="page"', 'src="site/katex/katex.min.js"',
                     'src="figures/low-1.png"', 'alt="Two dots: one dark, one light"', 'uno, eins'): self.assertIn(part, page)
        self.assertNotIn('https://cdn', page)
        css = (self.docs/'site/cosmo.css').read_text()
        self.assertTrue('@import' not in css and '*/:root,[data-bs-theme=light]{' in css)
        self.assertIn('src="../images/dot.png"', (self.docs/'tutorials/by_hand.html').read_text())
        self.assertTrue((self.docs/'extra/deep/a.txt').is_file())
        page = (self.docs/'high.html').read_text()
        self.assertTrue('seen' in page and 'secret' not in page)

    def test_links(self):
        link = preview.page_link
        self.assertEqual(link('../05_inputs.ipynb#adapter', 'tutorials/a.html'), '../inputs.html#adapter')
        self.assertEqual(link('/inputs.html#gridinput', 'tutorials/a.html'), '../inputs.html#gridinput')
        self.assertEqual([link(o, 'a.html') for o in ('#x', 'https://x.org/a.ipynb', 'mailto:a@b')], ['#x', 'https://x.org/a.ipynb', 'mailto:a@b'])
        self.assertEqual(preview.with_links('&lt;a href="a.ipynb"&gt;<script>"<a href=a.ipynb>"</script>', 'x.html'), '&lt;a href="a.ipynb"&gt;<script>"<a href=a.ipynb>"</script>')

    def test_cells(self):
        save = lambda data, kind: f'p.{kind}'
        self.assertEqual(preview.output(result(image_png=dot), {'fig-alt':'"A" dot'}, save), '<img src="p.png" alt="&quot;A&quot; dot">')
        self.assertEqual([preview.output(o, {}, save) for o in (printed('a', 'stderr'), result(), result(text_plain=' '))], ['']*3)
        self.assertEqual(preview.folded({'echo':False}, 'x', ['1']).split(), ['1'])
        self.assertEqual(preview.folded({'code-fold':True}, 'x', ['1']).split()[-2:], ['</details>', '1'])
        self.assertEqual(preview.fenced('a\n```b'), '````\na\n```b\n````')

    def test_whole(self): self.assertEqual(self.check(self.docs), [])

    def test_breaks(self):
        cases = [('href="high.html#two"', 'href="hihg.html"', 'low.html: hihg.html leads nowhere'),
            ('href="high.html#two"', 'href="../high.html"', 'low.html: ../high.html leads nowhere'),
            ('href="high.html#two"', 'href="high.html#three"', 'low.html: high.html#three: no such anchor on high.html'),
            ('id="test"', 'id="one"', 'low.html: anchor one is there 2 times'),
            ('alt="Two dots: one dark, one light"', 'alt=" "', 'low.html: picture figures/low-1.png has no alternative text'),
            ('src="figures/low-1.png"', 'src="figures/low-2.png"', 'low.html: figures/low-2.png leads nowhere'),
            ('Counting starts', '$2 $ Counting starts', 'low.html: left as dollars: $2 $'),
            ('Counting starts', '[<code>a</code>](/high.html) Counting', 'low.html: left as a link in brackets: ](/high.html)'),
            ('class="citation"', 'class="citation"><strong>nobody?</strong></span><span', 'low.html: cites nobody? which is not in references.bib'),
            ('uno, eins', 'one', 'low.html: a search for its other words does not find it: uno, eins')]
        for old,new,said in cases:
            with self.subTest(said): self.assertIn(said, self.check(self.broken('low.html', old, new)))
        self.assertEqual(check_site.check_pages(self.toy/'nbs/images'), ['images holds no pages'])

    def test_references(self):
        toy = self.fresh()
        self.assertEqual(check_site.check_references(toy), [])
        write_nb(toy/'nbs/20_new.ipynb', md('See [this](https://arxiv.org/abs/1901.00001), [that](https://arxiv.org/pdf/1901.00002), [gone](30_gone.ipynb).'))
        self.assertEqual(check_site.check_references(toy), ['20_new.ipynb: arXiv 1901.00002 is not in references.bib',
            '20_new.ipynb links to 30_gone.ipynb, which is not there'])

    def test_violations(self):
        found = {'low.html dark color-contrast':'2 places'}
        self.assertEqual(check_site.judge(found, ['low.html dark color-contrast']), [])
        self.assertEqual(check_site.judge(found, []), ['low.html dark color-contrast: 2 places'])
        self.assertEqual(check_site.judge({}, ['low.html dark region']), ['tools/violations.txt: "low.html dark region" is not needed any more'])

    @unittest.skipUnless(check_site.find_browser(), 'no Chromium here')
    def test_browser(self):
        def seen(*change):
            with replaced.object(check_site, 'chosen', ['low.html']): return check_site.browse(self.toy, self.broken(*change) if change else self.docs)
        self.assertEqual(seen(), [])
        def has(said, *change):
            with self.subTest(said): self.assertIn(said, '\n'.join(seen(*change)))
        end = '</main>'
        has('low.html: 5', 'low.html', end, f'<p style="width: 500px">Wide</p>{end}')
        has('high.html: a script fails: nosuch is not defined', 'high.html', end, f'<script>nosuch()</script>{end}')
        has('/nosuch.json gives 404', 'high.html', end, f'<script>fetch("nosuch.json")</script>{end}')
        has('asks another host for', 'high.html', end, f'<script>fetch("http://127.0.0.2:9/").catch(() => 0)</script>{end}')
        has('formulas are not set', 'low.html', 'site/katex/katex.min.js', 'site/cosmo.css')
        has('low.html light color-contrast', 'low.html', end, f'<p style="color: #999; background: #fff">Pale</p>{end}')
        wide = f'<pre>{"wide "*100}</pre>'
        has('parts scroll, but not by keyboard', 'low.html', end, f'{wide}<script>setTimeout(() => document.querySelectorAll("pre").forEach(e => e.tabIndex = -1), 300)</script>{end}')


if __name__=='__main__': unittest.main()
