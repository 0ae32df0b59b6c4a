// Every other number of metrics.jsonl, one at a time, and the runs' settings.
"use strict";

rlkitPage.sections.push((() => {
  const chart = new Chart("anything", "");
  const select = h("select", { id: "column", "aria-label": "Number", onchange: () => show() });
  const settings = new SortedTable("Settings", [{ name: "setting" }]);
  const folded = h("details", { class: "settings" }, h("summary", {}, "Settings that the run began with"));
  let table = settings;

  function columns() {
    return [...new Set(rlkitPage.data.runs.flatMap((run) => Object.keys(run.curves)))].sort();
  }

  function show() {
    chart.element.querySelector("h3").textContent = select.value;
    chart.set(series(select.value), { marks: marks() });
  }

  function showSettings() {
    const runs = rlkitPage.data.runs;
    const names = [...new Set(runs.flatMap((run) => Object.keys(run.config)))].sort();
    const differs = (name) => runs.some((run) => run.config[name] !== runs[0].config[name]);
    const next = new SortedTable("", [{ name: "setting" }, ...runs.map((run, place) => ({ name: String(place), label: run.name })), ...(runs.length > 1 ? [{ name: "differs" }] : [])]);
    next.set(names.map((name) => ({ setting: name, ...runs.map((run) => run.config[name] ?? null), differs: differs(name) ? "differs" : "" })));
    table.element.remove();
    table = next;
    folded.append(table.element);
    folded.hidden = names.length === 0;
  }

  return {
    id: "anything",
    question: "Any other number",
    answer: false,
    build: () => [h("label", { class: "check" }, "column of metrics.jsonl ", select), chart.element, folded],
    update: () => {
      const before = select.value;
      const names = columns();
      select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
      select.value = names.includes(before) ? before : names.find((name) => name === "pool/coverage") ?? names[0] ?? "";
      show();
      showSettings();
    },
  };
})());
