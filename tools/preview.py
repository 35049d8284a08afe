"""The site without Quarto, to look at offline: run it by `tools/run python tools/preview.py`, then open `_docs/index.html`

Its pages hold what Quarto's hold, in Quarto's two themes and with the same `styles.css`, under the same names and anchors; the frame is
plain, and there is no search. nbdev stages the notebooks, pandoc makes the pages, tools/preview.html is around them."""
import argparse, base64, html, json, posixpath, re, shutil, sys
from pathlib import Path
from typing import NamedTuple
import yaml
from checks import cell_options, notebooks, repo_root
from finish_site import finish_site, node_modules
from stage import stage


def site_config(
    root:Path, # a checkout
)->dict:
    "What `_quarto.yml` says"
    return yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8'))


class Page(NamedTuple):
    "One page of the site"
    section:str # the sidebar's heading above it, '' for none
    source:str  # its file, seen from `nbs`
    href:str    # its address, seen from the front page


def page_href(
    source:str, # a notebook or a text, seen from `nbs`
)->str:         # as nbdev names it: without its number, in lower case
    "The address of a page"
    folder,name = posixpath.split(source)
    return posixpath.join(folder, re.sub(r'^\d+[a-z0-9]*_', '', name.lower()).rsplit('.', 1)[0]+'.html')


def expand(contents, section=''):
    "The pages of a sidebar's `contents`, in order"
    for o in [contents] if isinstance(contents, (str,dict)) else contents:
        if isinstance(o, dict) and 'section' in o: yield from expand(o['contents'], o['section'])
        else:
            name = o if isinstance(o, str) else o.get('file') or o['href']
            yield Page(section, name, page_href(name))


def site_pages(
    root:Path, # a checkout
)->list[Page]: # in the order of the course
    "Every page that the sidebar of `_quarto.yml` names"
    return list(expand(site_config(root)['website']['sidebar']['contents']))


def check_order(
    root:Path, # a checkout
)->list[str]:  # complaints, none if all is well
    "Whether the sidebar names every notebook once, and nothing that is not there"
    nbs,named = root/'nbs',[p.source for p in site_pages(root)]
    have = [p.relative_to(nbs).as_posix() for p in notebooks(root)]
    there = {o for o in named if (nbs/o).exists() or (nbs/f'{o}.py').exists()}
    bad  = [f'{o} is in no section of _quarto.yml' for o in have if o not in named]
    bad += [f'{o} is in _quarto.yml, but not in nbs' for o in named if o not in there]
    return bad + [f'{o} is in _quarto.yml {named.count(o)} times' for o in sorted(there) if named.count(o)>1]


def yaml_options(source):
    "A cell's options with their values as YAML understands them, and the rest of it"
    options,code = cell_options(source)
    def value(v):
        try: return yaml.safe_load(f'x: {v}')['x']
        except yaml.YAMLError: return v
    return {k:value(v) for k,v in options.items()},code


def fenced(text, attrs=''):
    "Text between fences that are longer than any in it"
    fence = '`'*max(3, 1+max(map(len, re.findall('`+', text)), default=0))
    return f"{fence}{f' {attrs}' if attrs else ''}\n{text.rstrip()}\n{fence}"


def folded(options, code, outputs):
    "A code cell as markdown, folded as its options say"
    off = options.get('include') is False
    code = '' if off or options.get('echo') is False or not code.strip() else fenced(code, '{.python}')
    outputs = '' if off or options.get('output') is False else '\n\n'.join(outputs)
    fold = options.get('code-fold') if code else None
    if not fold: return f'{code}\n\n{outputs}'
    state = ' open' if fold=='show' else ''
    summary = html.escape(options.get('code-summary', 'Code'))
    return f'<details{state} class="code-fold">\n<summary>{summary}</summary>\n\n{code}\n\n</details>\n\n{outputs}'


def picture(options, href):
    "A picture as markdown: with a caption, a figure"
    alt = html.escape(str(options.get('fig-alt') or options.get('fig-cap') or ''))
    image = f'<img src="{href}" alt="{alt}">'
    if not options.get('fig-cap'): return image
    return f"<figure>\n{image}\n<figcaption>\n\n{options['fig-cap']}\n\n</figcaption>\n</figure>"


def output(o, options, save):
    "One output as markdown; `save` keeps a picture's bytes and gives its address"
    data = {k:''.join(v) for k,v in o.get('data', {}).items() if isinstance(v, (str,list))}
    if 'image/png' in data: return picture(options, save(base64.b64decode(data['image/png']), 'png'))
    if 'image/svg+xml' in data: return picture(options, save(data['image/svg+xml'].encode(), 'svg'))
    for kind in ('text/markdown','text/html'):
        if kind in data: return data[kind]
    text = ''.join(o.get('text', '')) if o.get('name')!='stderr' else ''
    text = text or data.get('text/plain', '')
    return f'::: cell-output\n{fenced(text)}\n:::' if text.strip() else ''


def split_meta(text):
    "The YAML at the top of a text, and the rest"
    found = re.match(r'---\n(.*?)\n---\s*(?:\n|$)', text.lstrip(), re.S)
    return (yaml.safe_load(found[1]) or {}, text.lstrip()[found.end():]) if found else ({}, text)


def page_text(
    path:Path, # a staged notebook or `.qmd`
    save,      # called with a picture's bytes and kind, gives its address
)->tuple[dict,str]: # title and so on; the text as pandoc's markdown
    "A staged page as settings and one markdown text"
    text = path.read_text(encoding='utf-8')
    if path.suffix!='.ipynb': return split_meta(text)
    meta,parts = {},[]
    for c in json.loads(text)['cells']:
        source = ''.join(c['source'])
        if c['cell_type']=='raw': meta |= split_meta(source)[0]
        elif c['cell_type']=='markdown': parts.append(source)
        else:
            options,code = yaml_options(source)
            parts.append(folded(options, code, [output(o, options, save) for o in c.get('outputs', [])]))
    return meta,'\n\n'.join(parts)


def to_html(
    text:str,  # pandoc's markdown
    meta:dict, # title, description
    nbs:Path,  # where `references.bib` is
    **variables, # for tools/preview.html
)->str:        # a whole page
    "Markdown as HTML, by pandoc"
    import pypandoc
    args = ['--katex', '--toc', '--toc-depth=3', '--wrap=preserve', '--standalone', '--metadata=link-citations:true',
        '--metadata=lang:en-GB', f'--template={Path(__file__).with_name("preview.html")}']
    if (nbs/'references.bib').exists(): args += ['--citeproc', f'--bibliography={nbs/"references.bib"}']
    args += [f'--variable={k}:{v}' for k,v in variables.items()]
    head = f'---\n{yaml.safe_dump(meta, allow_unicode=True)}\n---\n\n' if meta else ''
    return pypandoc.convert_text(head+text, 'html5', format='markdown+autolink_bare_uris', extra_args=args)


def page_link(link, here):
    "A link in a page's text as it must be on the page `here`"
    path,hash,anchor = link.partition('#')
    if not path or re.match(r'[a-zA-Z][\w+.-]*:|//', path): return link
    path = path[1:] if path[0]=='/' else posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    if path.endswith(('.ipynb','.qmd')): path = page_href(path)
    return posixpath.relpath(path, posixpath.dirname(here) or '.') + hash + anchor


def with_links(page, here):
    "A page of pandoc's with links as the site needs them; nothing within a script is touched"
    def link(m): return m[1] + html.escape(page_link(html.unescape(m[2]), here)) + '"'
    def links(tag): return re.sub(r'(\s(?:href|src)=")([^"]+)"', link, tag[0])
    parts = re.split(r'(<(?:script|style)\b.*?</(?:script|style)>)', page, flags=re.S)
    return ''.join(s if i%2 else re.sub(r'<[a-zA-Z][^<>]*>', links, s) for i,s in enumerate(parts))


def sidebar(pages, titles, here):
    "The list of pages beside the page `here`, as HTML"
    root,out,section = '../'*here.count('/'),['<ul>'],''
    for p in pages:
        if p.section!=section: out += ['</ul>', f'<p class="section">{html.escape(p.section)}</p>' if p.section else '', '<ul>']
        section,current = p.section,' aria-current="page"' if p.href==here else ''
        out.append(f'<li><a href="{root}{p.href}"{current}>{html.escape(titles[p.href])}</a></li>')
    return '\n'.join([*out, '</ul>'])


def navbar(config, here):
    "The links of the bar at the top"
    def link(o): return f'<a class="nav-link" href="{"../"*here.count("/")}{page_href(o["href"])}">{html.escape(o["text"])}</a>'
    return '\n'.join(link(o) for o in config['website']['navbar']['left'])


def neighbour(pages, titles, here, step):
    "A link to the page before (-1) or after (1), or nothing"
    i = [p.href for p in pages].index(here) + step if here in [p.href for p in pages] else -1
    if not 0<=i<len(pages): return ''
    word,rel,href = ('Next','next',pages[i].href) if step>0 else ('Previous','prev',pages[i].href)
    return f'<a rel="{rel}" href="{"../"*here.count("/")}{href}">{word}: {html.escape(titles[href])}</a>'


def saver(out, href):
    "A function that writes a page's pictures as files and gives their addresses"
    stem,n = href[:-5].replace('/', '-'),0
    def save(data, kind):
        nonlocal n
        n += 1
        path = out/f'figures/{stem}-{n}.{kind}'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f'/figures/{path.name}'
    return save


def copy_files(root, staged, config, out):
    "The themes, the style sheet, the project's resources and pictures"
    (out/'site').mkdir(parents=True)
    for theme in ('cosmo','darkly'):
        css = (node_modules(root)/f'bootswatch/dist/{theme}/bootstrap.min.css').read_text(encoding='utf-8')
        (out/f'site/{theme}.css').write_text(re.sub(r'/\*# sourceMappingURL.*', '', css), encoding='utf-8')
    for pattern in (*config['project'].get('resources', []), 'styles.css', 'images/**'):
        every = f'{pattern}/*' if pattern.endswith('**') else pattern # for Quarto, ** are files, too
        for p in (o for o in staged.glob(every) if o.is_file()):
            to = out/p.relative_to(staged)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(p, to)


def build(
    root:Path, # a checkout
    run:str='mnist', # the model of the demonstration page
    say=print, # is told of progress
)->Path: # the folder `_docs`
    "The folder of the whole site, built anew"
    say('staging the notebooks', flush=True)
    staged,config,pages = stage(root),site_config(root),site_pages(root)
    new = root/'_docs.new'
    shutil.rmtree(new, ignore_errors=True)
    copy_files(root, staged, config, new)
    listed = [*pages, Page('', '404.qmd', '404.html')]
    texts = {p.href: page_text(staged/p.source, saver(new, p.href)) for p in listed if (staged/p.source).exists()}
    titles = {h: str(m.get('title') or Path(h).stem).replace('`', '') for h,(m,_) in texts.items()}
    after = (staged/'site/after.html').read_text(encoding='utf-8')
    for href,(meta,text) in texts.items():
        say(href, flush=True)
        plain = re.sub(r'[`*$]', '', titles[href])
        done = to_html(text, meta, root/'nbs', root='../'*href.count('/'), pagetext=html.escape(plain), after=after,
            navbar=navbar(config, href), course=sidebar(pages, titles, href),
            previous=neighbour(pages, titles, href, -1), next=neighbour(pages, titles, href, 1))
        path = new/href
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(with_links(done, href), encoding='utf-8')
    finish_site(root, new, run)
    shutil.rmtree(root/'_docs', ignore_errors=True)
    return new.rename(root/'_docs')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--run', default='mnist', help="the demonstration's model: weights of the package, or a run's folder")
    args,root = parser.parse_args(),repo_root()
    bad = check_order(root)
    if bad: sys.exit('\n'.join(bad))
    print(build(root, args.run))


if __name__=='__main__': main()
