// 6. What went wrong, in words, with advice.
"use strict";

rlkitPage.sections.push((() => {
  const list = h("div", { class: "problems" });
  const when = (problem) => (problem.first === problem.last ? `step ${number(problem.first)}` : `${number(problem.steps)} steps, from ${number(problem.first)} to ${number(problem.last)}`);
  return {
    id: "problems",
    question: "6. What is wrong?",
    answer: true,
    build: () => [list],
    update: () => {
      const runs = rlkitPage.data.runs;
      list.replaceChildren(...runs.flatMap((run, place) => run.problems.map((problem) =>
        h("article", { class: "card problem" },
          h("h3", {}, h("span", { class: "warn", "aria-hidden": "true" }, "⚠"), problem.name, h("small", {}, when(problem))),
          runs.length > 1 ? h("p", {}, swatch(look(place)), run.name) : null,
          h("p", {}, problem.text), h("p", { class: "advice" }, problem.advice)))));
    },
  };
})());
