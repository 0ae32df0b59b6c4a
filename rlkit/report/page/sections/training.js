// 2. From candidates to what was trained on: the whole run as bars, and over time.
"use strict";

const REASONS = {
  all_high: "all right", too_easy: "too easy", all_low: "all wrong", too_hard: "too hard", low_variance: "too alike",
  unscorable: "unscorable", surplus: "surplus", waiting: "waiting", reference: "references",
  stale: "too old", lost: "lost", unused: "left at the end",
};
const LAYERS = [
  { name: "trained, rewards differ", color: "--good", hatch: "plain" },
  { name: "trained, rewards alike", color: "--idle", hatch: "rising" },
  { name: "dropped: too easy or all right", color: "--easy", hatch: "dots" },
  { name: "dropped: too hard or all wrong", color: "--hard", hatch: "falling" },
  { name: "dropped for other reasons", color: "--other", hatch: "upright" },
  { name: "considered, not rolled out", color: "--pale", hatch: "sparse" },
];

// Groups of each layer at each of the run's points. Groups that the filter dropped and the fill took back for
// training are taken off the drop reasons in proportion.
function layers(run) {
  const column = (name) => run.axes.steps.map((_, place) => run.curves[`funnel/${name}`]?.[place] ?? 0);
  const ratio = run.axes.steps.map((_, place) => run.curves.effective_ratio?.[place] ?? 0);
  const add = (names) => names.map(column).reduce((total, values) => total.map((value, place) => value + values[place]));
  const [trained, graded, candidates, toppedUp] = ["trained", "graded", "candidates", "topped_up"].map(column);
  const [easy, hard] = [add(["all_high", "too_easy"]), add(["all_low", "too_hard"])];
  const other = add(["low_variance", "unscorable", "surplus", "waiting", "reference", "stale", "lost", "unused"]);
  const left = trained.map((_, place) => {
    const dropped = easy[place] + hard[place] + other[place];
    return dropped ? Math.max(1 - toppedUp[place] / dropped, 0) : 0;
  });
  return [
    trained.map((value, place) => value * ratio[place]),
    trained.map((value, place) => value * (1 - ratio[place])),
    ...[easy, hard, other].map((values) => values.map((value, place) => value * left[place])),
    candidates.map((value, place) => Math.max(value - graded[place], 0)),
  ];
}

rlkitPage.sections.push((() => {
  const bars = h("div", { class: "funnels" });
  const picker = h("div", { class: "picker" });
  const flow = new Chart("funnel", "What became of the candidates of a step", { stack: true, height: 300, y: { label: "groups a step", range: (_, low, high) => [0, (high || 1) * 1.04] } });
  const ratio = new Chart("effective", "Effective ratio", { note: "Share of the trained groups whose rewards differ: only these have a gradient.", height: 300, y: { range: [0, 1.03], tick: percent, value: percent } });

  function funnel(run) {
    const counts = run.funnel;
    const whole = Math.max(counts.candidates, counts.graded, counts.trained, 1);
    const dropped = Object.entries(REASONS).filter(([reason]) => counts[reason] > 0).map(([reason, words]) => `${words} ${number(counts[reason])}`);
    const rows = [
      ["candidates", counts.candidates, "--pale", null],
      ["rolled out", counts.graded, "--other", dropped.length ? `the filter dropped: ${dropped.join(", ")}` : null],
      ["trained", counts.trained, "--idle", [counts.topped_up ? `${number(counts.topped_up)} of them dropped ones, to fill the batch` : null, counts.replayed ? `${number(counts.replayed)} of earlier steps` : null].filter((text) => text).join("; ") || null],
      ["rewards differ", counts.informative, "--good", null],
    ];
    return h("div", { class: "funnel" }, ...rows.map(([name, value, hue, note]) => {
      const bar = h("span", { class: "bar" });
      bar.style.width = `${(100 * value) / whole}%`;
      bar.style.backgroundColor = `var(${hue})`;
      return h("div", { class: "row" }, h("span", { class: "what" }, name), h("span", { class: "track" }, bar),
        h("span", { class: "number" }, number(value)), note ? h("span", { class: "why" }, note) : null);
    }));
  }

  function showFlow() {
    const run = rlkitPage.data.runs[rlkitPage.state.run];
    if (!run) return flow.set([]);
    const smoothed = isRough(run) ? smooth : (values) => values;
    const found = layers(run).map((y, place) => ({ ...LAYERS[place], ...points(run.axes[rlkitPage.state.axis], smoothed(y)) }));
    flow.set(found.filter((layer) => sum(layer.y) > 0), { note: `${run.name}: groups a step, from those that taught up to those that were only considered.` });
  }

  return {
    id: "training",
    question: "2. What was it trained on?",
    answer: true,
    build: () => [bars, picker, h("div", { class: "grid" }, flow.element, ratio.element)],
    update: () => {
      const runs = rlkitPage.data.runs;
      bars.replaceChildren(...runs.map((run, place) =>
        h("div", { class: "card" }, runs.length > 1 ? h("h3", {}, swatch(look(place)), run.name) : null, funnel(run))));
      pickRun(picker);
      showFlow();
      ratio.set(series("effective_ratio"));
    },
  };
})());

// Buttons that choose which run the pictures of a single run show; none where there is only one.
function pickRun(place) {
  const runs = rlkitPage.data.runs;
  place.replaceChildren(...(runs.length > 1
    ? [choice("run", runs.map((run, position) => [position, run.name]), rlkitPage.state.run, (run) => {
      rlkitPage.state.run = run;
      rlkitPage.draw();
    })] : []));
}
