"""Ten drawn digits, with different pens, on different papers, and what `perceivers-predict mnist` says of them

    python tools/drawings.py drawings/       # writes 0_ball_pen.png to 9_mouse.png into the folder
    python tools/drawings.py --check         # draws into a temporary folder and predicts; fails unless nine of ten are right
    python tools/drawings.py --check --n 10  # ten drawings of each digit, each with other hands, pens and papers

The first ten were drawn once and not changed to fit the model. The strokes are polylines made by hand, bent and tilted a little, as a hand
would. This file needs Pillow and NumPy alone; the command that is tried is the one that is installed."""
import argparse, csv, math, random, shutil, subprocess, sys, tempfile
from pathlib import Path
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# In a box of width 1 and height 1.5, y downwards; a stroke is a list of points that the pen passes through
strokes = {
    '0': [[(.52,.05),(.2,.2),(.06,.75),(.25,1.38),(.55,1.45),(.88,1.1),(.92,.6),(.75,.15),(.45,.06)]],
    '1': [[(.25,.38),(.58,.06)],[(.58,.06),(.56,.7),(.52,1.45)]],
    '2': [[(.1,.4),(.22,.12),(.55,.04),(.85,.25),(.78,.62),(.42,1.05),(.06,1.42)],[(.06,1.42),(.45,1.38),(.95,1.44)]],
    '3': [[(.12,.22),(.45,.04),(.82,.2),(.8,.5),(.42,.7)],[(.42,.7),(.82,.82),(.9,1.15),(.6,1.44),(.08,1.3)]],
    '4': [[(.52,.05),(.3,.5),(.06,.95)],[(.06,.95),(.5,.93),(.96,.9)],[(.68,.5),(.66,.95),(.6,1.46)]],
    '5': [[(.85,.06),(.5,.07),(.22,.08)],[(.22,.08),(.17,.35),(.12,.66)],[(.12,.66),(.5,.55),(.88,.82),(.82,1.25),(.42,1.46),(.06,1.3)]],
    '6': [[(.72,.04),(.35,.4),(.1,.95),(.22,1.36),(.55,1.45),(.86,1.2),(.75,.88),(.4,.85),(.14,1.08)]],
    '7': [[(.06,.12),(.5,.1),(.94,.06)],[(.94,.06),(.65,.6),(.4,1.46)]],
    '8': [[(.82,.22),(.5,.05),(.18,.25),(.35,.6),(.75,.92),(.85,1.25),(.5,1.46),(.14,1.25),(.25,.92),(.68,.58),(.84,.24)]],
    '9': [[(.84,.3),(.5,.06),(.15,.3),(.25,.68),(.6,.7),(.85,.32)],[(.85,.32),(.82,.8),(.66,1.46)]]}

# name: ink, paper, width of the line as a share of the digit's height, and how the line looks
pens = {
    'ball_pen': ((25,45,140), (252,252,250), .035, 'round'),
    'marker': ((20,20,20), (250,232,150), .13, 'flat'),
    'pencil': ((95,95,100), (247,247,244), .045, 'grainy'),
    'chalk': ((235,238,232), (38,70,58), .08, 'grainy'),
    'felt_pen': ((200,30,35), (255,255,255), .075, 'round'),
    'brush': ((20,75,45), (244,236,216), .12, 'swelling'),
    'tablet': ((255,190,80), (24,26,48), .06, 'round'),
    'fineliner': ((10,10,12), (238,238,240), .028, 'round'),
    'highlighter': ((120,50,160), (226,226,228), .14, 'flat'),
    'mouse': ((0,0,0), (255,255,255), .07, 'hard')}

# Width and height of the picture, height of the digit as a share of it, where its middle is, degrees, and the kind of file
pages = [(200,200,.7,(.5,.5),0,'png'), (300,420,.45,(.4,.35),-6,'jpg'), (160,160,.55,(.55,.5),5,'jpg'), (400,300,.6,(.6,.5),-4,'png'),
         (256,256,.8,(.5,.5),8,'jpg'), (500,500,.4,(.3,.6),-8,'png'), (128,128,.62,(.5,.45),6,'png'), (640,480,.35,(.65,.4),3,'jpg'),
         (240,320,.55,(.45,.55),-5,'png'), (64,64,.75,(.5,.5),0,'png')]


def smooth(points, n=24):
    "A curve through points (Catmull and Rom's)"
    p = [points[0], *points, points[-1]]
    for a,b,c,d in zip(p, p[1:], p[2:], p[3:]):
        for t in (i/n for i in range(n)):
            yield tuple(.5*(2*b[k]+(c[k]-a[k])*t+(2*a[k]-5*b[k]+4*c[k]-d[k])*t*t+(3*b[k]-a[k]-3*c[k]+d[k])*t**3) for k in (0,1))
    yield points[-1]


def draw(digit, pen, page, rng):
    "A picture of a digit"
    ink,paper,width,look = pens[pen]
    w,h,share,(mx,my),angle,_ = page
    s = 1 if look=='hard' else 3 # drawn larger, then reduced: without that lines have steps, as those of a paint program have
    size,turn = share*h*s,math.radians(angle)
    lean,wide = rng.uniform(-.12, .12),rng.uniform(.85, 1.1)
    mask = Image.new('L', (w*s, h*s))
    pencil = ImageDraw.Draw(mask)
    for line in strokes[digit]:
        line = [(x+rng.gauss(0, .015), y+rng.gauss(0, .015)) for x,y in line]
        curve = list(smooth(line)) if len(line) > 2 else [(line[0][0]+(line[1][0]-line[0][0])*i/40, line[0][1]+(line[1][1]-line[0][1])*i/40) for i in range(41)]
        for i,(x,y) in enumerate(curve):
            x,y = (x-.5)*wide/1.5-lean*(y/1.5-.5),y/1.5-.5
            x,y = x*math.cos(turn)-y*math.sin(turn),x*math.sin(turn)+y*math.cos(turn)
            cx,cy,r = mx*w*s+x*size,my*h*s+y*size,max(width*size/2, .6)
            if look=='swelling': r *= .45+.75*math.sin(math.pi*min(1, .15+i/len(curve)))
            if look=='flat': pencil.polygon([(cx-r,cy+.3*r),(cx+.7*r,cy-r),(cx+r,cy-.3*r),(cx-.7*r,cy+r)], fill=255)
            else: pencil.ellipse((cx-r,cy-r,cx+r,cy+r), fill=255)
    a = np.asarray(mask.resize((w,h), Image.BOX), dtype=float)/255
    noise = np.random.default_rng(rng.randrange(2**32))
    if look=='grainy': a = a*(noise.random(a.shape) < .82)
    light = 1 if look=='hard' else 1-.06*np.linspace(0, 1, w)[None,:,None]*np.linspace(0, 1, h)[:,None,None] # a lamp stands on the left
    rgb = np.array(paper)*(1-a[...,None])+np.array(ink)*a[...,None]
    if look!='hard': rgb = rgb*light+noise.normal(0, 2, rgb.shape)
    im = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    return im.filter(ImageFilter.GaussianBlur(.6)) if look=='grainy' else im


def write(folder, n=1):
    "Pictures of all digits in a folder; the first set has a pen and a page for each digit, further ones take them at random"
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(n):
        for i,digit in enumerate(strokes):
            rng = random.Random(f'{k} {digit}')
            pen,page = (list(pens)[i],pages[i]) if k==0 else (rng.choice(list(pens)),rng.choice(pages))
            draw(digit, pen, page, rng).save(folder/f"{digit}_{f'{k}_' if n > 1 else ''}{pen}.{page[-1]}", quality=88)


def check(n, least):
    "Ends the program unless the command is right on enough drawings"
    command = shutil.which('perceivers-predict')
    if not command: sys.exit('perceivers-predict is not installed')
    with tempfile.TemporaryDirectory() as d:
        write(Path(d)/'drawings', n)
        done = subprocess.run([command, 'mnist', 'drawings', '--csv', 'said.csv'], cwd=d, capture_output=True, text=True)
        if done.returncode: sys.exit(done.stderr)
        print(done.stdout if n==1 else '', end='')
        with (Path(d)/'said.csv').open(newline='') as f: rows = list(csv.DictReader(f))
    wrong = [o for o in rows if o['prediction']!=Path(o['file']).name[0]]
    for o in wrong: print(f"wrong: {o['file']}, predicted as {o['prediction']} with {float(o[o['prediction']]):.0%}")
    print(f"{len(rows)-len(wrong)} of {len(rows)} drawings are right")
    if len(rows)-len(wrong) < least*len(rows) or len(rows)!=10*n: sys.exit(f"at least {least:.0%} are wanted")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', nargs='?', type=Path, help='where to write the drawings')
    parser.add_argument('--check', action='store_true', help='predict, in a temporary folder')
    parser.add_argument('--n', type=int, default=1, help='drawings of each digit')
    args = parser.parse_args()
    if bool(args.folder)==args.check: parser.error('give a folder, or --check')
    if args.folder: write(args.folder, args.n)
    else: check(args.n, .9)


if __name__=='__main__': main()
