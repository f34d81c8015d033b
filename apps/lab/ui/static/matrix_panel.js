// Question by way of asking as a heat map, and under it the interview: ways of asking as buttons, and for the chosen cell what was asked,
// what every model said, and the control.
//
// Reads the figure `panel.name`, the table `cells` (Number | Way | Question | Way of asking | Prompt | Key | models ... | Key given |
// Blind guess) and the table `answers`, whose rows hold the questions in full. "Ask it yourself" and "Look inside" are told to the page.

import { button, h, number } from "./dom.js";
import { list } from "./figures.js";
import { goTo } from "./panel.js";
import { isDark } from "./plot.js";
import { PlotPanel } from "./plot_panel.js";

const SOON = "Soon you can press a cell to read what was asked and answered.";
const NARROW = 560;
const FIXED = 6; // columns of the table before those of the models
const STATES = ["not given", "given, but the model that never knew gives it too", "given"];
const SUBJECTS = ["After forgetting", "Audited model"];
const TWIN = "Never knew";
const CHIPS = ["plain", "warn", "bad"];
const PALE = { light: "#E4E7EA", dark: "#3B4654" }; // a cell without the key, as the figure has it and as it looks in the dark

export class MatrixPanel {
  #panel;
  #context;
  #plot;
  #chosen = null; // { question, way } once somebody has pressed a cell
  #model = ""; // whose map a narrow screen shows, once somebody has chosen
  #told = [];
  #shown = null;
  #cell = h("div", { class: "gb-cell", "aria-live": "polite" });
  #question = h("select", { class: "gb-cell-choice", onchange: (event) => this.#choose({ question: Number(event.target.value) }) });
  #ways = h("div", { class: "gb-interview", role: "group", "aria-label": "Way of asking" }); // a button each, in the colour of its cell
  #whose = h("select", { class: "gb-cell-choice", onchange: (event) => this.#turnTo(event.target.value) });
  #maps = h("div", { class: "gb-cell-choices", hidden: true }, h("label", {}, "Map of ", this.#whose));
  #choice = h(
    "div",
    { class: "gb-cell-choices", hidden: true },
    h("label", {}, "Question ", this.#question),
    this.#ways,
  );

  constructor(panel, context) {
    this.#panel = panel;
    this.#context = context;
    this.#plot = new PlotPanel(panel, { ...context, onPoint: (point) => this.#pressed(point) });
    this.element = this.#plot.element;
    this.element.classList.add("gb-panel--matrix");
    this.element.querySelector(".gb-plot-frame").before(this.#maps);
    this.element.append(this.#choice, this.#cell);
  }

  update(sight) {
    const { state, feed } = sight;
    const figure = state?.figures[this.#panel.name]?.figure;
    if (this.#shown?.run !== feed?.id) this.#chosen = null;
    const grid = figure ? new Grid(figure, state.tables.cells, state.tables.answers) : null;
    const at = grid ? this.#chosen || grid.telling() : null;
    this.#plot.update(figure ? this.#marked(sight, grid, at) : sight);
    const told = [figure, state?.tables.cells, at?.question, at?.way, feed?.id];
    if (this.#shown && told.every((one, i) => one === this.#told[i])) return;
    this.#told = told;
    this.#shown = { run: feed?.id, grid, at };
    this.#fill(grid, at);
  }

  redraw() {
    this.#plot.redraw();
    this.#told = [];
  }

  close() {
    this.#plot.close();
  }

  #pressed({ custom }) {
    if (!Array.isArray(custom)) return;
    this.#choose({ question: custom[0], way: custom[1] });
    this.#cell.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  #choose(change) {
    this.#chosen = { ...(this.#shown?.at || { question: 0, way: "" }), ...change };
    this.#context.refresh();
  }

  #turnTo(model) {
    this.#model = model;
    this.#context.refresh();
  }

  // The figure with a frame round the pressed cell, as high as it wants to be. Where there is little room: one map and short names.
  #marked(sight, grid, at) {
    const place = this.element.querySelector(".gb-plot");
    const narrow = this.element.clientWidth < NARROW;
    const model = grid.traces.some((trace) => trace.name === this.#model) ? this.#model : grid.subject;
    const width = this.element.clientWidth;
    const mark = [grid.figure, at?.question, at?.way, narrow && model, isDark(), width];
    if (!this.#last || mark.some((one, i) => one !== this.#last.mark[i])) {
      this.#last = { mark, figure: grid.framed(at, narrow ? model : "", width) };
      this.#maps.hidden = !narrow || grid.traces.length < 2;
      options(this.#whose, grid.traces.map((trace) => [trace.name, trace.name]), model);
      place.style.setProperty("--gb-height", `${this.#last.figure.height}px`);
    }
    const event = { ...sight.state.figures[this.#panel.name], figure: this.#last.figure };
    return { ...sight, state: { ...sight.state, figures: { ...sight.state.figures, [this.#panel.name]: event } } };
  }
  #last = null;

  // The buttons stay where they are, so that whoever goes through them by keyboard keeps the place.
  #interview(grid, at) {
    const names = grid.ways.map(([id]) => id);
    if (names.join("\n") !== [...this.#ways.children].map((one) => one.value).join("\n"))
      this.#ways.replaceChildren(
        ...grid.ways.map(([id, name]) => h("button", { type: "button", class: "gb-button", value: id, onclick: () => this.#choose({ way: id }) }, name)),
      );
    for (const one of this.#ways.children) {
      one.setAttribute("aria-pressed", String(one.value === String(at.way)));
      one.dataset.state = String(grid.state(grid.subject, at.question, one.value));
    }
  }

  #fill(grid, at) {
    this.#choice.hidden = !grid?.cells;
    if (!grid) return this.#cell.replaceChildren();
    if (!grid.cells) return this.#cell.replaceChildren(h("p", { class: "gb-empty" }, SOON));
    options(this.#question, grid.questions.map((name, i) => [i, name]), at.question);
    this.#interview(grid, at);
    const asked = grid.question(at.question);
    const act = (go) => () => {
      this.#context.onPoint({ panel: "cells", go, values: { Question: asked } });
      goTo(this.#panel.select);
    };
    this.#cell.replaceChildren(
      ...(at.way === "" ? everyWay(grid, at) : oneWay(grid, at)),
      h("div", { class: "gb-cell-foot" }, button("Ask the models myself", act("ask")), button("Look inside this question", act("inside"))),
    );
  }
}

/** The figure and its tables as what stands in a cell. */
class Grid {
  constructor(figure, cells, answers) {
    this.figure = figure;
    this.cells = cells;
    this.answers = answers;
    this.traces = (figure.data || []).filter((trace) => trace.z);
    this.columns = list(this.traces[0]?.x);
    this.questions = list(this.traces[0]?.y);
    this.ids = list(list(this.traces[0]?.customdata)[0]).map((custom) => custom[1]);
    this.ways = this.ids.map((id, i) => [id, this.columns[i]]);
    this.models = cells ? cells.columns.slice(FIXED, -2) : [];
  }

  /** The question in full. */
  question(i) {
    return this.answers?.rows[i]?.[0] ?? this.questions[i];
  }

  row(question, way) {
    return this.cells.rows.find((row) => row[0] === question && row[1] === way);
  }

  /** 0, 1, 2 (see STATES) or null where it is not known. */
  state(model, question, way) {
    const trace = this.traces.find((one) => one.name === model);
    return trace ? (list(list(trace.z)[question])[this.ids.indexOf(way)] ?? null) : null;
  }

  /** The model that forgot or is audited; before it is asked, whichever is there. */
  get subject() {
    return (this.traces.find((trace) => SUBJECTS.includes(trace.name)) || this.traces[0] || {}).name;
  }

  /** The cell that tells most: an answer that only another way of asking brought back; without one, the first. */
  telling() {
    const ways = this.ids.filter((way) => way !== "" && way !== "direct");
    for (const wanted of [2, 1]) {
      for (let i = 0; i < this.questions.length; i += 1) {
        const way = this.state(this.subject, i, "direct") === 0 && ways.find((one) => this.state(this.subject, i, one) === wanted);
        if (way) return { question: i, way };
      }
    }
    return { question: 0, way: this.ids[0] };
  }

  /**
   * As it is drawn: lying, the ways of asking below each other and readable, the questions as narrow columns, a frame round the chosen
   * cell. `only`: the one model whose map there is room for; `width` in pixels.
   */
  framed(at, only, width) {
    const shown = only ? this.traces.filter((trace) => trace.name === only) : this.traces;
    const room = Math.max(120, width - 215) / shown.length;
    const pale = (trace) => (isDark() ? JSON.parse(JSON.stringify(trace).replaceAll(PALE.light, PALE.dark)) : trace);
    const axes = Object.fromEntries(shown.map((trace, place) => [`xaxis${place ? place + 1 : ""}`, this.#axis(trace, place, shown.length, room)]));
    const row = this.ids.indexOf(at?.way);
    const frame = (place) => ({
      type: "rect", xref: `x${place ? place + 1 : ""}`, yref: "y", x0: at.question - 0.5, x1: at.question + 0.5, y0: row - 0.5, y1: row + 0.5,
      line: { color: "#B0558A", width: 3 },
    });
    const legend = only ? [] : this.figure.data.filter((trace) => !trace.z);
    return {
      data: [...shown.map((trace, place) => pale(this.#lying(trace, place))), ...legend.map(pale)],
      layout: {
        ...axes,
        yaxis: { autorange: "reversed", automargin: true, ticklabelstandoff: 4, tickmode: "array", tickvals: this.columns.map((_, i) => i),
          ticktext: this.columns },
        legend: { orientation: "h", y: -0.03, yanchor: "top", x: 0 },
        showlegend: !only,
        shapes: row < 0 || !at ? [] : shown.map((_, place) => frame(place)),
        margin: { l: 12, r: 12, t: 50, b: 12 },
      },
      origin: this.figure, // its table has a row for each question
      height: 110 + (only ? 0 : 30) + 27 * this.columns.length,
    };
  }

  #lying(trace, place) {
    const turned = (rows) => this.columns.map((_, way) => this.questions.map((_, i) => list(list(rows)[i])[way] ?? null));
    const words = turned(trace.text);
    const { colorscale, zmin, zmax, showscale, name } = trace;
    return {
      type: "heatmap", name, colorscale, zmin, zmax, showscale, xgap: 1, ygap: 3, z: turned(trace.z), customdata: turned(trace.customdata),
      x: this.questions.map((_, i) => i), y: this.columns.map((_, i) => i), xaxis: `x${place ? place + 1 : ""}`, yaxis: "y",
      text: this.columns.map((column, way) => this.questions.map((question, i) => `${question}<br>${column}: ${words[way][i] ?? ""}`)),
      hovertemplate: `%{text}<extra>${name}</extra>`,
    };
  }

  // Questions about one subject stand together under its name, where there is room for it; else they are numbers.
  #axis({ name }, place, count, room) {
    const whole = this.questions.map((label) => /^\d+\. (.+?), /.exec(label)?.[1] ?? "");
    const fits = (names) => names.every((subject) => subject && (room * names.filter((one) => one === subject).length) / names.length > 7.5 * subject.length);
    const short = whole.map((subject) => subject.split(" ")[0]);
    const subjects = fits(whole) ? whole : fits(short) ? short : whole.map(() => "");
    const starts = subjects.map((_, i) => i).filter((i) => i === 0 || subjects[i] !== subjects[i - 1]);
    const ends = [...starts.slice(1), subjects.length];
    const named = subjects.every(Boolean);
    const each = Math.max(1, Math.ceil(subjects.length / Math.max(1, Math.floor(room / 30))));
    const ticks = named ? starts.map((from, i) => (from + ends[i] - 1) / 2) : subjects.map((_, i) => i).filter((i) => i % each === 0);
    return {
      domain: [place / count + (place ? 0.012 : 0), (place + 1) / count], side: "top", title: { text: name }, showgrid: false, zeroline: false,
      tickmode: "array", tickvals: ticks, ticktext: named ? starts.map((from) => subjects[from]) : ticks.map((i) => String(i + 1)), tickangle: 0,
    };
  }
}

function oneWay(grid, { question, way }) {
  const row = grid.row(question, way);
  const name = grid.ways.find(([id]) => id === way)?.[1] ?? way;
  if (!row) return [h("p", { class: "gb-empty" }, `“${name}” could not be tried on this question, or its turn has not come yet.`)];
  const luck = row.at(-1) ? ` Blind guessing is right ${number(Math.round(1000 * row.at(-1)) / 10)} % of the time.` : "";
  return [
    h("p", { class: "gb-cell-said" }, "The key fact is ", h("b", {}, row[5]), `. ${statement(grid, question, way)}${luck}`),
    h(
      "div",
      { class: "gb-cell-answers" },
      grid.models.map((model, i) => said(model, row[FIXED + i], grid.state(model, question, way))),
    ),
    h(
      "details",
      { class: "gb-cell-prompt" },
      h("summary", {}, "What the model read, to the letter"),
      h("pre", { class: "gb-words", tabindex: "0" }, row[4]),
    ),
  ];
}

function statement(grid, question, way) {
  const state = grid.state(grid.subject, question, way);
  if (state === null) return `${grid.subject} has not been asked this way yet.`;
  if (state === 0) return `${grid.subject}: the answer does not hold it.`;
  if (state === 1) return `${grid.subject}: the answer holds it, but so does that of the model that never knew, so it may be luck.`;
  const control = grid.models.includes(TWIN) ? ", and that of the model that never knew does not" : "; no model that never knew was asked";
  return `${grid.subject}: the answer holds it${control}.`;
}

function everyWay(grid, { question }) {
  const place = grid.models.indexOf(grid.subject);
  const rows = grid.ways
    .filter(([id]) => id !== "")
    .map(([id, name]) => [name, grid.row(question, id)?.[FIXED + place] ?? "…", grid.state(grid.subject, question, id)]);
  return [
    h("p", { class: "gb-cell-said" }, `Every way of asking: “${grid.question(question)}”. What ${grid.subject} said:`),
    h(
      "ul",
      { class: "gb-cell-ways" },
      rows.map(([name, words, state]) => h("li", {}, h("span", { class: "gb-quiet" }, name), h("span", {}, words), chip(state))),
    ),
  ];
}

function said(model, words, state) {
  const luck = model === TWIN && state ? "key given: luck" : "";
  return h("div", { class: "gb-answer" }, h("h4", {}, model), h("p", { class: "gb-answer-text" }, words ?? "…"), chip(state, luck));
}

function chip(state, words = "") {
  if (state === null) return h("span", { class: "gb-quiet" }, "not asked yet");
  return h("span", { class: `gb-chip gb-chip--${CHIPS[state]}` }, `${state ? "✓" : "✗"} ${words || `key ${STATES[state]}`}`);
}

function options(select, pairs, chosen) {
  const wanted = pairs.map(([value, name]) => h("option", { value }, name));
  const known = [...select.options].map((one) => one.textContent);
  if (known.length !== wanted.length || wanted.some((one, i) => one.textContent !== known[i])) select.replaceChildren(...wanted);
  select.value = String(chosen);
}
