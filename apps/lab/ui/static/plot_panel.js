// A chart of live series, or the last figure of a name: drawn, pinned run laid over it, as a table, as a picture file.

import { h, number, say } from "./dom.js";
import { asTable, chart, farOff, lookOf, onlyRows, overlay } from "./figures.js";
import { lit } from "./linked.js";
import { card, drawn, same, titleOf, waiting } from "./panel.js";
import { PALETTE, Plot, isDark, shade } from "./plot.js";
import { csvButtons, table } from "./tables.js";

export class PlotPanel {
  #panel;
  #context;
  #plot;
  #drawn = null;
  #figure = null;
  #pinnedOnly = false;
  #whole = false; // of a figure with many rows: all of them, not the few that the page names
  #revision = "";
  #legend = h("ul", { class: "gb-legend" });
  #place = h("div", { class: "gb-plot gb-plot--empty" });
  #word = h("p", { class: "gb-plot-word" });
  #tablePlace = h("div", { class: "gb-plot-table", hidden: true });
  #showTable = link("Show as table", () => this.#toggleTable(), { "aria-expanded": "false" });
  #swap = link("Show the pinned run here", () => this.#toggleSwap(), { "aria-pressed": "false", hidden: true });
  #rows = link("Show all", () => this.#toggleRows(), { "aria-expanded": "false", hidden: true });
  #reset = link("Undo zoom", () => this.#plot.reset(), { hidden: true });

  constructor(panel, context) {
    this.#panel = panel;
    this.#context = context;
    const title = titleOf(panel);
    const save = link("Save picture", () => this.#plot.picture(title.replace(/[^\w.-]+/g, "-").toLowerCase(), title));
    this.#measure();
    this.#place.setAttribute("role", "figure");
    this.#place.setAttribute("aria-label", `${title}. The numbers are under “Show as table”.`);
    this.#rows.hidden = !panel.few;
    this.foot = h("div", { class: "gb-panel-foot" }, this.#rows, this.#showTable, this.#reset, this.#swap, save);
    this.element = card(
      panel,
      panel.kind,
      panel.kind === "chart" ? this.#legend : null,
      h("div", { class: "gb-plot-frame" }, this.#place, this.#word),
      this.foot,
      this.#tablePlace,
    );
    this.#plot = new Plot(this.#place, {
      onPoint: (point) => context.onPoint({ panel: panel.name || title, ...point }),
      onHover: context.onHover,
      onZoom: (zoomed) => {
        this.#reset.hidden = !zoomed;
      },
    });
  }

  update(sight) {
    const made = this.#panel.kind === "chart" ? this.#chart(sight) : this.#stored(sight);
    this.foot.hidden = !made;
    this.element.classList.toggle("gb-panel--empty", !made);
    if (!made) return this.#empty(sight);
    if (this.#drawn && same(this.#drawn, made.key)) return;
    this.#drawn = made.key;
    this.#figure = made.figure;
    if (this.#revision !== sight.feed.id) this.#reset.hidden = true;
    this.#revision = sight.feed.id;
    say(this.#word, "");
    this.#draw();
    if (!this.#tablePlace.hidden) this.#fillTable();
  }

  /** What belongs to the same thing as what is pointed at elsewhere stands out. */
  light() {
    if (this.#figure && !this.foot.hidden) this.#draw();
  }

  /** Again, after a change of colours or sizes. */
  redraw() {
    this.#drawn = null;
  }

  close() {
    this.#plot.close();
  }

  async #draw() {
    try {
      await this.#plot.draw(lit(this.#figure, this.#context.fact?.()), this.#revision);
      this.#place.classList.remove("gb-plot--empty");
      this.#context.onDrawn?.(this.#place);
      if (this.#panel.main) drawn(this.#place);
    } catch (error) {
      say(this.#word, `${error.message} The numbers are under “Show as table”.`);
    }
  }

  #empty(sight) {
    this.#place.classList.add("gb-plot--empty");
    this.#drawn = null;
    this.#legend.replaceChildren();
    say(this.#word, waiting(sight, "figures", this.#panel.name));
  }

  #chart({ state, whole, pinned, feed }) {
    const names = this.#panel.metrics?.length ? this.#panel.metrics : Object.keys(whole?.metrics || {});
    if (!whole || !names.some((name) => whole.metrics[name] || pinned?.state.metrics[name])) return null;
    const colours = PALETTE[isDark() ? "dark" : "light"];
    const count = (from) => names.map((name) => from?.metrics[name]?.n);
    const key = [feed.id, pinned?.id, pinned?.label, isDark(), ...count(state), ...count(whole), ...count(pinned?.state)];
    if (!same(this.#drawn, key)) {
      const looks = names.map((name, i) => lookOf(this.#panel, name, colours[i % colours.length]));
      const short = withoutSharedWords(looks.map((look) => look.label));
      const odd = farOff(this.#panel, whole, pinned);
      const entries = names.map((name, i) => entry(name, short[i], swatch(looks[i]), state, pinned, !this.#panel.y, odd));
      this.#legend.replaceChildren(...entries);
    }
    return { key, figure: chart(this.#panel, state, whole, pinned, colours) };
  }

  #stored({ state, pinned, feed }) {
    const now = state?.figures[this.#panel.name]?.figure;
    const old = pinned?.state.figures[this.#panel.name]?.figure;
    if (!now) return null;
    if (this.#panel.few && !this.#whole) return { key: [feed.id, now, isDark(), "few"], figure: { ...onlyRows(now, this.#panel.few), origin: now } };
    const both = old ? overlay(now, old, pinned.label, PALETTE.light) : null;
    this.#swap.hidden = !old || Boolean(both);
    const swapped = this.#pinnedOnly && !this.#swap.hidden;
    return { key: [feed.id, now, old, pinned?.label, swapped, isDark()], figure: swapped ? old : both || now };
  }

  #measure() {
    const { few, height = 320 } = this.#panel;
    this.#place.style.setProperty("--gb-height", `${few && !this.#whole ? 110 + 36 * few.length : height}px`);
  }

  #toggleRows() {
    this.#whole = !this.#whole;
    this.#rows.setAttribute("aria-expanded", String(this.#whole));
    say(this.#rows, this.#whole ? "Show the most important alone" : "Show all");
    this.#measure();
    this.#context.refresh();
  }

  #toggleTable() {
    const open = this.#tablePlace.hidden;
    this.#tablePlace.hidden = !open;
    this.#showTable.setAttribute("aria-expanded", String(open));
    say(this.#showTable, open ? "Hide table" : "Show as table");
    if (open) this.#fillTable();
  }

  #fillTable() {
    const title = titleOf(this.#panel);
    const buttons = h(
      "div",
      { class: "gb-panel-foot" },
      csvButtons(() => asTable(this.#figure.origin ?? this.#figure), this.#panel.name || title),
    );
    this.#tablePlace.replaceChildren(table(asTable(this.#figure.origin ?? this.#figure), `${title}, as a table`), buttons);
  }

  #toggleSwap() {
    this.#pinnedOnly = !this.#pinnedOnly;
    this.#swap.setAttribute("aria-pressed", String(this.#pinnedOnly));
    say(this.#swap, this.#pinnedOnly ? "Show this run again" : "Show the pinned run here");
    this.#context.refresh();
  }
}

function link(label, onclick, more = {}) {
  return h("button", { type: "button", class: "gb-link", onclick, ...more }, label);
}

// "loss true", "loss wrong": what all begin with is the chart's matter, and its title says it.
function withoutSharedWords(names) {
  const words = names.map((name) => name.split(" "));
  let shared = 0;
  while (words.length > 1 && words.every((one) => one.length > shared + 1 && one[shared] === words[0][shared])) shared += 1;
  return words.map((one) => one.slice(shared).join(" "));
}

// A piece of the line, so that two lines of one colour can be told apart.
function swatch({ colour, dash }) {
  const ink = shade(colour, isDark());
  const [on, off] = { dot: [2, 2], dashdot: [5, 2], longdash: [7, 2] }[dash] ?? [1, 0];
  const background = `repeating-linear-gradient(90deg, ${ink} 0 ${on}px, transparent 0 ${on + off}px)`;
  return h("span", { class: "gb-swatch", style: { background } });
}

// The unit stands at the axis; only an axis without a title leaves it to the legend.
function entry(name, short, sample, state, pinned, units, odd) {
  const series = state.metrics[name],
    old = pinned?.state.metrics[name];
  const value = (one) => (one ? `${number(one.value)}${units && one.unit ? ` ${one.unit}` : ""}` : "–");
  return h(
    "li",
    {},
    sample,
    h("span", { class: "gb-legend-name" }, short),
    h("span", { class: "gb-legend-value" }, value(series)),
    old ? h("span", { class: "gb-legend-pinned" }, `pinned ${value(old)}`) : null,
    odd?.name === name ? h("span", { class: "gb-legend-off" }, outside(odd)) : null,
  );
}

// Drawn to scale it would press the other curves flat; the table has its numbers.
function outside({ from, to, above }) {
  return `${above ? "↑ above" : "↓ below"} this picture, ${number(from)} to ${number(to)}`;
}
