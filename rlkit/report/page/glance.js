// The run at a glance, below its name: tiles for one run, a table for several.
"use strict";

const GLANCE = [
  { name: "success", label: "held-out", text: (row) => row.success },
  { name: "effective", label: "effective ratio", numeric: true, text: (row) => percent(row.effective) },
  { name: "rollouts", numeric: true },
  { name: "tokens", numeric: true, text: (row) => short(row.tokens) },
  { name: "seconds", label: "time", numeric: true, text: (row) => duration(row.seconds) },
  { name: "problems", label: "to look at", numeric: true },
];

function atAGlance(run) {
  const [measure] = Object.values(run.evaluations);
  return {
    run: run.name,
    success: measure ? `${number(measure.value[0])} → ${number(measure.value[measure.value.length - 1])}` : MISSING,
    effective: run.funnel.trained ? run.funnel.informative / run.funnel.trained : null,
    rollouts: run.cost.rollouts.spent,
    tokens: run.cost.tokens,
    seconds: sum(Object.values(run.cost.seconds)),
    problems: run.problems.length,
  };
}

function glanceTiles(run) {
  if (!run) return null;
  const row = atAGlance(run);
  return h("dl", { class: "glance" }, ...GLANCE.map((fact) =>
    h("div", {}, h("dt", {}, fact.label ?? fact.name), h("dd", {}, fact.text ? fact.text(row) : number(row[fact.name])))));
}

function glanceTable(runs) {
  const table = new SortedTable("", [{ name: "run" }, ...GLANCE]);
  table.set(runs.map(atAGlance));
  return table.element;
}
