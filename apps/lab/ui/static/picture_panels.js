// Panels for pictures that change: one laid over the picture as it was, and all that came on the way.
//
//   { kind: "reveal", name: "now", before: "before" }       a line to pull shows what lies below
//   { kind: "film", name: "step {}", films: "step " }       every picture whose name begins so, in order; one that is pressed is shown
//                                                          large, with a button for each of `presses`: [what is told, its words]

import { addressOf } from "./client.js";
import { button, h, say } from "./dom.js";
import { card, drawn, same, titleOf, waiting } from "./panel.js";

const KNOB = 32; // pixels: the handle stops where its rim meets the rim of the picture, so its middle is not quite at the value
const START = 50; // per cent of the width that still shows the picture as it was

const source = (context, sight, event) => event.src ?? addressOf(context.base, sight.feed.id, `files/${event.file}`);

export class RevealPanel {
  #waiting = h("p", { class: "gb-empty" });
  #caption = h("p", { class: "gb-reveal-caption", "aria-live": "polite" });
  #below = h("img", { class: "gb-reveal-below", alt: "" });
  #above = h("img", { class: "gb-reveal-above", alt: "" });
  #line = h("span", { class: "gb-reveal-line" });
  #slider;
  #stage;
  #last = null;

  constructor(panel, context) {
    this.panel = panel;
    this.context = context;
    this.#slider = h("input", { type: "range", min: "0", max: "100", value: String(START), class: "gb-reveal-slider", "aria-label": "How much of the picture as it was", oninput: () => this.#cut() });
    this.#stage = h("div", { class: "gb-reveal-stage" }, this.#below, this.#above, this.#line, this.#slider);
    if (panel.main) this.#above.addEventListener("load", () => drawn(this.#stage));
    this.body = h("div", { class: "gb-panel-body gb-reveal" }, this.#waiting);
    this.element = card(panel, "reveal", this.body);
  }

  update(sight) {
    const pictures = sight.state?.pictures ?? {};
    const now = pictures[this.panel.name];
    const before = pictures[this.panel.before] ?? now;
    const seen = [now, before, sight.feed?.id];
    if (this.#last && same(this.#last, seen)) return;
    this.#last = seen;
    this.element.classList.toggle("gb-panel--empty", !now);
    if (!now) {
      say(this.#waiting, waiting(sight, "pictures", this.panel.name));
      return this.body.replaceChildren(this.#waiting);
    }
    this.#set(this.#below, source(this.context, sight, now), now.alt || titleOf(this.panel));
    this.#set(this.#above, source(this.context, sight, before), "");
    say(this.#caption, now.alt ?? "");
    this.#cut();
    if (this.#stage.parentNode !== this.body) this.body.replaceChildren(this.#stage, this.#caption);
  }

  #set(image, address, alt) {
    if (image.getAttribute("src") !== address) image.setAttribute("src", address);
    image.alt = alt;
  }

  #cut() {
    const at = `calc(${this.#slider.value}% + ${((50 - this.#slider.value) * KNOB) / 100}px)`;
    this.#above.style.clipPath = `inset(0 calc(100% - ${at}) 0 0)`;
    this.#line.style.left = at;
  }

  redraw() {}
  close() {}
}

export class FilmPanel {
  #waiting = h("p", { class: "gb-empty" });
  #strip = h("ol", { class: "gb-film gb-scrolls", tabindex: "0", "aria-label": "Edits in order" });
  #large = h("img", { class: "gb-picture", alt: "" });
  #caption = h("p", { class: "gb-film-caption" });
  #presses = h("div", { class: "gb-take-row" });
  #closely = h("div", { class: "gb-film-closely", hidden: true }, this.#large, this.#caption, this.#presses);
  #last = null;

  constructor(panel, context) {
    this.panel = panel;
    this.context = context;
    this.body = h("div", { class: "gb-panel-body" }, this.#waiting);
    this.element = card(panel, "film", this.body);
  }

  update(sight) {
    const found = Object.entries(sight.state?.pictures ?? {}).filter(([name]) => name.startsWith(this.panel.films));
    const seen = [sight.feed?.id, ...found.map(([, event]) => event)];
    if (this.#last && same(this.#last, seen)) return;
    this.#last = seen;
    this.element.classList.toggle("gb-panel--empty", found.length === 0);
    this.#closely.hidden = true;
    if (!found.length) {
      say(this.#waiting, waiting(sight, "pictures", this.panel.name));
      return this.body.replaceChildren(this.#waiting);
    }
    this.#strip.replaceChildren(...found.map(([name, event], i) => this.#frame(name, event, i, sight)));
    if (this.#strip.parentNode !== this.body) this.body.replaceChildren(this.#strip, this.#closely);
  }

  #frame(name, event, i, sight) {
    const address = source(this.context, sight, event);
    const undone = /undone$/.test(event.alt ?? "");
    const press = () => {
      this.#large.src = address;
      this.#large.alt = event.alt || name;
      say(this.#caption, event.alt || name);
      const onward = (what) => this.context.onPoint({ panel: this.panel.name, row: i, custom: { film: what, verdict: i + 1 } });
      this.#presses.replaceChildren(...(this.panel.presses ?? []).map(([what, words]) => button(words, () => onward(what))));
      this.#closely.hidden = false;
    };
    return h(
      "li",
      {},
      h("button", { type: "button", class: undone ? "gb-frame gb-frame--undone" : "gb-frame", onclick: press }, h("img", { src: address, alt: "" }), h("span", {}, event.alt || name)),
    );
  }

  redraw() {}
  close() {}
}
