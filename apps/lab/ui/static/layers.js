// The verdict in three layers: the headline, how sure it is, all numbers it rests on.

import { h, number, say } from "./dom.js";
import { same } from "./panel.js";

export class Layers {
  headline = h("p", { class: "gb-verdict gb-headline", role: "status", "aria-live": "polite", "aria-atomic": "true" });
  #about = h("p", { class: "gb-about-run" });
  #text = h("p", { class: "gb-sure-text" });
  #numbers = h("div", { class: "gb-evidence-rows" });
  #sure = h("details", { class: "gb-layer gb-sure" }, h("summary", {}, "How sure?"), this.#text, this.#about);
  #all = h("details", { class: "gb-layer" }, h("summary", {}, "All numbers"), this.#numbers);
  element = h("div", { class: "gb-layers" }, this.#sure, this.#all);
  #shown = null;

  /** `verdict` null: `words` stand where the answer will. `about` says of which model and questions the run speaks. */
  update(verdict, words, about) {
    say(this.headline, verdict ? verdict.headline : words);
    this.headline.classList.toggle("gb-verdict--quiet", !verdict);
    this.#sure.hidden = !verdict?.rest && !about;
    say(this.#text, verdict?.rest ?? "");
    say(this.#about, about);
    if (this.#shown && same(this.#shown, [verdict])) return;
    this.#shown = [verdict];
    const rows = Object.entries(verdict?.evidence ?? {}).flatMap(([name, value]) => flat(name, value));
    this.#all.hidden = rows.length === 0;
    this.#numbers.replaceChildren(
      h("dl", { class: "gb-facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    );
  }
}

// {"right": 3, "of": 10, "interval": [.1, .6]} -> "3 of 10 (0.1 to 0.6)"; other records row by row.
function flat(name, value) {
  if (value === null || value === undefined || value === "") return [];
  if (Array.isArray(value)) return [[name, value.map((one) => (typeof one === "object" ? JSON.stringify(one) : number(one))).join(", ")]];
  if (typeof value !== "object") return [[name, typeof value === "boolean" ? (value ? "yes" : "no") : number(value)]];
  const hits = value.right ?? value.said;
  const span = Array.isArray(value.interval) ? ` (${value.interval.map(number).join(" to ")})` : "";
  if (hits !== undefined && value.of !== undefined) return [[name, `${number(hits)} of ${number(value.of)}${span}`]];
  if (value.difference !== undefined) return [[name, `${number(value.difference)}${span}`]];
  return Object.entries(value).flatMap(([part, inner]) => flat(`${name}: ${part}`, inner));
}
