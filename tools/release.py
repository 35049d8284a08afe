"""Whether a tag is the version of the package, and what the changelog says of it: `python tools/release.py v0.1.0`

It prints the changelog's section of that version. The exit status is 1 where the tag is another version's, or the section is missing."""
import argparse, re, sys
from checks import repo_root


def release_notes(
    tag:str,       # such as 'v0.1.0'
    version:str,   # of the package
    changelog:str, # its text
)->str:            # the section's text
    "What the changelog says of a release; raises ValueError where tag, version and changelog do not agree"
    if tag!=f'v{version}': raise ValueError(f'the tag is {tag}, and the version in perceivers/__init__.py is {version}')
    found = re.search(rf'^## {re.escape(version)}\b.*?\n(.*?)(?=^## |\Z)', changelog, re.S|re.M)
    if not found or not found[1].strip(): raise ValueError(f'CHANGELOG.md has no section ## {version}')
    return found[1].strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tag', help='such as v0.1.0')
    tag,root = parser.parse_args().tag,repo_root()
    version = re.search(r'__version__ = "(.+)"', (root/'perceivers/__init__.py').read_text(encoding='utf-8'))[1]
    try: print(release_notes(tag, version, (root/'CHANGELOG.md').read_text(encoding='utf-8')))
    except ValueError as e: sys.exit(str(e))


if __name__=='__main__': main()
