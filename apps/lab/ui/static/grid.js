// What stands in the cells of a matrix: the figure of a run and its tables, and over them what the witnesses have said since (interview.js).

import { list } from "./figures.js";
import { isDark } from "./plot.js";

const FIXED = 6; // columns of the table before those of the models
const SUBJECTS = ["After forgetting", "Audited model"];
export const TWIN = "Never knew";
const PALE = { light: "#E4E7EA", dark: "#3B4654" }; // a cell without the key, as the figure has it and as it looks in the dark
export const LEFT = 190; // pixels beside the maps, for the names of the rows

const SHORT = ["no", "yes, maybe luck", "yes"];

/** The figure and its tables as what stands in a cell. */
export class Grid {
  /** `asked`: what was asked anew, see interview.js. */
  constructor(figure, cells, answers, asked) {
    this.figure = figure;
    this.asked = asked;
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

  /** What a model said: asked anew, else in the run. */
  said(model, question, way) {
    return this.asked.heard(model, question, way)?.text ?? this.row(question, way)?.[FIXED + this.models.indexOf(model)] ?? null;
  }

  /** 0, 1, 2 (see STATES) or null where it is not known. */
  state(model, question, way) {
    if (this.asked.covered && way === "") return this.#anyWay(model, question);
    if (this.asked.covered && !this.asked.open(question, way)) return null;
    const hit = this.#hit(model, question, way);
    return hit === null ? null : hit ? (this.#hit(TWIN, question, way) ? 1 : 2) : 0;
  }

  /** As the run has it. */
  recorded(model, question, way) {
    const trace = this.traces.find((one) => one.name === model);
    return trace ? (list(list(trace.z)[question])[this.ids.indexOf(way)] ?? null) : null;
  }

  #hit(model, question, way) {
    const heard = this.asked.heard(model, question, way);
    if (heard) return heard.found;
    const state = this.recorded(model, question, way);
    return state === null ? null : state > 0;
  }

  // Of the ways that have been asked, whether one brought the key out; luck where one brought it out of the twin.
  #anyWay(model, question) {
    const asked = this.ids.filter((way) => way !== "" && this.asked.open(question, way));
    if (!asked.length) return null;
    if (!asked.some((way) => this.#hit(model, question, way))) return 0;
    return asked.some((way) => this.#hit(TWIN, question, way)) ? 1 : 2;
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
        const way = this.recorded(this.subject, i, "direct") === 0 && ways.find((one) => this.recorded(this.subject, i, one) === wanted);
        if (way) return { question: i, way };
      }
    }
    return { question: 0, way: this.ids[0] };
  }

  /**
   * As it is drawn: lying, the ways of asking below each other and readable, the questions as narrow columns, a frame round the chosen
   * cell. `only`: the one model whose map there is room for; `width`, and that of a `letter`, in pixels.
   */
  framed(at, only, width, letter) {
    const shown = only ? this.traces.filter((trace) => trace.name === only) : this.traces;
    const room = Math.max(120, width - Math.max(LEFT, 25 * letter) - 15) / shown.length;
    const pale = (trace) => (isDark() ? JSON.parse(JSON.stringify(trace).replaceAll(PALE.light, PALE.dark)) : trace);
    const axes = Object.fromEntries(shown.map((trace, place) => [`xaxis${place ? place + 1 : ""}`, this.#axis(trace, place, shown.length, room, letter)]));
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
        yaxis: { range: [this.columns.length - 0.5, -0.5], automargin: true, ticklabelstandoff: 4, tickmode: "array", tickvals: this.columns.map((_, i) => i),
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
    const { colorscale, zmin, zmax, showscale, name } = trace;
    const words = this.asked.any ? null : turned(trace.text);
    const said = (way, i) => (words ? words[way][i] : SHORT[this.state(name, i, this.ids[way])]) ?? "not asked yet";
    const z = this.asked.any ? this.ids.map((way) => this.questions.map((_, i) => this.state(name, i, way))) : turned(trace.z);
    return {
      type: "heatmap", name, colorscale, zmin, zmax, showscale, xgap: 1, ygap: 3, z, customdata: turned(trace.customdata),
      x: this.questions.map((_, i) => i), y: this.columns.map((_, i) => i), xaxis: `x${place ? place + 1 : ""}`, yaxis: "y",
      text: this.columns.map((column, way) => this.questions.map((question, i) => `${question}<br>${column}: ${said(way, i)}`)),
      hovertemplate: `%{text}<extra>${name}</extra>`,
    };
  }

  // Questions about one subject stand together under its name, where there is room for it; else they are numbers.
  #axis({ name }, place, count, room, letter) {
    const whole = this.questions.map((label) => /^\d+\. (.+?), /.exec(label)?.[1] ?? "");
    const fits = (names) => names.every((subject) => subject && (room * names.filter((one) => one === subject).length) / names.length > letter * subject.length);
    const short = whole.map((subject) => subject.split(" ")[0]);
    const subjects = fits(whole) ? whole : fits(short) ? short : whole.map(() => "");
    const starts = subjects.map((_, i) => i).filter((i) => i === 0 || subjects[i] !== subjects[i - 1]);
    const ends = [...starts.slice(1), subjects.length];
    const named = subjects.every(Boolean);
    const each = Math.max(1, Math.ceil(subjects.length / Math.max(1, Math.floor(room / (4 * letter)))));
    const ticks = named ? starts.map((from, i) => (from + ends[i] - 1) / 2) : subjects.map((_, i) => i).filter((i) => i % each === 0);
    return {
      domain: [place / count + (place ? 0.012 : 0), (place + 1) / count], side: "top", title: { text: name }, showgrid: false, zeroline: false,
      range: [-0.5, subjects.length - 0.5], tickmode: "array", tickvals: ticks, ticktext: named ? starts.map((from) => subjects[from]) : ticks.map((i) => String(i + 1)), tickangle: 0,
    };
  }
}

