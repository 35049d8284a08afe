"""The pages of the course: what each takes to read, and what each lacks

    python tools/pages.py           # a table: words, minutes, open lines of tests, longest shown line, figures; then complaints
    python tools/pages.py --write   # the line under each title that says what the page takes, made anew

Words are those of the prose. Minutes are estimated: 200 words a minute, 15 shown lines of code a minute. A shown line is one that a reader sees without
unfolding anything: not hidden, not folded, not exported without its source. A line of a test is a shown line of a cell that asserts.
The exit status is 1 where there are complaints."""
import argparse, json, re, sys
from pathlib import Path
import yaml

root = Path(__file__).resolve().parent.parent
MAX_WORDS,MAX_LINE,MAX_SOURCE = 6000,100,120 # the package's own lines may be longer

# What a page takes for granted, beyond PyTorch: the pages that must have been read, by name. Of a page of the sidebar that is not here: the one before it.
needs = {
    'index':[], 'tutorials/first_perceiver':[], '00_position':['tutorials/first_perceiver'], '01_attention':['00_position'],
    '07_stems':['05_inputs'], '01_separable':['04_encoder'], '02_fast_attention':['01_separable'], 'benchmarks/speed':['tutorials/first_perceiver'],
    '08_checkpoint':['06_perceiver'], '12_text':['11_perceiver_io'], '13_sets':['11_perceiver_io'], '14_audio':['11_perceiver_io'], '15_flow':['11_perceiver_io'],
    '16_multimodal':['11_perceiver_io'], '17_export':['06_perceiver'], '18_tables':['13_sets'], '20_data':['06_perceiver'], '21_images':['20_data'],
    '22_datablocks':['20_data'], '23_learner':['06_perceiver'], '24_interpret':['23_learner'], '25_reading':['24_interpret','11_perceiver_io'],
    '27_runs':['23_learner'], '28_commands':['27_runs'], '30_resampler':['04_encoder'], '40_presets':['11_perceiver_io'], '42_models':['06_perceiver'],
    '43_all':['23_learner'], '19_archives':['21_images'], '26_files':['22_datablocks'], '29_main':['28_commands'], '41_pretrained':['40_presets'], '44_weights':['28_commands'],
    'tutorials/mnist':['06_perceiver'], 'tutorials/mnist_io':['11_perceiver_io'], 'tutorials/permuted_pixels':['tutorials/mnist'],
    'tutorials/cifar10':['tutorials/mnist'], 'tutorials/larger_images':['tutorials/mnist'], 'tutorials/image_completion':['11_perceiver_io'],
    'tutorials/masked_bytes':['12_text'], 'tutorials/spoken_digits':['14_audio'], 'tutorials/points_and_sets':['13_sets'], 'tutorials/motion':['15_flow'],
    'tutorials/two_modalities':['16_multimodal'], 'tutorials/when_it_does_not_learn':['tutorials/mnist'], 'tutorials/choosing_sizes':['04_encoder'], 'tutorials/own_modality':['05_inputs'],
    'tutorials/fine_tuning':['tutorials/mnist'], 'tutorials/many_gpus':['23_learner']}


def read(nb): return json.loads(nb.read_text(encoding='utf-8'))

def options(cell):
    "The directives of a cell, and its code without them"
    lines = ''.join(cell['source']).split('\n')
    n = next((i for i,o in enumerate(lines) if not o.startswith('#|')), len(lines))
    found = [o[2:].strip().partition(':') for o in lines[:n]]
    return {k.split()[0]:(k.split()[1:], v.strip()) for k,_,v in found if k.split()}, [o for o in lines[n:] if o.strip()]

def shown_lines(cell):
    "The lines of code that a reader sees"
    if cell['cell_type']!='code': return []
    o,code = options(cell)
    hidden = {'hide','hide_input','export','exporti','default_exp'} & set(o) or o.get('code-fold', ('',''))[1]=='true'
    return [] if hidden or any(o.get(k, ('',''))[1]=='false' for k in ('echo','include')) else code

def is_test(code): return any(re.match(r'\s*(assert\b|assert_close|test_\w+\(|with expect_fail|torch\.testing\.assert)', o) for o in code)

def has_picture(cell): return any('image/png' in o.get('data', {}) or 'image/svg+xml' in o.get('data', {}) for o in cell.get('outputs', []))

def figures(nb):
    "What the table says of a page"
    cells = read(nb)['cells']
    prose = '\n'.join(''.join(c['source']) for c in cells if c['cell_type']=='markdown')
    words = len(re.findall(r'\w[\w’\'-]*', re.sub(r'\]\([^)]*\)|```.*?```|<[^>]+>', ' ', prose, flags=re.S)))
    code = [shown_lines(c) for c in cells]
    exported = [c['cell_type']=='code' and 'exports' in options(c)[0] for c in cells]
    n_lines = sum(map(len, code))
    return dict(words=words, minutes=max(1, round(words/200 + n_lines/15)), tests=sum(len(o) for o in code if is_test(o)),
                longest=max((len(l) for o,source in zip(code, exported) for l in o if not source), default=0),
                source=max((len(l) for o,source in zip(code, exported) for l in o if source), default=0), pictures=sum(map(has_picture, cells)),
                next=next(iter(re.findall(r'^\*\*Next:\*\* \[[^]]*\]\(([^)#]*)', prose, re.M)), None))

def pages():
    "(section, page) of the sidebar, in the order of reading"
    def walk(items, section):
        for o in items:
            if isinstance(o, dict): yield from walk([o['contents']] if isinstance(o['contents'], str) else o['contents'], o['section'])
            else: yield from ((section, p) for p in sorted((root/'nbs').glob(o)) if p.suffix=='.ipynb')
    return list(walk(yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8'))['website']['sidebar']['contents'], ''))

def name(nb): return nb.relative_to(root/'nbs').with_suffix('').as_posix()

def title(nb): return next(re.match(r'# (.*)', ''.join(c['source']))[1] for c in read(nb)['cells'] if c['cell_type']=='markdown')

def takes(section, nb):
    "The line under a title"
    up = '../'*name(nb).count('/')
    order = [name(o) for _,o in pages()]
    first = needs.get(name(nb), [order[order.index(name(nb))-1]])
    known = [f"[{title(root/'nbs'/f'{o}.ipynb')}]({up}{o}.ipynb)" for o in first]
    optional = 'Not part of the course: read it when you need it. ' if section.startswith(('After', 'Behind', 'Working')) else ''
    before = f"Read first: {' and '.join(known)}." if known else 'You need to know: PyTorch, and what a Transformer is.'
    return f"*{optional}About {figures(nb)['minutes']} minutes. {before} Words: [Glossary]({up}glossary.qmd).*"

def write(section, nb):
    "Puts the line into its cell, behind the one with the title"
    text,book = takes(section, nb),read(nb)
    cell = next((c for c in book['cells'] if c['id']=='takes'), None)
    if cell is None:
        at = next(i for i,c in enumerate(book['cells']) if c['cell_type']=='markdown')+1
        cell = dict(cell_type='markdown', id='takes', metadata={}, source=[])
        book['cells'].insert(at, cell)
    if ''.join(cell['source'])==text: return
    cell['source'] = [text]
    part = nb.with_name(f'.{nb.name}.part')
    part.write_text(json.dumps(book, sort_keys=True, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    part.replace(nb)

def complaints(section, nb):
    "What a page lacks"
    f,bad = figures(nb),[]
    line = next((''.join(c['source']) for c in read(nb)['cells'] if c['id']=='takes'), '')
    said = re.search(r'About (\d+) minutes', line)
    if name(nb)!='index':
        if not said: bad.append('no line under its title that says what it takes (python tools/pages.py --write)')
        elif abs(int(said[1])-f['minutes']) > 1 + f['minutes']/10: bad.append(f"says {said[1]} minutes, and takes {f['minutes']} (python tools/pages.py --write)")
    course = not section.startswith(('After', 'Behind', 'Working')) and name(nb)!='index'
    if course and not f['next']: bad.append('no line that begins with **Next:** and a link')
    elif f['next'] and not (nb.parent/f['next']).is_file(): bad.append(f"**Next:** {f['next']} is not there")
    if f['words'] > MAX_WORDS: bad.append(f"{f['words']:,} words, more than {MAX_WORDS:,}")
    if course and f['longest'] > MAX_LINE: bad.append(f"a shown line of {f['longest']} characters, more than {MAX_LINE}")
    if f['source'] > MAX_SOURCE: bad.append(f"a line of shown source of {f['source']} characters, more than {MAX_SOURCE}")
    return [f'{name(nb)}: {o}' for o in bad]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--write', action='store_true', help='make the lines under the titles anew')
    args = parser.parse_args()
    found = pages()
    if args.write:
        for section,nb in found:
            if name(nb)!='index': write(section, nb)
    print(f"{'page':33} words  minutes  open test lines  longest shown line  of the source  figures")
    total = dict.fromkeys(('words','minutes','tests','pictures'), 0)
    for section,nb in found:
        f = figures(nb)
        for k in total: total[k] += f[k]
        print(f"{name(nb):33} {f['words']:5}  {f['minutes']:7}  {f['tests']:15}  {f['longest']:18}  {f['source']:13}  {f['pictures']:7}")
    print(f"{'total':33} {total['words']:5}  {total['minutes']:7}  {total['tests']:15}  {'':18}  {'':13}  {total['pictures']:7}")
    bad = [o for section,nb in found for o in complaints(section, nb)]
    print(*bad, sep='\n')
    return bool(bad)


if __name__=='__main__': sys.exit(main())
