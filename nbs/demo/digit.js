// What the page computes by itself, without a browser's objects: strokes to pixels, pixels as MNIST has them, position
// encodings, and what is told of a map. `tools/demo_check.py` runs this file under node, against the Python package.

export const SIDE = 280; // pixels of the drawing's side
export const SIZE = 28;  // pixels of the side of the picture that the model reads
export const PEN = 11;   // the pen's radius

// A stroke from one point to the next, as ink from 0 to 255 with a smooth edge; ink that is there stays.
export function drawLine(ink, [ax, ay], [bx, by], radius = PEN) {
    const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy;
    const clip = v => Math.min(Math.max(Math.round(v), 0), SIDE - 1);
    for (let y = clip(Math.min(ay, by) - radius - 1); y <= clip(Math.max(ay, by) + radius + 1); y++) {
        for (let x = clip(Math.min(ax, bx) - radius - 1); x <= clip(Math.max(ax, bx) + radius + 1); x++) {
            const t = length ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
            const far = Math.hypot(x - ax - t * dx, y - ay - t * dy);
            const value = Math.round(255 * Math.min(Math.max(radius + .5 - far, 0), 1));
            if (value > ink[y * SIDE + x]) ink[y * SIDE + x] = value;
        }
    }
}

export function drawStrokes(strokes) {
    const ink = new Uint8Array(SIDE * SIDE);
    for (const s of strokes) s.forEach((p, i) => drawLine(ink, s[Math.max(i - 1, 0)], p));
    return ink;
}

// Pillow's resize with the Lanczos filter, to the bit: weights of 22 bits, width before height, rounded to bytes in between.
// (From version 13 on Pillow begins with the height where that is much more than the width.)
function lanczosWeights(from, to) {
    const sinc = x => x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1;
    const scale = from / to, wide = Math.max(scale, 1), support = 3 * wide;
    return Array.from({ length: to }, (_, i) => {
        const middle = (i + .5) * scale;
        const first = Math.max(Math.trunc(middle - support + .5), 0);
        const last = Math.min(Math.trunc(middle + support + .5), from);
        const w = Array.from({ length: last - first }, (_, j) => {
            const x = (j + first - middle + .5) / wide;
            return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0;
        });
        const sum = w.reduce((a, b) => a + b, 0);
        return { first, weights: w.map(o => Math.trunc(o / sum * 2 ** 22 + (o < 0 ? -.5 : .5))) };
    });
}

function resizeColumns(image, to) {
    const { width, height, data } = image;
    if (to === width) return image;
    const out = new Uint8Array(to * height);
    lanczosWeights(width, to).forEach(({ first, weights }, x) => {
        for (let y = 0; y < height; y++) {
            let sum = 2 ** 21;
            for (let j = 0; j < weights.length; j++) sum += weights[j] * data[y * width + first + j];
            out[y * to + x] = Math.min(Math.max(Math.floor(sum / 2 ** 22), 0), 255);
        }
    });
    return { width: to, height, data: out };
}

function turned({ width, height, data }) {
    const out = new Uint8Array(data.length);
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = data[y * width + x];
    return { width: height, height: width, data: out };
}

// Halves go to the even neighbour, as in Python.
function round(x) {
    const low = Math.floor(x);
    return x - low === .5 ? low + low % 2 : Math.round(x);
}

// The box of what is brighter than a quarter, in full contrast; null where nothing is drawn.
function cutInk(data, width, height) {
    let low = 255, high = 0;
    for (let i = 0; i < data.length; i++) {
        if (data[i] < low) low = data[i];
        if (data[i] > high) high = data[i];
    }
    if (high <= low) return null;
    const scale = 255 / (high - low);
    const full = data.map(v => Math.min(Math.max(Math.trunc(v * scale - low * scale), 0), 255));
    let x0 = width, x1 = -1, y0 = height, y1 = -1;
    for (let i = 0; i < full.length; i++) {
        if (full[i] <= 64) continue;
        const x = i % width, y = (i - x) / width;
        x0 = Math.min(x0, x);
        x1 = Math.max(x1, x);
        y0 = Math.min(y0, y);
        y1 = Math.max(y1, y);
    }
    const box = { width: x1 - x0 + 1, height: y1 - y0 + 1 };
    box.data = new Uint8Array(box.width * box.height);
    for (let y = y0; y <= y1; y++) box.data.set(full.subarray(y * width + x0, y * width + x1 + 1), (y - y0) * box.width);
    return box;
}

// Light ink on black as MNIST has it: the ink's longer side takes `share` of the picture, its centre of mass is in the
// middle. The same as `prepare_mnist_ink` of the package, for a black paper.
export function prepare(data, width = SIDE, height = SIDE, share = 20 / 28) {
    const out = new Uint8Array(SIZE * SIZE);
    const box = cutInk(data, width, height);
    if (!box) return out;
    const scale = SIZE * share / Math.max(box.width, box.height);
    const wide = resizeColumns(box, Math.max(1, round(box.width * scale)));
    const ink = turned(resizeColumns(turned(wide), Math.max(1, round(box.height * scale))));
    let [sum, cx, cy] = [0, 0, 0];
    ink.data.forEach((v, i) => {
        sum += v;
        cx += v * (i % ink.width);
        cy += v * Math.floor(i / ink.width);
    });
    const start = (centre, n) => Math.min(Math.max(round(SIZE / 2 - .5 - centre / sum), 0), SIZE - n);
    const left = start(cx, ink.width), top = start(cy, ink.height);
    for (let y = 0; y < ink.height; y++)
        out.set(ink.data.subarray(y * ink.width, (y + 1) * ink.width), (top + y) * SIZE + left);
    return out;
}

// Row and column of each pixel, from -1 to 1, line by line.
export function gridPositions(size = SIZE) {
    const line = i => i * 2 / (size - 1) - 1;
    return Float32Array.from({ length: 2 * size * size }, (_, i) =>
        i % 2 ? line((i - 1) / 2 % size) : line(Math.floor(i / 2 / size)));
}

// Evenly spaced frequencies from 1 to half of the pixels on an axis.
export function fourierBands(n, size = SIZE) {
    return Array.from({ length: n }, (_, i) => n > 1 ? 1 + i * (size / 2 - 1) / (n - 1) : 1);
}

// The channels of one position (row, column): both, all sines (axis by axis, bands within), all cosines.
export function fourierFeatures(position, n, size = SIZE) {
    const angles = position.flatMap(p => fourierBands(n, size).map(f => Math.PI * p * f));
    return [...position, ...angles.map(Math.sin), ...angles.map(Math.cos)];
}

// The cosine between the encoding of pixel `at` (row, column) and that of each pixel of the grid.
export function similarity(n, at, size = SIZE) {
    const line = i => i * 2 / (size - 1) - 1, norm = v => Math.hypot(...v);
    const code = (y, x) => fourierFeatures([line(y), line(x)], n, size);
    const one = code(...at);
    return Array.from({ length: size * size }, (_, i) => {
        const other = code(Math.floor(i / size), i % size);
        return one.reduce((s, v, k) => s + v * other[k], 0) / norm(one) / norm(other);
    });
}

export function softmax(logits) {
    const top = Math.max(...logits), e = Array.from(logits, v => Math.exp(v - top));
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map(v => v / sum);
}

export function largestDifference(a, b) {
    return a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);
}

// The numbers 0 to n-1 in an order that depends on `seed` alone: Fisher and Yates, with the generator mulberry32.
export function shuffled(n, seed) {
    const order = Array.from({ length: n }, (_, i) => i);
    const random = () => {
        seed = seed + 0x6D2B79F5 | 0;
        let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
        t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
        return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
    };
    for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(random() * (i + 1));
        [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
}

// What can be said of a map of attention weights over a picture (bytes).
export function describe(map, picture) {
    let [onInk, nInk, top, entropy] = [0, 0, 0, 0];
    map.forEach((w, i) => {
        if (picture[i] > 64) {
            onInk += w;
            nInk++;
        }
        if (w > map[top]) top = i;
        if (w > 0) entropy -= w * Math.log(w);
    });
    return { onInk, inkShare: nInk / map.length, top: map[top], row: Math.floor(top / SIZE), column: top % SIZE,
        pixels: Math.exp(entropy) };
}

// Strokes of ten digits, made by hand for this page, on a drawing of 280 by 280.
const arc = (cx, cy, rx, ry, from, to, n = 24) => Array.from({ length: n + 1 }, (_, i) => {
    const a = Math.PI / 180 * (from + (to - from) * i / n);
    return [cx + rx * Math.cos(a), cy + ry * Math.sin(a)];
});
export const samples = [
    [arc(140, 140, 58, 84, -70, 300)],
    [[[112, 84], [148, 54], [142, 226]]],
    [[...arc(138, 100, 52, 46, 195, 380), [150, 158], [84, 222], [204, 218]]],
    [[...arc(132, 96, 48, 42, 205, 440), ...arc(132, 182, 56, 46, 280, 510)]],
    [[[128, 54], [84, 158], [204, 152]], [[178, 92], [168, 230]]],
    [[[194, 58], [108, 62], [98, 128], ...arc(134, 172, 58, 52, 225, 500)]],
    [[[172, 54], [118, 108], ...arc(136, 178, 48, 48, 190, 545), [98, 150]]],
    [[[82, 66], [200, 62], [160, 136], [132, 226]]],
    [[...arc(140, 100, 42, 40, 90, 450), ...arc(140, 184, 52, 44, 270, 630)]],
    [[...arc(140, 104, 48, 46, 0, 360), [188, 104], [178, 226]]]];
