"""The words of the package: those that must not occur in its modules, and how often each page uses the ambiguous ones

    python tools/words.py               # checks perceivers/*.py and the names of files: FILE:LINE of each banned word
    python tools/words.py --notebooks   # a table: how often each notebook uses the ambiguous and the banned words

The exit status is 1 where the first form finds a word."""
import argparse, ast, io, json, re, sys, tokenize
from pathlib import Path
from typing import NamedTuple

root = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True

# Words and phrases of an identifier, a string or a comment; a space stands for any white space, or an underscore.
banned = {
    'door':            r'doors?',
    'room':            r'rooms?',
    'bend':            r'bends?|bending',
    'mend':            r'mend(?:s|ed|ing)?',
    'look':            r'look(?:s|ed|ing)?',
    'think':           r'think(?:s|ing)?|thoughts?',
    'to be had':       r'(?:not )?to be had',
    'but for':         r'but for',
    'valid part':      r'(?:valid|validation|test|training|train) parts?',
    'valid accuracy':  r'valid accurac(?:y|ies)'}
# Phrases in which a banned word is the usual one, and why.
allowed = {
    r'look(?:s|ed|ing)?[-\s_]ups?': "to find in a table: everybody's word",
    r'look[-\s_]ahead':              "the optimizer of that name"}
# Good English in one sense and not in another, so they are counted, and read by a person.
# "Save" and "for" are counted where they seem to mean except and because.
verb = r"(?:is|are|was|were|has|have|had|can|cannot|could|will|would|does|do|did|may|must|needs?|gives?|takes?|makes?)"
ambiguous = {
    'number':   r'numbers?',
    'part':     r'parts?',
    'place':    r'places?',
    'weights':  r'weights',
    'scores':   r'scores?',
    'ask':      r'ask(?:s|ed|ing)?',
    'answer':   r'answer(?:s|ed|ing)?',
    'save':     r"\bsave (?:for|that|where)\b|\b(?:all|none|nothing|everything) save\b|(?<=, )save (?:the|an?|its)\b",
    ', for':    rf"(?<=[,;:] )for (?:it|they|there|that|this|these|we|you|nothing|(?:\w+ ){{1,4}}?{verb})(?= )"}

class Text(NamedTuple):
    "A piece of a file in which words are searched"
    line: int # where it begins, from 1
    text: str # as it stands in the file
    kind: str # 'name', 'string', 'comment', 'docstring' or 'prose'

def pattern(
    words:str, # alternatives, as above
)->re.Pattern: # ignores case, and takes an underscore or a line's end for a space
    "A search for whole words"
    return re.compile(rf"(?<![a-zA-Z])(?:{words})(?![a-zA-Z])".replace(' ', r"(?:\s|_)+"), re.I)

banned_patterns = {k:pattern(v) for k,v in banned.items()}
allowed_patterns = [pattern(o) for o in allowed]
ambiguous_patterns = {k:re.compile(v, re.I) if k in ('save', ', for') else pattern(v) for k,v in ambiguous.items()}

def split_camel(
    text:str, # an identifier, or prose that may hold some
)->str: # of the same length, except for the underscores that are put in
    "`lookAround` and `LookAround` as `look_Around` and `Look_Around`, so that each word stands alone"
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', text)

def hits(
    text:str, # where to search
    patterns:dict[str, re.Pattern], # by the name under which a hit is reported
)->list[tuple[str, int, str]]: # name, how many line ends come before it, what was found
    "Every banned or counted word of a text that is not in an allowed phrase"
    text,res = split_camel(text),[]
    free = [m.span() for o in allowed_patterns for m in o.finditer(text)]
    for name,p in patterns.items():
        for m in p.finditer(text):
            usual = any(a <= m.start() and m.end() <= b for a,b in free)
            if not usual: res.append((name, text.count('\n', 0, m.start()), m[0]))
    return sorted(res, key=lambda o: o[1])

def docstring_lines(
    source:str, # Python
)->set[int]: # the lines where strings begin that are statements of their own, docstrings among them
    "Where strings are prose; nothing where the source cannot be parsed"
    try: tree = ast.parse(source)
    except SyntaxError: return set()
    alone = [o.value for o in ast.walk(tree) if isinstance(o, ast.Expr) and isinstance(o.value, ast.Constant)]
    return {o.lineno for o in alone if isinstance(o.value, str)}

def python_texts(
    source:str, # Python
)->list[Text]: # in order
    "Identifiers, strings and comments of a source; as far as it can be read, where it is not valid Python"
    res,docs = [],docstring_lines(source)
    strings = tokenize.STRING,getattr(tokenize, 'FSTRING_MIDDLE', None) # the second from Python 3.12 on
    try:
        for t in tokenize.generate_tokens(io.StringIO(source).readline):
            if t.type==tokenize.NAME: res.append(Text(t.start[0], t.string, 'name'))
            elif t.type==tokenize.COMMENT: res.append(Text(t.start[0], t.string, 'comment'))
            elif t.type in strings:
                kind = 'docstring' if t.start[0] in docs else 'string'
                res.append(Text(t.start[0], t.string, kind))
    except (tokenize.TokenError, IndentationError, SyntaxError): pass
    return res

def cell_texts(
    cell:dict, # of a notebook
)->list[Text]: # prose of a markdown cell; comments, docstrings, captions and descriptions of a code cell
    "What a reader of a cell reads as sentences"
    source = ''.join(cell['source'])
    if cell['cell_type'] != 'code': return [Text(1, re.sub(r'```.*?```', '', source, flags=re.S), 'prose')]
    res,directive = [],re.compile(r'#\|\s*(?:fig-alt|fig-cap|code-summary):')
    source = re.sub(r'^(\s*)[%!].*$', r'\1pass', source, flags=re.M)
    for o in python_texts(source):
        read = o.kind=='docstring' or o.kind=='comment' and (directive.match(o.text) or not o.text.startswith('#|'))
        if read: res.append(o)
    return res

def notebooks()->list[Path]: # in the order of their names
    "Every page of the course"
    nbs = root/'nbs'
    return sorted(p for p in nbs.rglob('*.ipynb') if not any(o[0] in '._' for o in p.relative_to(nbs).parts))

def check_modules()->list[str]: # 'FILE:LINE: word: the line', none if all is well
    "Every banned word in the package's modules, and in the names of modules and notebooks"
    bad = []
    for p in sorted((root/'perceivers').glob('*.py')):
        if p.name=='_modidx.py': continue
        source = p.read_text(encoding='utf-8')
        lines,found = source.splitlines(),set()
        for o in python_texts(source):
            for name,down,_ in hits(o.text, banned_patterns): found.add((o.line+down, name))
        bad += [f"{p.relative_to(root)}:{n}: {name}: {lines[n-1].strip()[:160]}" for n,name in sorted(found)]
    for p in [*sorted((root/'perceivers').glob('*.py')), *notebooks()]:
        bad += [f"{p.relative_to(root)}:0: {name}: the file's name" for name,_,_ in hits(p.stem, banned_patterns)]
    return bad

def page_counts(
    path:Path, # a notebook
)->dict: # how often it has each word; under 'banned' all of those together
    "How often a page uses each ambiguous word in its sentences"
    texts = [o for c in json.loads(path.read_text(encoding='utf-8'))['cells'] for o in cell_texts(c)]
    found = [name for o in texts for name,_,_ in hits(o.text, ambiguous_patterns)]
    forbidden = [name for o in texts for name,_,_ in hits(o.text, banned_patterns)]
    return {k:found.count(k) for k in ambiguous} | {'banned':len(forbidden)} | {k:forbidden.count(k) for k in banned}

def page_table()->str: # markdown, a row a notebook
    "The ambiguous and the banned words of each page, counted"
    pages = {p.relative_to(root/'nbs').with_suffix('').as_posix():page_counts(p) for p in notebooks()}
    names = [*ambiguous, 'banned', *banned]
    rows = [(k, *(v[o] for o in names)) for k,v in pages.items()]
    rows.append(('total', *(sum(v[o] for v in pages.values()) for o in names)))
    wide = [max(len(str(r[i])) for r in [('page', *names), *rows]) for i in range(len(names)+1)]
    def line(row):
        cells = [f'{row[0]:{wide[0]}}'] + [f'{o:>{w}}' for o,w in zip(row[1:], wide[1:])]
        return '| ' + ' | '.join(cells) + ' |'
    return '\n'.join([line(('page', *names)), line(['-'*w for w in wide]), *map(line, rows)])

def main()->int: # exit status
    "Prints what the options ask for"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--notebooks', action='store_true', help="print how often each page uses each word, as a table")
    args = parser.parse_args()
    if args.notebooks:
        print(page_table())
        return 0
    bad = check_modules()
    print(*bad, f"{len(bad)} banned words", sep='\n')
    return int(bool(bad))

if __name__=='__main__': sys.exit(main())
