// Words and numbers of a picture so that they can be read: none runs into the next, none is smaller than it may be.

import { list } from "./figures.js";

export const BREAK = /<br\s*\/?>/;
const BREAKS = /<br\s*\/?>/g;
// What stands beside an axis: ticks, legend and margins take about that many pixels of the picture.
export const BESIDE = 90;
export const LETTER = 0.55; // the width of a letter, in font sizes
const SMALLEST = 11; // letters in the cells of a map, on a narrow screen
const NARROW = 480;
const LONG = 16; // letters of a row's name
const ROUND = [1, 2, 5];

/** `{ data, layout }` of a themed figure, with ticks and words that have room. */
export function readable(layout, data, ink) {
  return { data: withRoom(layout, data, ink), layout: apart(inOneLine(shorter(wholeNumbers(layout, data), data, ink), data, ink), data, ink) };
}

const mine = (data, key) => data.filter((trace) => (trace[`${key[0]}axis`] ?? key[0]) === key.replace("axis", ""));

function names(data, key) {
  return [...new Set(mine(data, key).flatMap((trace) => list(trace[key[0]])))];
}

/** On a scale of powers the numbers in between are as large as the others; over many powers only those are said. */
function wholeNumbers(layout, data) {
  for (const key of Object.keys(layout).filter((one) => /^[xy]axis\d*$/.test(one))) {
    const axis = layout[key];
    const values = names(data, key).filter((value) => typeof value === "number" && value > 0);
    if (axis.type !== "log" || axis.tickvals || axis.dtick || !values.length) continue;
    const [low, high] = (axis.range ?? [Math.log10(Math.min(...values)), Math.log10(Math.max(...values))]).map(Number);
    const every = high - low > 2.5 ? [1] : ROUND;
    const from = Math.floor(low) - 1;
    const tickvals = Array.from({ length: Math.ceil(high) + 2 - from }, (_, i) => every.map((one) => one * 10 ** (from + i))).flat();
    Object.assign(axis, { tickmode: "array", tickvals, ticktext: tickvals.map(said) });
  }
  return layout;
}

function said(value) {
  const large = [[1e9, "G"], [1e6, "M"], [1e3, "k"]].find(([size]) => value >= size);
  return large ? `${Number((value / large[0]).toPrecision(2))}${large[1]}` : String(Number(value.toPrecision(2)));
}

/** On a narrow screen the cells of a map are shown without words that would be too small to read: pressing or the table tells them. */
function withRoom(layout, data, ink) {
  if (ink.width >= NARROW) return data;
  return data.map((trace) => {
    if (!trace.texttemplate || !/^heatmap/.test(trace.type ?? "")) return trace;
    const [from, to] = layout[(trace.xaxis ?? "x").replace("x", "xaxis")]?.domain ?? [0, 1];
    const cells = Array.isArray(trace.z) ? trace.z[0]?.length : Number(String(trace.z?.shape ?? "").split(",")[1]);
    const words = (Array.isArray(trace.text) ? trace.text : trace.z?.bdata ? [] : trace.z).flat().map((one) => String(one ?? "").length);
    const longest = Math.min(8, Math.max(3, ...words.slice(0, 500)));
    const room = ((to - from) * (ink.width - BESIDE)) / (cells || 1);
    return room < longest * LETTER * SMALLEST ? { ...trace, texttemplate: "" } : trace;
  });
}

/** `text` in lines of at most `most` letters; a longer word stays whole, and so do the line ends of its own. */
export function inLines(text, most) {
  const fill = (lines, word) => {
    const last = lines.at(-1);
    if (last && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
    return lines;
  };
  return String(text)
    .split(BREAK)
    .flatMap((line) => line.split(" ").reduce(fill, []))
    .join("<br>");
}

/** Long names of rows leave room for the picture: on a narrow screen in several lines, where the rows are high enough. */
function shorter(layout, data, ink) {
  for (const key of Object.keys(layout).filter((one) => /^yaxis\d*$/.test(one))) {
    const axis = layout[key];
    const words = axis.type === "category" && !axis.ticktext ? names(data, key) : [];
    if (ink.width >= NARROW || !words.some((word) => String(word).length > LONG)) continue;
    const lines = words.map((word) => inLines(word, LONG));
    const [from, to] = axis.domain ?? [0, 1];
    const room = ((to - from) * (ink.height - 1.5 * BESIDE)) / words.length;
    if (room < Math.max(...lines.map((line) => line.split(BREAK).length)) * 1.3 * axis.tickfont.size) continue;
    Object.assign(axis, { tickmode: "array", tickvals: words, ticktext: lines });
  }
  return layout;
}

/** Names of rows in one line each, where two lines would run into the row below. */
function inOneLine(layout, data, ink) {
  for (const key of Object.keys(layout).filter((one) => /^yaxis\d*$/.test(one))) {
    const axis = layout[key];
    const mine = data.filter((trace) => (trace.yaxis ?? "y") === key.replace("axis", "") && Array.isArray(trace.y));
    const names = axis.ticktext ?? axis.categoryarray ?? [...new Set(mine.flatMap((trace) => trace.y))];
    if (!Array.isArray(names) || !names.some((name) => BREAK.test(name))) continue;
    const [from, to] = axis.domain ?? [0, 1];
    const room = ((to - from) * (ink.height - 1.5 * BESIDE)) / names.length; // a legend stands above, a title below
    const lines = Math.max(...names.map((name) => String(name).split(BREAK).length));
    if (room >= lines * 1.3 * axis.tickfont.size) continue;
    Object.assign(axis, { tickmode: "array", tickvals: axis.tickvals ?? names, ticktext: names.map((name) => String(name).replaceAll(BREAKS, " ")) });
  }
  return layout;
}

/** Words under an axis that would run into each other stand upright, and where even that is too narrow only every second or third is said. */
function apart(layout, data, ink) {
  for (const key of Object.keys(layout).filter((one) => /^xaxis\d*$/.test(one))) {
    const { tickangle, tickfont, type, domain: [from, to] = [0, 1] } = layout[key];
    const own = type === "category" && !layout[key].ticktext ? names(data, key) : null;
    const { ticktext = own, tickvals = own } = layout[key];
    if (!Array.isArray(ticktext) || ticktext.length < 2 || tickangle !== undefined) continue;
    const step = ((to - from) * Math.max(0, ink.width - BESIDE)) / ticktext.length;
    const lines = ticktext.flatMap((word) => String(word).split(BREAK));
    if ((Math.max(...lines.map((line) => line.length)) + 1) * LETTER * tickfont.size <= step) continue;
    const every = Math.ceil((1.3 * tickfont.size) / step); // names of rows may take more than BESIDE
    const kept = (list) => list.filter((_, i) => i % every === 0);
    Object.assign(layout[key], { tickmode: "array", tickangle: -90, ticktext: kept(ticktext), tickvals: kept(tickvals ?? ticktext.map((_, i) => i)) });
  }
  return layout;
}
