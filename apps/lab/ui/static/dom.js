// Small helpers to build the page. Text is always set as text, never parsed as HTML.
//
//   h("button", { class: "gb-button", onclick: stop }, icon("stop"), "Stop")

/** An element. Properties starting with "on" are listeners, `null` and `false` are left out, the rest are attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const ICONS = {
  play: "M7 5v14l12-7z",
  pause: "M7 5h4v14H7zM13 5h4v14h-4z",
  back: "M6 5h3v14H6zM20 5v14l-10-7z",
  forward: "M15 5h3v14h-3zM4 5v14l10-7z",
  live: "M12 8a4 4 0 100 8 4 4 0 000-8z",
  stop: "M6 6h12v12H6z",
  pin: "M9 3h6l-1 7 4 4v2h-5v5l-1 1-1-1v-5H6v-2l4-4z",
  present: "M3 4h18v12h-8v2h4v2H7v-2h4v-2H3zM5 6v8h14V6z",
  close: "M5 7l2-2 5 5 5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5z",
  again: "M12 4a8 8 0 1 1-7.5 5.2l1.9.7A6 6 0 1 0 12 6v3L7 5l5-4z",
};

/** One of the icons above, hidden from screen readers: the button that holds it needs a name. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of [
    ["viewBox", "0 0 24 24"],
    ["aria-hidden", "true"],
    ["class", "gb-icon"],
  ])
    svg.setAttribute(key, value);
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button. `label` is its name; with `{ hidden: true }` only the icon is seen. */
export function button(label, onclick, { icon: name = null, kind = "", hidden = false, ...more } = {}) {
  return h(
    "button",
    {
      type: "button",
      class: `gb-button ${kind}`.trim(),
      onclick,
      "aria-label": hidden ? label : null,
      title: hidden ? label : null,
      ...more,
    },
    name && icon(name),
    hidden ? null : h("span", {}, label),
  );
}

/** Changes what a button of `button()` says and shows. */
export function relabel(element, label, name = null) {
  const words = element.querySelector("span");
  if (words) say(words, label);
  else if (element.getAttribute("aria-label") !== label) {
    element.setAttribute("aria-label", label);
    element.title = label;
  }
  const path = name && element.querySelector("path");
  if (path && path.getAttribute("d") !== ICONS[name]) path.setAttribute("d", ICONS[name]);
}

/**
 * Follows a pen, a finger or the mouse over `element`: `down(event)` begins a stroke, unless it gives false, `move(event)` comes while it
 * lasts, and `lift()` once at its end, wherever that is.
 */
export function strokes(element, { down, move, lift }) {
  let going = false;
  element.addEventListener("pointerdown", (event) => {
    if (event.button || down(event) === false) return;
    element.setPointerCapture(event.pointerId);
    going = true;
  });
  element.addEventListener("pointermove", (event) => going && move(event));
  const end = () => {
    if (!going) return;
    going = false;
    lift();
  };
  element.addEventListener("pointerup", end);
  element.addEventListener("pointercancel", end);
}

/** Sets the text only when it differs, so that a live region speaks once. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A number as people read it: three significant digits, thousands apart; anything else as text. */
export function number(value) {
  if (typeof value !== "number") return value === null || value === undefined ? "–" : String(value);
  if (Number.isInteger(value)) return Math.abs(value) < 1e15 ? value.toLocaleString("en-GB") : value.toExponential(2);
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2);
  return size >= 1000 ? Math.round(value).toLocaleString("en-GB") : String(Number(value.toPrecision(3)));
}

/** Seconds as "0:07.3" under a minute and "2:05" above. */
export function clock(seconds) {
  const whole = Math.max(0, seconds);
  const minutes = Math.floor(whole / 60);
  if (!minutes) return `${whole.toFixed(1)} s`;
  return `${minutes}:${String(Math.floor(whole % 60)).padStart(2, "0")}`;
}

/** "about 40 s", "about 3 min" */
export function about(seconds) {
  return seconds < 90 ? `about ${Math.max(1, Math.round(seconds))} s` : `about ${Math.round(seconds / 60)} min`;
}

/** 1 -> "1st", 12 -> "12th" */
export function ordinal(place) {
  const tens = place % 100;
  const ending = tens >= 11 && tens <= 13 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[place % 10] || "th";
  return `${place}${ending}`;
}

/** "by_layer" -> "By layer" */
export function human(name) {
  const words = String(name).replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What the browser remembers for this page, or nothing where storage is switched off. */
export function remember(key, value) {
  try {
    if (value === undefined) return JSON.parse(localStorage.getItem(key));
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    /* private windows may refuse storage: the page works without */
  }
  return null;
}

/** Spaces and line ends of a token, made visible. */
export function visible(token) {
  const text = String(token ?? "")
    .replace(/\n/g, "↵")
    .replace(/\t/g, "⇥")
    .replace(/^ | $/g, "·");
  return text || "∅";
}
