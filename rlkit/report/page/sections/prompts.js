// 4. The map of the pool, tables of its prompts, and its categories.
"use strict";

const STATES = {
  "seen once": { color: "--idle", marker: "circle" },
  solved: { color: "--good", marker: "circle" },
  "newly solved": { color: "--run-1", marker: "triangle" },
  learning: { color: "--soft", marker: "ring" },
  forgotten: { color: "--hard", marker: "down" },
  "never solved": { color: "--other", marker: "cross" },
};

// Where a prompt's point lies beside its place, so that equal ones do not hide each other: of its index alone.
function jitter(index, salt) {
  const draw = (turn) => {
    const mixed = Math.sin((index + 1) * 12.9898 + (salt + turn) * 78.233) * 43758.5453;
    return mixed - Math.floor(mixed) - 0.5;
  };
  return 0.028 * (draw(0) + draw(2) + draw(4));
}

rlkitPage.sections.push((() => {
  const picker = h("div", { class: "picker" });
  const map = new Chart("map", "Success at first and now", {
    height: 420, x: { label: "success of its first group", range: [-0.06, 1.06], tick: percent, value: percent },
    y: { label: "success of its latest group", range: [-0.06, 1.06], tick: percent, value: percent }, diagonal: [0, 1],
  });
  const kinds = ["newly solved", "forgotten", "never solved", "never visited"];
  let kind = kinds[0];
  const tabs = h("div", { class: "tabs" });
  const prompt = { name: "index", label: "prompt", wide: true, text: (row) => (row.prompt ? `#${row.index} ${row.prompt}` : `#${row.index}`) };
  const table = new SortedTable("", [
    prompt, { name: "category" },
    { name: "first", label: "at first", numeric: true, text: (row) => percent(row.first) },
    { name: "now", numeric: true, text: (row) => percent(row.now) },
    { name: "visits", numeric: true }, { name: "trained", numeric: true },
    { name: "step", label: "last step", numeric: true },
  ]);
  const unseen = new SortedTable("", [prompt, { name: "category" }]);
  const categories = new SortedTable("By category", [
    { name: "category" }, { name: "prompts", numeric: true }, { name: "visited", numeric: true },
    { name: "groups", numeric: true }, { name: "trained", numeric: true },
    { name: "early", label: "first fifth", title: "Mean success of the first fifth of its groups", numeric: true, text: (row) => percent(row.early) },
    { name: "late", label: "last fifth", title: "Mean success of the last fifth of its groups", numeric: true, text: (row) => percent(row.late) },
    { name: "change", numeric: true, text: (row) => (row.change === null ? MISSING : `${row.change > 0 ? "+" : ""}${percent(row.change)}`) },
  ]);

  function dots(found) {
    const most = Math.max(...found.visits, 1);
    return Object.entries(STATES).map(([state, style]) => {
      const order = found.index.map((_, place) => place).filter((place) => found.state[place] === state)
        .sort((a, b) => found.first[a] + jitter(found.index[a], 1) - found.first[b] - jitter(found.index[b], 1));
      return {
        name: `${state} (${number(order.length)})`, ...style, dots: true, dash: false,
        x: order.map((place) => found.first[place] + jitter(found.index[place], 1)),
        y: order.map((place) => found.now[place] + jitter(found.index[place], 2)),
        sizes: order.map((place) => 2.2 + 4.5 * Math.sqrt((found.visits[place] - 1) / Math.max(most - 1, 1))),
      };
    }).filter((one) => one.x.length > 0);
  }

  function showTable(found) {
    const of = (name) => (name === "never visited" ? found.never_visited : found.tables[name]);
    tabs.replaceChildren(choice("prompts that are", kinds.map((name) => [name, `${name} (${number(of(name).number)})`]), kind, (name) => {
      kind = name;
      showTable(found);
    }));
    const shown = kind === "never visited" ? unseen : table;
    for (const each of [table, unseen]) each.element.hidden = each !== shown;
    shown.element.querySelector("caption").textContent =
      of(kind).number > of(kind).rows.length ? `${number(of(kind).rows.length)} of ${number(of(kind).number)} prompts, those with most visits` : "";
    shown.set(of(kind).rows);
  }

  return {
    id: "prompts",
    question: "4. Where do the prompts stand?",
    answer: true,
    build: () => [picker, map.element, tabs, table.element, unseen.element, categories.element],
    update: () => {
      const run = rlkitPage.data.runs[rlkitPage.state.run];
      pickRun(picker);
      if (!run) return;
      const found = run.prompts;
      const some = found.map.all > found.map.index.length ? ` The ${number(found.map.index.length)} of ${number(found.map.all)} that were visited most.` : "";
      map.set(dots(found.map), { note: `${run.name}: one marker a prompt, the larger the more visits. Above the dashed line it got better, below worse.${some}` });
      showTable(found);
      categories.set(found.categories.map((row) => ({ ...row, change: row.early === null ? null : row.late - row.early })));
      categories.element.hidden = found.categories.length === 0;
    },
  };
})());
