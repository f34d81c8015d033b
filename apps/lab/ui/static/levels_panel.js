// Figures and pictures that a run says once for each of several values, and one slider that moves among those values at once.
//
//   { kind: "levels", title, setting: "t_start", positions: [["981", "words"], ...], items: [{ kind: "figure", name: "told {}" }, ...] }
//
// It stands at the value of `setting` in the run's config until somebody moves it; while a run goes on, at the last value that is there.

import { h, say } from "./dom.js";
import { PicturePanel, card } from "./panel.js";
import { PlotPanel } from "./plot_panel.js";

const KINDS = { figure: PlotPanel, picture: PicturePanel };
const ROOMS = { figure: "figures", picture: "pictures" };

export class LevelsPanel {
  #panel;
  #context;
  #parts; // [what it is called for each value, its panel, the description that its panel reads]
  #slider;
  #words = h("output", { class: "gb-levels-words", "aria-live": "polite" });
  #moved = false;
  #run = null;

  constructor(panel, context) {
    this.#panel = panel;
    this.#context = context;
    const { positions } = panel;
    this.#slider = h("input", { type: "range", class: "gb-levels-slider", min: "0", max: String(positions.length - 1), value: "0", "aria-label": panel.title, oninput: () => this.#move() });
    const ticks = positions.map(([value], i) => h("button", { type: "button", class: "gb-levels-tick", onclick: () => this.#move(i) }, value));
    this.#parts = panel.items.map((item) => {
      const now = { ...item };
      return [item.name, new KINDS[item.kind](now, context), now];
    });
    this.element = card(
      { ...panel, kind: "levels" },
      "levels",
      h("div", { class: "gb-levels-bar" }, this.#slider, h("div", { class: "gb-levels-ticks" }, ticks), this.#words),
      h("div", { class: "gb-levels-parts" }, this.#parts.map(([, part]) => part.element)),
    );
    this.#name();
  }

  update(sight) {
    const run = sight.feed?.id ?? "";
    if (run !== this.#run) this.#moved = false;
    this.#run = run;
    if (!this.#moved && sight.state) this.#follow(sight);
    this.element.classList.toggle("gb-panel--empty", !sight.state);
    for (const [, part] of this.#parts) part.update(sight);
  }

  redraw() {
    for (const [, part] of this.#parts) part.redraw();
  }

  close() {
    for (const [, part] of this.#parts) part.close();
  }

  #follow({ state, feed }) {
    const [first] = this.#panel.items;
    const there = this.#panel.positions.map(([value]) => Boolean(state[ROOMS[first.kind]][first.name.replace("{}", value)]));
    const wanted = this.#panel.positions.findIndex(([value]) => value === String(feed.info?.config?.[this.#panel.setting]));
    const at = there[wanted] ? wanted : there.lastIndexOf(true);
    if (at >= 0 && at !== Number(this.#slider.value)) {
      this.#slider.value = String(at);
      this.#name();
    }
  }

  #move(to = Number(this.#slider.value)) {
    this.#moved = true;
    this.#slider.value = String(to);
    this.#name();
    this.#context.refresh();
  }

  // The parts read their names when they are next drawn.
  #name() {
    const at = Number(this.#slider.value);
    const [value, words] = this.#panel.positions[at];
    for (const [name, , now] of this.#parts) now.name = name.replace("{}", value);
    say(this.#words, words);
    this.#slider.setAttribute("aria-valuetext", words);
    this.#slider.style.setProperty("--gb-done", `${(100 * at) / Math.max(1, this.#panel.positions.length - 1)}%`);
    this.element?.querySelectorAll(".gb-levels-tick").forEach((tick, i) => tick.setAttribute("aria-pressed", String(i === at)));
  }
}
