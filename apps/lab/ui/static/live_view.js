// The live view of a run: verdict, status, replay, panels, comparison, things to take away.
//
//   const view = mount(place, { base: "/", page, experiment, panels, title, onPoint, onEnd });
//   // pace (option): seconds that each step of a run stays in sight at least
//   view.show({ run: "20261124-audit-1", recorded: false, error: "", hint: "", nonce: 1 });   // as often as you like
//   view.close();

import { Feed } from "./feed.js";
import { button, h, relabel } from "./dom.js";
import { Pin } from "./pin.js";
import { Player } from "./player.js";
import { fillRows, makePanel } from "./panels.js";
import { loadPlotly } from "./plot.js";
import { present, presenting, watchPresenter } from "./presenter.js";
import { ReplayBar } from "./replay.js";
import { Status } from "./status.js";
import { Take } from "./take.js";

// Milliseconds between two drawings: while events arrive or a replay runs, and after something the reader did.
const CALM = 250,
  PROMPT = 60;
const WELCOME = "Choose a setting and press Run. The picture builds up while the model works.";

/** Builds the view inside `place`. Gives `{ show(value), close() }`. */
export function mount(place, options) {
  loadPlotly().catch(() => {}); // asked for now, so that it is there when the first numbers are
  const view = new LiveView(place, options);
  return { show: (value) => view.show(value), close: () => view.close() };
}

class LiveView {
  #place;
  #options;
  #panels;
  #numbers;
  #feed = null;
  #player = null;
  #recorded = false;
  #told = false;
  #welcome = WELCOME;
  #timer = 0;
  #due = Infinity;
  #drawnAt = -Infinity;
  #present = button("Present", () => present(), { icon: "present", "aria-pressed": "false" });
  #notice = h("div", { class: "gb-notice gb-notice--error", role: "alert", hidden: true });
  #replay = new ReplayBar();
  #status;
  #pin;
  #take;
  #undo = [];

  constructor(place, options) {
    this.#place = place;
    this.#options = { panels: [], onPoint() {}, onEnd() {}, ...options };
    const { base, panels, title, experiment } = this.#options;
    const soon = () => this.#schedule(PROMPT);
    this.#pin = new Pin({ base, experiment }, () => this.#schedule(CALM));
    this.#take = new Take(base, (id) => this.#deleted(id));
    this.#status = new Status([...this.#pin.tools, this.#present]);
    this.#numbers = panels.filter((panel) => panel.kind === "numbers").flatMap((panel) => panel.items || []);
    this.#panels = panels.map((panel) =>
      makePanel(panel, { base, refresh: soon, onPoint: (point) => this.#options.onPoint({ run: this.#feed?.id ?? "", ...point }) }),
    );
    const view = h(
      "section",
      { class: "gb-view", tabindex: "-1", "aria-label": title || "Live view", onkeydown: (event) => this.#key(event) },
      this.#notice,
      this.#status.element,
      this.#pin.note,
      this.#groups(panels),
      this.#pin.element,
      this.#replay.element,
      this.#take.element,
    );
    place.replaceChildren(view);
    place.removeAttribute("aria-busy");
    this.#watch();
    this.#draw();
  }

  // Panels in their order; those that name a fold stand together behind its title until somebody opens it.
  #groups(panels) {
    const folds = [...new Set(panels.map((panel) => panel.fold || ""))];
    return folds.map((fold) => {
      const mine = panels.map((_, i) => i).filter((i) => (panels[i].fold || "") === fold);
      const made = mine.map((i) => this.#panels[i]);
      fillRows(
        mine.map((i) => panels[i]),
        made,
      );
      const grid = h("div", { class: "gb-grid" }, made.map((panel) => panel.element));
      return fold ? h("details", { class: "gb-fold", ontoggle: () => this.#unfolded(made) }, h("summary", {}, fold), grid) : grid;
    });
  }

  #unfolded(panels) {
    panels.forEach((panel) => panel.redraw()); // a picture cannot be drawn while it is hidden
    this.#schedule(PROMPT);
  }

  /** Shows what the page says: `{run, recorded, error, hint}`; null empties the view. An error keeps the run that is shown. */
  show(value) {
    const { run = "", recorded = false, error = "", hint = "" } = value || {};
    this.#tell(error, hint);
    if (error && !run) return;
    this.#recorded = Boolean(recorded);
    if (run && run === this.#feed?.id && !this.#feed.refused) this.#player.follow();
    else {
      this.#open(run);
      if (run && !run.startsWith("first-")) this.#bringIntoSight();
    }
    this.#schedule(0);
  }

  close() {
    clearTimeout(this.#timer);
    this.#timer = -1;
    this.#undo.forEach((undo) => undo());
    this.#feed?.close();
    this.#player?.close();
    this.#pin.close();
    this.#panels.forEach((panel) => panel.close());
    this.#place.replaceChildren();
  }

  #open(run) {
    this.#feed?.close();
    this.#player?.close();
    this.#feed = this.#player = null;
    this.#told = false;
    this.#welcome = WELCOME;
    if (!run) return;
    const { base, pace } = this.#options;
    let said = false; // what a recorded run has to show is there at once
    const onChange = () => {
      this.#schedule(said ? CALM : 0);
      said = Boolean(this.#feed?.answered);
    };
    this.#feed = new Feed(base, run, onChange, pace);
    this.#player = new Player(this.#feed.timeline, (smooth) => {
      this.#replay.update(this.#player, this.#feed.timeline);
      this.#schedule(smooth ? CALM : PROMPT);
    });
    if (pace && !this.#recorded) this.#player.chase();
  }

  // On a phone the controls stand above the view: whoever has just pressed Run there wants to see what happens.
  #bringIntoSight() {
    if (!navigator.userActivation?.isActive || this.#place.getBoundingClientRect().top < 0.6 * innerHeight) return;
    this.#place.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  #tell(error, hint) {
    this.#notice.hidden = !error;
    this.#notice.replaceChildren(...(error ? [h("p", {}, h("strong", {}, error)), hint ? h("p", {}, hint) : null].filter(Boolean) : []));
  }

  #deleted(id) {
    if (this.#feed?.id !== id) return;
    this.#open("");
    this.#welcome = "That run is deleted. Press Run to start another.";
    this.#schedule(0);
  }

  // One drawing at a time, and not sooner than `gap` milliseconds after the last.
  #schedule(gap) {
    if (this.#timer === -1) return;
    const due = Math.max(performance.now(), this.#drawnAt + gap);
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.#draw(), due - performance.now());
  }

  #draw() {
    this.#due = Infinity;
    this.#drawnAt = performance.now();
    const feed = this.#feed,
      player = this.#player,
      shown = feed?.answered && !feed.refused;
    const sight = {
      feed,
      player,
      state: shown ? player.state : null,
      whole: shown ? feed.timeline.latest : null,
      pinned: this.#pin.sight(feed),
      recorded: (this.#recorded && !feed?.witnessed) || Boolean(feed?.info?.first_view),
    };
    this.#place.dataset.run = feed?.id ?? "";
    this.#place.dataset.events = feed?.timeline.length ?? 0;
    this.#status.update(sight, this.#welcome);
    this.#replay.update(shown ? player : null, feed?.timeline);
    for (const panel of this.#panels) panel.update(sight);
    this.#pin.update(sight, this.#numbers);
    this.#take.update(sight);
    if (feed?.ended && (feed.info || feed.witnessed) && !sight.recorded && !this.#told) {
      this.#told = true;
      this.#options.onEnd({ run: feed.id, outcome: feed.timeline.latest.end.outcome });
    }
  }

  // Colours and sizes follow the page; the clock of a running run moves although no event arrives.
  #watch() {
    const restyle = () => {
      relabel(this.#present, presenting() ? "Leave presenter mode" : "Present");
      if (presenting() && this.#present.getAttribute("aria-pressed") === "false") this.#place.scrollIntoView({ block: "start" });
      this.#present.setAttribute("aria-pressed", String(presenting()));
      this.#panels.forEach((panel) => panel.redraw());
      this.#schedule(PROMPT);
    };
    const theme = new MutationObserver(restyle);
    for (const element of [document.documentElement, document.body]) theme.observe(element, { attributeFilter: ["class"] });
    const second = setInterval(() => {
      if (this.#feed?.running) this.#schedule(CALM);
    }, 1000);
    this.#undo = [() => theme.disconnect(), () => clearInterval(second), watchPresenter(restyle)];
  }

  #key(event) {
    const { target, key } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.#player) return;
    const scrub = target.classList?.contains("gb-scrub");
    if (!scrub && target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (target.closest?.(".gb-scrolls")) return;
    if (key === " " && target.closest?.("button, a, summary")) return;
    const act = {
      " ": () => this.#player.toggle(),
      ArrowLeft: () => this.#player.step(-1),
      ArrowRight: () => this.#player.step(1),
      Home: () => this.#player.seek(0),
      End: () => this.#player.follow(),
      f: () => present(),
    }[key];
    if (!act || this.#feed.timeline.length === 0) return;
    event.preventDefault();
    act();
  }
}
