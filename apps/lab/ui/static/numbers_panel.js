// The big numbers, one tile each. A tile opens the number closely: its formula, what it means, and how it moved.

import { h, number, say } from "./dom.js";
import { points } from "./state.js";
import { card, same } from "./panel.js";
import { openDialog } from "./dialog.js";

export class NumbersPanel {
  #tiles;
  #drawn = null;
  #opened = null;

  constructor(panel, context) {
    this.panel = { wide: true, ...panel };
    this.context = context;
    this.#tiles = (panel.items || []).map((item) => tile(item, () => this.#open(item)));
    const tiles = h(
      "div",
      { class: "gb-tiles" },
      this.#tiles.map((one) => one.element),
    );
    // Up to four in a row, and rows of equal length: six stand as three and three.
    const count = this.#tiles.length || 1;
    tiles.style.setProperty("--gb-columns", Math.ceil(count / Math.ceil(count / 4)));
    this.element = card({ title: "Numbers", ...this.panel }, "numbers", tiles);
  }

  update(sight) {
    const { state, pinned } = sight;
    this.sight = sight;
    const seen = (from) => this.panel.items.flatMap((item) => [from?.metrics[item.metric]?.value, from?.metrics[item.metric]?.n]);
    const key = [...seen(state), pinned?.id, ...seen(pinned?.state)];
    if (same(this.#drawn, key)) return;
    this.#drawn = key;
    this.element.classList.toggle("gb-panel--empty", !this.panel.items.some((item) => state?.metrics[item.metric]));
    this.panel.items.forEach((item, i) => this.#tiles[i].update(state?.metrics[item.metric], pinned?.state.metrics[item.metric]));
    if (this.#opened) this.#fill();
  }

  redraw() {}
  close() {}

  #open(item) {
    const body = h("div", { class: "gb-number-closely" });
    const dialog = openDialog(item.label || item.metric, body);
    this.#opened = { item, body };
    this.#fill();
    dialog.addEventListener("close", () => {
      this.#opened = null;
    });
  }

  // The window follows the run like everything else.
  #fill() {
    const { item, body } = this.#opened;
    const { state, feed, pinned } = this.sight || {};
    const series = state?.metrics[item.metric];
    body.replaceChildren(
      ...[
        h("p", { class: "gb-dialog-value" }, value(series, item)),
        item.meaning ? h("p", {}, item.meaning) : null,
        item.formula ? h("h4", {}, "How it is computed") : null,
        item.formula ? h("p", { class: "gb-formula" }, item.formula) : null,
        h(
          "dl",
          { class: "gb-facts" },
          factsOf(series, item, pinned, feed).map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact))),
        ),
      ].filter(Boolean),
    );
  }
}

function factsOf(series, item, pinned, feed) {
  const { x, y } = points(series);
  const many = y.length > 1;
  const [low, high] = y.reduce(([least, most], one) => [Math.min(least, one), Math.max(most, one)], [Infinity, -Infinity]);
  return [
    ["In the pinned run", pinned ? value(pinned.state.metrics[item.metric], item) : null],
    ["At first", many ? `${number(y[0])} (step ${x[0]})` : null],
    ["Lowest", many ? number(low) : null],
    ["Highest", many ? number(high) : null],
    ["Measured", y.length ? `${y.length} ${many ? "times" : "time"}` : null],
    ["Run", feed?.id],
  ].filter(([, fact]) => fact);
}

/** [the number, its unit] as words; a share is read as per cent. */
function worded(value, unit) {
  return unit === "share" && typeof value === "number" ? [number(Math.round(1000 * value) / 10 || 0), "%"] : [number(value), unit];
}

const unitOf = (series, item) => item.unit ?? series?.unit ?? "";

function value(series, item) {
  return series ? worded(series.value, unitOf(series, item)).filter(Boolean).join(" ") : "–";
}

function tile(item, open) {
  const figure = h("span", { class: "gb-tile-value" }, "–");
  const unit = h("span", { class: "gb-tile-unit" });
  const old = h("span", { class: "gb-tile-pinned" });
  const element = h(
    "button",
    { type: "button", class: "gb-tile", onclick: open, title: "Look at this number closely" },
    h("span", { class: "gb-tile-label" }, item.label || item.metric),
    h("span", { class: "gb-tile-row" }, figure, unit),
    old,
  );
  return {
    element,
    update(series, pinned) {
      const [words, unitWords] = series ? worded(series.value, unitOf(series, item)) : ["–", ""];
      element.hidden = Boolean(item.optional && !series);
      say(figure, words);
      say(unit, unitWords);
      say(old, pinned ? `pinned run ${value(pinned, item)}` : (series?.remark ?? ""));
    },
  };
}
