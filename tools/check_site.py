"""Whether a built site is whole, whether Quarto made it or the preview: `tools/run python tools/check_site.py [FOLDER]`

As far as its files tell: every link, anchor, picture, formula and citation, and the words that people look for. In Chromium, where there
is one: every page loads without a word on the console and without a request to another host, is no wider than a phone's screen of 360
pixels, sets its formulas and shows its pictures; what scrolls sideways can be reached by keyboard; and axe finds nothing on fourteen
pages, in light and in dark, by the rules of WCAG 2.1, levels A and AA. What axe may find is listed in tools/violations.txt, a line each;
a line that is not needed any more is a complaint, too, so the list can only shrink.

    --no-browser           the files alone
    --screenshots FOLDER   pictures of those pages, on a phone and on a desktop, in light and in dark"""
import argparse, functools, json, os, posixpath, re, shutil, sys, threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from checks import notebooks, repo_root
from preview import page_href
from stage import also_called

# The pages that axe reads, and of which pictures are taken: each kind of page, and those with most of code, tables, formulas and pictures.
chosen = ['index.html', 'demo.html', 'tutorials/first_perceiver.html', 'position.html', 'attention.html', 'encoder.html', 'perceiver_io.html',
    'learner.html', 'interpret.html', 'commands.html', 'tutorials/mnist.html', 'benchmarks/speed.html', 'api.html', 'names.html']
empty_tags = 'meta','link','img','br','hr','input','wbr','source','col','area','base','embed','track'


class Facts(HTMLParser):
    "What a page holds: anchors, links, pictures, scripts, and its text"
    def __init__(self,
        page:str, # HTML
    ):
        super().__init__()
        self.ids,self.links,self.pictures,self.scripts,self.open,self.uncited = [],[],[],[],[],[]
        self.text,self.prose = '','' # all that is read; that in which no formula should be left
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag not in empty_tags: self.open.append((tag, (a.get('class') or '').split()))
        if 'id' in a and self.inside('main'): self.ids.append(a['id'])
        if tag=='a' and 'href' in a: self.links.append(a['href'])
        if tag=='img': self.pictures.append((a.get('src', ''), a.get('alt')))
        if tag=='script' and 'src' in a: self.scripts.append(a['src'])
        if tag=='link' and a.get('rel') in ('stylesheet','icon'): self.scripts.append(a.get('href'))

    def handle_endtag(self, tag):
        while self.open and any(o[0]==tag for o in self.open) and self.open.pop()[0]!=tag: pass

    def inside(self, *names): return any(o[0] in names or set(o[1]) & set(names) for o in self.open)

    def handle_data(self, data):
        if not self.inside('main') or self.inside('script','style','nav'): return
        self.text += data
        if self.inside('citation') and self.inside('strong'): self.uncited.append(data)
        if not self.inside('pre','code','math'): self.prose += data


def bad_links(folder, facts, href, f):
    "The links, pictures and scripts of a page that lead nowhere"
    for link in dict.fromkeys([*f.links, *(s for s,_ in f.pictures), *f.scripts]):
        path,_,anchor = link.partition('#')
        path = path.partition('?')[0]
        if re.match(r'[a-zA-Z][\w+.-]*:|//', link): continue
        if href=='404.html' and path.startswith('/'): continue # Quarto makes them of the site's own address
        to = posixpath.normpath(posixpath.join(posixpath.dirname(href), path)) if path else href
        if to.startswith(('..','/')) or not (folder/to).exists(): yield f'{link} leads nowhere'
        elif anchor and to in facts and anchor not in facts[to].ids: yield f'{link}: no such anchor on {to}'


def bad_content(f):
    "What is wrong with a page by itself"
    yield from (f'anchor {i} is there {f.ids.count(i)} times' for i in dict.fromkeys(f.ids) if f.ids.count(i)>1)
    yield from (f'picture {src[:60]} has no alternative text' for src,alt in f.pictures if not (alt or '').strip())
    yield from (f'cites {key} which is not in references.bib' for key in f.uncited)
    left = re.search(r'\$[^\s$][^$\n]*\$', f.prose)
    if left: yield f'left as dollars: {left[0][:60]}'
    left = re.search(r'\]\(/[^)\s]+\)', f.prose)
    if left: yield f'left as a link in brackets: {left[0][:60]}'


def check_pages(
    folder:Path, # a built site
)->list[str]:    # complaints, none if all is well
    "Whether every link, anchor, picture and citation of a site is there, as far as the files tell"
    paths = [p for p in sorted(folder.rglob('*.html')) if 'site_libs' not in p.parts]
    facts = {p.relative_to(folder).as_posix(): Facts(p.read_text(encoding='utf-8')) for p in paths}
    if not facts: return [f'{folder.name} holds no pages']
    bad = [f'{href}: {o}' for href,f in facts.items() for o in [*bad_links(folder, facts, href, f), *bad_content(f)]]
    for source,words in also_called.items():
        f = facts.get(page_href(source))
        text = ' '.join(f.text.split()) if f else ''
        if words not in text: bad.append(f'{page_href(source)}: a search for its other words does not find it: {words[:60]}')
    return bad


def check_references(
    root:Path, # a checkout
)->list[str]:  # complaints, none if all is well
    "Whether every arXiv paper that a notebook links to is in `references.bib`, and every notebook that it links to is there"
    listed,bad = (root/'nbs/references.bib').read_text(encoding='utf-8'),[]
    for p in notebooks(root):
        cells = json.loads(p.read_text(encoding='utf-8'))['cells']
        text = '\n'.join(''.join(c['source']) for c in cells if c['cell_type']=='markdown')
        papers = dict.fromkeys(re.findall(r'arxiv\.org/(?:abs|pdf)/(\d+\.\d+)', text))
        bad += [f'{p.name}: arXiv {o} is not in references.bib' for o in papers if o not in listed]
        links = dict.fromkeys(re.findall(r'\]\(([^)#\s:]+\.ipynb)', text))
        bad += [f'{p.name} links to {o}, which is not there' for o in links if not (p.parent/o).is_file()]
    return bad


def find_browser():
    "Where Chromium is, or None"
    names = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
    return next(filter(None, map(shutil.which, names)), None)


class Quiet(SimpleHTTPRequestHandler):
    "Serves files and prints nothing"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, '.wasm':'application/wasm', '.mjs':'text/javascript', '.js':'text/javascript'}
    def log_message(self, *args): pass


def serve(folder):
    "A running server of a folder's files, on a free port of this machine"
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def launch(playwright):
    "Chromium, without what it would fetch for itself"
    flags = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run', '--disable-quic']
    if os.name=='posix' and not os.geteuid(): flags.append('--no-sandbox')
    return playwright.chromium.launch(executable_path=find_browser(), args=flags)


ask = '''async () => {
    const pictures = [...document.images], out = [];
    for (const p of pictures) { p.loading = 'eager'; await p.decode().catch(() => {}); }
    for (const p of pictures)
        if (!p.naturalWidth) out.push(`picture ${p.getAttribute('src').slice(0, 60)} does not load`);
    const formulas = [...document.querySelectorAll('main span.math')];
    const unset = formulas.filter(m => !m.querySelector('.katex, mjx-container, math') || m.querySelector('.katex-error'));
    if (unset.length) out.push(`${unset.length} of ${formulas.length} formulas are not set: ${unset[0].textContent.slice(0, 40)}`);
    const thin = formulas.filter(m => m.checkVisibility() && !m.getBoundingClientRect().width).length;
    if (thin) out.push(`${thin} formulas have no width`);
    const width = document.documentElement.scrollWidth;
    const scrolls = e => { for (; e; e = e.parentElement) if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true; };
    const wide = [...document.querySelectorAll('main *')].find(e => e.getBoundingClientRect().right > innerWidth + 1 && !scrolls(e));
    const what = wide ? `: <${wide.tagName.toLowerCase()}> ${wide.textContent.trim().slice(0, 40)}` : '';
    if (width > innerWidth) out.push(`${width} pixels wide on a screen of ${innerWidth}${what}`);
    const stuck = [...document.querySelectorAll('main pre, main table, main .katex-display')]
        .filter(e => e.scrollWidth > e.clientWidth + 1 && e.checkVisibility() && e.tabIndex < 0);
    if (stuck.length) out.push(`${stuck.length} parts scroll, but not by keyboard: ${stuck[0].textContent.trim().slice(0, 40)}`);
    return out;
}'''
ask_axe = '''async () => (await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']})).violations
    .map(v => [v.id, v.nodes.length, v.nodes[0].target.join(' '), v.nodes[0].failureSummary.split('\\n')[1] || ''])'''


def open_page(page, address, href):
    "What a browser finds wrong with one page"
    said = []
    def asked(r):
        if not r.url.startswith((address, 'data:', 'blob:')): said.append(f'asks another host for {r.url[:80]}')
    listeners = dict(request=asked,
        console=lambda m: said.append(f'the console says: {m.text}') if m.type in ('error','warning') else None,
        pageerror=lambda e: said.append(f'a script fails: {e}'),
        requestfailed=lambda r: said.append(f'{r.url} does not load'),
        response=lambda r: said.append(f'{r.url} gives {r.status}') if r.status>=400 else None)
    for k,f in listeners.items(): page.on(k, f)
    page.goto(f'{address}/{href}', wait_until='networkidle')
    said += page.evaluate(ask)
    for k,f in listeners.items(): page.remove_listener(k, f)
    return [f"{href}: {o.replace(address, '')}" for o in dict.fromkeys(said)]


def run_axe(page, address, href, scheme, script):
    "What axe finds on one page: lines of page, theme and rule, and what it says"
    page.emulate_media(color_scheme=scheme)
    page.goto(f'{address}/{href}', wait_until='load')
    page.add_script_tag(content=script)
    return {f'{href} {scheme} {rule}': f'{n} places, such as {where}: {why.strip()}' for rule,n,where,why in page.evaluate(ask_axe)}


def judge(
    found:dict[str,str], # what axe finds
    listed:list[str],    # the lines of tools/violations.txt
)->list[str]:            # complaints
    "Violations that are not in the list, and lines of the list that are not needed"
    return [f'{k}: {v}' for k,v in found.items() if k not in listed] + [
        f'tools/violations.txt: "{o}" is not needed any more' for o in listed if o not in found]


def browse(root, folder, pictures=None):
    "Opens every page of a site in a browser; what is wrong"
    try: from playwright.sync_api import sync_playwright
    except ImportError: sys.exit("playwright, which controls the browser, is missing: pip install 'playwright>=1.50'")
    script = (root/'tools/node_modules/axe-core/axe.min.js').read_text(encoding='utf-8')
    lines = (root/'tools/violations.txt').read_text(encoding='utf-8').splitlines()
    listed = [o for o in lines if o.strip() and not o.startswith('#')]
    server = serve(folder)
    address,found,bad = f'http://127.0.0.1:{server.server_port}',{},[]
    pages = sorted(o.relative_to(folder).as_posix() for o in folder.rglob('*.html') if 'site_libs' not in o.parts)
    with sync_playwright() as p:
        chromium = launch(p)
        phone = chromium.new_page(viewport=dict(width=360, height=740))
        for href in pages: bad += open_page(phone, address, href)
        desk = chromium.new_page(viewport=dict(width=1440, height=900))
        for href in chosen:
            if href not in pages:
                bad.append(f'{href} is missing')
                continue
            for scheme in ('light','dark'):
                found |= run_axe(desk, address, href, scheme, script)
                if not pictures: continue
                phone.emulate_media(color_scheme=scheme)
                phone.goto(f'{address}/{href}', wait_until='load')
                for name,page in (('desktop',desk),('phone',phone)):
                    page.screenshot(path=pictures/f"{href[:-5].replace('/', '-')}-{name}-{scheme}.png")
        chromium.close()
    server.shutdown()
    server.server_close()
    print(f'{len(pages)} pages opened at 360 pixels, axe on {len(chosen)} in light and dark: {len(found)} violations')
    return bad + judge(found, listed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', nargs='?', type=Path, help='the built site; _docs by default')
    parser.add_argument('--no-browser', action='store_true', help='look at the files alone')
    parser.add_argument('--screenshots', type=Path, metavar='FOLDER', help='where to put pictures of pages')
    args = parser.parse_args()
    root = repo_root()
    folder = (args.folder or root/'_docs').resolve()
    bad = check_references(root) + check_pages(folder)
    if args.screenshots: args.screenshots.mkdir(parents=True, exist_ok=True)
    if args.no_browser: print('the files alone: not opened in a browser')
    elif find_browser() is None: bad.append('no Chromium on the PATH to open the pages: apt-get install chromium, or --no-browser')
    else: bad += browse(root, folder, args.screenshots)
    if bad: sys.exit('\n'.join(bad))


if __name__=='__main__': main()
