// One output of a reasoning model, looked at token by token: strip, path, layers, map, chain and what each layer would say.
//
//   const desk = mountDesk(place, { onToken: (token) => ... });   // the page answers with figures for that token
//   desk.show({ tokens, roles, chosen, wrong, thinking, figures, top });   // null empties it
//
// Pointing at a token, or at its point, column or place in any of the figures, lights it everywhere.

import { h, say, visible } from "./dom.js";
import { Plot } from "./plot.js";

const PATIENCE = 60; // milliseconds that the pointer must rest before the page is asked
const TIPS = "end of the path"; // how the trace is called whose points are tokens
const PINK = "#B0558A";
const FIGURES = [
  ["path", "A. Its way through the layers", "Circles: where the path ends after each token of the reasoning. Large: the one you point at."],
  [
    "profile",
    "B. Layer by layer",
    "How far the state moves in each layer, and what turning costs: of the reasoning, or of the token you point at. The axis says whether " +
      "the usual was subtracted; for single tokens nobody has measured it.",
  ],
  ["heat", "C. Map of tokens and layers", "Blue frame: the reasoning. Orange frame: the first wrong step. Point at a column."],
  ["chain", "D. Along the chain", "Energy of the reasoning so far, beside the model's own certainty."],
];

/** Builds the desk inside `place`. `onToken(token)`: the reader looks at a token; -1 is the reasoning as a whole. */
export function mountDesk(place, { onToken }) {
  const desk = new Desk(place, onToken);
  return { show: (value) => desk.show(value) };
}

class Desk {
  #onToken;
  #value = null;
  #chosen = -1;
  #wanted = null; // the token that the reader looked at last, once there is one
  #timer = 0;
  #buttons = [];
  #shapeOf = "";
  #strip = h("div", { class: "gb-thought-strip", role: "group", "aria-label": "The whole text, token by token" });
  #about = h("p", { class: "gb-thought-about", role: "status" });
  #whole = h("button", { type: "button", class: "gb-link", onclick: () => this.#look(-1) }, "Look at the reasoning as a whole");
  #lens = h("div", { class: "gb-table-frame gb-scrolls", tabindex: "0", role: "region", "aria-label": "What each layer would say next" });
  #plots = {};
  #seen = true;

  constructor(place, onToken) {
    this.#onToken = onToken;
    const cards = FIGURES.map(([name, title, note]) => this.#card(name, title, note));
    const lens = h(
      "section",
      { class: "gb-panel gb-panel--wide" },
      h("h3", { class: "gb-panel-title" }, "What each layer would say next"),
      h(
        "p",
        { class: "gb-panel-note" },
        "If the model had to speak after that layer (“logit lens”): its five likeliest next tokens. Outlined: what was really written.",
      ),
      this.#lens,
    );
    place.replaceChildren(
      h(
        "section",
        { class: "gb-view gb-thought", "aria-label": "One output, token by token" },
        h("div", { class: "gb-thought-head" }, this.#strip, h("div", { class: "gb-thought-foot" }, this.#about, this.#whole)),
        h("div", { class: "gb-grid" }, cards, lens),
      ),
    );
    this.#strip.addEventListener("keydown", (event) => this.#key(event));
    // Drawn while its tab was hidden it has no size yet; the theme may change at any time.
    new ResizeObserver(([entry]) => {
      const seen = entry.contentRect.width > 0;
      if (seen && !this.#seen) Object.values(this.#plots).forEach(({ plot }) => plot.redraw());
      this.#seen = seen;
    }).observe(place);
    new MutationObserver(() => Object.values(this.#plots).forEach(({ plot }) => plot.redraw())).observe(document.body, {
      attributes: true,
      attributeFilter: ["class"],
    });
  }

  show(value) {
    const shape = value && JSON.stringify([value.tokens, value.roles, value.wrong]);
    const late = shape === this.#shapeOf && this.#wanted !== null && value.chosen !== this.#wanted;
    if (late) return this.#ask(this.#wanted); // the reader looks at another token by now
    this.#value = value;
    if (!value) return this.#strip.replaceChildren();
    if (shape !== this.#shapeOf) {
      this.#shapeOf = shape;
      this.#wanted = null;
      this.#fill();
    }
    this.#light(value.chosen);
    for (const name of Object.keys(this.#plots)) this.#draw(name);
    this.#fillLens(value);
  }

  #card(name, title, note) {
    const place = h("div", { class: "gb-plot", role: "figure", "aria-label": title });
    place.style.setProperty("--gb-height", "320px");
    const said = h("p", { class: "gb-panel-note" }, note);
    const plot = new Plot(place, { onPoint: (point) => this.#pointed(name, point.x, point.custom) });
    this.#plots[name] = { plot, place, listening: false };
    return h("section", { class: "gb-panel" }, h("h3", { class: "gb-panel-title" }, title), said, place);
  }

  async #draw(name) {
    const one = this.#plots[name];
    await one.plot.draw(this.#lit(name, this.#value.figures[name]), this.#shapeOf);
    if (one.listening || !one.place.on) return;
    one.listening = true;
    one.place.on("plotly_hover", ({ points: [point] }) => point && this.#pointed(name, point.x, point.customdata));
  }

  // A figure with the chosen token lit: at once, before the page has answered with that token's own numbers.
  #lit(name, figure) {
    const at = this.#value.thinking.indexOf(this.#chosen);
    const band = (x0, x1, more) => {
      const kept = (figure.layout.shapes || []).filter((shape) => shape.line?.color !== PINK);
      const shapes = x0 < -0.5 ? kept : [...kept, { x0, x1, line: { color: PINK, width: 2 }, ...more }];
      return { ...figure, layout: { ...figure.layout, shapes } };
    };
    if (name === "chain") return band(at < 0 ? -1 : at, at, { type: "line", yref: "paper", y0: 0, y1: 1 });
    if (name === "heat") {
      const [cells] = figure.data;
      const column = cells.customdata[0].findIndex(([token]) => token === this.#chosen);
      return band(column < 0 ? -1 : column - 0.5, column + 0.5, { type: "rect", y0: 0.5, y1: cells.y.length + 0.5 });
    }
    if (name !== "path") return figure;
    const grow = (trace) => ({ ...trace, marker: { ...trace.marker, size: trace.x.map((_, i) => (i === at ? 12 : 5)) } });
    return { ...figure, data: figure.data.map((trace) => (trace.name?.startsWith(TIPS) ? grow(trace) : trace)) };
  }

  // Which token a point of a figure belongs to; points that belong to none change nothing.
  #pointed(name, x, custom) {
    const { thinking } = this.#value;
    if (name === "heat") return this.#look(custom?.[0] ?? -1);
    if (name === "chain") return this.#look(thinking[x] ?? -1);
    if (name === "path" && Number.isInteger(custom)) this.#look(thinking[custom] ?? -1);
  }

  #look(token) {
    if (token === this.#chosen) return;
    this.#light(token);
    for (const name of ["path", "heat", "chain"]) this.#draw(name);
    this.#wanted = token;
    this.#ask(token);
  }

  #ask(token) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onToken(token), PATIENCE);
  }

  #light(token) {
    this.#buttons[this.#chosen]?.removeAttribute("aria-current");
    this.#buttons[Math.max(0, this.#chosen)]?.setAttribute("tabindex", "-1");
    this.#chosen = token;
    this.#buttons[token]?.setAttribute("aria-current", "true");
    this.#buttons[Math.max(0, token)]?.setAttribute("tabindex", "0");
    this.#whole.hidden = token < 0;
    const { tokens, roles, parts } = this.#value;
    const named = () => `Token ${token}: ${visible(tokens[token])} (${parts[roles[token]] || roles[token]})`;
    say(this.#about, token < 0 ? "Point at a token to light it everywhere." : named());
  }

  #fill() {
    const { tokens, roles, wrong } = this.#value;
    this.#chosen = -1;
    this.#buttons = tokens.map((token, i) => {
      const inside = wrong && i >= wrong[0] && i < wrong[1];
      return h(
        "button",
        {
          type: "button",
          class: `gb-thought-token gb-thought-token--${roles[i]}${inside ? " gb-thought-token--wrong" : ""}`,
          tabindex: "-1",
          "aria-label": `Token ${i}: ${visible(token)}${inside ? ", in the first wrong step" : ""}`,
          onmouseenter: () => this.#look(i),
          onfocus: () => this.#look(i),
          onclick: () => this.#look(i),
        },
        visible(token),
      );
    });
    this.#strip.replaceChildren(...this.#buttons);
  }

  #key(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.#buttons[Math.min(this.#buttons.length - 1, Math.max(0, this.#chosen + move))]?.focus();
  }

  #fillLens({ top, tokens, chosen }) {
    if (!top.length) return this.#lens.replaceChildren(h("p", { class: "gb-empty" }, "Point at a token."));
    const next = tokens[chosen + 1];
    const row = (guesses, layer) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, layer ? `layer ${layer}` : "before any layer"),
        guesses.map(([text, chance]) => {
          const share = h("small", {}, `${(100 * chance).toFixed(1)} %`);
          const cell = h("td", { class: text === next ? "gb-thought-next" : null }, `${visible(text)} `, share);
          cell.style.setProperty("--gb-share", chance);
          return cell;
        }),
      );
    this.#lens.replaceChildren(
      h(
        "table",
        { class: "gb-table gb-thought-lens" },
        h("caption", { class: "gb-unseen" }, "The five likeliest next tokens of every layer, with their probabilities"),
        h("thead", {}, h("tr", {}, ["After", "likeliest", "2nd", "3rd", "4th", "5th"].map((place) => h("th", { scope: "col" }, place)))),
        h("tbody", {}, top.map(row).reverse()),
      ),
    );
  }
}
