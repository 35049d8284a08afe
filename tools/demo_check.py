"""Whether the page `demo.html` of a built site does what it says, in Chromium and under node

    python tools/demo.py _docs && python tools/demo_check.py _docs
    python tools/demo_check.py _docs --pictures shots                   # pictures of it, light and dark, large and small
    python tools/demo_check.py _docs --picture nbs/images/demo.png      # the picture for the first page

A script draws a 3 and a 7 with a mouse, with a finger on a screen of 360 by 740, and with the keyboard, and reads the
answer and the maps. The exit status is 1 if anything is wrong."""
import argparse, functools, json, os, subprocess, sys, threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
import numpy as np, torch
from PIL import Image
from playwright.sync_api import sync_playwright
from perceivers.images import prepare_mnist_ink
from perceivers.position import fourier_bands, fourier_features, grid_positions

root = Path(__file__).resolve().parent.parent
side,prefix = 280,'/some/folder' # of the drawing; the site may lie below a folder

# Digits as a person may draw them, in pixels of the drawing. They are others than the page's own examples.
drawn = {
    3: [(84,72), (110,52), (150,50), (176,70), (172,100), (146,122), (122,130), (152,136), (184,158), (188,192), (162,222),
        (120,230), (84,212)],
    7: [(78,70), (120,66), (196,64), (184,96), (160,140), (142,180), (128,232)]}
# The same with a pen that moves 10 pixels at a time, from the middle: keys, and how often each is pressed.
keys = {
    3: 'Left*5 Up*8 Space Right*7 (Right+Down)*2 Down*3 (Down+Left)*2 Left*3 Right*3 (Right+Down)*2 Down*4 (Down+Left)*2 Left*7 Space',
    7: 'Left*6 Up*8 Space Right*12 (Down+Down+Left)*7 Down*2 Space'}

node_script = '''
const { drawStrokes, prepare, gridPositions, fourierFeatures, fourierBands, samples } = await import(process.argv[1]);
const strokes = [...samples, ...JSON.parse(process.argv[2])], inks = strokes.map(drawStrokes);
const out = { inks: inks.map(o => Buffer.from(o).toString('base64')), prepared: inks.map(o => [...prepare(o)]),
    positions: [...gridPositions()], bands: [1, 8, 16].map(n => fourierBands(n)),
    features: [1, 8, 16].map(n => fourierFeatures([-.3, .7], n)) };
process.stdout.write(JSON.stringify(out));
'''


def same_as_python()->list[str]: # complaints
    "Whether digit.js, run under node, gives what the package gives: prepared drawings, positions, encodings"
    from base64 import b64decode
    rng = np.random.default_rng(0)
    more = [[p.tolist() for p in rng.uniform(lo, hi, (2, 3, 2))] for lo,hi in ((0,280), (100,180), (139,141), (0,60), (-20,300))]
    more += [[drawn[3]], [drawn[7]], [[(140,20), (140,262)]], [[(8,150), (270,150)]], []]
    address = (root/'nbs/demo/digit.js').as_uri()
    run = subprocess.run(['node', '--input-type=module', '-e', node_script, address, json.dumps(more)], capture_output=True, text=True)
    if run.returncode: return [f'node: {run.stderr[-500:]}']
    said,bad = json.loads(run.stdout),[]
    for i,(ink,prepared) in enumerate(zip(said['inks'], said['prepared'], strict=True)):
        image = Image.frombytes('L', (side,side), b64decode(ink))
        far = (prepare_mnist_ink(image, (28,28)).flatten().int()-torch.tensor(prepared)).abs().max().item()
        ys,xs = np.where(np.asarray(image) > 64)
        is_tall = len(ys) and ys.max()-ys.min() > 2*(xs.max()-xs.min()) # Pillow 13 scales these in another order
        if far > 16*is_tall: bad.append(f'drawing {i}: its pixels differ from prepare_mnist_ink by up to {far}')
    pos = grid_positions((28,28)).reshape(-1)
    pairs = [('positions', pos, said['positions'])]
    for n,bands,features in zip((1,8,16), said['bands'], said['features'], strict=True):
        theirs = fourier_features(torch.tensor([-.3,.7], dtype=torch.float64), n, (28,28))
        pairs += [(f'{n} bands', fourier_bands(n, 28), bands), (f'features of {n} bands', theirs, features)]
    for name,a,b in pairs:
        far = (a.double()-torch.tensor(b, dtype=torch.float64)).abs().max().item()
        if far > 1e-6: bad.append(f'{name}: {far:.1e} apart')
    print(f"node: {len(said['inks'])} drawings prepared as in Python, {len(pairs)-1} encodings alike" if not bad else bad)
    return bad


class _Site(SimpleHTTPRequestHandler):
    "Serves a folder's files below a prefix, and prints nothing"
    def log_message(self, *args): pass
    def translate_path(self, path): return super().translate_path(path[len(prefix):] if path.startswith(prefix) else '/none')


@contextmanager
def served(folder):
    "The address of a folder's files within the `with`"
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(_Site, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}{prefix}'
    finally: server.shutdown()


class Page:
    "The page in a browser: what it says, and what went wrong"
    def __init__(self, browser, address, width=1280, height=900, scheme='light', touch=False, script=None, blocked=None):
        self.context = browser.new_context(viewport=dict(width=width, height=height), color_scheme=scheme, has_touch=touch,
            is_mobile=touch)
        self.page,self.width,self.bad = self.context.new_page(),width,[]
        host = address.split('/')[2]
        self.page.on('console', lambda m: self.bad.append(f'the console says: {m.text}'))
        self.page.on('pageerror', lambda e: self.bad.append(f'a script fails: {e}'))
        self.page.on('request', lambda r: None if r.url.startswith(('data:','blob:')) or r.url.split('/')[2]==host else
            self.bad.append(f'asks another host: {r.url}'))
        if script: self.page.add_init_script(script)
        if blocked: self.page.route(f'**/{blocked}', lambda r: r.abort())
        self.page.goto(f'{address}/demo.html')

    def ready(self):
        "Waits until the model has read the last drawing"
        self.page.wait_for_selector('#demo[data-state=ready]', timeout=120_000)
        return self

    def press(self, name):
        "Presses a button of the page"
        self.page.click(f'#demo-{name}')
        return self.shown()

    def shown(self):
        "What the model got and gave"
        self.ready()
        return self.page.evaluate('''() => { const s = document.getElementById('demo').shown;
            return { ...s, bytes: [...s.bytes], given: [...s.given], maps: s.maps.map(m => m.map(o => [...o])) } }''')

    def clear(self):
        self.page.click('#demo-clear')
        if self.shown()['runs'] and 'Nothing' not in self.page.inner_text('#demo-answer'): self.bad.append('clearing leaves an answer')

    def _points(self, digit):
        self.page.locator('#demo-paper').scroll_into_view_if_needed()
        box = self.page.locator('#demo-paper').bounding_box()
        return [(box['x']+x/side*box['width'], box['y']+y/side*box['height']) for x,y in drawn[digit]]

    def by_mouse(self, digit):
        "Draws a digit with the mouse"
        first,*rest = self._points(digit)
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for p in rest: self.page.mouse.move(*p, steps=6)
        self.page.mouse.up()

    def by_touch(self, digit):
        "Draws a digit with a finger"
        cdp = self.context.new_cdp_session(self.page)
        points = self._points(digit)
        def send(kind, at): cdp.send('Input.dispatchTouchEvent', dict(type=kind, touchPoints=at))
        send('touchStart', [dict(x=points[0][0], y=points[0][1])])
        for (ax,ay),(bx,by) in zip(points, points[1:]):
            for k in range(1, 7): send('touchMove', [dict(x=ax+(bx-ax)*k/6, y=ay+(by-ay)*k/6)])
        send('touchEnd', [])

    def by_keys(self, digit):
        "Draws a digit with the keyboard alone: from the button behind the drawing back to it, then by arrow keys"
        self.page.focus('#demo-clear')
        self.page.keyboard.press('Shift+Tab')
        if self.page.evaluate('document.activeElement.id')!='demo-paper': self.bad.append('Shift+Tab does not reach the drawing')
        self.page.evaluate("document.getElementById('demo').centrePen()")
        for word in keys[digit].split():
            names,_,n = word.partition('*')
            for _ in range(int(n or 1)):
                for o in names.strip('()').split('+'): self.page.keyboard.press(o if o=='Space' else f'Arrow{o}')


def check_digits(page, draw, how):
    "Draws a 3 and a 7, and complains where the answer or the maps are wrong"
    for digit in (3, 7):
        page.clear()
        draw(digit)
        s = page.shown()
        p,maps = s['probabilities'],np.array(s['maps'])
        best,answer = int(np.argmax(p)),page.page.inner_text('#demo-answer')
        sums = abs(maps.sum(-1)-1).max()
        print(f'{how}: a {digit} is drawn, the page says "{answer}"; maps {maps.shape}, their sums differ from 1 by {sums:.0e}')
        if best!=digit or not answer.startswith(f'{digit}, '): page.bad.append(f'{how}: a {digit} is read as {answer}')
        if maps.shape[2]!=784 or sums > 1e-5 or (maps < 0).any(): page.bad.append(f'{how}: maps {maps.shape}, sums off by {sums}')
        if abs(sum(p)-1) > 1e-9: page.bad.append(f'{how}: the probabilities add up to {sum(p)}')
        tiles = page.page.locator('.demo-grid button').count()
        if tiles!=maps.shape[0]*maps.shape[1]: page.bad.append(f'{how}: {tiles} maps are shown of {maps.shape[:2]}')


def check_tokens(page):
    "Shuffles the tokens, then moves pixels without positions"
    plain = page.shown()
    shuffled = page.press('shuffle')
    far = np.abs(np.subtract(plain['probabilities'], shuffled['probabilities'])).max()
    maps = np.abs(np.subtract(plain['maps'], shuffled['maps'])).max()
    same = shuffled['order']==plain['order']
    print(f"shuffled: probabilities differ by {far:.1e}, maps (in the pixels' order) by {maps:.1e}; {page.page.inner_text('#demo-shuffled')}")
    if same or not max(far, maps) <= 1e-5 or shuffled['difference'] is None: page.bad.append(f'shuffled: {far:.1e}, {maps:.1e}')
    page.press('order')
    moved = page.press('move')
    far = np.abs(np.subtract(plain['probabilities'], moved['probabilities'])).max()
    print(f"moved: probabilities differ by {far:.2f}; {page.page.inner_text('#demo-moved-said')}")
    if far < .1 or sorted(moved['given'])!=sorted(plain['given']): page.bad.append(f'moved pixels change the answer by {far:.2f} only')
    back = page.press('move')
    if back['probabilities']!=plain['probabilities']: page.bad.append('with the pixels back the answer is another')


def check_controls(page):
    "Undo, the examples, the choice of a latent by keys, the slider of bands"
    p = page.page
    n_changed = 0
    for digit in range(10):
        p.click(f'#demo-samples button >> nth={digit}')
        answer = page.shown() and p.inner_text('#demo-answer')
        n_changed += page.press('move') and p.inner_text('#demo-answer')[0]!=str(digit)
        page.press('move')
        if not answer.startswith(f'{digit}, '): page.bad.append(f'example {digit} is read as {answer}')
    p.click('#demo-samples button >> nth=4')
    p.wait_for_function("document.getElementById('demo-said').textContent.startsWith('4, ')") # what a screen reader is told
    print(f'with moved pixels the answer is another for {n_changed} of the 10 examples')
    before = page.shown()['bytes']
    page.by_mouse(7)
    if page.shown()['bytes']==before: page.bad.append('a stroke changes nothing')
    page.press('undo')
    if page.shown()['bytes']!=before: page.bad.append('undo does not take the stroke back')
    p.click('.demo-grid button >> nth=0')
    for key in ('ArrowRight','ArrowDown','ArrowLeft'): p.keyboard.press(key)
    told,where = p.inner_text('#demo-told'),p.evaluate('document.activeElement.getAttribute("aria-label")')
    if not told.startswith('Latent 8 in cross-attention 1') or where!='Latent 8, cross-attention 1': page.bad.append(f'arrow keys lead to {where}: {told}')
    p.keyboard.press('End')
    p.keyboard.press('ArrowRight')
    if 'cross-attention 2' not in p.inner_text('#demo-told'): page.bad.append('arrow keys do not reach the second cross-attention')
    p.focus('#demo-bands')
    for key,n in (('Home',1), ('End',16), ('ArrowLeft',15)):
        p.keyboard.press(key)
        figures,row = p.locator('#demo-waves figure').count(),p.evaluate('document.getElementById("demo-row").height')
        if (figures, row, p.inner_text('#demo-bands-value'))!=(n, 2*n+1, str(n)): page.bad.append(f'{n} bands: {figures} squares, {row} channels')


def check_access(page, where):
    "Nothing is wider than the screen; axe finds no fault, where it is installed"
    wide = page.page.evaluate('document.documentElement.scrollWidth')-page.width # a phone's innerWidth grows with the page
    if wide > 0: page.bad.append(f'{where}: {wide} pixels wider than the screen')
    axe = root/'tools/node_modules/axe-core/axe.min.js'
    if not axe.is_file(): return print('axe-core is not installed: npm ci --prefix tools')
    page.page.evaluate(axe.read_text(encoding='utf-8'))
    found = page.page.evaluate('async () => (await axe.run()).violations.map(v => `${v.id}: ${v.nodes.map(n => n.target).join(" | ")}`)')
    page.bad += [f'{where}: axe says {o}' for o in found]


def check_failures(browser, address):
    "Says where the page does not say in words that the model, or WebAssembly, is missing"
    for how in (dict(blocked='model.onnx'), dict(blocked='*.wasm'), dict(blocked='*.mjs'), dict(script='delete window.WebAssembly')):
        page = Page(browser, address, **how)
        page.page.wait_for_selector('#demo[data-state=failed]', timeout=60_000)
        said = page.page.inner_text('#demo-status')
        print(f'without {list(how.values())[0]}: "{said}"')
        if 'cannot be loaded' not in said: yield f'{how}: the page says {said!r}'
        page.by_mouse(3) # the rest of the page goes on
        yield from (f'{how}: {o}' for o in page.bad if 'ERR_FAILED' not in o)
        page.context.close()


def check(folder, pictures=None, picture=None)->list[str]: # complaints
    "All of it"
    chromium = next(filter(None, map(which, ('chromium','chromium-browser','google-chrome','google-chrome-stable'))), None)
    if chromium is None: return ['no Chromium on the PATH']
    bad = same_as_python()
    with served(folder) as address, sync_playwright() as p:
        as_root = ['--no-sandbox'] if os.name=='posix' and not os.geteuid() else []
        browser = p.chromium.launch(executable_path=chromium, args=as_root)
        page = Page(browser, address).ready()
        if not page.page.inner_text('#demo-answer').startswith('3, '): page.bad.append('the first example is not read')
        check_digits(page, page.by_mouse, 'mouse')
        print(page.page.inner_text('#demo-time'))
        check_tokens(page)
        check_digits(page, page.by_keys, 'keyboard')
        check_controls(page)
        bad += page.bad
        page.context.close()
        for scheme in ('light','dark'):
            for width,height,touch in ((1280,900,False), (360,740,True)):
                page = Page(browser, address, width, height, scheme, touch).ready()
                name = f'{scheme}-{width}x{height}'
                check_digits(page, page.by_touch if touch else page.by_mouse, name)
                check_access(page, name)
                if pictures: page.page.screenshot(path=Path(pictures)/f'{name}.png', full_page=True)
                bad += page.bad
                page.context.close()
        bad += [*check_failures(browser, address), *check_saving(browser, address)]
        if picture: draw_picture(browser, address, picture)
        browser.close()
    return bad


def check_saving(browser, address):
    "Says where the page loads the model though the browser saves data, or not after its button"
    page = Page(browser, address, script="Object.defineProperty(navigator, 'connection', { value: { saveData: true } })")
    page.page.wait_for_selector('#demo-load')
    asked = page.page.inner_text('#demo-status')
    page.press('load')
    if 'save data' not in asked or page.page.is_visible('#demo-load'): yield f'with data saved the page says {asked!r}'
    yield from page.bad
    page.context.close()


def draw_picture(browser, address, path):
    "The drawing, the answer and the maps, side by side, as one picture"
    page = Page(browser, address, 1280, 900).ready()
    page.clear()
    page.by_mouse(3)
    page.shown()
    page.page.evaluate('''() => {
        const card = Object.assign(document.createElement('div'), { className: 'demo', id: 'card' });
        card.style.cssText = 'position:fixed;inset:0;z-index:9;background:#fff;color:#1d2125;padding:24px;display:grid;' +
            'grid-template-columns:280px 300px 1fr;gap:28px;align-items:start;margin:0;width:1200px;height:332px';
        const [left, middle, right] = Array.from({ length: 3 }, () => card.appendChild(document.createElement('div')));
        left.append(document.getElementById('demo-paper'));
        middle.append(document.getElementById('demo-answer'), document.getElementById('demo-bars'));
        right.append(...[...document.getElementById('demo-maps').children].slice(0, 2));
        right.className = 'demo-maps';
        right.querySelector('h3').style.marginTop = 0;
        document.body.append(card);
    }''')
    path = Path(path)
    new = path.with_name(f'.{path.name}')
    page.page.locator('#card').screenshot(path=new, type='png')
    Image.open(new).convert('P', palette=Image.ADAPTIVE, colors=128).save(new, format='PNG', optimize=True)
    new.replace(path)
    print(f'{path}: {path.stat().st_size:,} bytes')
    page.context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='a built site with demo.html and demo/')
    parser.add_argument('--pictures', type=Path, help='a folder for pictures of the page')
    parser.add_argument('--picture', type=Path, help='a PNG file for the picture on the first page')
    args = parser.parse_args()
    if not (args.folder/'demo/model.onnx').is_file(): sys.exit(f'{args.folder} has no demo/model.onnx: python tools/demo.py {args.folder}')
    if args.pictures: args.pictures.mkdir(parents=True, exist_ok=True)
    bad = check(args.folder, args.pictures, args.picture)
    if bad: sys.exit('\n'.join(bad))
    print('demo.html does what it says')


if __name__=='__main__': main()
