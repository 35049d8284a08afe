// The behaviour of the page "Draw a digit": drawing, running the model, and showing what it gives.
import { SIDE, SIZE, drawLine, drawStrokes, prepare, gridPositions, fourierBands, fourierFeatures, similarity, softmax,
    largestDifference, shuffled, describe, samples } from './digit.js';

const M = SIZE * SIZE;
const $ = name => document.getElementById(`demo-${name}`);
const make = (tag, more = {}, ...inside) => {
    const e = Object.assign(document.createElement(tag), more);
    e.append(...inside);
    return e;
};
const percent = p => `${(100 * p).toFixed(1)}\u00a0%`;
const root = document.getElementById('demo');


// ---- what is drawn ----
let strokes = [], past = [], ink = drawStrokes([]), isExample = false, moving = null;
const paper = $('paper'), pen = { x: SIDE / 2, y: SIDE / 2, isDown: false, isShown: false };

function showPaper() {
    const to = paper.getContext('2d'), image = to.createImageData(SIDE, SIDE), { data } = image;
    ink.forEach((v, i) => {
        data[4 * i] = data[4 * i + 1] = data[4 * i + 2] = v;
        data[4 * i + 3] = 255;
    });
    to.putImageData(image, 0, 0);
    if (!pen.isShown) return;
    for (const [style, width] of [['#000', 7], ['#ffb000', 4]]) {
        to.beginPath();
        to.arc(pen.x, pen.y, pen.isDown ? 7 : 12, 0, 2 * Math.PI);
        to.strokeStyle = style;
        to.lineWidth = width;
        to.stroke();
    }
}

function setStrokes(next, remember = true) {
    if (remember) past.push(strokes);
    strokes = next;
    ink = drawStrokes(strokes);
    isExample = false;
    pen.isDown = false;
    changed();
}

function beginStroke(point) {
    past.push(strokes);
    strokes = [...(isExample ? [] : strokes), [point]];
    if (isExample) ink = drawStrokes([]);
    isExample = false;
    drawLine(ink, point, point);
    changed();
}

function goOn(point) {
    const stroke = strokes.at(-1);
    drawLine(ink, stroke.at(-1), point);
    stroke.push(point);
    changed();
}

function undo() {
    if (past.length) setStrokes(past.pop(), false);
}

const pointOf = e => {
    const box = paper.getBoundingClientRect();
    return [(e.clientX - box.left) / box.width * SIDE - .5, (e.clientY - box.top) / box.height * SIDE - .5];
};
paper.addEventListener('pointerdown', e => {
    if (moving !== null || e.button) return;
    moving = e.pointerId;
    paper.setPointerCapture(e.pointerId);
    pen.isShown = pen.isDown = false;
    beginStroke(pointOf(e));
});
paper.addEventListener('pointermove', e => {
    if (e.pointerId !== moving) return;
    const all = e.getCoalescedEvents?.() ?? [];
    for (const o of all.length ? all : [e]) goOn(pointOf(o));
});
for (const end of ['pointerup', 'pointercancel', 'lostpointercapture'])
    paper.addEventListener(end, e => { if (e.pointerId === moving) moving = null; });

paper.addEventListener('keydown', e => {
    const step = e.shiftKey ? 2 : 10;
    const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[e.key];
    const isUndo = e.key === 'Backspace' || (e.key === 'z' && (e.ctrlKey || e.metaKey));
    if (!by && !isUndo && e.key !== ' ') return;
    e.preventDefault();
    pen.isShown = true;
    if (isUndo) return undo();
    if (by) [pen.x, pen.y] = [pen.x + by[0], pen.y + by[1]].map(v => Math.min(Math.max(v, 0), SIDE - 1));
    if (by && pen.isDown) goOn([pen.x, pen.y]);
    if (e.key === ' ') {
        pen.isDown = !pen.isDown;
        if (pen.isDown) beginStroke([pen.x, pen.y]);
        say(`Pen ${pen.isDown ? 'down' : 'up'}, ${Math.round(pen.x)} from the left, ${Math.round(pen.y)} from the top`);
    }
    showPaper();
});
paper.addEventListener('focus', () => {
    pen.isShown = paper.matches(':focus-visible');
    showPaper();
});
paper.addEventListener('blur', () => {
    pen.isShown = pen.isDown = false;
    showPaper();
});
$('clear').addEventListener('click', () => setStrokes([]));
$('undo').addEventListener('click', undo);
samples.forEach((s, digit) => {
    const b = make('button', { type: 'button', textContent: digit });
    b.setAttribute('aria-label', `Example ${digit}`);
    b.addEventListener('click', () => setStrokes(s));
    $('samples').append(b);
});

// ---- what is shown of it ----
function paint(canvas, colour) {
    const to = canvas.getContext('2d'), image = to.createImageData(canvas.width, canvas.height);
    for (let i = 0; i < canvas.width * canvas.height; i++) image.data.set([...colour(i), 255], 4 * i);
    to.putImageData(image, 0, 0);
}
const grey = bytes => i => [bytes[i], bytes[i], bytes[i]];
function paintMap(canvas, map, bytes) {
    const to = canvas.getContext('2d'), image = to.createImageData(SIZE, SIZE), { data } = image;
    const top = map.reduce((a, b) => Math.max(a, b), 1e-12);
    for (let i = 0; i < M; i++) { // 64 of these are painted for each picture
        const a = Math.sqrt(map[i] / top), g = .55 * bytes[i] * (1 - a);
        data[4 * i] = 255 * a + g;
        data[4 * i + 1] = 150 * a + g;
        data[4 * i + 2] = 20 * a + g;
        data[4 * i + 3] = 255;
    }
    to.putImageData(image, 0, 0);
}
const signed = v => v < 0 ? [255 + 222 * v, 255 + 153 * v, 255 + 83 * v] : [255 - 77 * v, 255 - 231 * v, 255 - 212 * v];
// A token in the list: its hue says where its pixel is, its brightness the pixel's value.
function paintList(canvas, order) {
    paint(canvas, i => {
        const at = order[i], y = Math.floor(at / SIZE) / (SIZE - 1), x = at % SIZE / (SIZE - 1);
        const bright = .38 + .62 * shown.given[at] / 255;
        return [bright * (70 + 185 * x), bright * (200 - 60 * x - 60 * y), bright * (70 + 185 * y)];
    });
}

const bars = Array.from({ length: 10 }, (_, digit) => {
    const fill = make('i'), share = make('span', { className: 'share', textContent: '–' });
    const row = make('li', {}, make('span', { textContent: digit }), make('span', { className: 'bar' }, fill), share);
    $('bars').append(row);
    return { row, fill, share };
});

let said = '', timer = null;
function say(text) { // to a screen reader, when the hand has come to rest
    clearTimeout(timer);
    timer = setTimeout(() => { if (text !== said) $('said').textContent = said = text; }, 700);
}

const pictureSaid = $('picture-said').textContent;
const noOrder = Array.from({ length: M }, (_, i) => i);
const move = shuffled(M, 7);
// What the model got and gave at last; `tools/demo_check.py` reads it as `demo.shown`.
const shown = { bytes: new Uint8Array(M), given: new Uint8Array(M), probabilities: null, maps: [], order: noOrder, isMoved: false,
    isEmpty: true, difference: null, runs: 0, chosen: [0, 0] };
root.shown = shown;
root.centrePen = () => Object.assign(pen, { x: SIDE / 2, y: SIDE / 2, isDown: false });

function showAnswer() {
    const p = shown.probabilities, best = p.indexOf(Math.max(...p));
    const answer = shown.isEmpty ? 'Nothing is drawn yet' : `${best}, ${percent(p[best])}`;
    $('answer').textContent = answer + (shown.isMoved && !shown.isEmpty ? ' (pixels moved)' : '');
    bars.forEach(({ row, fill, share }, digit) => {
        row.toggleAttribute('data-top', !shown.isEmpty && digit === best);
        fill.style.width = shown.isEmpty ? 0 : `${100 * p[digit]}%`;
        share.textContent = shown.isEmpty ? '–' : percent(p[digit]);
    });
    paint($('picture'), grey(shown.given));
    $('picture-said').textContent = shown.isMoved ? 'What the model reads: the same pixels, moved to other positions. Further down, they can be put back.' : pictureSaid;
    paint($('unmoved'), grey(shown.bytes));
    paint($('moved'), grey(shown.given));
    $('moved-said').textContent = shown.isMoved ? (shown.isEmpty ? 'The pixels are moved. Nothing is drawn yet.' : `With the pixels moved the model says: ${answer}.`) :
        'The pixels are at their own positions.' + (shown.isEmpty ? '' : ` The model says: ${answer}.`);
    paintList($('before'), noOrder);
    paintList($('after'), shown.order);
    $('shuffled').textContent = shown.difference === null ? 'The tokens are in the order of the pixels.' :
        `Largest difference between the probabilities in both orders: ${shown.difference.toExponential(1)}` +
        (shown.isEmpty ? '.' : `. The answer is ${answer} either way${shown.isMoved ? ' (the pixels are moved)' : ''}.`);
    say([answer, shown.isMoved ? 'with moved pixels' : '', shown.difference === null ? '' : 'with shuffled tokens'].filter(Boolean).join(', '));
}

// ---- the latents ----
let tiles = [];
function makeTiles() {
    $('maps').className = 'demo-maps';
    tiles = shown.maps.map((latents, step) => {
        const grid = make('div', { className: 'demo-grid' });
        grid.setAttribute('role', 'group');
        grid.setAttribute('aria-label', `Latents in cross-attention ${step + 1}`);
        $('maps').append(make('h3', { textContent: `Cross-attention ${step + 1} of ${shown.maps.length}` }), grid);
        return latents.map((_, i) => {
            const canvas = make('canvas', { width: SIZE, height: SIZE });
            canvas.setAttribute('aria-hidden', 'true');
            const button = make('button', { type: 'button' }, canvas);
            button.setAttribute('aria-label', `Latent ${i}, cross-attention ${step + 1}`);
            button.addEventListener('click', () => choose(step, i, true));
            button.addEventListener('keydown', e => walk(e, step, i));
            grid.append(button);
            return { button, canvas };
        });
    });
    choose(0, 0);
}

function walk(e, step, i) {
    const n = tiles[step].length, next = { ArrowLeft: i - 1, ArrowRight: i + 1, ArrowUp: i - 8, ArrowDown: i + 8, Home: 0, End: n - 1 }[e.key];
    if (next === undefined) return;
    e.preventDefault();
    const other = next < 0 ? step - 1 : next >= n ? step + 1 : step;
    if (!tiles[other]) return;
    const at = other === step ? next : (next + n) % n;
    choose(other, at, true);
    tiles[other][at].button.focus();
}

function choose(step, i, isAloud = false) {
    shown.chosen = [step, i];
    tiles.forEach((all, s) => all.forEach(({ button }, k) => {
        const isChosen = s === step && k === i;
        button.setAttribute('aria-pressed', isChosen);
        button.tabIndex = isChosen ? 0 : -1;
    }));
    showLarge();
    if (isAloud) say($('told').textContent);
}

function showLarge() {
    const [step, i] = shown.chosen, map = shown.maps[step][i], d = describe(map, shown.given);
    paintMap($('large'), map, shown.given);
    const onInk = shown.isEmpty ? 'Nothing is drawn: these weights come from the positions alone.' :
        `${percent(d.onInk)} of its weight is on the ink, which covers ${percent(d.inkShare)} of the picture.`;
    $('told').replaceChildren(make('strong', { textContent: `Latent ${i} in cross-attention ${step + 1}` }), make('ul', {},
        make('li', { textContent: onInk }),
        make('li', { textContent: `The largest weight is ${percent(d.top)}, in row ${d.row}, column ${d.column} (counted from 0). ` +
            `Were all weights alike, each would be ${percent(1 / M)}.` }),
        make('li', { textContent: `It is as spread out as an even weight on ${Math.round(d.pixels)} of ${M} pixels.` })));
}

function showMaps() {
    if (!tiles.length) makeTiles();
    tiles.forEach((all, step) => all.forEach(({ canvas }, i) => paintMap(canvas, shown.maps[step][i], shown.given)));
    showLarge();
}

// ---- the model ----
let ort = null, session = null, isStale = false, isRunning = false, seed = 0, order = noOrder, isMoved = false;
const positions = gridPositions(), times = [];

async function run(bytes, order) {
    const values = Float32Array.from(order, i => bytes[i] / 255);
    const at = new Float32Array(2 * M);
    order.forEach((i, k) => at.set([positions[2 * i], positions[2 * i + 1]], 2 * k));
    const out = await session.run({ values: new ort.Tensor('float32', values, [1, M, 1]), positions: new ort.Tensor('float32', at, [1, M, 2]) });
    const maps = session.outputNames.slice(1).map(name => {
        const { data, dims: [, n] } = out[name];
        return Array.from({ length: n }, (_, i) => {
            const map = new Float32Array(M); // in the order of the pixels again
            order.forEach((pixel, k) => { map[pixel] = data[i * M + k]; });
            return map;
        });
    });
    return { probabilities: softmax(out.logits.data), maps };
}

async function update() {
    isRunning = true;
    root.dataset.state = 'running';
    while (isStale) {
        isStale = false;
        const bytes = prepare(ink), given = isMoved ? Uint8Array.from(move, i => bytes[i]) : bytes;
        const now = order, wasMoved = isMoved, start = performance.now();
        const first = await run(given, now);
        times.push(performance.now() - start);
        if (times.length > 21) times.shift();
        const plain = now === noOrder ? null : await run(given, noOrder);
        Object.assign(shown, first, { bytes, given, order: now, isMoved: wasMoved, isEmpty: !bytes.some(Boolean),
            difference: plain && largestDifference(first.probabilities, plain.probabilities), runs: shown.runs + 1 });
        showAnswer();
        showMaps();
        const middle = [...times].sort((a, b) => a - b)[times.length >> 1];
        $('time').textContent = `The model takes ${middle.toFixed(1)} ms for a picture here` +
            (times.length > 1 ? ` (median of the last ${times.length}).` : '.');
        await new Promise(done => requestAnimationFrame(done));
    }
    isRunning = false;
    root.dataset.state = 'ready';
}

function fail(error) {
    session = null;
    root.dataset.state = 'failed';
    $('status').hidden = false;
    $('status').textContent = `The model stopped: ${error.message ?? error}. Load the page again to go on.`;
}

let isDrawn = false;
function changed() {
    isStale = true;
    if (!isDrawn) requestAnimationFrame(() => {
        isDrawn = false;
        showPaper();
    });
    isDrawn = true;
    $('undo').disabled = !past.length;
    if (session && !isRunning) update().catch(fail);
}

$('shuffle').addEventListener('click', () => {
    order = shuffled(M, ++seed);
    changed();
});
$('order').addEventListener('click', () => {
    order = noOrder;
    changed();
});
$('move').addEventListener('click', () => {
    isMoved = !isMoved;
    $('move').setAttribute('aria-pressed', isMoved);
    changed();
});

async function get(name) {
    const r = await fetch(new URL(name, import.meta.url)).catch(() => null);
    if (!r?.ok) throw new Error(`${name} cannot be fetched`);
    return r;
}

function pressed(button) {
    button.hidden = false;
    return new Promise(done => button.addEventListener('click', () => {
        button.hidden = true;
        done();
    }, { once: true }));
}

const megabytes = n => `${(n / 1e6).toFixed(1)} MB`;
async function load() {
    const status = $('status');
    try {
        if (typeof WebAssembly !== 'object') throw new Error('this browser has no WebAssembly, or it is switched off');
        const facts = await (await get('model.json')).json();
        const what = `the model (${megabytes(facts.bytes)}) and the program that runs it (${megabytes(facts.runtime_bytes)}, ` +
            'about a quarter of that when compressed)';
        if (navigator.connection?.saveData) {
            status.textContent = `You asked your browser to save data. This button loads ${what}.`;
            await pressed($('load'));
        }
        status.textContent = `Loading ${what} …`;
        const script = 'ort/ort.wasm.bundle.min.mjs', bytes = async name => (await get(name)).arrayBuffer();
        const [model, program] = await Promise.all([bytes('model.onnx'), bytes('ort/ort-wasm-simd-threaded.wasm')]);
        ort = await import(new URL(script, import.meta.url)).catch(() => { throw new Error(`${script} cannot be fetched`); });
        ort.env.logLevel = 'fatal';
        Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: program });
        session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], logSeverityLevel: 4 });
        await run(shown.bytes, noOrder); // the first one takes longer
        status.hidden = true;
        tellFacts(facts);
    } catch (error) {
        root.dataset.state = 'failed';
        status.textContent = `The model cannot be loaded: ${error.message ?? error}. You can draw, but there is no answer.`;
        $('answer').textContent = 'No model';
        return;
    }
    changed();
}

function tellFacts(f) {
    const accuracy = [['test_accuracy', 'the test set'], ['validation_accuracy', 'the validation set']].filter(([k]) => k in f)
        .map(([k, name]) => `${percent(f[k])} of ${name}`)[0];
    $('facts').textContent = `The model has ${f.parameters.toLocaleString('en')} parameters: ${f.latents} latents of ${f.channels} channels, ` +
        `${f.crosses} cross-attentions with ${f.heads === 1 ? 'one head' : `${f.heads} heads, of which the maps show the mean,`} ` +
        `and ${f.bands} bands on each axis. It is ${megabytes(f.bytes)} large.` +
        (accuracy ? ` It classifies ${accuracy} of MNIST right.` : '') + ` It runs on one thread of onnxruntime-web ${f.runtime}.`;
    for (const o of document.querySelectorAll('.demo-bands-of-model')) o.textContent = f.bands;
}

// ---- the bands ----
function showBands() {
    const n = +$('bands').value, line = i => i * 2 / (SIZE - 1) - 1;
    $('bands-value').textContent = n;
    $('waves').replaceChildren(...fourierBands(n).map(f => {
        const canvas = make('canvas', { width: 2 * SIZE + 2, height: 2 * SIZE + 2 });
        canvas.setAttribute('role', 'img');
        canvas.setAttribute('aria-label', `Sines and cosines of ${f.toFixed(1)} waves`);
        paint(canvas, i => {
            const x = i % canvas.width, y = Math.floor(i / canvas.width), isRight = x > SIZE, isLow = y > SIZE;
            if ([SIZE, SIZE + 1].some(o => o === x || o === y)) return [0, 0, 0];
            const angle = Math.PI * f * line(isLow ? y - SIZE - 2 : x - (isRight ? SIZE + 2 : 0));
            return signed(isRight ? Math.cos(angle) : Math.sin(angle));
        });
        return make('figure', {}, canvas, make('figcaption', { textContent: `${f.toFixed(1)} waves` }));
    }));
    const codes = Array.from({ length: SIZE }, (_, x) => fourierFeatures([line(x)], n));
    $('row').height = codes[0].length;
    paint($('row'), i => signed(codes[i % SIZE][Math.floor(i / SIZE)]));
    const like = similarity(n, [SIZE / 2, SIZE / 2]), near = like.filter(v => v > .5).length;
    paint($('similar'), i => signed(like[i]));
    $('similar-said').textContent = `How alike each encoding is to that of the pixel in the middle, by their cosine: ` +
        `above 0.5 for ${near} of ${M} pixels. More bands tell neighbours apart.`;
}
$('bands').addEventListener('input', showBands);
showBands();

setStrokes(samples[3], false);
isExample = true;
load();
