// From the state of a run to Plotly figures, and from any figure to a table. Numbers in, plain data out.

import { points } from "./state.js";

/**
 * The series of a chart panel as a figure. `whole` is the state at the end of what is known: an invisible pair of points
 * holds its extent, so that scrubbing back does not rescale the axes. `pinned` is `{ label, state }` or null.
 * A series looks as the panel says, or takes the next colour under its own name.
 */
export function chart(panel, state, whole, pinned, colours) {
  const names = panel.metrics?.length ? panel.metrics : Object.keys(whole.metrics);
  const data = [];
  names.forEach((name, i) => {
    const { label, colour, dash } = lookOf(panel, name, colours[i % colours.length]);
    const old = pinned?.state.metrics[name];
    if (old) data.push({ ...line(`pinned: ${label} (${pinned.label})`, old, colour, "dash"), opacity: 0.75 });
    data.push(line(label, state.metrics[name], colour, dash));
  });
  const every = names
    .flatMap((name) => [whole.metrics[name], pinned?.state.metrics[name]])
    .filter(Boolean)
    .map(points);
  const [x, y] = [extent(every.flatMap((series) => series.x)), extent(every.flatMap((series) => series.y))];
  const odd = farOff(panel, whole, pinned);
  if (x && y) data.push({ type: "scatter", mode: "markers", x, y, opacity: 0, hoverinfo: "skip", showlegend: false, meta: "extent" });
  return {
    data,
    layout: {
      showlegend: false,
      hovermode: "x unified",
      xaxis: { title: { text: panel.x || "step" }, rangemode: "tozero" },
      yaxis: { title: { text: panel.y || units(names, whole) }, ...(odd ? { range: odd.range } : {}) },
    },
  };
}

const CRUSHED = 0.3; // of the height of a picture

/**
 * The one series that would press all others of a chart into a small part of its height, or null: `{ name, from, to, above, range }`, with
 * the range of the axis that shows the others. It must stand apart from them from beginning to end, so that no piece of a curve is lost.
 */
export function farOff(panel, whole, pinned) {
  const names = panel.metrics?.length ? panel.metrics : Object.keys(whole.metrics);
  const found = names
    .map((name) => [whole.metrics[name], pinned?.state.metrics[name]].filter(Boolean).flatMap((series) => points(series).y))
    .map((values, i) => ({ name: names[i], y: extent(values) }))
    .filter(({ y }) => y);
  if (found.length < 3) return null;
  for (const { name, y } of found) {
    const [low, high] = extent(found.filter((one) => one.name !== name).flatMap((one) => one.y));
    const [above, below] = [y[0] > high, y[1] < low];
    if ((!above && !below) || high - low >= CRUSHED * (Math.max(high, y[1]) - Math.min(low, y[0]))) continue;
    const room = 0.06 * (high - low || Math.abs(high) || 1);
    return { name, from: y[0], to: y[1], above, range: [low - room, high + room] };
  }
  return null;
}

/** What a series is called and how it is drawn: `{ label, colour, dash }`. */
export function lookOf(panel, name, otherwise) {
  const { label = name, colour = otherwise, dash = "solid" } = panel.looks?.[name] ?? {};
  return { label, colour, dash };
}

function line(name, series, colour, dash) {
  const { x, y } = points(series);
  const mode = x.length > 60 || dash !== "solid" ? "lines" : "lines+markers";
  return {
    type: "scatter",
    mode,
    name,
    x,
    y,
    line: { color: colour, dash, width: 2.5 },
    marker: { color: colour, size: 5 },
    opacity: 1,
  };
}

function extent(values) {
  const finite = values.filter((value) => typeof value === "number" && Number.isFinite(value));
  if (!finite.length) return null;
  return finite.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
}

function units(names, state) {
  return [...new Set(names.map((name) => state.metrics[name]?.unit).filter(Boolean))].join(", ");
}

const TYPED = {
  f8: Float64Array,
  f4: Float32Array,
  i4: Int32Array,
  u4: Uint32Array,
  i2: Int16Array,
  u2: Uint16Array,
  i1: Int8Array,
  u1: Uint8Array,
  u1c: Uint8ClampedArray,
};

/** A list of Plotly JSON: plain, or packed as base64 by Plotly's Python side. Two dimensions come back as rows. */
export function list(value) {
  if (Array.isArray(value)) return value;
  if (!value?.bdata || !TYPED[value.dtype]) return [];
  const bytes = Uint8Array.from(atob(value.bdata), (letter) => letter.charCodeAt(0));
  const flat = Array.from(new TYPED[value.dtype](bytes.buffer));
  const shape = value.shape ? String(value.shape).split(",").map(Number) : [flat.length];
  if (shape.length < 2) return flat;
  return Array.from({ length: shape[0] }, (_, row) => flat.slice(row * shape[1], (row + 1) * shape[1]));
}

const titled = (axis, otherwise) => (typeof axis?.title === "string" ? axis.title : axis?.title?.text) || otherwise;

/** Plotly's own spelling of a label as people read it: without its few tags, with real brackets. */
export function plain(value) {
  if (typeof value !== "string") return value;
  return value
    .replace(/<br\s*\/?>/gi, " ")
    .replace(/<\/?(?:b|i|sub|sup|extra)\s*\/?>/gi, "")
    .replace(/&lt;/g, "<")
    .replace(/&gt;/g, ">")
    .replace(/&amp;/g, "&");
}

/** The numbers of a figure as `{ columns, rows }`: one row per x where the traces share it, else one row per point. */
export function asTable(figure) {
  const { columns, rows } = rawTable(figure);
  return { columns: columns.map(plain), rows: rows.map((row) => row.map(plain)) };
}

function rawTable({ data = [], layout = {} }) {
  const traces = data.filter((trace) => trace.meta !== "extent" && trace.visible !== false);
  const grids = traces.filter((trace) => trace.z);
  if (grids.length) return heatTable(grids);
  if (traces.some((trace) => trace.labels)) return sliceTable(traces);
  const flipped = traces.some((trace) => trace.orientation === "h");
  const x = titled(layout[flipped ? "yaxis" : "xaxis"], flipped ? "y" : "x");
  const y = titled(layout[flipped ? "xaxis" : "yaxis"], flipped ? "x" : "y");
  const series = traces.map((trace, i) => pairs(trace, trace.orientation === "h", trace.name || `series ${i + 1}`));
  const keys = series[0]?.keys || [];
  const shared = series.every(
    (one) =>
      !one.extra &&
      unique(one.keys) &&
      (one.keys.length === keys.length || traces.length > 1) &&
      one.keys.every((key) => typeof key !== "object"),
  );
  return shared && series.length ? sideBySide(series, x, y) : onePerPoint(series, x, y);
}

const unique = (values) => new Set(values).size === values.length;

function pairs(trace, flipped, name) {
  const values = list(flipped ? trace.x : trace.y);
  const given = list(flipped ? trace.y : trace.x);
  const keys = given.length ? given : values.map((_, i) => i);
  const bars = trace[flipped ? "error_x" : "error_y"];
  const plus = list(bars?.array);
  const minus = bars?.symmetric === false || bars?.arrayminus ? list(bars.arrayminus) : plus;
  const extra = plus.length ? values.map((value, i) => [value - (minus[i] ?? 0), value + (plus[i] ?? 0)]) : null;
  const there = keys.map((_, i) => i).filter((i) => keys[i] !== null); // a gap between two lines of one trace is no point
  const at = (list) => there.map((i) => list[i]);
  return { name, keys: at(keys), values: at(values), extra: extra && at(extra) };
}

function sideBySide(series, x, y) {
  const keys = [...new Set(series.flatMap((one) => one.keys))];
  if (keys.every((key) => typeof key === "number")) keys.sort((a, b) => a - b);
  const found = series.map((one) => new Map(one.keys.map((key, i) => [key, one.values[i]])));
  const columns = [x, ...series.map((one) => (series.length === 1 && one.name === "series 1" ? y : one.name))];
  return { columns, rows: keys.map((key) => [key, ...found.map((values) => values.get(key) ?? null)]) };
}

function onePerPoint(series, x, y) {
  const interval = series.some((one) => one.extra);
  const columns = ["series", x, y, ...(interval ? ["from", "to"] : [])];
  const rows = series.flatMap((one) =>
    one.keys.map((key, i) => [one.name, key, one.values[i] ?? null, ...(interval ? one.extra?.[i] || [null, null] : [])]),
  );
  return { columns, rows };
}

// Several maps side by side stand under each other, each row with the name of its map; cells in words where the map has words.
function heatTable(grids) {
  const head = list(grids[0].z)[0] || [];
  const x = list(grids[0].x);
  const many = grids.length > 1;
  const rows = grids.flatMap((trace) => {
    const words = trace.texttemplate ? [] : list(trace.text);
    const y = list(trace.y);
    return list(trace.z).map((values, i) => [
      ...(many ? [trace.name || ""] : []),
      y[i] ?? i,
      ...list(values).map((value, j) => words[i]?.[j] ?? value),
    ]);
  });
  return { columns: [...(many ? ["", ""] : [""]), ...head.map((_, i) => x[i] ?? i)], rows };
}

function sliceTable(traces) {
  const rows = traces.flatMap((trace) => list(trace.labels).map((label, i) => [label, list(trace.values)[i] ?? null]));
  return { columns: ["label", "value"], rows };
}

/** `figure` with those rows alone that are named `names`; the figure itself where it has none of them. */
export function onlyRows(figure, names) {
  const data = (figure.data || []).map((trace) => {
    const rows = list(trace.y);
    const kept = rows.map((_, i) => i).filter((i) => names.includes(rows[i]));
    const at = (values) => (Array.isArray(values) || values?.bdata ? kept.map((i) => list(values)[i]) : values);
    const marker = trace.marker && { ...trace.marker, color: at(trace.marker.color) };
    return { ...trace, x: at(trace.x), y: at(trace.y), customdata: at(trace.customdata), ...(marker ? { marker } : {}) };
  });
  return data.some((trace) => trace.y?.length) ? { ...figure, data } : figure;
}

const onAxis = (figure) => JSON.stringify(list(figure.layout?.xaxis?.ticktext ?? []));

/**
 * `figure` with the pinned run's one drawn into it: lines dashed, bars hatched, one entry of the legend for all of them. Where they
 * stand over other things (the words of another text), the pinned ones get a row and an axis of their own. Null for kinds where two in
 * one picture would hide each other (heat maps, pies, two rows with two scales): those are looked at in turn.
 */
export function overlay(figure, pinned, label, colours) {
  const kind = (trace) => trace.type || "scatter";
  const every = [...(figure.data || []), ...(pinned.data || [])];
  if (!every.every((trace) => ["scatter", "scattergl", "bar"].includes(kind(trace)))) return null;
  const apart = onAxis(figure) !== onAxis(pinned);
  if (apart && every.some((trace) => trace.yaxis || trace.xaxis)) return null;
  const place = apart ? { xaxis: "x2", yaxis: "y2" } : {};
  const colour = (trace, i) =>
    [trace.line?.color, trace.marker?.color].find((own) => typeof own === "string") || colours[i % colours.length];
  const olds = (pinned.data || []).map((trace, i) => {
    const name = `pinned: ${trace.name || `series ${i + 1}`} (${label})`;
    if (kind(trace) === "bar")
      return { ...trace, ...place, name, showlegend: false, opacity: 0.6, marker: { color: colour(trace, i), pattern: { shape: "/", solidity: 0.35 } } };
    return {
      ...trace,
      ...place,
      name,
      showlegend: false,
      opacity: 0.75,
      line: { ...trace.line, color: colour(trace, i), dash: "dash" },
      marker: { ...trace.marker, color: colour(trace, i), symbol: "circle-open" },
    };
  });
  const hatched = olds.some((trace) => kind(trace) === "bar");
  const word = {
    name: `${hatched ? "hatched" : "dashed"} = pinned: ${label}`, type: "scatter", mode: "lines", x: [null], y: [null], meta: "extent",
    line: { color: "#596065", dash: hatched ? "solid" : "dash" },
  };
  const rows = apart && {
    xaxis: { ...figure.layout?.xaxis, anchor: "y" },
    yaxis: { ...figure.layout?.yaxis, domain: [0.58, 1] },
    xaxis2: { ...pinned.layout?.xaxis, anchor: "y2" },
    yaxis2: { ...pinned.layout?.yaxis, domain: [0, 0.36], anchor: "x2" },
  };
  return { data: [...(figure.data || []), ...olds, word], layout: { ...figure.layout, ...rows, showlegend: true } };
}
