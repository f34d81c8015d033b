// The answer of a probe: what it says, and its numbers, figures, tables, texts and pictures in the same panels as those of a run.
//
//   const part = mount(place, { id, label, panels, whole, invite, tell });
//   part.show({ asked, says, aside, error, hint, parts: [{ who, events }], keep, lit, later });      // null: nothing yet
//
// parts: one answer, or one for each of several models that were asked the same: then a row of buttons chooses whose pictures are shown.
// An answer to an older question than the one on show is dropped, so that none turns the pictures back; a refusal that came from elsewhere
// on the page stays until something asked after it is answered.

import { h, say } from "./dom.js";
import { agree, factOf } from "./linked.js";
import { fillRows, makePanel, panelKinds } from "./panels.js";
import { loadPlotly } from "./plot.js";
import { EMPTY, reduce } from "./state.js";

const PATIENCE = 60; // milliseconds that the pointer must rest before the desk is asked
const SLOW = 1000; // after that many it says that it works
const REST = 400; // milliseconds after an answer when the reader has come to rest

export async function mount(place, options) {
  if (options.extra) Object.assign(panelKinds, (await import(new URL(options.extra, document.baseURI))).panels);
  if (options.panels.some((panel) => panel.kind === "figure")) loadPlotly().catch(() => {});
  const desk = new Answer(place, options);
  return { show: (value) => desk.show(value) };
}

class Answer {
  #options;
  #panels;
  #value = null;
  #who = 0;
  #lit = null;
  #asked = 0;
  #shown = 0;
  #refused = 0; // when something elsewhere on the page was refused here
  #hovering = 0;
  #picked = 0;
  #wanted = false; // the reader looks at something that has not been answered yet
  #resting = 0;
  #sights = [];
  #notice = h("div", { class: "gb-notice gb-notice--error", role: "alert", hidden: true });
  #says = h("p", { class: "gb-probe-said", "aria-live": "polite" });
  #working = h("p", { class: "gb-working", role: "status", hidden: true });
  #whose = h("div", { class: "gb-whose", role: "group", "aria-label": "Whose pictures to show", hidden: true });
  #whole;

  constructor(place, options) {
    this.#options = options;
    this.#whole = h("button", { type: "button", class: "gb-link", hidden: !options.whole, style: { visibility: "hidden" }, onclick: () => this.#look(this.#options.nothing) }, options.whole);
    const context = {
      base: "",
      refresh: () => this.#update(),
      onPoint: (point) => this.#pressed(factOf(point.custom)),
      onHover: (custom) => this.#hovered(factOf(custom)),
      fact: () => this.#lit,
    };
    this.#panels = options.panels.map((panel) => makePanel(panel, context));
    fillRows(options.panels, this.#panels);
    const grid = h("div", { class: "gb-grid" }, this.#panels.map((panel) => panel.element));
    const head = [this.#notice, this.#says, this.#working, this.#whole, this.#whose];
    place.replaceChildren(h("section", { class: "gb-view gb-desk", "aria-label": options.label }, head, grid));
    say(this.#says, options.invite);
    document.addEventListener("gb-asked", ({ detail }) => detail.id === options.id && this.#wait(detail.n));
    const restyle = () => {
      this.#panels.forEach((panel) => panel.redraw());
      this.#update();
    };
    new MutationObserver(restyle).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    let seen = true; // what was drawn in a closed tab has no size yet
    new ResizeObserver(([entry]) => {
      if (entry.contentRect.width > 0 && !seen) restyle();
      seen = entry.contentRect.width > 0;
    }).observe(place);
  }

  show(value) {
    if (!value) return;
    if (value.asked === undefined) {
      this.#refused = performance.now();
      return this.#refuse(value);
    }
    if (value.asked < this.#shown) return;
    this.#shown = value.asked;
    document.dispatchEvent(new CustomEvent("gb-answered", { detail: { id: this.#options.id, n: value.asked, keep: value.keep ?? {} } }));
    if (this.#shown >= this.#asked) this.#working.hidden = true;
    if (value.error || value.asked > this.#refused) this.#refuse(value);
    if (value.error) return;
    if (!value.parts) return; // nothing to show, and nothing wrong
    this.#value = value;
    this.#sights = value.parts.map(({ events }) => stateOf(events));
    this.#who = Math.min(this.#who, value.parts.length - 1);
    this.#says.replaceChildren(value.says ?? "", " ", value.aside ? h("small", {}, value.aside) : "");
    this.#says.hidden = !value.says && !value.aside;
    this.#choose();
    if (value.asked >= this.#picked && !this.#hovering) this.#wanted = false; // asked after the reader had looked there
    this.#light(this.#wanted ? this.#lit : (value.lit ?? null));
    clearTimeout(this.#resting);
    if (value.later) this.#resting = setTimeout(() => this.#shown >= this.#asked && this.#options.tell("settled"), REST);
  }

  #refuse({ error = "", hint = "" }) {
    this.#notice.hidden = !error;
    this.#notice.replaceChildren(...(error ? [h("p", {}, h("strong", {}, error)), h("p", {}, hint)] : []));
  }

  #wait(n) {
    this.#asked = n;
    clearTimeout(this.#resting);
    const began = performance.now();
    const tick = () => {
      if (this.#shown >= this.#asked || this.#asked !== n) return;
      const seconds = Math.round((performance.now() - began) / 1000);
      this.#working.hidden = seconds < 1;
      say(this.#working, `Working: ${seconds} s`);
      setTimeout(tick, SLOW);
    };
    setTimeout(tick, SLOW);
  }

  #choose() {
    const names = this.#value.parts.map((part) => part.who);
    this.#whose.hidden = names.length < 2;
    const button = (who, i) =>
      h("button", { type: "button", class: "gb-button", "aria-pressed": String(i === this.#who), onclick: () => this.#turn(i) }, who);
    this.#whose.replaceChildren(h("span", { class: "gb-quiet" }, "Look into"), ...names.map(button));
  }

  #turn(who) {
    this.#who = who;
    this.#choose();
    this.#whose.querySelectorAll("button")[who].focus();
    this.#update();
  }

  #update() {
    const state = this.#sights[this.#who] ?? null;
    // A run of its own for each model, so that a figure begins with a zoom of its own.
    const feed = { id: `${this.#options.id} ${this.#who}`, ended: Boolean(state), answered: true };
    const sight = { state, whole: state, feed: state ? feed : null, player: null, pinned: null, recorded: false };
    for (const panel of this.#panels) {
      panel.update(sight);
      panel.element.hidden = state !== null && panel.element.classList.contains("gb-panel--empty"); // this answer has none
    }
  }

  // At once, before the probe has answered with what belongs to that token or point alone.
  #light(fact) {
    this.#lit = fact;
    const { nothing } = this.#options;
    // It keeps its place, or what stands below would move under the pointer that has just pressed it.
    this.#whole.style.visibility = !fact || agree(fact, nothing) ? "hidden" : "visible";
    this.#update();
    for (const panel of this.#panels) panel.light?.(fact);
  }

  #hovered(fact) {
    if (!fact || (this.#lit && agree(this.#lit, fact))) return;
    this.#light(fact);
    clearTimeout(this.#hovering);
    this.#hovering = setTimeout(() => {
      this.#hovering = 0;
      this.#pick(fact, false);
    }, PATIENCE);
    this.#wanted = true;
  }

  #pressed(fact) {
    if (!fact) return;
    this.#light(fact);
    this.#wanted = true;
    this.#pick(fact, true);
  }

  #look(fact) {
    this.#light(null);
    this.#pick(fact, true);
  }

  #pick(fact, pressed) {
    this.#picked = performance.now();
    document.dispatchEvent(new CustomEvent("gb-picked", { detail: { id: this.#options.id, fact, pressed } }));
  }
}

function stateOf(events) {
  const state = events.reduce(reduce, EMPTY);
  for (const { kind, name, remark } of events) if (kind === "metric" && remark) state.metrics[name].remark = remark;
  return state;
}
