// How runs and kinds of things are told apart: a color, and a dash, marker or hatching beside it.
"use strict";

const DASHES = [[], [9, 4], [2, 3], [12, 4, 2, 4], [5, 5], [14, 3], [4, 2, 1, 2], [1, 4]];
const MARKERS = ["circle", "square", "triangle", "diamond", "down", "cross", "plus", "ring"];

const look = (number) => ({
  color: `--run-${(number % 8) + 1}`,
  dash: DASHES[number % 8],
  marker: MARKERS[number % 8],
});

// The color behind a custom property, for the canvas, in the theme that is on.
function color(name) {
  const probe = h("span", { class: "probe" });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function mark(context, marker, x, y, size) {
  const shapes = {
    circle: () => context.arc(x, y, size, 0, 2 * Math.PI),
    ring: () => context.arc(x, y, size, 0, 2 * Math.PI),
    square: () => context.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size),
    triangle: () => polygon(context, [[x, y - 1.2 * size], [x + 1.1 * size, y + 0.8 * size], [x - 1.1 * size, y + 0.8 * size]]),
    down: () => polygon(context, [[x, y + 1.2 * size], [x + 1.1 * size, y - 0.8 * size], [x - 1.1 * size, y - 0.8 * size]]),
    diamond: () => polygon(context, [[x, y - 1.3 * size], [x + 1.3 * size, y], [x, y + 1.3 * size], [x - 1.3 * size, y]]),
    cross: () => lines(context, [[x - size, y - size, x + size, y + size], [x - size, y + size, x + size, y - size]]),
    plus: () => lines(context, [[x - 1.2 * size, y, x + 1.2 * size, y], [x, y - 1.2 * size, x, y + 1.2 * size]]),
  };
  context.beginPath();
  shapes[marker]();
  if (["cross", "plus", "ring"].includes(marker)) context.stroke();
  else context.fill();
}

function polygon(context, points) {
  points.forEach(([x, y], number) => (number === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  context.closePath();
}

function lines(context, segments) {
  for (const [x0, y0, x1, y1] of segments) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
}

// A small picture of a look, for legends: a canvas, so that it is drawn as the chart is.
function swatch({ color: name, dash = [], marker = null, hatch = null }) {
  const ratio = window.devicePixelRatio || 1;
  const canvas = h("canvas", { class: "swatch", width: 28 * ratio, height: 12 * ratio, "aria-hidden": "true" });
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.strokeStyle = color(name);
  context.lineWidth = 2;
  if (hatch !== null) {
    context.fillStyle = hatching(context, name, hatch);
    context.fillRect(4, 0, 20, 12);
    return canvas;
  }
  if (dash !== false) {
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(0, 6);
    context.lineTo(28, 6);
    context.stroke();
  }
  context.setLineDash([]);
  context.fillStyle = color(name);
  if (marker) mark(context, marker, 14, 6, 3.5);
  return canvas;
}

const HATCHES = ["plain", "rising", "falling", "dots", "level", "upright", "cross", "sparse"];

// A fill of a color with lines in it; the color covers what lies below.
function hatching(context, name, hatch) {
  const size = 8;
  const tile = h("canvas", { width: size, height: size });
  const pen = tile.getContext("2d");
  pen.fillStyle = color(name);
  pen.fillRect(0, 0, size, size);
  pen.strokeStyle = pen.fillStyle = color("--hatch");
  pen.lineWidth = 1.4;
  pen.beginPath();
  const rising = [[-2, 2, 2, -2], [0, size, size, 0], [6, 10, 10, 6]];
  const falling = [[6, -2, 10, 2], [0, 0, size, size], [-2, 6, 2, 10]];
  const segments = {
    rising, falling, cross: [...rising, ...falling], level: [[0, 4, size, 4]], upright: [[4, 0, 4, size]],
    plain: [], dots: [], sparse: [[0, size, size, 0]],
  };
  lines(pen, segments[hatch]);
  pen.stroke();
  if (hatch === "dots") pen.fillRect(3, 3, 2.4, 2.4);
  return context.createPattern(tile, "repeat");
}
