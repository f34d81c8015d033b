// One run as the browser knows it: its events so far, its run.json, its place in line, and whether the line to the lab is up.
//
//   const feed = new Feed(base, "20261124-audit-1", () => redraw(), 0.08);   // pace: see Timeline
//   feed.timeline.latest.verdict

import { Refused, addressOf, follow, leave, read } from "./client.js";
import { Timeline } from "./state.js";

export class Feed {
  timeline;
  info = null;
  place = null;
  estimate = null;
  trouble = false;
  refused = null;
  answered = false;
  /** Whether this browser saw the run before it had ended. */
  witnessed = false;
  #stop = new AbortController();
  #page = Math.random().toString(36).slice(2, 12);
  #leave = () => {
    if (this.running || !this.answered) leave(this.base, this.id, this.#page);
  };
  #onChange;
  #arrived = performance.now();

  constructor(base, id, onChange, pace = 0) {
    this.timeline = new Timeline(pace);
    this.base = base;
    this.id = id;
    this.#onChange = onChange;
    addEventListener("pagehide", this.#leave);
    this.#follow();
    this.refresh();
  }

  get ended() {
    return this.timeline.ended;
  }
  get running() {
    return this.answered && !this.ended && !this.refused;
  }
  get waiting() {
    return this.running && this.place > 0;
  }

  /** Seconds of computing so far, counted on between two events of a running run. */
  get elapsed() {
    const known = this.timeline.duration;
    return this.running && this.timeline.length && !this.trouble ? known + (performance.now() - this.#arrived) / 1000 : known;
  }

  /** Reads run.json again: after the end, or after something about the run was changed. */
  async refresh() {
    try {
      const info = await read("", addressOf(this.base, this.id));
      if (!this.#stop.signal.aborted) this.info = info;
    } catch {
      /* the line of events tells when a run cannot be shown or the connection is lost */
    }
    if (!this.#stop.signal.aborted) this.#onChange();
  }

  close() {
    removeEventListener("pagehide", this.#leave);
    if (!this.#stop.signal.aborted) this.#leave();
    this.#stop.abort();
  }

  async #follow() {
    const onTrouble = (lost) => {
      this.trouble = lost;
      this.#onChange();
      if (!lost && !this.info) this.refresh();
    };
    try {
      await follow(this.base, this.id, 0, {
        signal: this.#stop.signal,
        page: this.#page,
        onTrouble,
        onAnswer: (answer) => this.#take(answer),
      });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.refused = error;
      this.#onChange();
    }
  }

  #take({ events, place, estimate_s }) {
    const first = !this.answered;
    this.answered = true;
    this.place = place ?? null;
    this.estimate = estimate_s ?? null;
    if (this.timeline.append(events)) this.#arrived = performance.now();
    if (this.running) this.witnessed = true;
    if (this.ended && !first) this.refresh();
    this.#onChange();
  }
}
