// Elements from text. Everything that a run wrote becomes a text node: nothing is ever parsed as HTML.
"use strict";

const rlkitPage = {
  sections: [],
  charts: new Map(),
  data: { runs: [] },
  state: { axis: "steps", smooth: true, run: 0 },
};
window.rlkitPage = rlkitPage;

// h("td", { class: "number", onclick: f }, "text", element): attributes of null or false are left out.
function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A row of buttons of which one is pressed. choices: [value, label] each.
function choice(label, choices, chosen, pick) {
  const buttons = choices.map(([value, text]) =>
    h("button", { type: "button", "data-value": value, "aria-pressed": String(value === chosen), onclick: () => press(value) }, text));
  function press(value) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === String(value)));
    pick(value);
  }
  return h("div", { class: "choice", role: "group", "aria-label": label }, ...buttons);
}
