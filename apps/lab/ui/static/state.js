// What a run has shown after its first events: a pure fold over the lines of events.jsonl.
//
//   const timeline = new Timeline();
//   timeline.append(events);
//   timeline.at(timeline.length).verdict   // after all of them
//   timeline.at(5).metrics["forget loss"]  // after the first five: { x, y, n, unit, value }

export const EMPTY = Object.freeze({
  count: 0,
  t: 0,
  progress: null,
  metrics: {},
  figures: {},
  tables: {},
  pictures: {},
  texts: {},
  keeps: {},
  files: {},
  verdict: null,
  end: null,
});

const NAMED = { figure: "figures", table: "tables", picture: "pictures", text: "texts", keep: "keeps" };

/** The state after one more event. Never changes `state`; unknown kinds only move the clock. */
export function reduce(state, event) {
  const next = { ...state, count: state.count + 1, t: Math.max(state.t, event.t ?? 0) };
  if (event.kind === "progress") next.progress = { step: event.step, total: event.total, note: event.note || "" };
  else if (event.kind === "metric") next.metrics = { ...state.metrics, [event.name]: grow(state.metrics[event.name], event) };
  else if (event.kind === "verdict") next.verdict = verdictOf(event);
  else if (event.kind === "end") next.end = { outcome: event.outcome, error: event.error || "", hint: event.hint || "" };
  else if (event.kind === "file") next.files = { ...state.files, [event.file]: event };
  else if (event.kind in NAMED) {
    const room = NAMED[event.kind];
    next[room] = { ...state[room], [event.name]: event };
  }
  return next;
}

const LONGEST_HEADLINE = 25;

/** `{ headline, text, rest, evidence }`; a verdict without a headline is headed by its first sentence, or what fits of it. */
function verdictOf({ text = "", headline = "", evidence }) {
  const end = text.search(/[.!?]["')]? (?=[A-Z0-9])/);
  const first = end < 0 ? text : text.slice(0, end + 1);
  const words = first.split(/\s+/);
  const short = words.length <= LONGEST_HEADLINE ? first : `${words.slice(0, LONGEST_HEADLINE - 1).join(" ")} …`;
  const head = headline || short;
  return { headline: head, text, rest: head === first ? text.slice(first.length).trim() : text, evidence: evidence || {} };
}

// States of one run share the arrays of a series and differ in how far they read (`n`), so a long run costs one copy.
// Appending what is already there (a replay) shares too; anything else starts arrays of its own.
function grow(series, event) {
  const old = series || { x: [], y: [], n: 0, unit: "" };
  const x = event.step ?? old.n;
  let { x: xs, y: ys } = old;
  if (old.n < xs.length && !(xs[old.n] === x && ys[old.n] === event.value)) {
    xs = xs.slice(0, old.n);
    ys = ys.slice(0, old.n);
  }
  xs[old.n] = x;
  ys[old.n] = event.value;
  return { x: xs, y: ys, n: old.n + 1, unit: event.unit || old.unit, value: event.value };
}

/** The points of a series as arrays of their own. */
export function points(series) {
  return series ? { x: series.x.slice(0, series.n), y: series.y.slice(0, series.n) } : { x: [], y: [] };
}

const EVERY = 64;
const A_SIGHT = new Set(["figure", "table", "picture", "text", "verdict", "end"]);

/**
 * The events of one run so far, with the state after any number of them. `pace`: seconds that a progress line stays at least; where a
 * run was quicker than the eye, its clock is stretched.
 */
export class Timeline {
  events = [];
  #pace;
  #clock = 0;
  #stepAt = -Infinity;
  #checkpoints = [EMPTY];
  #latest = EMPTY;

  constructor(pace = 0) {
    this.#pace = pace;
  }

  get length() {
    return this.events.length;
  }
  get duration() {
    return this.#latest.t;
  }
  get ended() {
    return this.#latest.end !== null;
  }
  get latest() {
    return this.#latest;
  }

  /** Takes lines in order; a line that is already known is passed over. Gives how many were new. */
  append(events) {
    const before = this.length;
    for (const event of events) {
      if (event.seq !== undefined && event.seq < this.length) continue;
      const paced = this.#pace ? { ...event, t: this.#when(event) } : event;
      this.events.push(paced);
      this.#latest = reduce(this.#latest, paced);
      if (this.length % EVERY === 0) this.#checkpoints.push(this.#latest);
    }
    return this.length - before;
  }

  // When to show an event: not before it happened, and a progress line not too soon after the one before.
  #when({ kind, t = 0 }) {
    this.#clock = Math.max(this.#clock, t);
    if (kind === "progress") this.#stepAt = this.#clock = Math.max(this.#clock, this.#stepAt + this.#pace);
    return this.#clock;
  }

  /** The state after the first `count` events. */
  at(count) {
    if (count >= this.length) return this.#latest;
    const start = Math.floor(Math.max(0, count) / EVERY);
    let state = this.#checkpoints[start];
    for (let i = start * EVERY; i < count; i++) state = reduce(state, this.events[i]);
    return state;
  }

  /** How many events had happened at second `t`. */
  countAt(t) {
    let low = 0,
      high = this.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.events[middle].t ?? 0) <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** When the event before position `count` happened. */
  timeOf(count) {
    return count > 0 ? (this.events[Math.min(count, this.length) - 1].t ?? 0) : 0;
  }

  /** The next position worth a stop, forwards (+1) or backwards (-1): before a progress line, or after something to see. */
  stop(count, direction) {
    for (let i = count + direction; i > 0 && i < this.length; i += direction) {
      if (this.events[i].kind === "progress" || A_SIGHT.has(this.events[i - 1].kind)) return i;
    }
    return direction > 0 ? this.length : 0;
  }
}
