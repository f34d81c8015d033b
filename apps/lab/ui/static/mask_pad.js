// A picture to paint over, with a brush or with four typed numbers. The value is a text: core/emotion/region.py says what it means.

import { button, h, say as write, strokes } from "./dom.js";

const SIDE = 32; // cells along each side, 4 to a hex digit
const BRUSH = "brush:";
const SIZES = { small: 1.2, medium: 2.4, large: 4.5 }; // radius in cells

export function mount(place, { say, tell }) {
  let cells = new Uint8Array(SIDE * SIDE),
    painting = 1,
    size = SIZES.medium,
    from = null;
  const below = h("img", { class: "gb-mask-picture", alt: "", draggable: "false" });
  const paper = h("canvas", { width: SIDE * 8, height: SIDE * 8, class: "gb-mask-paper", role: "img", "aria-label": "Paint over the picture where edits are allowed" });
  const box = h("input", { type: "text", class: "gb-mask-box", maxlength: "60", placeholder: "for example 20 10 70 60", onchange: () => typed() });
  const said = h("p", { class: "gb-mask-said", role: "status" });
  const modes = [button("Paint", () => turn(1)), button("Rub out", () => turn(0))];
  const sizes = h("select", { "aria-label": "Size of the brush", onchange: () => (size = SIZES[sizes.value]) }, ...Object.keys(SIZES).map((name) => h("option", { value: name, selected: name === "medium" }, name)));
  const clear = button("Clear", () => {
    cells.fill(0);
    box.value = "";
    draw();
    say({ region: "" });
  });
  place.replaceChildren(
    h("div", { class: "gb-mask-frame" }, below, paper),
    h("div", { class: "gb-mask-tools" }, ...modes, sizes, clear),
    h("label", {}, h("span", {}, "Or a box: left, top, right, bottom in percent"), box),
    said,
  );
  const pen = paper.getContext("2d");

  function turn(on) {
    painting = on;
    modes.forEach((one, i) => one.setAttribute("aria-pressed", String(on === 1 - i)));
  }

  function draw() {
    pen.clearRect(0, 0, paper.width, paper.height);
    pen.fillStyle = "rgba(0, 114, 178, .62)";
    const rest = numbers();
    if (rest) pen.fillRect(...[rest[0], rest[1], rest[2] - rest[0], rest[3] - rest[1]].map((one) => (one * paper.width) / 100));
    else cells.forEach((on, i) => on && pen.fillRect((i % SIDE) * 8, Math.floor(i / SIDE) * 8, 8, 8));
    const share = rest ? ((rest[2] - rest[0]) * (rest[3] - rest[1])) / 1e4 : cells.reduce((sum, on) => sum + on, 0) / cells.length;
    write(said, share ? `Marked: ${Math.max(1, Math.round(100 * share))} % of the picture. Edits stay inside.` : "Nothing is marked yet.");
  }

  const numbers = () => {
    const found = box.value.split(/[\s,;%]+/).filter(Boolean).map(Number);
    return found.length === 4 && found.every((one) => one >= 0 && one <= 100) && found[0] < found[2] && found[1] < found[3] ? found : null;
  };

  function typed() {
    cells.fill(0);
    draw();
    say({ region: box.value.trim() });
  }

  function text() {
    let words = BRUSH;
    for (let i = 0; i < cells.length; i += 4) words += (cells[i] * 8 + cells[i + 1] * 4 + cells[i + 2] * 2 + cells[i + 3]).toString(16);
    return cells.some(Boolean) ? words : "";
  }

  function read(region) {
    cells.fill(0);
    if (region.startsWith(BRUSH)) [...region.slice(BRUSH.length)].forEach((digit, i) => [8, 4, 2, 1].forEach((bit, k) => (cells[4 * i + k] = parseInt(digit, 16) & bit ? 1 : 0)));
    box.value = region.startsWith(BRUSH) ? "" : region;
    draw();
  }

  function point(event) {
    const frame = paper.getBoundingClientRect();
    return [((event.clientX - frame.left) / frame.width) * SIDE, ((event.clientY - frame.top) / frame.height) * SIDE];
  }

  function stroke(to) {
    const start = from ?? to,
      steps = Math.max(1, Math.ceil(2 * Math.hypot(to[0] - start[0], to[1] - start[1])));
    for (let k = 0; k <= steps; k++) dab(start[0] + ((to[0] - start[0]) * k) / steps, start[1] + ((to[1] - start[1]) * k) / steps);
    from = to;
    box.value = "";
    draw();
  }

  function dab(x, y) {
    for (let row = 0; row < SIDE; row++) for (let column = 0; column < SIDE; column++) if (Math.hypot(column + 0.5 - x, row + 0.5 - y) <= size) cells[row * SIDE + column] = painting;
  }

  strokes(paper, {
    down(event) {
      event.preventDefault();
      stroke(point(event));
    },
    move: (event) => stroke(point(event)),
    lift() {
      from = null;
      say({ region: text() });
    },
  });
  turn(1);
  draw();
  // What lies below is asked for when somebody can see it.
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((one) => one.isIntersecting)) return;
    seen.disconnect();
    tell("wanted");
  });
  seen.observe(place);

  return {
    show(value) {
      const { picture, region = "" } = value ?? {};
      if (picture && below.getAttribute("src") !== picture) below.src = picture;
      if (!from && region !== text() && region !== box.value) read(region);
    },
  };
}
