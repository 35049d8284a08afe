'use strict';
const root = document.currentScript.dataset.root;
const stored = { get: k => { try { return localStorage.getItem(k); } catch { return null; } }, set: (k, v) => { try { localStorage.setItem(k, v); } catch { } } };
const theme = t => { if (t) document.documentElement.style.colorScheme = t; };
theme(stored.get('theme'));

// The index of all sections comes as a script, so that it also loads from a folder on disk.
let index = null;
const load = () => index ??= new Promise((done, failed) => {
    const s = Object.assign(document.createElement('script'), { src: root + 'site/search.js', onload: () => done(window.searchIndex), onerror: failed });
    document.head.append(s);
});
// Every word must be found. One in a heading counts ten times one in the text; among equals the shortest heading comes first.
function score(s, words) {
    const head = (s.heading + ' ' + s.page).toLowerCase(), text = s.text.toLowerCase();
    const hits = words.map(w => 10 * head.includes(w) + text.includes(w));
    if (!hits.every(Boolean)) return 0;
    return hits.reduce((a, b) => a + b) + 20 * (s.heading.toLowerCase().replace(/\W/g, '') === words.join('')) + 1 / (1 + s.heading.length);
}
function find(sections, query) {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    if (!words.length) return [];
    return sections.map(s => [score(s, words), s]).filter(o => o[0]).sort((a, b) => b[0] - a[0]).slice(0, 20).map(o => o[1]);
}
function snippet(text, word) {
    const at = Math.max(0, text.toLowerCase().indexOf(word) - 50);
    return (at ? '… ' : '') + text.slice(at, at + 130);
}
function hit(s, query) {
    const a = Object.assign(document.createElement('a'), { href: root + s.href, textContent: s.heading === s.page ? s.page : s.page + ': ' + s.heading });
    a.append(Object.assign(document.createElement('span'), { textContent: snippet(s.text, query.toLowerCase().split(/\s+/)[0]) }));
    const li = document.createElement('li');
    li.append(a);
    return li;
}

addEventListener('DOMContentLoaded', () => {
    const input = document.querySelector('search input'), list = document.querySelector('search ol'), nav = document.querySelector('.course details');
    nav.open = matchMedia('(min-width: 62rem)').matches;
    document.querySelector('.course [aria-current]')?.scrollIntoView({ block: 'nearest' });
    document.querySelector('.theme').onclick = () => {
        const now = document.documentElement.style.colorScheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
        const next = now === 'dark' ? 'light' : 'dark';
        theme(next);
        stored.set('theme', next);
    };
    input.onfocus = load;
    input.oninput = async () => {
        const query = input.value, found = find(await load(), query);
        if (query !== input.value) return;
        list.replaceChildren(...found.map(s => hit(s, query)));
        if (!found.length) list.append(Object.assign(document.createElement('li'), { textContent: 'Nothing found' }));
        list.hidden = !query.trim();
    };
    addEventListener('keydown', e => {
        if (e.key === '/' && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { e.preventDefault(); input.focus(); }
        if (e.key === 'Escape') list.hidden = true;
    });
    addEventListener('click', e => { if (!e.target.closest('search')) list.hidden = true; });
    for (const pre of document.querySelectorAll('.sourceCode > pre')) {
        const b = Object.assign(document.createElement('button'), { type: 'button', className: 'copy', textContent: 'Copy' });
        b.onclick = async () => { await navigator.clipboard.writeText(pre.innerText); b.textContent = 'Copied'; };
        pre.parentElement.classList.add('code');
        pre.parentElement.append(b);
    }
});
