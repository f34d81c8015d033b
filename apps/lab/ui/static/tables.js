// Tables that screen readers can read, and the same as CSV to copy or keep.

import { h, number } from "./dom.js";

const SHOWN = 200;

/** `{columns, rows}` as a table element. `onRow(index, values)` makes every row a button. */
export function table({ columns, rows }, caption, onRow) {
  const body = h("tbody");
  const fill = (upTo) => body.replaceChildren(...rows.slice(0, upTo).map((row, index) => tableRow(row, index, columns, onRow)));
  fill(SHOWN);
  const element = h(
    "table",
    { class: "gb-table" },
    h("caption", { class: "gb-unseen" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        columns.map((column, i) => h("th", { scope: "col", class: numeric(rows, i) ? "gb-number" : null }, String(column))),
      ),
    ),
    body,
  );
  const frame = h("div", { class: "gb-table-frame gb-scrolls", tabindex: "0", role: "region", "aria-label": caption }, element);
  if (rows.length <= SHOWN) return frame;
  const more = h(
    "button",
    {
      type: "button",
      class: "gb-link",
      onclick: () => {
        fill(rows.length);
        more.remove();
      },
    },
    `Show all ${rows.length} rows`,
  );
  return h("div", {}, frame, more);
}

const numeric = (rows, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number" || row[i] === null || row[i] === undefined);

function tableRow(row, index, columns, onRow) {
  const cells = row.map((cell, i) => {
    const text = number(cell);
    const kind = typeof cell === "number" ? "gb-number" : null;
    if (i) return h("td", { class: kind }, text);
    if (!onRow) return h("th", { scope: "row", class: kind }, text);
    const button = h(
      "button",
      { type: "button", class: "gb-link", onclick: () => onRow(index, Object.fromEntries(columns.map((c, j) => [c, row[j]]))) },
      text,
    );
    return h("th", { scope: "row" }, button);
  });
  return h("tr", {}, cells);
}

/** CSV after RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe in front. */
export function csv({ columns, rows }) {
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Two buttons: copy the table, keep it as a file. `read()` gives `{columns, rows}` at the time of the click. */
export function csvButtons(read, name) {
  const copy = h("button", { type: "button", class: "gb-link" }, "Copy CSV");
  copy.addEventListener("click", async () => {
    copy.textContent = (await copied(csv(read()))) ? "Copied" : "Copying is not allowed here";
    setTimeout(() => {
      copy.textContent = "Copy CSV";
    }, 2000);
  });
  const keep = h("button", { type: "button", class: "gb-link", onclick: () => download(`${name}.csv`, csv(read())) }, "Download CSV");
  return [copy, keep];
}

/** Puts text on the clipboard; gives whether that was allowed. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "gb-unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function download(name, text) {
  const address = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  const link = h("a", { href: address, download: name.replace(/[^\w.-]+/g, "-") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
