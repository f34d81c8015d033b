// What belongs together in the panels of one desk: a token of a strip, a point, bar or cell of a figure, a row of a table.
//
// Each carries the same fact as its `customdata`, an object such as { token: 3 } or { layer: 2, head: 1 }. Whoever points at one lights
// all that agree with it; the same object, pressed, sets the fields of the desk that have these names.

import { list } from "./figures.js";

const PINK = "#B0558A"; // what is pointed at, on the whole site

/** The object in a `customdata`, wherever Plotly has wrapped it; null when there is none. */
export function factOf(custom) {
  if (Array.isArray(custom)) return factOf(custom.find((one) => one && typeof one === "object") ?? null);
  return custom && typeof custom === "object" ? custom : null;
}

/** Whether two facts speak of the same thing: they share a name, and what they share is equal. */
export function agree(a, b) {
  if (!a || !b) return false;
  const shared = Object.keys(a).filter((name) => name in b);
  return shared.length > 0 && shared.every((name) => a[name] === b[name]);
}

/** A copy of `figure` in which everything that agrees with `fact` stands out; without such the figure itself. */
export function lit(figure, fact) {
  if (!fact) return figure;
  const rings = [];
  const frames = [];
  for (const trace of figure.data ?? []) {
    const custom = trace.customdata;
    if (!Array.isArray(custom) || trace.visible === false) continue;
    if (trace.z) frames.push(...framed(trace, custom, fact));
    else rings.push(...ringed(trace, custom, fact));
  }
  if (!rings.length && !frames.length) return figure;
  const layout = { ...figure.layout, shapes: [...(figure.layout?.shapes ?? []), ...frames] };
  return { ...figure, data: [...figure.data, ...rings], layout };
}

// A ring around every point or end of a bar that agrees.
function ringed(trace, custom, fact) {
  const at = custom.map((one, i) => (agree(factOf(one), fact) ? i : -1)).filter((i) => i >= 0);
  if (!at.length) return [];
  const [x, y] = [list(trace.x), list(trace.y)];
  const marker = { symbol: "circle-open", size: 15, color: PINK, line: { width: 3, color: PINK } };
  const where = { xaxis: trace.xaxis ?? "x", yaxis: trace.yaxis ?? "y" };
  const points = { x: at.map((i) => x[i] ?? i), y: at.map((i) => y[i] ?? i) };
  return [{ type: "scatter", mode: "markers", ...points, ...where, marker, showlegend: false, hoverinfo: "skip", meta: "lit" }];
}

// A frame around the cells of a map that agree: they stand together, as a column, a row or one cell.
function framed(trace, custom, fact) {
  const rows = custom.map((row) => (Array.isArray(row) ? row : [row]));
  const hits = rows.flatMap((row, y) => row.flatMap((one, x) => (agree(factOf(one), fact) ? [[x, y]] : [])));
  if (!hits.length) return [];
  const [across, up] = [0, 1].map((i) => hits.map((hit) => hit[i]));
  const edge = (values, from, i) => {
    const value = values[i];
    return typeof value === "number" ? value + from : i + from; // names of an axis are counted from 0
  };
  const [xs, ys] = [list(trace.x ?? []), list(trace.y ?? [])];
  return [
    {
      type: "rect",
      xref: trace.xaxis ?? "x",
      yref: trace.yaxis ?? "y",
      x0: edge(xs, -0.5, Math.min(...across)),
      x1: edge(xs, 0.5, Math.max(...across)),
      y0: edge(ys, -0.5, Math.min(...up)),
      y1: edge(ys, 0.5, Math.max(...up)),
      line: { color: PINK, width: 3 },
    },
  ];
}
