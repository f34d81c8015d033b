// A square to draw on, and beside it the picture that the network gets.
//
//   const pad = mountPad(place, { label, onInk });      // onInk(64 * 64 bytes, 255 for ink)
//   pad.show({ rows, own });                            // rows: 16 x 16 numbers, -1 paper to 1 ink

import { button, h } from "./dom.js";

const SIDE = 64; // what is sent; ui/draw_pad.py has the same number
const LARGE = 256,
  PEN = 20;

export function mountPad(place, { label, onInk }) {
  const paper = h("canvas", { width: LARGE, height: LARGE, class: "gb-pad-paper", role: "img", "aria-label": label });
  const seen = h("canvas", { width: 16, height: 16, class: "gb-pad-seen", role: "img", "aria-label": "The picture as the network gets it" });
  const word = h("span", { class: "gb-pad-word" }, label);
  const clear = button("Clear", wipe);
  place.replaceChildren(
    h("div", { class: "gb-pad-frame" }, paper, word),
    h("div", { class: "gb-pad-side" }, seen, h("span", { class: "gb-quiet" }, "what the network gets"), clear),
  );
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
    onInk(Array.from({ length: SIDE * SIDE }, (_, i) => bytes[4 * i]));
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

  paper.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    paper.setPointerCapture(event.pointerId);
    word.hidden = true;
    stroke(point(event));
  });
  paper.addEventListener("pointermove", (event) => from && stroke(point(event)));
  const lift = () => {
    if (!from) return;
    from = null;
    send();
  };
  paper.addEventListener("pointerup", lift);
  paper.addEventListener("pointercancel", lift);
  wipe();

  return {
    show(value) {
      if (!value) return;
      if (!value.own) wipe();
      const eye = seen.getContext("2d");
      const picture = eye.createImageData(16, 16);
      value.rows.flat().forEach((ink, i) => picture.data.set([1, 1, 1].map((one) => one * 127.5 * (ink + 1)).concat(255), 4 * i));
      eye.putImageData(picture, 0, 0);
    },
  };
}
