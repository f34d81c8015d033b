// The big numbers, one tile each. A tile opens the number closely: its formula, what it means, and how it moved.

import { h, number, say } from "./dom.js";
import { points } from "./state.js";
import { card, same } from "./panel.js";
import { openDialog } from "./dialog.js";

export class NumbersPanel {
  #tiles; #drawn = null;

  constructor(panel, context) {
    this.panel = { wide: true, ...panel };
    this.context = context;
    this.#tiles = (panel.items || []).map((item) => tile(item, () => this.#open(item)));
    this.element = card({ title: "Numbers", ...this.panel }, "numbers", h("div", { class: "gb-tiles" }, this.#tiles.map((one) => one.element)));
  }

  update(sight) {
    const { state, pinned } = sight;
    this.sight = sight;
    const key = [...this.panel.items.map((item) => state?.metrics[item.metric]?.value), pinned?.id, ...this.panel.items.map((item) => pinned?.state.metrics[item.metric]?.value)];
    if (same(this.#drawn, key)) return;
    this.#drawn = key;
    this.panel.items.forEach((item, i) => this.#tiles[i].update(state?.metrics[item.metric], pinned?.state.metrics[item.metric]));
  }

  redraw() {}
  close() {}

  #open(item) {
    const { state, feed, pinned } = this.sight || {};
    const series = state?.metrics[item.metric];
    const { x, y } = points(series);
    const facts = [
      ["Now", value(series, item)], ["In the pinned run", pinned ? value(pinned.state.metrics[item.metric], item) : null],
      ["At first", y.length > 1 ? `${number(y[0])} (step ${x[0]})` : null],
      ["Lowest and highest", y.length > 1 ? `${number(Math.min(...y))} and ${number(Math.max(...y))}` : null], ["Measured", y.length ? `${y.length} times` : null], ["Run", feed?.id],
    ].filter(([, fact]) => fact);
    openDialog(item.label || item.metric,
      h("p", { class: "gb-dialog-value" }, value(series, item)),
      item.meaning ? h("p", {}, item.meaning) : null,
      item.formula ? h("div", {}, h("h4", {}, "How it is computed"), h("p", { class: "gb-formula" }, item.formula)) : null,
      h("dl", { class: "gb-facts" }, facts.map(([name, fact]) => h("div", {}, h("dt", {}, name), h("dd", {}, fact)))));
  }
}

function value(series, item) {
  const unit = item.unit ?? series?.unit ?? "";
  return series ? `${number(series.value)}${unit ? ` ${unit}` : ""}` : "–";
}

function tile(item, open) {
  const figure = h("span", { class: "gb-tile-value" }, "–");
  const unit = h("span", { class: "gb-tile-unit" });
  const old = h("span", { class: "gb-tile-pinned" });
  const element = h("button", { type: "button", class: "gb-tile", onclick: open, title: "Look at this number closely" },
    h("span", { class: "gb-tile-label" }, item.label || item.metric), h("span", { class: "gb-tile-row" }, figure, unit), old);
  return {
    element,
    update(series, pinned) {
      say(figure, series ? number(series.value) : "–");
      say(unit, series ? item.unit ?? series.unit : "");
      say(old, pinned ? `pinned run ${value(pinned, item)}` : "");
    },
  };
}
