// The pool as a board: a row of small blocks above a row of large ones. Pressing a small block ends the lower part of the path
// there, pressing a large one begins the upper part there.

import { button, h } from "../../dom.js";
import { card } from "../../panel.js";

/** Shows the table event { blocks, small, large }: counted from 0, -1 for none. */
class BoardPanel {
  #place = h("div", { class: "gb-board" });

  constructor(panel, context) {
    this.panel = panel;
    this.element = card(panel, "board", this.#place);
    this.board = mountBoard(this.#place, (small, large) => context.onPoint({ panel: panel.name, custom: { last_small: small, first_large: large } }));
  }

  update(sight) {
    const event = sight.state?.tables[this.panel.name];
    if (event && event !== this.last) this.board.show(event);
    this.last = event;
  }

  redraw() {}
  close() {}
}

export const panels = { board: BoardPanel };

function mountBoard(place, onWay) {
  let now = null;

  function row(name, title, lit, press) {
    const tiles = Array.from({ length: now.blocks }, (_, i) =>
      h(
        "button",
        {
          type: "button",
          class: `gb-block gb-block--${name}${lit(i) ? " gb-block--lit" : ""}${reachable(name, i) ? "" : " gb-block--free"}`,
          "aria-pressed": String(lit(i)),
          "aria-label": `${title}, block ${i + 1}${lit(i) ? ", on the path" : ""}${reachable(name, i) ? "" : ", never trained with this stitch"}`,
          title: reachable(name, i) ? null : "Too far away: no stitch was trained for this pair. It works, but badly.",
          onclick: () => press(i),
        },
        String(i + 1),
      ),
    );
    return h("div", { class: "gb-board-row" }, h("span", { class: "gb-board-name" }, title), h("div", { class: "gb-board-blocks" }, tiles));
  }

  // A stitch was trained only where both ends are at most one block apart.
  function reachable(name, i) {
    if (name === "large" && now.small >= 0) return Math.abs(i - now.small) <= 1;
    return true;
  }

  function go(small, large) {
    now = { ...now, small, large };
    draw();
    onWay(small, large);
  }

  function draw() {
    const { blocks, small, large } = now;
    const focused = [...place.querySelectorAll("button")].indexOf(document.activeElement);
    place.replaceChildren(
      row("small", "Small model", (i) => i <= small, (i) => go(i, large < 0 || small < 0 ? Math.min(i + 1, blocks - 1) : large)),
      h("p", { class: "gb-board-stitch" }, small >= 0 && large >= 0 ? `↓ stitch from small block ${small + 1} to large block ${large + 1}` : "no stitch"),
      row("large", "Large model", (i) => large >= 0 && i >= large, (i) => go(small < 0 ? Math.max(i - 1, 0) : small, i)),
      h(
        "div",
        { class: "gb-board-alone" },
        button("Small model alone", () => go(blocks - 1, -1), { "aria-pressed": String(large < 0) }),
        button("Large model alone", () => go(-1, 0), { "aria-pressed": String(small < 0) }),
      ),
    );
    if (focused >= 0) place.querySelectorAll("button")[focused]?.focus();
  }

  return {
    show(value) {
      if (!value) return;
      now = value;
      draw();
    },
  };
}
