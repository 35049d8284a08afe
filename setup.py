"Turns settings.ini into what setuptools wants to know. Edit settings.ini, not this file."
import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
ini = ConfigParser(delimiters=['='])
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
version = re.search(r'__version__ = "(.+)"', (here/'perceivers'/'__init__.py').read_text(encoding='utf-8'))[1]

setup(version=version, description=cfg['description'], license=cfg['license'], author=cfg['author'], keywords=cfg['keywords'].split(),
    long_description=(here/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
    packages=find_packages(include=['perceivers', 'perceivers.*']), package_data={'perceivers': ['py.typed', 'weights/*/*.safetensors', 'weights/*/*.json', 'weights/*/card.md']}, include_package_data=False,
    install_requires=cfg['requirements'].split(),
    extras_require={k: cfg[f'{k}_requirements'].split() for k in ('dev', 'timm', 'hub', 'distributed', 'export', 'audio', 'parquet', 'bench')},
    entry_points=dict(console_scripts=cfg['console_scripts'].strip().splitlines(), nbdev=['perceivers = perceivers._modidx:d']))
