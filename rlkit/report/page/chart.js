// A chart around uPlot: title, legend, tooltip, markers beside colors, and its numbers as a table.
"use strict";

// new Chart(id, title, options).set(series, options):
//   series   { name, x, y, color, dash, marker, thin, dots, hatch, low, high, sizes } each; x ascending
//   options  { note, height, share, x: { label, value, tick, range }, y: { label, range, value }, stack, marks, diagonal }
class Chart {
  constructor(id, title, options = {}) {
    this.id = id;
    this.options = options;
    this.legend = h("div", { class: "legend" });
    this.plot = h("div", { class: "plot" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.numbers = h("details", { class: "numbers", ontoggle: () => this.tabulate() }, h("summary", {}, "Numbers"));
    this.note = h("p", { class: "note" });
    this.element = h("figure", { class: "chart", id: `chart-${id}` },
      h("figcaption", {}, h("h3", {}, title), this.note), this.legend, this.plot, this.numbers);
    this.series = [];
    rlkitPage.charts.set(id, this);
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  // The points of a series by its name, as they are drawn: what a test, or a person at the console, reads.
  values(name) {
    const found = this.series.find((one) => one.name === name && !one.thin);
    return found ? { x: [...found.x], y: [...found.y] } : null;
  }

  set(series, options = {}) {
    this.options = { ...this.options, ...options };
    this.series = series;
    this.note.textContent = this.options.note ?? "";
    this.element.hidden = series.every((one) => one.x.length === 0);
    this.legend.replaceChildren(...this.keys());
    this.draw();
    this.tabulate();
  }

  keys() {
    const shown = this.series.filter((one) => !one.thin);
    if (shown.length === 1 && rlkitPage.data.runs.length === 1 && shown[0].name === rlkitPage.data.runs[0].name) return [];
    return shown.map((one) => h("span", { class: "key" }, swatch({ ...one, marker: one.hatch ? null : one.marker }), one.name));
  }

  get width() {
    return Math.max(Math.floor(this.plot.clientWidth), 240);
  }

  get height() {
    return this.options.height ?? (window.innerWidth < 600 ? 210 : 250);
  }

  resize() {
    if (this.drawn && this.drawn.width !== this.width) this.drawn.setSize({ width: this.width, height: this.height });
  }

  draw() {
    if (this.element.hidden || !this.element.isConnected) return;
    this.drawn?.destroy();
    this.plot.replaceChildren();
    const data = uPlot.join(this.drawnSeries().map((one) => [one.x, one.y]));
    this.data = data;
    this.drawn = new uPlot(this.settings(), data, this.plot);
    this.plot.append(this.tip);
  }

  // Stacked series are sums from the bottom up, drawn from the greatest down so that each covers the next.
  drawnSeries() {
    if (!this.options.stack) return this.series;
    const below = this.series[0].x.map(() => 0);
    return this.series
      .map((one) => ({ ...one, y: one.y.map((value, place) => (below[place] += value)) }))
      .reverse();
  }

  settings() {
    const text = color("--soft");
    const grid = { stroke: color("--grid"), width: 1 };
    const axis = { stroke: text, grid, ticks: { ...grid, size: 5 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelGap: 2 };
    const { x = {}, y = {} } = this.options;
    return {
      width: this.width,
      height: this.height,
      legend: { show: false },
      scales: { x: { time: false, range: x.range }, y: { range: y.range ?? ((_, low, high) => around(low, high)) } },
      axes: [
        { ...axis, label: x.label ?? AXIS_NAMES[rlkitPage.state.axis], labelSize: 16, size: 26, space: 64, values: (_, ticks) => ticks.map(x.tick ?? axisTick) },
        { ...axis, label: y.label, labelSize: 18, size: 52, values: (_, ticks) => ticks.map(y.tick ?? short) },
      ],
      series: [{}, ...this.drawnSeries().map((one) => this.line(one))],
      cursor: { points: { size: 7 }, drag: { x: true, y: false }, dataIdx: nearest, focus: { prox: 30 } },
      hooks: { draw: [(plot) => this.decorate(plot)], setCursor: [(plot) => this.tell(plot)] },
    };
  }

  line(one) {
    const hue = color(one.color);
    return {
      label: one.name,
      stroke: one.thin ? faint(hue) : one.hatch ? color("--paper") : hue,
      width: one.dots ? 0 : one.thin ? 1 : one.hatch ? 1 : 2.2,
      dash: one.thin || one.dots ? undefined : one.dash,
      fill: one.hatch ? (plot) => hatching(plot.ctx, one.color, one.hatch) : undefined,
      spanGaps: true,
      points: { show: false },
    };
  }

  // Markers on the lines, whiskers, the diagonal, and the marks of what changed the run.
  decorate(plot) {
    const pen = plot.ctx;
    const ratio = window.devicePixelRatio || 1;
    pen.save();
    pen.beginPath();
    pen.rect(plot.bbox.left - 6 * ratio, plot.bbox.top - 6 * ratio, plot.bbox.width + 12 * ratio, plot.bbox.height + 12 * ratio);
    pen.clip();
    if (this.options.diagonal) this.diagonal(plot, ratio);
    for (const one of this.series) if (!one.thin && !one.hatch) this.markers(plot, one, ratio);
    for (const mark of this.options.marks ?? []) this.cross(plot, mark, ratio);
    pen.restore();
  }

  markers(plot, one, ratio) {
    const pen = plot.ctx;
    pen.fillStyle = pen.strokeStyle = color(one.color);
    pen.lineWidth = 1.6 * ratio;
    const every = one.dots || one.x.length <= 40 ? 1 : Math.ceil(one.x.length / 8);
    for (let place = every === 1 ? 0 : Math.floor(every / 2); place < one.x.length; place += every) {
      const x = plot.valToPos(one.x[place], "x", true);
      const y = plot.valToPos(one.y[place], "y", true);
      if (one.low) {
        pen.beginPath();
        lines(pen, [[x, plot.valToPos(one.low[place], "y", true), x, plot.valToPos(one.high[place], "y", true)]]);
        pen.stroke();
      }
      mark(pen, one.marker ?? "circle", x, y, (one.sizes ? one.sizes[place] : one.x.length > 40 ? 4 : 3.2) * ratio);
    }
  }

  diagonal(plot, ratio) {
    const pen = plot.ctx;
    const [low, high] = this.options.diagonal;
    pen.setLineDash([4 * ratio, 4 * ratio]);
    pen.strokeStyle = color("--soft");
    pen.lineWidth = ratio;
    pen.beginPath();
    lines(pen, [["x", "y", low], ["x", "y", high]].reduce((ends, [x, y, value]) => [[...(ends[0] ?? []), plot.valToPos(value, x, true), plot.valToPos(value, y, true)]], []));
    pen.stroke();
    pen.setLineDash([]);
  }

  cross(plot, { x, text, color: name }, ratio) {
    const pen = plot.ctx;
    const place = plot.valToPos(x, "x", true);
    pen.strokeStyle = pen.fillStyle = color(name);
    pen.lineWidth = 1.2 * ratio;
    pen.setLineDash([2 * ratio, 3 * ratio]);
    pen.beginPath();
    lines(pen, [[place, plot.bbox.top, place, plot.bbox.top + plot.bbox.height]]);
    pen.stroke();
    pen.setLineDash([]);
    pen.font = `${11 * ratio}px system-ui, sans-serif`;
    pen.fillText(text, place + 3 * ratio, plot.bbox.top + 10 * ratio);
  }

  // The tooltip: where the pointer is, and each series' value nearest to it.
  tell(plot) {
    const { left, top, idxs } = plot.cursor;
    this.tip.hidden = left === undefined || left < 0;
    if (this.tip.hidden) return;
    const shown = this.drawnSeries().map((one, place) => ({ ...one, place: idxs?.[place + 1] }))
      .filter((one) => !one.thin && one.place !== null && one.place !== undefined);
    if (shown.length === 0) return;
    const x = this.data[0][shown[0].place];
    const value = this.options.y?.value ?? number;
    this.tip.replaceChildren(
      h("b", {}, (this.options.x?.value ?? axisValue)(x)),
      ...shown.map((one) => h("span", {}, swatch({ ...one, marker: one.hatch ? null : one.marker }), `${one.name} `, h("b", {}, value(this.valueAt(one.name, this.data[0][one.place]))))));
    const beyond = left > plot.over.clientWidth / 2;
    this.tip.style.left = `${plot.over.offsetLeft + left + (beyond ? -12 : 12)}px`;
    this.tip.style.top = `${plot.over.offsetTop + Math.max(top - 10, 0)}px`;
    this.tip.style.transform = beyond ? "translateX(-100%)" : "";
  }

  valueAt(name, x) {
    const one = this.series.find((each) => each.name === name && !each.thin);
    return one.y[one.x.indexOf(x)];
  }

  // The numbers behind the chart, made only when somebody opens them.
  tabulate() {
    this.numbers.querySelector("table")?.parentElement.remove();
    if (!this.numbers.open) return;
    const shown = this.series.filter((one) => !one.thin);
    const data = uPlot.join(shown.map((one) => [one.x, one.y]));
    const columns = [this.options.x?.label ?? AXIS_NAMES[rlkitPage.state.axis], ...shown.map((one) => one.name)];
    const rows = data[0].map((x, place) => [x, ...data.slice(1).map((column) => column[place])]);
    this.numbers.append(h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((value) => h("td", { class: "number" }, number(value)))))))));
  }
}

// The place of a series' own value nearest to the pointer: others may have values where it has none.
function nearest(plot, place, hovered) {
  const values = plot.data[place];
  if (place === 0 || values[hovered] !== null && values[hovered] !== undefined) return hovered;
  for (let away = 1; away < values.length; away++) {
    for (const near of [hovered - away, hovered + away]) {
      if (values[near] !== null && values[near] !== undefined) return near;
    }
  }
  return null;
}

// Limits with some air, from 0 where the values begin near it.
function around(low, high) {
  if (low === null || high === null) return [0, 1];
  const air = 0.06 * (high - low || Math.abs(high) || 1);
  const bottom = low >= 0 && low < 0.6 * high ? 0 : low - air;
  return [bottom, high + air];
}

const faint = (hue) => hue.replace(/^rgba?\(([^)]*)\)$/, (_, parts) => `rgba(${parts.split(",").slice(0, 3).join(",")}, 0.28)`);
