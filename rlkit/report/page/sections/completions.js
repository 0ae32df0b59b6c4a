// 5. What the policy said: completions of a prompt over time, to search and to filter.
"use strict";

rlkitPage.sections.push((() => {
  const PROMPTS_AT_ONCE = 8;
  const picker = h("div", { class: "picker" });
  const list = h("div", { class: "said" });
  const count = h("p", { class: "count", "aria-live": "polite" });
  const more = h("button", { type: "button", class: "more", onclick: () => show(shown + PROMPTS_AT_ONCE) }, "more prompts");
  const search = h("input", { type: "search", id: "search", placeholder: "Search prompts, golds, completions", "aria-label": "Search completions", oninput: () => show(PROMPTS_AT_ONCE) });
  let [kind, order, shown] = ["all", "often", PROMPTS_AT_ONCE];
  const kinds = choice("which", [["all", "all"], ["best", "best"], ["worst", "worst"], ["surprising", "surprising"]], kind, (value) => {
    kind = value;
    show(PROMPTS_AT_ONCE);
  });
  const orders = choice("order", [["often", "seen often"], ["latest", "latest"], ["surprise", "most surprising"]], order, (value) => {
    order = value;
    show(PROMPTS_AT_ONCE);
  });

  const keep = {
    all: () => true,
    best: (row) => row.rank === "best",
    worst: (row) => row.rank === "worst",
    surprising: (row) => row.surprise !== null && row.surprise >= 0.4,
  };
  const rank = {
    often: (group) => new Set(group.map((row) => row.step)).size,
    latest: (group) => group[group.length - 1].step,
    surprise: (group) => Math.max(...group.map((row) => row.surprise ?? 0)),
  };

  function found() {
    const words = search.value.toLowerCase().trim();
    const run = rlkitPage.data.runs[rlkitPage.state.run];
    const rows = (run?.completions.rows ?? []).filter(keep[kind])
      .filter((row) => !words || [row.prompt, row.gold, row.completion].some((text) => text?.toLowerCase().includes(words)));
    const groups = new Map();
    for (const row of rows) groups.set(row.index, [...(groups.get(row.index) ?? []), row]);
    return { rows, groups: [...groups.values()].sort((a, b) => rank[order](b) - rank[order](a)) };
  }

  function show(most) {
    shown = most;
    const { rows, groups } = found();
    count.textContent = `${number(rows.length)} completions of ${number(groups.length)} prompts`;
    list.replaceChildren(...groups.slice(0, shown).map(card));
    more.hidden = groups.length <= shown;
  }

  function card(group) {
    const [first] = group;
    return h("article", { class: "card prompt" },
      h("header", {}, h("span", { class: "tag" }, `prompt #${first.index}`), h("pre", {}, first.prompt),
        first.gold === null ? null : h("p", { class: "gold" }, h("span", { class: "tag" }, "gold"), h("code", {}, first.gold))),
      ...group.map(said));
  }

  function said(row) {
    const words = { best: "▲ best", worst: "▼ worst" };
    return h("div", { class: "answer-row" },
      h("p", { class: "facts" }, h("b", {}, `step ${number(row.step)}`),
        row.rank ? h("span", { class: `rank ${row.rank}` }, words[row.rank]) : null,
        row.surprise !== null && row.surprise >= 0.4 ? h("span", { class: "rank" }, `◆ ${number(row.surprise)} off its prediction`) : null,
        ...Object.entries(row.rewards).map(([name, value]) => h("span", {}, `${name} ${value === null ? "unscorable" : number(value)}`)),
        h("span", {}, `${number(row.tokens)} tokens`)),
      h("pre", { class: "completion" }, row.completion));
  }

  return {
    id: "completions",
    question: "5. What does the policy say?",
    answer: true,
    build: () => [picker, h("div", { class: "controls" }, search, kinds, orders), count, list, more],
    update: () => {
      pickRun(picker);
      const any = rlkitPage.data.runs.some((run) => run.completions.rows.length > 0);
      for (const part of [search.parentElement, count, list]) part.hidden = !any;
      show(shown);
    },
  };
})());
