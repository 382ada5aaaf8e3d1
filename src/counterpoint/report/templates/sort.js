// Sorts a table by a column: a click on its head sorts, the next one turns the order around, and a
// third one restores the first order. Cells without a value stay last. `history` keeps the order
// for whoever comes back to the page; the page of a server tells when its body was replaced.
"use strict";
(() => {
  const WORDS = new Intl.Collator(undefined, { numeric: true });

  const value = (cell) => {
    const data = cell.querySelector("data"), text = cell.textContent.trim();
    return data ? Number(data.value) : text === "–" ? "" : text;
  };
  const compare = (a, b) => (typeof a === "string" && typeof b === "string"
    ? WORDS.compare(a, b) : typeof a === "string" ? 1 : typeof b === "string" ? -1 : a - b);

  const show = (table, rows, order) => {
    const [column, way] = order ?? [];
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", way);
      else head.removeAttribute("aria-sort");
    });
    if (!order) { table.tBodies[0].replaceChildren(...rows); return; }
    const pairs = rows.map((row) => [value(row.cells[column]), row]);
    const known = pairs.filter(([key]) => key !== ""), rest = pairs.filter(([key]) => key === "");
    const turn = way === "descending" ? -1 : 1;
    known.sort(([a], [b]) => turn * compare(a, b));
    table.tBodies[0].replaceChildren(...[...known, ...rest].map(([, row]) => row));
  };

  const prepare = (table) => {
    const name = table.closest("[id]").id, rows = [...table.tBodies[0].rows];
    const orders = () => history.state?.orders ?? {};
    [...table.tHead.rows[0].cells].forEach((head, i) => {
      const ways = head.classList.contains("number")
        ? ["descending", "ascending"] : ["ascending", "descending"];
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const way = ways[ways.indexOf(head.getAttribute("aria-sort")) + 1];
        const order = way && [i, way];
        history.replaceState({ ...history.state, orders: { ...orders(), [name]: order } }, "");
        show(table, rows, order);
      });
    });
    const order = orders()[name];
    if (order && table.tHead.rows[0].cells[order[0]]) show(table, rows, order);
  };

  const prepareAll = () => document.querySelectorAll("table.sortable").forEach(prepare);
  document.addEventListener("replaced", prepareAll);
  prepareAll();
})();
