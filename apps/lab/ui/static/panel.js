// The card that every panel sits in, and the panels that only show the last event of a name: table, text, picture.

import { addressOf } from "./client.js";
import { h, human, say } from "./dom.js";
import { agree, factOf } from "./linked.js";
import { csvButtons, table } from "./tables.js";

let made = 0;

/** A card with a title and a note; `body` goes under them. */
export function card(panel, kind, ...body) {
  const id = `gb-panel-${(made += 1)}`;
  const title = titleOf(panel);
  const wide = panel.wide ? " gb-panel--wide" : "";
  const main = panel.main ? " gb-panel--main" : "";
  const rare = panel.rare ? " gb-panel--rare" : ""; // not there at all while it has nothing to say
  return h(
    "section",
    { class: `gb-panel gb-panel--${kind}${wide}${main}${rare}`, "aria-labelledby": id },
    h("h3", { id, class: "gb-panel-title" }, title),
    panel.note && !panel.main ? h("p", { class: "gb-panel-note" }, panel.note) : null,
    body,
    panel.note && panel.main ? h("details", { class: "gb-panel-how" }, h("summary", {}, "How to read this"), h("p", { class: "gb-panel-note" }, panel.note)) : null,
  );
}

/** The main picture stands at `place`: what the first HTML showed makes way (first_paint.py). */
export function drawn(place) {
  document.dispatchEvent(new CustomEvent("gb-drawn", { detail: { place } }));
}

export function titleOf(panel) {
  return panel.title || human(panel.name || (panel.metrics || []).join(", ") || "Numbers");
}

/** Brings a place into sight: an element or its selector; anything else (a panel may say just `true`) leads nowhere. */
export function goTo(place) {
  const element = typeof place === "string" ? document.querySelector(place) : place;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element?.scrollIntoView?.({ block: "start", behavior: calm ? "auto" : "smooth" });
}

/** Whether two lists hold the same things, in order. */
export function same(a, b) {
  return a !== null && b !== null && a.length === b.length && a.every((item, i) => Object.is(item, b[i]));
}

/** Shows the last event of `panel.name` in one room of the state; `draw(event, sight)` gives the elements. */
class EventPanel {
  #last = null;
  #waiting;

  constructor(panel, context, kind, room, draw) {
    this.panel = panel;
    this.context = context;
    this.room = room;
    this.draw = draw;
    this.#waiting = h("p", { class: "gb-empty" });
    this.body = h("div", { class: "gb-panel-body" }, this.#waiting);
    this.element = card(panel, kind, this.body);
  }

  update(sight) {
    const event = sight.state?.[this.room][this.panel.name];
    if (event && this.#last === event) return;
    this.#last = event || null;
    this.element.classList.toggle("gb-panel--empty", !event);
    if (event) return this.body.replaceChildren(...this.draw(event, sight).filter(Boolean));
    say(this.#waiting, waiting(sight, this.room, this.panel.name));
    if (this.#waiting.parentNode !== this.body) this.body.replaceChildren(this.#waiting);
  }

  redraw() {}
  close() {}
}

/** What an empty panel says. */
export function waiting({ feed, whole }, room, name) {
  if (!feed) return "Nothing here yet.";
  if (whole?.[room]?.[name]) return "Comes later in the replay.";
  return feed.ended ? "This run did not show any." : "Comes while the run goes on.";
}

export class TablePanel extends EventPanel {
  #rows = []; // [row, what it belongs to]

  constructor(panel, context) {
    super(panel, context, "table", "tables", (event) => {
      const title = titleOf(panel);
      const chosen = (row, values) => {
        context.onPoint({ panel: panel.name, row, values, custom: event.customdata?.[row] ?? null });
        goTo(panel.select);
      };
      return [
        this.#linked(table(event, title, panel.select ? chosen : null), event.customdata),
        h(
          "div",
          { class: "gb-panel-foot" },
          csvButtons(() => event, panel.name || title),
        ),
      ];
    });
  }

  light(fact) {
    for (const [row, own] of this.#rows) row.classList.toggle("gb-lit", agree(own, fact));
  }

  #linked(element, customdata = []) {
    const rows = [...element.querySelectorAll("tbody tr")];
    this.#rows = rows.map((row, i) => [row, factOf(customdata[i])]).filter(([, own]) => own);
    for (const [row, own] of this.#rows) {
      row.addEventListener("mouseenter", () => this.context.onHover?.(own));
      row.addEventListener("focusin", () => this.context.onHover?.(own));
    }
    return element;
  }
}

/** Rows of a table as cards side by side: who, what was said, a remark. */
export class AnswersPanel extends EventPanel {
  constructor(panel, context) {
    super({ wide: true, ...panel }, context, "answers", "tables", ({ rows }) => [
      h("div", { class: "gb-answers-row", "aria-live": "polite" }, rows.map(answer)),
    ]);
  }
}

function answer([who, said, remark]) {
  return h(
    "div",
    { class: "gb-answer" },
    h("h4", {}, String(who)),
    h("p", { class: "gb-answer-text" }, said || h("i", {}, "says nothing")),
    remark ? h("p", { class: "gb-quiet" }, String(remark)) : null,
  );
}

export class TextPanel extends EventPanel {
  constructor(panel, context) {
    super(panel, context, "text", "texts", (event) => [
      h("div", { class: "gb-words gb-scrolls", tabindex: "0", role: "region", "aria-label": titleOf(panel) }, event.text),
    ]);
  }
}

export class PicturePanel extends EventPanel {
  constructor(panel, context) {
    super(panel, context, "picture", "pictures", (event, { feed }) => [
      h("img", {
        class: "gb-picture",
        onload: panel.main ? ({ target }) => drawn(target) : null,
        src: event.src ?? addressOf(context.base, feed.id, `files/${event.file}`), // a probe's picture comes with its answer
        alt: event.alt || titleOf(panel),
      }),
    ]);
  }
}
