// 7. Seconds by stage, rollouts and tokens, and what the same budget would have bought.
"use strict";

const STAGES = [
  { name: "update", color: "--run-1", hatch: "plain" },
  { name: "generation", color: "--run-3", hatch: "rising" },
  { name: "grading", color: "--run-5", hatch: "dots" },
  { name: "selection", color: "--run-2", hatch: "falling" },
];

rlkitPage.sections.push((() => {
  const picker = h("div", { class: "picker" });
  const stages = new Chart("seconds", "Seconds of a step, by stage", { stack: true, y: { label: "seconds", value: duration, range: (_, low, high) => [0, (high || 1) * 1.04] } });
  const seconds = (stage) => ({ name: stage, numeric: true, text: (row) => duration(row[stage]) });
  const table = new SortedTable("What was spent", [
    { name: "run" }, { name: "steps", numeric: true }, ...STAGES.map((stage) => seconds(stage.name)),
    { name: "spent", label: "rollouts spent", numeric: true }, { name: "trained", label: "rollouts trained", numeric: true },
    { name: "tokens", numeric: true },
  ]);
  const bought = new SortedTable("Had the same budget gone into plain steps, which train on as many completions taken as they come", [
    { name: "run" },
    { name: "own", label: "own cost", title: "Selection, and the generation and grading of completions that no update saw", numeric: true, text: (row) => percent(row.own) },
    { name: "steps", numeric: true },
    { name: "by_seconds", label: "plain steps for the same time", numeric: true },
    { name: "by_rollouts", label: "plain steps for the same rollouts", numeric: true },
    { name: "worth", label: "a step must be worth", title: "Plain steps for the same time, over steps", numeric: true, text: (row) => (row.worth === null ? MISSING : `${number(row.worth)} plain ones`) },
  ]);

  function showStages() {
    const run = rlkitPage.data.runs[rlkitPage.state.run];
    if (!run) return stages.set([]);
    const smoothed = isRough(run) ? smooth : (values) => values;
    const found = STAGES.map((stage) => {
      const { x, y } = curve(run, `seconds/${stage.name}`);
      return { ...stage, x, y: smoothed(y) };
    });
    const complete = found.filter((stage) => stage.x.length === Math.max(...found.map((each) => each.x.length)));
    stages.set(complete, { note: run.name });
  }

  return {
    id: "cost",
    question: "7. What did it cost?",
    answer: true,
    build: () => [picker, stages.element, table.element, bought.element],
    update: () => {
      const runs = rlkitPage.data.runs;
      pickRun(picker);
      showStages();
      table.set(runs.map(({ name, cost }) => ({ run: name, steps: cost.steps, ...cost.seconds, ...cost.rollouts, tokens: cost.tokens })));
      bought.set(runs.map(({ name, cost }) => ({
        run: name, steps: cost.steps, by_seconds: cost.plain_steps.seconds, by_rollouts: cost.plain_steps.rollouts,
        own: sum(Object.values(cost.seconds)) ? cost.own_seconds / sum(Object.values(cost.seconds)) : null,
        worth: cost.plain_steps.seconds && cost.steps ? cost.plain_steps.seconds / cost.steps : null,
      })));
    },
  };
})());
