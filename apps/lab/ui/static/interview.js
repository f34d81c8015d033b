// The interview: the witnesses of a run answer side by side, and are asked anew while the reader watches, one way of asking at a time.
//
//   const asking = new Asking(() => redraw());
//   asking.about({ run, probe, base, config, seed, kept });      // another run: what was asked before is gone
//   await asking.ask(question, way);                       // asking.heard("Original", question, way) -> { text, found }
//   await asking.all(pairs);                               // whatever of them is not open yet, until stop()
//
// Covered: the answers of the run are out of sight, and only what was asked since is open.

import { Refused, probe } from "./client.js";
import { button, h, say } from "./dom.js";

const SLOW = 1500; // milliseconds after which it says what it waits for

export class Asking {
  covered = false;
  busy = null; // { step, of, what, since } while somebody is being asked
  word = ""; // how the last asking ended
  trouble = "";
  #run = null;
  #heard = new Map();
  #open = new Set();
  #stop = null;
  #warm = false;
  #field;
  #take;
  #onChange;

  /** `field(question, way)`: how the probe calls them.  `take(answer, question, way)`: [question, model, { text, found }] of an answer. */
  constructor(onChange, { field = fieldsOf, take = everyQuestion } = {}) {
    this.#onChange = onChange;
    this.#field = field;
    this.#take = take;
  }

  /** Another run, or the same with more known of it. */
  about(run) {
    const another = run?.id !== this.#run?.id;
    this.#run = run;
    if (!another) return;
    this.stop();
    this.#warm = false;
    Object.assign(this, { covered: false, word: "", trouble: "" });
    this.#heard.clear();
    this.#open.clear();
  }

  /** Another one whenever something was asked, heard or covered: what is drawn from it is to be drawn anew. */
  get sign() {
    return `${this.covered} ${this.#open.size} ${this.#heard.size} ${this.busy?.way ?? ""}`;
  }

  get can() {
    return Boolean(this.#run?.config);
  }

  /** Whether anything was asked anew, or is covered. */
  get any() {
    return this.covered || this.#heard.size > 0;
  }

  heard(model, question, way) {
    return this.#heard.get(`${question}|${way}`)?.[model] ?? null;
  }

  open(question, way) {
    return this.#open.has(`${question}|${way}`);
  }

  cover(on) {
    this.stop();
    this.covered = on;
    this.#open.clear();
    Object.assign(this, { word: "", trouble: "" });
    this.#onChange();
  }

  stop() {
    this.#stop?.abort();
    this.#stop = this.busy = null;
  }

  /** Before anybody has pressed: the models are woken, so that the first press need not wait for that. */
  warm(question, way) {
    if (!this.can || this.#warm || !String(this.#run.config.model).startsWith("embedded/")) return;
    this.#warm = true;
    const { base, probe: name, config, seed } = this.#run;
    probe(base, name, { ...config, ...this.#field(question, way) }, seed).catch(() => {});
  }

  /** One cell. */
  ask(question, way) {
    return this.#go([[question, way]]);
  }

  /** All of `pairs` that are not open yet. */
  all(pairs) {
    return this.#go(pairs.filter(([question, way]) => !this.open(question, way)));
  }

  // Way after way: what came with the answer to one question is opened with it, so that a way is asked once.
  async #go(pairs) {
    if (!this.can || !pairs.length) return;
    this.stop();
    const stop = (this.#stop = new AbortController());
    const began = performance.now();
    const ways = [...new Set(pairs.map(([, way]) => way))];
    const late = setTimeout(() => this.#onChange(), SLOW);
    this.word = this.trouble = "";
    try {
      for (const [question, way] of pairs) {
        if (!this.#heard.has(`${question}|${way}`)) {
          this.busy = { step: ways.indexOf(way) + 1, of: ways.length, way, since: began };
          this.#onChange();
          await this.#hear(question, way, stop.signal);
        }
        if (stop.signal.aborted) return;
        this.#open.add(`${question}|${way}`);
      }
      this.word = `Asked just now, ${Math.max(0.1, (performance.now() - began) / 1000).toFixed(1)} s`;
    } catch (error) {
      if (stop.signal.aborted) return;
      this.trouble = error instanceof Refused ? `${error.message} ${error.hint ?? ""}` : "The lab did not answer. Try again.";
    } finally {
      clearTimeout(late);
      if (this.#stop === stop) this.stop();
      this.#onChange();
    }
  }

  async #hear(question, way, signal) {
    const { base, probe: name, config, seed, kept } = this.#run;
    const asked = { ...config, ...this.#field(question, way), ...(kept ? { unlearned: kept } : {}) };
    const answer = await probe(base, name, asked, seed, signal);
    if (signal.aborted) return;
    for (const [i, model, said] of this.#take(answer, question, way)) {
      const key = `${i}|${way}`;
      this.#heard.set(key, { ...this.#heard.get(key), [model]: said });
    }
  }
}

const fieldsOf = (question, way) => ({ way, number: question });

// Small models answer every question of the run at once.
function everyQuestion({ witnesses }) {
  return witnesses.flatMap(({ name, texts, found }) =>
    texts.map((text, i) => [i, name, { text, found: found[i] }]).filter(([, , said]) => said.text !== null && said.found !== null),
  );
}

/** A line with what asking does and says: buttons of the page's own, progress with Stop, and how it ended. */
export class AskingLine {
  #asking;
  #told = h("span", { class: "gb-asking-told", role: "status" });
  #stop;
  constructor(asking, buttons, onStop) {
    this.#asking = asking;
    this.#stop = button("Stop", () => onStop(), { hidden: false });
    this.#stop.hidden = true;
    this.element = h("div", { class: "gb-asking" }, buttons, this.#stop, this.#told);
  }

  update(name = (way) => way, ended = "") {
    const { busy, word, trouble, can } = this.#asking;
    this.element.hidden = !can;
    this.#stop.hidden = !busy;
    const slow = busy && performance.now() - busy.since > SLOW && busy.step === 1 ? " (the models are being woken)" : "";
    const doing = busy && `Asking ${busy.of > 1 ? `${busy.step} of ${busy.of}: ` : ""}${name(busy.way)}${slow} …`;
    say(this.#told, doing || trouble || (word && `${word}. ${ended}`) || "");
    this.#told.classList.toggle("gb-asking-told--bad", Boolean(!doing && trouble));
  }
}

/** The card of a witness: who, in what light it stands, and what was said; what stands in brackets behind it is small. */
export function witness(name, words, chip, note = "") {
  const [, said, aside] = /^(.*?)( \(left alone.*\))?$/s.exec(words ?? "…");
  return h(
    "div",
    { class: "gb-answer gb-witness" },
    h("div", { class: "gb-witness-head" }, h("h4", {}, name), chip),
    h("p", { class: "gb-answer-text" }, said, aside ? h("small", {}, aside) : null),
    note ? h("small", { class: "gb-witness-note" }, note) : null,
  );
}
