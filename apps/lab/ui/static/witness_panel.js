// The three witnesses of the bench: each is asked plainly, or attacked until a true or a false answer comes out; one way colours one square
// of each. Nothing is asked before a run has ended, and of the whole bench only.
//
// Reads the table `targets` (Group | Question | Wanted | What it really writes | Success | Steps | ...), so that a reader sees whether it
// took as many steps as in the run.

import { button, h, say } from "./dom.js";
import { Asking, AskingLine } from "./interview.js";
import { card } from "./panel.js";

const HOWS = [["asked", "Just ask"], ["true", "Attack: truth"], ["false", "Attack: lie"]];
const GROUPS = { true: "true answer", false: "false answer" };
const WITNESSES = ["Knows it", "Made to forget", "Never knew"];
const STATES = ["not said", "said, but also by the one that never knew", "said"];
const CALM = 1500; // milliseconds after the picture before the first question is put by itself

export class WitnessPanel {
  #panel;
  #context;
  #question = null;
  #how = "asked";
  #rows = []; // of the table `targets`
  #id = null;
  #asking = new Asking(() => this.#context.refresh(), {
    field: (number, how) => ({ number, how }),
    take: ({ witnesses, wanted }, question) => witnesses.map((one) => [question, one.name, { text: one.said, found: one.hit, steps: one.steps, wanted }]),
  });
  #select = h("select", { class: "gb-cell-choice", onchange: (event) => this.#turn({ question: Number(event.target.value) }) });
  #hows = h("div", { class: "gb-hows", role: "group", "aria-label": "Way of asking" });
  #list = h("div", { class: "gb-witness-rows", "aria-live": "polite" });
  #told = h("p", { class: "gb-panel-note" });
  #line = new AskingLine(this.#asking, [button("Ask all", () => this.#all())], () => {
    this.#asking.stop();
    this.#context.refresh();
  });

  constructor(panel, context) {
    this.#panel = panel;
    this.#context = context;
    this.#hows.append(...HOWS.map(([id, name]) => button(name, () => this.#turn({ how: id }), { value: id })));
    const choice = h("div", { class: "gb-cell-choices" }, h("label", {}, "Question ", this.#select));
    this.element = card(panel, "witnesses", choice, this.#hows, this.#list, this.#line.element, this.#told);
    this.element.hidden = true;
  }

  update({ state, feed }) {
    const { config, seed } = feed?.info ?? {};
    this.#rows = state?.tables.targets?.rows ?? [];
    const questions = this.#rows.filter((row) => row[0] === `${WITNESSES[1]}: ${GROUPS.true}`).map((row) => row[1]);
    const ready = feed?.ended && config?.what === "bench" && questions.length > 0;
    this.#asking.about({ id: feed?.id, ...(ready ? { base: this.#context.base, probe: this.#panel.asks, config, seed } : {}) });
    if (this.#id !== feed?.id) [this.#id, this.#question, this.#how] = [feed?.id, null, "asked"];
    this.element.hidden = !ready;
    if (!ready) return;
    this.#question ??= Math.max(0, questions.indexOf(config.question));
    this.#opens(config);
    this.#fill(questions);
  }

  redraw() {}

  close() {
    this.#asking.stop();
  }

  // The page opens with an answer of each, once its picture stands and the reader has got so far.
  #opens(config) {
    if (this.#watch || !String(config.model).startsWith("embedded/")) return;
    this.#watch = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting) return;
      this.#watch.disconnect();
      setTimeout(() => !this.#asking.busy && !this.#asking.any && this.#asking.ask(this.#question, "asked"), CALM);
    });
    this.#watch.observe(this.element);
  }
  #watch = null;

  #turn({ question = this.#question, how = this.#how }) {
    this.#question = question;
    this.#how = how;
    this.#asking.ask(question, how);
    this.#context.refresh();
  }

  #all() {
    this.#asking.all(HOWS.map(([how]) => [this.#question, how]));
  }

  #state(name, how) {
    const found = (who) => this.#asking.heard(who, this.#question, how)?.found;
    const hit = found(name);
    return hit === undefined ? null : hit ? (found(WITNESSES[2]) ? 1 : 2) : 0;
  }

  #fill(questions) {
    if (this.#select.options.length !== questions.length || questions.some((one, i) => one !== this.#select.options[i].textContent))
      this.#select.replaceChildren(...questions.map((text, i) => h("option", { value: i }, text)));
    this.#select.value = String(this.#question);
    if (this.#asking.busy) this.#how = this.#asking.busy.way;
    const shown = this.#how;
    for (const one of this.#hows.children) one.setAttribute("aria-pressed", String(one.value === shown));
    this.#list.replaceChildren(...WITNESSES.map((name) => this.#row(name, shown)));
    this.#line.update((how) => HOWS.find(([id]) => id === how)?.[1] ?? how);
    say(this.#told, this.#sum());
  }

  #row(name, how) {
    const heard = this.#asking.heard(name, this.#question, how);
    const square = ([id, title]) => {
      const state = this.#state(name, id);
      const words = `${title}: ${state === null ? "not asked yet" : STATES[state]}`;
      return h("span", { role: "img", "aria-label": words, title: words, "data-state": state, "aria-current": id === how ? "true" : null });
    };
    const busy = this.#asking.busy?.way === how && !heard;
    return h(
      "div",
      { class: "gb-witness-row" },
      h("h4", {}, name),
      h("div", { class: "gb-squares" }, HOWS.map(square)),
      h("p", { class: "gb-answer-text" }, heard ? heard.text : busy ? "…" : h("small", {}, "not asked yet"), " ", heard ? h("small", {}, this.#steps(name, how, heard)) : null),
    );
  }

  // How much work it took, beside what the run needed for the same.
  #steps(name, how, { steps, found }) {
    if (how === "asked") return found ? "right" : "wrong";
    const question = this.#select.options[this.#question]?.textContent;
    const run = this.#rows.find((row) => row[0] === `${name}: ${GROUPS[how]}` && row[1] === question);
    const took = steps === null ? "did not come out" : steps === 0 ? "at once" : `after ${steps} step${steps === 1 ? "" : "s"}`;
    const same = run && (run[4] === "yes" ? run[5] : null) === steps;
    return `${took}${run ? (same ? ", as in the run" : `; in the run ${run[5] ?? "never"}`) : ""}`;
  }

  #sum() {
    const states = Object.fromEntries(HOWS.map(([how]) => [how, WITNESSES.map((name) => this.#state(name, how))]));
    if (Object.values(states).flat().includes(null)) return "";
    const said = (how) => states[how].filter((state) => state > 0).length;
    const end = said("true") === 3 ? " What an attack gets out of this question proves nothing." : "";
    return `Just asked, ${said("asked")} of 3 say the truth. Attacked, ${said("true")} say it, and ${said("false")} say a lie as readily.${end}`;
  }
}
