// Question by way of asking as a heat map, and with it the interview: the witnesses answer side by side above it, the names of its rows
// are the ways of asking, and a pressed one asks them anew (interview.js). Under it what they read, and the control.
//
// Reads the figure `panel.name`, the table `cells` (Number | Way | Question | Way of asking | Prompt | Key | models ... | Key given |
// Blind guess) and the table `answers`, whose rows hold the questions in full. "Ask it yourself" and "Look inside" are told to the page.

import { button, h, number, relabel } from "./dom.js";
import { Grid, TWIN } from "./grid.js";
import { Asking, AskingLine, witness } from "./interview.js";
import { goTo } from "./panel.js";
import { isDark } from "./plot.js";
import { PlotPanel } from "./plot_panel.js";

const SOON = "Soon you can press a cell to read what was asked and answered.";
const NARROW = 560;
const STATES = ["not given", "given, maybe luck", "given"];
const CHIPS = ["plain", "warn", "bad"];

export class MatrixPanel {
  #panel;
  #context;
  #plot;
  #chosen = null; // { question, way } once somebody has pressed a cell
  #model = ""; // whose map a narrow screen shows, once somebody has chosen
  #told = [];
  #shown = null;
  #last = null;
  #asking = new Asking(() => this.#context.refresh());
  #cell = h("div", { class: "gb-cell", "aria-live": "polite" });
  #question = h("select", { class: "gb-cell-choice", onchange: (event) => this.#press({ question: Number(event.target.value) }) });
  #ways = h("div", { class: "gb-interview", role: "group", "aria-label": "Way of asking" }); // a button each, in the colour of its cell
  #whose = h("select", { class: "gb-cell-choice", onchange: (event) => this.#turnTo(event.target.value) });
  #maps = h("label", { class: "gb-cell-map", hidden: true }, "Map of ", this.#whose);
  #all = button("Ask all", () => this.#askAll());
  #cover = button("Cover the answers", () => this.#asking.cover(!this.#asking.covered), { "aria-pressed": "false" });
  #line = new AskingLine(this.#asking, [this.#all, this.#cover], () => {
    this.#asking.stop();
    this.#context.refresh();
  });
  #bar = h("div", { class: "gb-cell-choices" }, h("label", { hidden: true }, "Question ", this.#question), this.#line.element);
  #cards = h("div", { class: "gb-witnesses", "aria-live": "polite" });

  constructor(panel, context) {
    this.#panel = panel;
    this.#context = context;
    this.#plot = new PlotPanel(panel, { ...context, onPoint: (point) => this.#pressed(point), onDrawn: (place) => this.#drawn(place) });
    this.element = this.#plot.element;
    this.element.classList.add("gb-panel--matrix");
    const frame = this.element.querySelector(".gb-plot-frame");
    const wake = () => this.#shown?.at && this.#asking.warm(this.#shown.at.question, this.#shown.at.way || "direct");
    for (const event of ["pointerenter", "focusin"]) this.element.addEventListener(event, wake);
    frame.before(this.#bar, this.#cards, this.#maps);
    frame.append(this.#ways);
    this.element.append(this.#cell);
  }

  update(sight) {
    const { state, feed } = sight;
    const figure = state?.figures[this.#panel.name]?.figure;
    if (this.#shown?.run !== feed?.id) this.#chosen = null;
    this.#asking.about(feed && this.#run(feed, state));
    const grid = figure ? new Grid(figure, state.tables.cells, state.tables.answers, this.#asking) : null;
    const at = grid ? this.#chosen || grid.telling() : null;
    this.#plot.update(figure ? this.#marked(sight, grid, at) : sight);
    this.#askingSays(grid);
    const told = [figure, state?.tables.cells, at?.question, at?.way, feed?.id, this.#asking.sign];
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
    this.#asking.stop();
    this.#plot.close();
  }

  // What is needed to ask the witnesses of this run: only once it has ended, and the one that forgot only where the run's own is there.
  #run(feed, state) {
    const { config, seed, first_view: first } = feed.info ?? {};
    const ready = feed.ended && state?.tables.cells && this.#panel.asks && config;
    const kept = !first && state?.keeps?.unlearned?.ref;
    return { id: feed.id, ...(ready ? { base: this.#context.base, probe: this.#panel.asks, config, seed, kept } : {}) };
  }

  #pressed({ custom }) {
    if (!Array.isArray(custom)) return;
    this.#press({ question: custom[0], way: custom[1] });
  }

  #press(change) {
    this.#choose(change);
    const { question, way } = this.#chosen;
    if (way !== "" && this.#asking.can) this.#asking.ask(question, way);
  }

  #choose(change) {
    this.#chosen = { ...(this.#shown?.at || { question: 0, way: "" }), ...change };
    this.#context.refresh();
  }

  #askAll() {
    const { grid } = this.#shown;
    if (!this.#asking.covered) this.#asking.cover(true); // so that it is seen to fill
    const ways = grid.ids.filter((way) => way !== "");
    const there = (question, way) => grid.row(question, way);
    this.#asking.all(ways.flatMap((way) => grid.questions.map((_, i) => [i, way]).filter(([i]) => there(i, way))));
  }

  // How wide a letter of the picture is; on a projector all are large.
  #letter() {
    return 0.58 * (parseFloat(getComputedStyle(this.element).getPropertyValue("--gb-plot-size")) || 13);
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
    const mark = [grid.figure, at?.question, at?.way, narrow && model, isDark(), width, this.#letter(), this.#asking.sign];
    if (!this.#last || mark.some((one, i) => one !== this.#last.mark[i])) {
      this.#last = { mark, figure: grid.framed(at, narrow ? model : "", width, this.#letter()) };
      this.#maps.hidden = !narrow || grid.traces.length < 2;
      options(this.#whose, grid.traces.map((trace) => [trace.name, trace.name]), model);
      place.style.setProperty("--gb-height", `${this.#last.figure.height}px`);
    }
    const event = { ...sight.state.figures[this.#panel.name], figure: this.#last.figure };
    return { ...sight, state: { ...sight.state, figures: { ...sight.state.figures, [this.#panel.name]: event } } };
  }

  #drawn(place) {
    this.#besideRows(place);
    if (this.#listening) return;
    this.#listening = true;
    place.on("plotly_afterplot", () => this.#besideRows(place)); // also when only its size has changed
  }
  #listening = false;

  // The names of the rows are the buttons; they stand where the picture has its rows.
  #besideRows(place) {
    const { xaxis, yaxis } = place._fullLayout ?? {};
    if (!yaxis?._length) return;
    Object.assign(this.#ways.style, { top: `${yaxis._offset}px`, height: `${yaxis._length}px`, width: `${xaxis._offset - 4}px` });
    this.#cards.style.setProperty("--gb-left", this.#maps.hidden ? `${xaxis._offset}px` : "0px");
  }

  // The buttons stay where they are, so that whoever goes through them by keyboard keeps the place.
  #interview(grid, at) {
    const names = grid.ways.map(([id]) => id);
    if (names.join("\n") !== [...this.#ways.children].map((one) => one.value).join("\n"))
      this.#ways.replaceChildren(
        ...grid.ways.map(([id, name]) => h("button", { type: "button", value: id, onclick: () => this.#press({ way: id }) }, h("span", {}, name))),
      );
    for (const one of this.#ways.children) {
      one.setAttribute("aria-pressed", String(one.value === String(at.way)));
      one.dataset.state = String(grid.state(grid.subject, at.question, one.value));
    }
  }

  #askingSays(grid) {
    this.#all.disabled = Boolean(this.#asking.busy);
    this.#cover.setAttribute("aria-pressed", String(this.#asking.covered));
    relabel(this.#cover, this.#asking.covered ? "Show all answers" : "Cover the answers");
    const name = (way) => grid?.ways.find(([id]) => id === way)?.[1] ?? way;
    this.#line.update(name, grid && this.#asking.word ? comparedWithRun(grid) : "");
  }

  #fill(grid, at) {
    this.#question.parentNode.hidden = !grid?.cells;
    this.#cards.hidden = !grid?.cells || at.way === "";
    this.#ways.hidden = !grid;
    if (grid) this.#interview(grid, at);
    if (!grid) return this.#cell.replaceChildren();
    if (!grid.cells) return this.#cell.replaceChildren(h("p", { class: "gb-empty" }, SOON));
    options(this.#question, grid.questions.map((name, i) => [i, name]), at.question);
    const asked = grid.question(at.question);
    const act = (go) => () => {
      this.#context.onPoint({ panel: "cells", go, values: { Question: asked } });
      goTo(this.#panel.select);
    };
    this.#cards.replaceChildren(...(at.way === "" ? [] : cards(grid, at)));
    this.#cell.replaceChildren(
      ...(at.way === "" ? everyWay(grid, at) : oneWay(grid, at)),
      h("div", { class: "gb-cell-foot" }, button("Ask the models myself", act("ask")), button("Look inside this question", act("inside"))),
    );
  }
}

function cards(grid, { question, way }) {
  return grid.models.map((model) => {
    const state = grid.state(model, question, way);
    const hidden = grid.asked.covered && state === null;
    const live = grid.asked.heard(model, question, way);
    const note = !grid.asked.any || hidden ? "" : live ? "just now" : "from the record";
    return witness(model, hidden ? "…" : grid.said(model, question, way), chip(state, model === TWIN && state ? "given: luck" : ""), note);
  });
}

// After an asking: whether what was said now is what the run has.
function comparedWithRun(grid) {
  const differs = grid.models.flatMap((model) =>
    grid.questions.flatMap((_, question) =>
      grid.ids.filter((way) => {
        const now = grid.asked.heard(model, question, way)?.found;
        return now !== undefined && now !== grid.recorded(model, question, way) > 0;
      }),
    ),
  ).length;
  return differs ? `${differs} cells differ from the run.` : "As in the run.";
}

function oneWay(grid, { question, way }) {
  const row = grid.row(question, way);
  const name = grid.ways.find(([id]) => id === way)?.[1] ?? way;
  if (!row) return [h("p", { class: "gb-empty" }, `“${name}” could not be tried on this question, or its turn has not come yet.`)];
  const luck = row.at(-1) ? ` Blind guessing is right ${number(Math.round(1000 * row.at(-1)) / 10)} % of the time.` : "";
  return [
    h("p", { class: "gb-cell-said" }, "The key fact is ", h("b", {}, row[5]), `. ${statement(grid, question, way)}${luck}`),
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
  const rows = grid.ways
    .filter(([id]) => id !== "")
    .map(([id, name]) => [name, grid.state(grid.subject, question, id) === null ? "…" : grid.said(grid.subject, question, id), grid.state(grid.subject, question, id)]);
  return [
    h("p", { class: "gb-cell-said" }, `Every way of asking: “${grid.question(question)}”. What ${grid.subject} said:`),
    h(
      "ul",
      { class: "gb-cell-ways" },
      rows.map(([name, words, state]) => h("li", {}, h("span", { class: "gb-quiet" }, name), h("span", {}, words), chip(state))),
    ),
  ];
}

function chip(state, words = "") {
  if (state === null) return h("span", { class: "gb-quiet" }, "not asked yet");
  return h("span", { class: `gb-chip gb-chip--${CHIPS[state]}` }, `${state ? "✓" : "✗"} ${words || STATES[state]}`);
}

function options(select, pairs, chosen) {
  const wanted = pairs.map(([value, name]) => h("option", { value }, name));
  const known = [...select.options].map((one) => one.textContent);
  if (known.length !== wanted.length || wanted.some((one, i) => one.textContent !== known[i])) select.replaceChildren(...wanted);
  select.value = String(chosen);
}
