// Squares over a picture, painted one by one or in a stroke. The value is the text of their numbers: "1-8, 12"; "" is none.

import { button, h, say as write, strokes } from "./dom.js";

/** "1-3, 5" -> Set(0, 1, 2, 4); what is no number of a square is passed over, the lab says so when it is run. */
function read(text, count) {
  const found = new Set();
  for (const part of String(text || "").split(/[,;]/)) {
    const [, first, last] = /^\s*(\d+)\s*(?:-\s*(\d+))?\s*$/.exec(part) || [];
    for (let i = Number(first); i <= Math.min(count, Number(last || first)); i++) if (i >= 1) found.add(i - 1);
  }
  return found;
}

/** Set(0, 1, 2, 4) -> "1-3, 5" */
function told(painted) {
  const parts = [];
  for (const i of [...painted].sort((a, b) => a - b)) {
    const end = parts.at(-1);
    if (end && end[1] === i) end[1] = i + 1;
    else parts.push([i + 1, i + 1]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(", ");
}

export function mount(place, { aria, info, side, under, scripts, say }) {
  const count = side * side;
  let painted = new Set();
  let stroke = null; // true: paints, false: wipes
  let at = 0;
  const squares = Array.from({ length: count }, (_, i) =>
    h("button", { type: "button", class: "gb-patch", tabindex: i ? -1 : 0, "aria-pressed": "false", "aria-label": `patch ${i + 1}` }),
  );
  const board = h("div", { class: "gb-patches-board", role: "group", "aria-label": aria }, squares);
  board.style.setProperty("--side", side);
  if (under) board.style.backgroundImage = `url("${new URL(scripts + under, document.baseURI)}")`;
  const words = h("span", { class: "gb-patches-word", role: "status" });
  const clear = button("Clear", () => settle(new Set()));
  place.replaceChildren(
    h("span", { class: "gb-patches-title" }, aria),
    h("span", { class: "gb-patches-info" }, info),
    board,
    h("div", { class: "gb-patches-foot" }, words, clear),
  );

  function draw() {
    squares.forEach((square, i) => square.setAttribute("aria-pressed", String(painted.has(i))));
    write(words, painted.size ? `${painted.size} of ${count}: ${told(painted)}` : "none painted");
  }

  function settle(next) {
    painted = next;
    draw();
    say(told(painted));
  }

  function paint(i) {
    if (stroke) painted.add(i);
    else painted.delete(i);
    draw();
  }

  const below = (event) => squares.indexOf(document.elementFromPoint(event.clientX, event.clientY));
  const lift = () => {
    stroke = null;
    say(told(painted));
  };
  strokes(board, {
    down(event) {
      const i = below(event);
      if (i < 0) return false;
      stroke = !painted.has(i);
      paint(i);
      go(i);
    },
    move(event) {
      const i = below(event);
      if (i >= 0) paint(i);
    },
    lift,
  });

  function go(i) {
    squares[at].tabIndex = -1;
    at = i;
    squares[at].tabIndex = 0;
    squares[at].focus({ preventScroll: true });
  }

  board.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side }[event.key];
    if (step && at + step >= 0 && at + step < count) go(at + step);
    else if (event.key === " " || event.key === "Enter") {
      stroke = !painted.has(at);
      paint(at);
      lift();
    } else if (!step) return;
    event.preventDefault();
  });
  draw();

  return {
    show(value) {
      if (stroke !== null) return;
      painted = read(value, count);
      draw();
    },
  };
}
