// 1. Held-out measures, signal and reward against steps, rollouts, tokens or seconds.
"use strict";

rlkitPage.sections.push((() => {
  const heldOut = new Map();
  const grid = h("div", { class: "grid" });
  const list = h("ol", { class: "events" });
  const signal = new Chart("signal", "Signal of what was rolled out", { note: "Mean over all groups of a step. A curriculum that looks for hard prompts lowers it; the held-out measure tells whether the policy learns." });
  const reward = new Chart("reward", "Reward that the policy is trained on", { note: "Mean over all groups of a step, where it differs from the signal." });
  const entropy = new Chart("entropy", "Entropy of the policy", { note: "Where it falls to nothing, the policy has stopped exploring." });
  const tokens = new Chart("tokens", "Tokens of a completion", { note: "Mean over all rollouts of a step." });

  function measures() {
    return [...new Set(rlkitPage.data.runs.flatMap((run) => Object.keys(run.evaluations)))];
  }

  function evaluations(name) {
    return rlkitPage.data.runs.flatMap((run, place) => {
      const found = run.evaluations[name];
      return found ? [{ name: run.name, run: place, ...look(place), x: found[rlkitPage.state.axis], y: found.value }] : [];
    });
  }

  function showHeldOut() {
    for (const name of measures()) {
      if (!heldOut.has(name)) {
        heldOut.set(name, new Chart(`heldout-${name}`, `Held-out ${name}`, { note: "On prompts that are not trained on." }));
        grid.insertBefore(heldOut.get(name).element, signal.element);
      }
    }
    for (const [name, chart] of heldOut) chart.set(evaluations(name), { marks: marks() });
  }

  function showEvents() {
    const runs = rlkitPage.data.runs;
    list.replaceChildren(...runs.flatMap((run, place) => run.marks.map((mark) =>
      h("li", { value: mark.number }, runs.length > 1 ? swatch(look(place)) : null, eventText(mark)))));
    list.hidden = list.children.length === 0;
  }

  return {
    id: "learning",
    question: "1. Does it learn?",
    answer: true,
    build: () => {
      grid.append(signal.element, reward.element, entropy.element, tokens.element);
      return [grid, list];
    },
    update: () => {
      showHeldOut();
      signal.set(series("signal/all"), { marks: marks() });
      reward.set(series("reward/all"), { marks: marks() });
      entropy.set(series("entropy"), { marks: marks() });
      tokens.set(series("tokens/completion"), { marks: marks() });
      showEvents();
    },
  };
})());

// eventText({ steps: 40, command: "set", name: "learning_rate", old: 1e-6, new: 5e-7, who: "anna" })
//   -> "step 40: set learning_rate 1.0e-6 → 5.0e-7 (anna)"
function eventText(mark) {
  const said = (value) => (typeof value === "object" ? JSON.stringify(value) : plain(value));
  const change = mark.old === null && mark.new === null ? "" : mark.old === null ? ` ${said(mark.new)}` : ` ${said(mark.old)} → ${said(mark.new)}`;
  const parts = [mark.command, mark.name].filter((part) => part !== null && part !== undefined).join(" ");
  return `step ${number(mark.steps)}: ${parts}${change}${mark.who ? ` (${mark.who})` : ""}`;
}
