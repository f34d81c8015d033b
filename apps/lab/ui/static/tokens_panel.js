// A strip of tokens, each shaded and underlined by its value: blue above zero, orange below. One token is looked at closely.

import { h, number, visible } from "./dom.js";
import { agree, factOf } from "./linked.js";
import { card, titleOf, waiting } from "./panel.js";
import { csvButtons, table } from "./tables.js";

export class TokensPanel {
  #last = null;
  #chosen = 0;
  #buttons = [];
  #event = null;
  #strip = h("div", { class: "gb-tokens", role: "group" });
  #detail = h("p", { class: "gb-token-detail" });
  #foot = h("div", { class: "gb-panel-foot" });

  constructor(panel, context) {
    this.panel = panel;
    this.context = context;
    this.#strip.setAttribute("aria-label", titleOf(panel));
    this.#strip.addEventListener("keydown", (event) => this.#key(event));
    this.element = card(panel, "tokens", this.#strip, this.#detail, this.#foot);
  }

  update(sight) {
    const event = sight.state?.tables[this.panel.name];
    if (this.#last === event && event) return;
    this.#last = event || null;
    this.#event = event;
    this.element.classList.toggle("gb-panel--empty", !event);
    if (!event) {
      this.#strip.replaceChildren(h("span", { class: "gb-empty" }, waiting(sight, "tables", this.panel.name)));
      this.#detail.replaceChildren();
      return this.#foot.replaceChildren();
    }
    const largest = Math.max(1e-12, ...event.rows.map((row) => Math.abs(Number(row[1]) || 0)));
    this.#buttons = event.rows.map((row, i) => this.#token(row, i, largest));
    this.#strip.replaceChildren(...this.#buttons);
    this.#look(Math.min(this.#chosen, event.rows.length - 1));
    this.#foot.replaceChildren(...csvButtons(() => event, this.panel.name), this.#asTable(event));
  }

  redraw() {}
  close() {}

  light(fact) {
    this.#buttons.forEach((button, i) => {
      const mine = agree(factOf(this.#event.customdata?.[i]), fact);
      if (mine) this.#look(i);
      button.toggleAttribute("data-lit", mine);
    });
  }

  #point(i) {
    this.#look(i);
    this.context.onHover?.(this.#event.customdata?.[i] ?? null);
  }

  #token(row, i, largest) {
    const value = Number(row[1]) || 0;
    const words = visible(row[0]);
    const button = h(
      "button",
      {
        type: "button",
        class: `gb-token${value < 0 ? " gb-token--below" : ""}`,
        "data-kind": this.#event.kinds?.[i] ?? null,
        tabindex: "-1",
        "aria-label": `${words}, ${this.#event.columns[1]} ${number(row[1])}`,
        onmouseenter: () => this.#point(i),
        onfocus: () => this.#point(i),
        onclick: () =>
          this.context.onPoint({
            panel: this.panel.name,
            index: i,
            custom: this.#event.customdata?.[i] ?? null,
            values: Object.fromEntries(this.#event.columns.map((name, j) => [name, row[j]])),
          }),
      },
      words,
    );
    button.style.setProperty("--gb-share", (Math.abs(value) / largest).toFixed(3));
    return button;
  }

  // One tab stop for the strip; the arrows walk along it.
  #look(i) {
    if (i < 0) return;
    this.#buttons[this.#chosen]?.setAttribute("tabindex", "-1");
    this.#chosen = i;
    this.#buttons[i].setAttribute("tabindex", "0");
    const { columns, rows } = this.#event;
    this.#detail.replaceChildren(
      h("b", {}, visible(rows[i][0])),
      ...columns.slice(1).map((name, j) => h("span", {}, `${name} `, h("b", {}, number(rows[i][j + 1])))),
    );
  }

  #key(event) {
    const move = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const to = Math.min(this.#buttons.length - 1, Math.max(0, this.#chosen + move));
    this.#buttons[to]?.focus();
  }

  #asTable(event) {
    const place = h("div", { hidden: true });
    const toggle = h("button", { type: "button", class: "gb-link", "aria-expanded": "false" }, "Show as table");
    toggle.addEventListener("click", () => {
      place.hidden = !place.hidden;
      toggle.setAttribute("aria-expanded", String(!place.hidden));
      toggle.textContent = place.hidden ? "Show as table" : "Hide table";
      if (!place.hidden) place.replaceChildren(table(event, `${titleOf(this.panel)}, as a table`));
    });
    this.#foot.after(place);
    return toggle;
  }
}
