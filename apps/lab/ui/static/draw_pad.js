// A square to draw on. What was drawn is its value: 64 rows of 64 numbers, 0 paper to 255 ink; null is an empty square.

import { button, h, strokes } from "./dom.js";

const SIDE = 64;
const LARGE = 256,
  PEN = 20;

export function mount(place, { aria, say }) {
  const paper = h("canvas", { width: LARGE, height: LARGE, class: "gb-pad-paper", role: "img", "aria-label": aria });
  const word = h("span", { class: "gb-pad-word" }, aria);
  const clear = button("Clear", () => {
    wipe();
    say(null);
  });
  place.replaceChildren(h("div", { class: "gb-pad-frame" }, paper, word), clear);
  const pen = paper.getContext("2d", { willReadFrequently: true });
  let from = null;

  function wipe() {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, LARGE, LARGE);
    word.hidden = false;
  }

  function send() {
    const small = h("canvas", { width: SIDE, height: SIDE }).getContext("2d", { willReadFrequently: true });
    small.imageSmoothingQuality = "high";
    small.drawImage(paper, 0, 0, SIDE, SIDE);
    const bytes = small.getImageData(0, 0, SIDE, SIDE).data;
    say(Array.from({ length: SIDE }, (_, y) => Array.from({ length: SIDE }, (_, x) => bytes[4 * (SIDE * y + x)])));
  }

  function point(event) {
    const box = paper.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * LARGE, ((event.clientY - box.top) / box.height) * LARGE];
  }

  function stroke(to) {
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: PEN, lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...(from || to));
    pen.lineTo(to[0] + 0.1, to[1]); // a line of no length would leave no dot
    pen.stroke();
    from = to;
  }

  strokes(paper, {
    down(event) {
      word.hidden = true;
      stroke(point(event));
    },
    move: (event) => stroke(point(event)),
    lift() {
      from = null;
      send();
    },
  });
  wipe();

  return {
    show(value) {
      if (!value) wipe();
    },
  };
}
