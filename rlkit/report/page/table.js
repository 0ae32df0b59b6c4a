// A table that is sorted by its headings.
"use strict";

// columns: { name, title, text, numeric } each; a cell is column.text(row), sorted by row[column.name].
class SortedTable {
  constructor(caption, columns) {
    this.columns = columns;
    this.order = null;
    this.rows = [];
    this.headings = columns.map((column) =>
      h("th", { scope: "col", class: column.numeric ? "number" : null },
        h("button", { type: "button", title: column.title ?? null, onclick: () => this.sort(column) }, column.label ?? column.name)));
    this.body = h("tbody");
    this.element = h("div", { class: "scroll" },
      h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, ...this.headings)), this.body));
  }

  // A column that no row has anything in is left out.
  set(rows) {
    this.rows = rows;
    this.columns.forEach((column, place) => (this.headings[place].hidden = this.isEmpty(column)));
    this.draw();
  }

  isEmpty(column) {
    return this.rows.length > 0 && this.rows.every((row) => row[column.name] === null || row[column.name] === undefined);
  }

  sort(column) {
    const falls = this.order?.column === column ? !this.order.falls : Boolean(column.numeric);
    this.order = { column, falls };
    this.draw();
  }

  draw() {
    this.headings.forEach((heading, place) => {
      const sorted = this.order?.column === this.columns[place];
      heading.setAttribute("aria-sort", sorted ? (this.order.falls ? "descending" : "ascending") : "none");
    });
    const rows = this.order ? [...this.rows].sort((a, b) => compare(a, b, this.order)) : this.rows;
    this.body.replaceChildren(...rows.map((row) =>
      h("tr", {}, ...this.columns.filter((column) => !this.isEmpty(column)).map((column) =>
        h("td", { class: column.numeric ? "number" : column.wide ? "text" : null }, (column.text ?? ((each) => plain(each[column.name])))(row))))));
  }
}

const plain = (value) => (typeof value === "number" ? number(value) : value ?? MISSING);

// What is missing comes last, whichever way the rest goes.
function compare(a, b, { column, falls }) {
  const [x, y] = [a[column.name], b[column.name]];
  if (x === null || x === undefined || y === null || y === undefined) return Number(x === null || x === undefined) - Number(y === null || y === undefined);
  const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
  return falls ? -order : order;
}
