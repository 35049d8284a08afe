"""What a site needs beside its pages, whether Quarto made them or the preview: `python tools/finish_site.py FOLDER`

KaTeX, which sets the formulas, is served with the site (pandoc and Quarto would fetch it from another host); so are the model and the
runtime of the demonstration page. Both come from tools/node_modules: `npm ci --prefix tools`."""
import argparse, posixpath, re, shutil, sys
from pathlib import Path
from checks import repo_root


def node_modules(
    root:Path, # a checkout
)->Path:
    "Where the packages of tools/package.json are; ends the program where they are not"
    found = root/'tools/node_modules'
    if not (found/'katex').is_dir(): sys.exit('tools/node_modules is missing: npm ci --prefix tools')
    return found


def finish_site(
    root:Path,   # a checkout
    folder:Path, # a built site
    run:str='mnist', # the model of the demonstration page: weights that ship with the package, or a run's folder
)->None:
    "Serves KaTeX with the site, asks no other host for fonts, and adds the files of the demonstration page"
    katex,to = node_modules(root)/'katex/dist',folder/'site/katex'
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in ('katex.min.js','katex.min.css'): shutil.copyfile(katex/name, to/name)
    shutil.copytree(katex/'fonts', to/'fonts')
    for p in folder.rglob('*.html'):
        text = p.read_text(encoding='utf-8')
        here = posixpath.relpath('site/katex', p.relative_to(folder).parent.as_posix())
        local = re.sub(r'https://cdn\.jsdelivr\.net/npm/katex@[^/"]+/dist/', f'{here}/', text)
        if local!=text: p.write_text(local, encoding='utf-8')
    for p in folder.rglob('*.css'): # themes ask another host for their fonts; without it, the system's are used
        text = p.read_text(encoding='utf-8')
        local = re.sub(r"""@import\s*(?:url\(\s*["']?https?:[^)]*\)|["']https?:[^"']*["'])\s*;""", '', text)
        if local!=text: p.write_text(local, encoding='utf-8')
    if (folder/'demo.html').is_file():
        import demo
        demo.build(folder, run)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='the built site')
    parser.add_argument('--run', default='mnist', help="the demonstration's model: weights of the package, or a run's folder")
    args = parser.parse_args()
    finish_site(repo_root(), args.folder.resolve(), args.run)


if __name__=='__main__': main()
