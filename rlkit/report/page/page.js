// Draws the page: its head, the bar with the axis, and a section for each question.
//
//   rlkitPage.update(data)      draws again with other data of the same form as in the page; what a reader has
//                               chosen, written and opened stays
//   rlkitPage.charts.get(id)    a chart; values(name) gives the points of a series
//   rlkitPage.state             the axis ("steps", "rollouts", "tokens", "seconds"), smoothing, the run in view
"use strict";

rlkitPage.update = (data) => {
  rlkitPage.data = data;
  for (const run of data.runs) run.marks.forEach((mark, place) => (mark.number = place + 1));
  rlkitPage.state.run = Math.min(rlkitPage.state.run, Math.max(data.runs.length - 1, 0));
  drawHead();
  rlkitPage.draw();
};

rlkitPage.draw = () => {
  for (const section of rlkitPage.sections) section.show();
};

function drawHead() {
  const runs = rlkitPage.data.runs;
  const several = runs.length > 1;
  document.title = `${runs.map((run) => run.name).join(", ")} · rlkit report`;
  const facts = (run) => [run.preset, `${number(run.step)} steps`, run.prompts.pool ? `${number(run.prompts.pool)} prompts` : null]
    .filter((fact) => fact).join(" · ");
  document.getElementById("head").replaceChildren(
    h("p", { class: "brand" }, "rlkit report"),
    h("h1", {}, several ? `${runs.length} runs, side by side` : runs[0]?.name ?? "no run"),
    h("ul", { class: "runs" }, ...runs.map((run, place) =>
      h("li", {}, several ? swatch(look(place)) : null, several ? h("b", {}, run.name) : null, facts(run)))),
    several ? glanceTable(runs) : glanceTiles(runs[0]),
    h("ul", { class: "notes" }, ...runs.flatMap((run) => run.notes.map((note) => h("li", {}, several ? `${run.name}: ${note}` : note)))));
}

function drawBar() {
  const axis = choice("x axis", Object.keys(AXIS_NAMES).map((name) => [name, name]), rlkitPage.state.axis, (name) => {
    rlkitPage.state.axis = name;
    rlkitPage.draw();
  });
  axis.id = "axis";
  const smoothing = h("label", { class: "check" }, h("input", {
    type: "checkbox", checked: true, onchange: (event) => {
      rlkitPage.state.smooth = event.target.checked;
      rlkitPage.draw();
    },
  }), "smooth");
  const theme = h("button", { type: "button", id: "theme", onclick: () => setTheme(isDark() ? "light" : "dark") }, "light / dark");
  document.getElementById("bar").append(
    h("div", { class: "inner" }, h("span", { class: "label" }, "x axis"), axis, smoothing,
      h("span", { class: "links" }, ...rlkitPage.sections.map((section, place) => h("a", { href: `#${section.id}`, title: section.question }, `${place + 1}`))), theme));
}

const isDark = () => getComputedStyle(document.documentElement).colorScheme === "dark"
  || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  drawHead();
  rlkitPage.draw();
}

// A section: its question, the answer of each run in a sentence, and what `section.update` draws.
for (const section of rlkitPage.sections) {
  const answers = h("div", { class: "answers" });
  const body = h("div", { class: "body" });
  document.getElementById("sections").append(
    h("section", { id: section.id }, h("h2", {}, section.question), answers, body));
  body.append(...section.build());
  section.show = () => {
    const runs = rlkitPage.data.runs;
    answers.replaceChildren(...(section.answer ? runs.map((run, place) =>
      h("p", { class: "answer" }, runs.length > 1 ? swatch(look(place)) : null, runs.length > 1 ? h("b", {}, `${run.name}: `) : null, run.sentences[section.id])) : []));
    section.update();
  };
}

drawBar();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => rlkitPage.draw());
rlkitPage.update(JSON.parse(document.getElementById("run-data").textContent));
