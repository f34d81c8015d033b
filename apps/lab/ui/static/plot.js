// Plotly, drawn our way: loaded once from this server, themed light and dark, zoom kept while points arrive.
//
//   const plot = new Plot(place, { name: "Forget loss", onPoint });
//   plot.draw({ data, layout }, runId);      // as often as you like; drawn at most four times a second by the caller
//
// A chart is drawn once it stands less than a screen away, and what changes while it is farther away is drawn when it comes near.

import { BESIDE, LETTER, inLines, readable } from "./ticks.js";

export const PALETTE = {
  light: ["#0072B2", "#D55E00", "#6B9F7F", "#473006", "#596065", "#B0558A"],
  dark: ["#56B4E9", "#FF9F5A", "#A6DCC0", "#FEE06A", "#E4F2F6", "#B45190"],
};
// A leak, or wrong: no series has it by chance. What each of these colours says: core/plots.py.
const WRONG = { light: ["#B3261E"], dark: ["#E71626"] };
// Runs recorded before keep the shades of then: they are drawn in those of today.
const EARLIER = {
  "#00805D": "#6B9F7F", "#8A6A00": "#473006", "#50565F": "#596065", "#1B7837": "#B3261E", "#8A6FB3": "#473006",
};
// Squares of a map, with numbers on them.
const SQUARES = {
  light: ["#EAF1F7", "#A9CFE6", "#1A76AD", "#005A8C"],
  dark: ["#1F2D3A", "#2F5873", "#7CC3EC", "#A8DAF7"],
};
const PARTNER = Object.fromEntries(
  [PALETTE, WRONG, SQUARES].flatMap(({ light, dark }) => light.map((colour, i) => [colour, dark[i]])),
);
const HARMLESS = /<(?!\/?(?:br|b|i|sub|sup|extra)\s*\/?>)/gi;

let loading = null;

/** window.Plotly, loaded as a classic script at the first call, unless the head of the page has asked for it already. */
export function loadPlotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  loading ??= new Promise((resolve, reject) => {
    const early = document.getElementById("gb-plotly");
    const script = early ?? document.createElement("script");
    script.addEventListener("load", () => resolve(window.Plotly));
    script.addEventListener("error", () => {
      loading = null;
      script.remove();
      reject(new Error("The drawing library did not load."));
    });
    if (early) return;
    script.src = new URL("./plotly.min.js", import.meta.url).href;
    document.head.append(script);
  });
  return loading;
}

let queue = Promise.resolve();

/** Lets one caller after another go on, each in a task of its own, so that the page can answer in between. */
function turn() {
  queue = queue.then(() => new Promise((resolve) => setTimeout(resolve)));
  return queue;
}

function inSight(place) {
  const { top, bottom } = place.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

export function isDark() {
  return document.body.classList.contains("dark") || document.documentElement.classList.contains("dark");
}

/** A colour of the light palette, of today or of earlier, as it is now and in the dark; any other stays. */
export function shade(colour, dark) {
  const now = EARLIER[colour.toUpperCase()] ?? colour;
  return (dark && PARTNER[now.toUpperCase()]) || now;
}

/**
 * A copy of figure JSON whose strings can hold no link: Plotly reads <a href> and styles in labels, so every tag but a
 * few bare ones becomes text. In the dark, colours of the light palette become their partners.
 */
export function harmless(value, dark = false) {
  if (typeof value === "string") {
    if (value.length === 7 && value[0] === "#") return shade(value, dark);
    return value.includes("<") ? value.replace(HARMLESS, "&lt;") : value;
  }
  if (Array.isArray(value)) return value.map((item) => harmless(item, dark));
  if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, harmless(item, dark)]));
  }
  return value;
}

function inkOf(place) {
  const style = getComputedStyle(place);
  const token = (name, otherwise) => style.getPropertyValue(name).trim() || otherwise;
  return {
    text: token("--gb-ink", "#1b2430"),
    quiet: token("--gb-quiet", "#566274"),
    grid: token("--gb-line", "#dfe4ea"),
    surface: token("--gb-surface", "#ffffff"),
    size: parseFloat(token("--gb-plot-size", "13")),
    width: place.clientWidth,
    height: place.clientHeight,
    family: getComputedStyle(place).fontFamily || "system-ui, sans-serif",
  };
}

const NARROW = 480,
  BELOW = { orientation: "h", yref: "container", y: 0, yanchor: "bottom", xref: "paper", x: 0, xanchor: "left" }; // the picture first

const USUAL = 13; // the letters for which figures choose their own sizes; on a projector all are large

function sized(font, ink) {
  return font?.size && ink.size > USUAL ? { ...font, size: Math.max(ink.size - 1, (font.size * ink.size) / USUAL) } : font;
}

// A title longer than its axis would be cut off: it gets another line.
function axis(own, ink, upright = false) {
  const title = typeof own.title === "string" ? { text: own.title } : { ...own.title };
  if (title.text) {
    const [from, to] = own.domain ?? [0, 1];
    const length = Math.max(0, (upright ? ink.height : ink.width) - BESIDE) * (to - from);
    title.text = inLines(title.text, Math.max(12, Math.floor(length / (LETTER * (title.font?.size ?? ink.size)))));
  }
  return {
    automargin: true,
    gridcolor: ink.grid,
    linecolor: ink.grid,
    zerolinecolor: ink.grid,
    tickcolor: ink.grid,
    zerolinewidth: 1,
    ...own,
    title: { standoff: 8, ...title, font: { size: ink.size, color: ink.quiet, ...sized(title.font, ink) } },
    tickfont: { size: ink.size - 1, color: ink.quiet, ...sized(own.tickfont, ink) },
  };
}

/** The layout of a figure in the look of the site. The card carries the title; the template of Plotly's Python side goes. */
export function themed(layout, ink, dark, revision) {
  const { template, title, width, height, images, ...own } = layout;
  const axes = Object.fromEntries(
    Object.entries(own)
      .filter(([key]) => /^[xy]axis\d*$/.test(key))
      .map(([key, value]) => [key, axis(value, ink, key[0] === "y")]),
  );
  const touch = matchMedia("(pointer: coarse)").matches;
  return {
    xaxis: axis({}, ink),
    yaxis: axis({}, ink),
    margin: { l: 12, r: 16, t: 12, b: 12, pad: 2 },
    dragmode: touch ? false : "zoom",
    hovermode: "closest",
    colorway: PALETTE[dark ? "dark" : "light"],
    ...own,
    ...axes,
    legend: { orientation: "h", yanchor: "bottom", y: 1.02, x: 0, ...own.legend, ...(ink.width < NARROW ? BELOW : {}), font: { size: ink.size, color: ink.text } },
    font: { family: ink.family, size: ink.size, color: ink.text },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    hoverlabel: {
      bgcolor: ink.surface,
      bordercolor: ink.grid,
      align: "left",
      font: { family: ink.family, size: ink.size, color: ink.text },
    },
    images: (images || []).filter((image) => String(image.source).startsWith("data:image/")),
    shapes: (own.shapes || []).map((shape) => ({ ...shape, line: { color: ink.quiet, ...shape.line } })),
    annotations: (own.annotations || []).map((note) => ({
      ...note,
      text: inLines(note.text ?? "", Math.max(12, Math.floor((ink.width - BESIDE) / (LETTER * ink.size)))),
      font: { size: ink.size - 1, color: ink.quiet, ...sized(note.font, ink) },
    })),
    uirevision: revision,
  };
}

// Kinds of trace that fetch maps from elsewhere are not drawn: nothing leaves this machine.
const MAPS = /geo|mapbox|choropleth|densitymap|scattermap/;

/** Traces with whiskers that can be seen in the dark. */
function inked(data, ink) {
  const whisker = (bars) => (bars ? { color: ink.quiet, thickness: 1.5, ...bars } : bars);
  return data
    .filter((trace) => !MAPS.test(trace.type || ""))
    .map((trace) => ({
      ...trace,
      error_x: whisker(trace.error_x),
      error_y: whisker(trace.error_y),
      ...(trace.textfont ? { textfont: sized(trace.textfont, ink) } : {}),
    }));
}

const CONFIG = {
  displayModeBar: false,
  displaylogo: false,
  responsive: false,
  showTips: false,
  plotlyServerURL: "",
  topojsonURL: "",
  doubleClick: "reset+autosize",
};

/** One chart in one element. */
export class Plot {
  #place;
  #options;
  #listening = false;
  #last = null;
  #drawing = null;
  #observer;
  #size = [0, 0];
  #near = false;
  #arrived = null; // lets the drawing go on that waits for the place to come near
  #watch = new IntersectionObserver((entries) => this.#moved(entries.at(-1).isIntersecting), { rootMargin: "100% 0px" });
  #print = () => this.#moved(true); // on paper every place is in sight

  /** `onPoint(data)` gets a click on a point, `onHover(customdata)` what is pointed at, `onZoom(zoomed)` tells whether the reader has zoomed in. */
  constructor(place, options) {
    this.#place = place;
    this.#options = options;
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(place);
    this.#watch.observe(place);
    addEventListener("beforeprint", this.#print);
  }

  /** At once where it can be seen, soon near by, elsewhere when it comes near; of figures that come faster than that the last is drawn. */
  draw(figure, revision) {
    this.#last = [figure, revision];
    this.#drawing ??= this.#drawLast();
    return this.#drawing;
  }

  async #drawLast() {
    try {
      if (!this.#near) await new Promise((resolve) => (this.#arrived = resolve));
      await loadPlotly();
      if (!inSight(this.#place) && !matchMedia("print").matches) await turn();
    } finally {
      this.#drawing = null;
    }
    if (!this.#last || !this.#place.isConnected || !this.#place.clientWidth) return;
    const [figure, revision] = this.#last;
    const dark = isDark();
    const { data = [], layout = {} } = harmless(figure, dark);
    const ink = inkOf(this.#place);
    const drawn = readable(themed(layout, ink, dark, revision), inked(data, ink), ink);
    await window.Plotly.react(this.#place, drawn.data, drawn.layout, CONFIG);
    this.#size = [this.#place.clientWidth, this.#place.clientHeight];
    this.#listen();
  }

  #moved(near) {
    this.#near = near;
    if (near) this.#arrived?.();
  }

  /** Again with the colours and sizes of now. */
  redraw() {
    return this.#last ? this.draw(...this.#last) : undefined;
  }

  /** As it was drawn: the figure's own ranges where it has some. */
  async reset() {
    const axes = Object.keys(this.#place._fullLayout || {}).filter((key) => /^[xy]axis\d*$/.test(key));
    const own = (key) => this.#last?.[0].layout?.[key]?.range;
    await window.Plotly.relayout(
      this.#place,
      Object.fromEntries(axes.map((key) => (own(key) ? [`${key}.range`, [...own(key)]] : [`${key}.autorange`, true]))),
    );
    this.#options.onZoom?.(false);
  }

  /** Saves what is seen as a PNG with the title on it and a background of its own. */
  async picture(filename, title) {
    const { offsetWidth: width, offsetHeight: height, layout, data } = this.#place;
    const ink = inkOf(this.#place);
    const head = { text: harmless(title), x: 0.02, y: 0.97, yanchor: "top", font: { size: ink.size + 3, color: ink.text } };
    const margin = { ...layout.margin, t: 64 };
    const titled = {
      ...layout,
      title: head,
      margin,
      showlegend: layout.showlegend || data.filter((trace) => trace.showlegend !== false).length > 1,
      paper_bgcolor: ink.surface,
    };
    await window.Plotly.downloadImage({ data, layout: titled }, { format: "png", width, height: height + 64, scale: 2, filename });
  }

  close() {
    this.#observer.disconnect();
    this.#watch.disconnect();
    removeEventListener("beforeprint", this.#print);
    this.#last = null;
    this.#moved(true);
    if (this.#listening) window.Plotly.purge(this.#place);
  }

  #listen() {
    if (this.#listening) return;
    this.#listening = true;
    this.#place.on(
      "plotly_click",
      ({ points: [point] }) =>
        point &&
        this.#options.onPoint?.({
          series: point.data.name ?? "",
          curve: point.curveNumber,
          index: point.pointIndex ?? point.pointNumber,
          x: point.x ?? point.label ?? null,
          y: point.y ?? point.value ?? null,
          z: point.z ?? null,
          text: point.text ?? null,
          custom: point.customdata ?? null,
        }),
    );
    if (this.#options.onHover) this.#place.on("plotly_hover", ({ points: [point] }) => point && this.#options.onHover(point.customdata ?? null));
    this.#place.on("plotly_relayout", (change) => {
      const zoomed = Object.keys(change).some((key) => key.includes("range[") || key.endsWith(".range"));
      const reset = Object.keys(change).some((key) => key.endsWith("autorange") && change[key]);
      if (zoomed || reset) this.#options.onZoom?.(zoomed && !reset);
    });
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#place;
    const [w, h] = this.#size;
    if (!width || !this.#listening || (Math.abs(width - w) < 2 && Math.abs(height - h) < 2)) return;
    this.#size = [width, height];
    window.Plotly.Plots.resize(this.#place);
    if (Math.abs(width - w) > BESIDE) this.redraw(); // titles in other lines
  }
}
