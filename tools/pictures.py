"""The pictures of the site that are no figures of a notebook, drawn anew: `python tools/pictures.py`

    nbs/images/card.png       what messengers show beside a link
    nbs/images/perceiver.png  a Perceiver and Perceiver IO, for the first page
    nbs/images/attention.png  what eight latents of the trained MNIST model attend to
    nbs/images/favicon.png    the site's sign in a browser's tab"""
from pathlib import Path
import matplotlib.pyplot as plt


def social_card(
    path:str|Path, # where to write it
)->Path: # the same, a picture of 1200 by 630 pixels
    "The picture that messengers show beside a link to the site, drawn anew"
    from perceivers.position import FourierPosition,grid_positions
    channels = FourierPosition(8, (28,28), with_position=False)(grid_positions((56,56))).view(56,56,-1).permute(2, 0, 1)
    fig = plt.figure(figsize=(12,6.3), facecolor='#10151c')
    for i,c in enumerate(channels):
        ax = fig.add_axes([0.42+0.067*(i%8), 0.63-0.1276*(i//8), 0.062, 0.118])
        ax.imshow(c, cmap='cividis')
        ax.axis('off')
    subtitle = 'The Perceiver and Perceiver IO\nfrom scratch in PyTorch,\nas notebooks that run'
    fig.text(0.05, 0.57, 'perceivers', color='white', fontsize=44, weight='bold')
    fig.text(0.05, 0.52, subtitle, color='#c9d3de', fontsize=17, linespacing=1.5, va='top')
    fig.savefig(path, dpi=100, facecolor=fig.get_facecolor())
    plt.close(fig)
    return Path(path)


def front_picture(
    path:str|Path, # where to write it
)->Path:           # the same, a picture of 900 by 380 pixels
    "The picture of a Perceiver and of Perceiver IO on the front page, drawn anew"
    from sklearn.datasets import load_digits
    image = load_digits().images[0]
    fig,ax = plt.subplots(figsize=(9,3.8))
    fig.subplots_adjust(0, 0, 1, 1)
    ax.set(xlim=(0,9), ylim=(-2.05,1.75))
    ax.axis('off')

    def column(x, n, height, width, colors, y=0):
        "A column of boxes from `x` on, around `y`; the heights of their middles"
        middles = [y + height*((n-1)/2-i) for i in range(n)]
        for at,color in zip(middles, colors):
            ax.add_patch(plt.Rectangle((x, at-.42*height), width, .84*height, color=color))
        return middles

    def connect(x, middles, to_x, to_middles, color):
        for y in middles:
            for to_y in to_middles: ax.plot([x,to_x], [y,to_y], lw=.35, color=color)

    def arrow(start, end, **kwargs):
        ax.annotate('', end, start, arrowprops=dict(arrowstyle='->', shrinkA=0, shrinkB=0, **kwargs))

    blue,green,purple = 'tab:blue','tab:green','tab:purple'
    ax.imshow(image, cmap='gray_r', extent=(.1,1.1,-.5,.5), aspect='auto')
    arrow((1.15,0), (1.5,0))
    column(1.55, 16, .15, .2, plt.cm.gray_r(image.flatten()[16:32]/16))
    tokens = column(1.75, 16, .15, .35, plt.cm.viridis_r([i/15 for i in range(16)]))
    latents = column(3.3, 5, .3, .35, [blue]*5)
    for x,color in ((4.4,green), (5.5,blue), (6.6,green)): column(x, 5, .3, .35, [color]*5)
    connect(2.1, tokens, 3.3, latents, blue)
    for x in (3.65,5.85): connect(x, latents, x+.75, latents, green)
    arrow((4.75,0), (5.5,0), color='black')
    ax.plot([1.92,1.92,5.67], [-1.25,-1.5,-1.5], color=blue, lw=1.6)
    arrow((5.67,-1.5), (5.67,-.75), color=blue, lw=1.6)
    arrow((6.97,.35), (7.55,.95), color='black')
    outputs = column(7.75, 4, .22, .3, [purple]*4, -.75)
    connect(6.95, latents, 7.75, outputs, purple)
    words = {'image':(.6,.68), 'M tokens:\ncontent | position':(1.85,1.5), 'N latents':(3.48,-.98),
        'cross-\nattention':(2.75,1.15), 'self-\nattention':(4.02,1.05), 'self-\nattention ':(6.22,1.05),
        'second cross-attention: its queries depend on the image':(3.95,-1.72),
        'Perceiver:\nmean, linear: “0”':(8.15,1.2),
        'Perceiver IO: decoder,\nan output for each\nof O queries':(8.0,-1.63)}
    for text,(x,y) in words.items(): ax.text(x, y, text, ha='center', va='center', fontsize=11)
    fig.savefig(path, dpi=100)
    plt.close(fig)
    return Path(path)


def attention_picture(
    path:str|Path, # where to write it
)->Path:           # the same, a picture of 900 by 500 pixels
    "A drawn 3, and what eight latents of the weights `mnist` attend to in the first cross-attention"
    from PIL import Image, ImageDraw
    from perceivers.interpret import attention_maps, plot_attention
    from perceivers.runs import load_run
    run,size = load_run('mnist'),280
    image = Image.new('L', (size,size), 255)
    line = [(85,75),(120,45),(165,50),(190,85),(165,120),(130,135),(175,150),(195,190),(165,230),(115,235),(80,205)]
    ImageDraw.Draw(image).line(line, fill=0, width=22, joint='curve')
    xb,_ = run.prepare(image)
    maps = attention_maps(run.model, *xb)[0][0].mean(0)
    x = xb[0][0,0]
    some = maps.amax(1).argsort(descending=True)[:8].sort()[0]
    titles = [f'latent {i}: {100*maps[i].max():.1f} %' for i in some.tolist()]
    plot_attention((x-x.min())/(x.max()-x.min()), maps[some], n=8, titles=titles)
    fig = plt.gcf()
    fig.set_size_inches(9, 5)
    for ax in fig.axes: ax.title.set_fontsize(15)
    fig.savefig(path, dpi=100)
    plt.close(fig)
    return Path(path)


def favicon(
    path:str|Path, # where to write it
)->Path:           # the same, a picture of 64 by 64 pixels
    "A 3 by 3 square of Fourier features"
    from perceivers.position import FourierPosition, grid_positions
    channels = FourierPosition(3, (16,16), with_position=False)(grid_positions((32,32))).view(32, 32, -1).permute(2, 0, 1)
    fig = plt.figure(figsize=(1,1), facecolor='#10151c')
    for i,c in enumerate(channels[:9]):
        ax = fig.add_axes([.05+.31*(i%3), .67-.31*(i//3), .28, .28])
        ax.imshow(c, cmap='cividis')
        ax.axis('off')
    fig.savefig(path, dpi=64, facecolor=fig.get_facecolor())
    plt.close(fig)
    return Path(path)


if __name__=='__main__':
    images = Path(__file__).resolve().parent.parent/'nbs/images'
    drawn = {'card':social_card, 'perceiver':front_picture, 'attention':attention_picture, 'favicon':favicon}
    for name,draw in drawn.items(): print(draw(images/f'{name}.png'))
