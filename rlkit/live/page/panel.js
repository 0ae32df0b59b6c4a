// The panel of commands, and what keeps the page up to date: server-sent events of /api/events.
//
//   rlkitLive.panel             what /api/status says, as it was last heard
//   rlkitLive.send(name, value) asks the run for something; resolves to the command's state
"use strict";

const rlkitLive = { panel: null };
window.rlkitLive = rlkitLive;

rlkitLive.send = async (name, value = null) => {
  const answer = await fetch("/api/commands", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name, value }),
  });
  const said = await answer.json();
  livePanel.say(answer.ok ? `${describe(said)}: ${said.state}` : (said.error ?? said.detail), !answer.ok);
  return said;
};

// describe({ name: "set", value: { temperature: 0.8 } }) -> "set temperature 0.8"
function describe(command) {
  const { name, value } = command;
  if (value === null || value === undefined) return name.replace("_", " ");
  if (name === "set") return `set ${Object.entries(value).map(([setting, to]) => `${setting} ${to}`).join(" ")}`;
  if (typeof value === "object") return `${name.replace("_", " ")} ${(value.categories ?? value.prompts.map((key) => `prompt ${key}`)).join(", ")}`;
  return `${name} ${value}`;
}

const livePanel = (() => {
  const line = h("p", { id: "live-line", role: "status" }, "connecting");
  const said = h("p", { id: "live-said", role: "alert" });
  const button = (text, name, attributes = {}) => h("button", { type: "button", "data-command": name, onclick: () => rlkitLive.send(name), ...attributes }, text);
  const pause = button("Pause", "pause");
  const goOn = button("Go on", "go_on");
  const evaluate = button("Evaluate now", "evaluate");
  const stop = button("Stop", "stop", {
    class: "grave",
    onclick: () => { if (confirm("Save a checkpoint and end the run?")) rlkitLive.send("stop"); },
  });

  const form = (label, fields, text, submit, second = null) => h("form", {
    "aria-label": label,
    onsubmit: (event) => { event.preventDefault(); submit(); },
  }, h("h3", {}, label), ...fields, h("div", { class: "pair" }, h("button", { type: "submit" }, text), second));
  const labelled = (text, field) => h("div", { class: "field" }, h("label", { for: field.id }, text), field);

  const setting = h("select", { id: "live-setting", onchange: () => showSetting() });
  const value = h("input", { id: "live-value", autocomplete: "off", required: true });
  const was = h("p", { class: "note", id: "live-was" });
  const settings = form("Change a setting", [labelled("Setting", setting), labelled("New value", value), was], "Set", () => {
    const number_ = Number(value.value);
    rlkitLive.send("set", { [setting.value]: value.value.trim() === "" || Number.isNaN(number_) ? value.value : number_ });
  });

  const prompts = h("input", { id: "live-prompts", autocomplete: "off", list: "live-categories", required: true });
  const known = h("datalist", { id: "live-categories" });
  const asideNow = h("p", { class: "note", id: "live-aside" });
  // Whole numbers are keys of the ledger, anything else the name of a category.
  const chosen = () => {
    const words = prompts.value.trim();
    return /^[\d\s,]+$/.test(words) ? { prompts: words.split(/[\s,]+/).filter((word) => word) } : { categories: [words] };
  };
  const back = h("button", { type: "button", onclick: () => { if (prompts.reportValidity()) rlkitLive.send("bring_back", chosen()); } }, "Bring back");
  const aside = form("Put prompts aside", [labelled("Category, or keys of prompts", prompts), known, asideNow], "Put aside", () => rlkitLive.send("put_aside", chosen()), back);

  const note = h("input", { id: "live-note", maxlength: "2000", required: true });
  const notes = form("Keep a note with the step", [labelled("Note", note)], "Keep", async () => {
    await rlkitLive.send("note", note.value);
    note.value = "";
  });

  const checkpoint = h("select", { id: "live-checkpoint" });
  const branches = h("ul", { id: "live-branches" });
  const load = form("Go back to a checkpoint", [labelled("Checkpoint", checkpoint), branches], "Load as a branch", () => {
    if (checkpoint.value && confirm(`Leave what came after step ${checkpoint.value} and go on from there?`)) rlkitLive.send("load", Number(checkpoint.value));
  });

  const commands = h("tbody", { id: "live-commands" });
  const table_ = h("div", { class: "scroll" }, h("table", {}, h("caption", {}, "Commands, the latest first"),
    h("thead", {}, h("tr", {}, ...["command", "who", "step", "state"].map((name) => h("th", { scope: "col" }, name)))), commands));

  document.getElementById("live-panel").append(
    h("section", { id: "live", "aria-label": "Steer the run" },
      h("div", { class: "live-head" }, line, h("div", { class: "live-buttons" }, pause, goOn, button("Checkpoint now", "checkpoint"), evaluate, stop)),
      said,
      h("details", { id: "live-more" }, h("summary", {}, "Settings, prompts, notes, branches, commands"),
        h("div", { class: "live-forms" }, settings, aside, notes, load), table_)));

  function showSetting() {
    const { settings: now, began } = rlkitLive.panel.status;
    const name = setting.value;
    value.value = now[name] ?? "";
    was.textContent = now[name] === began[name] ? `It is ${now[name]}, as the run began.` : `It is ${now[name]}; the run began with ${began[name]}.`;
  }

  function options(select, names) {
    const before = select.value;
    if ([...select.options].map((option) => option.value).join("\n") === names.join("\n")) return false;
    select.replaceChildren(...names.map((name) => h("option", { value: name }, name)));
    if (names.includes(before)) select.value = before;
    return true;
  }

  function show(panel) {
    rlkitLive.panel = panel;
    const status = panel.status;
    const lives = status?.alive ?? false;
    const word = !status ? "This run takes no commands (it was started without --live true)" : lives ? status.state : status.state === "over" ? "over" : "the run has died";
    document.getElementById("live").dataset.state = lives ? status.state : "over";
    state.word = word;
    showLine();
    for (const control of document.querySelectorAll("#live button, #live select, #live input")) control.disabled = !lives;
    pause.hidden = status?.state === "paused";
    goOn.hidden = !pause.hidden;
    evaluate.disabled = !lives || !status.can_evaluate;
    if (status) {
      const fresh = options(setting, Object.keys(status.settings));
      const changed = JSON.stringify(status.settings);
      if (fresh || changed !== state.settings) showSetting();
      state.settings = changed;
      known.replaceChildren(...status.categories.map((name) => h("option", { value: name })));
      const out = [...status.aside.categories, ...status.aside.keys.map((key) => `prompt ${key}`)];
      asideNow.textContent = out.length ? `Aside now: ${out.join(", ")}` : "None is aside.";
    }
    options(checkpoint, panel.checkpoints.map(String));
    branches.replaceChildren(...tree(panel.branches, null));
    commands.replaceChildren(...[...panel.commands].reverse().map((command) =>
      h("tr", { "data-state": command.state }, h("td", {}, describe(command)), h("td", {}, command.who), h("td", { class: "number" }, command.step ?? ""),
        h("td", {}, command.reason ? `${command.state}: ${command.reason}` : command.state))));
  }

  function tree(all, parent) {
    const here = all.filter((branch) => branch.parent === parent);
    const items = here.map((branch) => h("li", {}, `branch ${branch.branch}: left at step ${branch.until}, back to ${branch.from}`, h("ul", {}, ...tree(all, branch.branch))));
    return parent === null && all.length ? [h("li", {}, "the run as it is", h("ul", {}, ...items))] : items;
  }

  const state = { word: "", step: null, reward: null, connected: false, settings: "" };
  function showLine() {
    const parts = [state.word];
    if (state.step !== null) parts.push(`step ${number(state.step)}`);
    if (state.reward !== null) parts.push(`reward ${plain(state.reward)}`);
    if (!state.connected) parts.push("the page's server does not answer; the run goes on without it");
    line.textContent = parts.filter((part) => part).join(" · ");
  }

  return {
    show,
    say(text, isRefused) {
      said.textContent = text;
      said.classList.toggle("refused", isRefused);
    },
    steps(rows) {
      const last = rows[rows.length - 1];
      state.step = last.step;
      state.reward = last["signal/all"] ?? null;
      showLine();
    },
    connected(is) {
      state.connected = is;
      showLine();
    },
  };
})();

// The page's data is read anew at most as often as takes a fifth of the time that reading takes.
(() => {
  let [isAsked, isReading] = [false, false];
  async function refresh() {
    if (isReading) {
      isAsked = true;
      return;
    }
    isReading = true;
    const start = performance.now();
    try {
      const answer = await fetch("/api/run");
      if (answer.ok) rlkitPage.update(await answer.json());
    } catch { /* the server is gone: the line says so */ }
    setTimeout(() => {
      isReading = false;
      if (isAsked) {
        isAsked = false;
        refresh();
      }
    }, Math.max(200, 4 * (performance.now() - start)));
  }
  const source = new EventSource("/api/events");
  source.onopen = () => {
    livePanel.connected(true);
    refresh();
  };
  source.onerror = () => livePanel.connected(false);
  source.addEventListener("panel", (event) => {
    livePanel.show(JSON.parse(event.data));
    refresh();
  });
  source.addEventListener("steps", (event) => {
    livePanel.steps(JSON.parse(event.data));
    refresh();
  });
})();
