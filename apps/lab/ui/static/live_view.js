// The live view of a run: verdict, status, replay, panels, comparison, things to take away.
//
//   const view = mount(place, { base: "/", page, experiment, panels, title, onPoint, onEnd, onAgain });
//   // pace (option): seconds that each step of a run stays in sight at least
//   view.show({ run: "20261124-audit-1", recorded: false, error: "", hint: "", nonce: 1 });   // as often as you like
//   // pressed: somebody has just asked for this run; lesson: from a step of the lesson
//   view.close();

import { Feed } from "./feed.js";
import { button, h, relabel } from "./dom.js";
import { Pin } from "./pin.js";
import { Player, SPEEDS } from "./player.js";
import { goTo } from "./panel.js";
import { fillRows, makePanel } from "./panels.js";
import { loadPlotly } from "./plot.js";
import { present, presenting, turnPage, watchPresenter } from "./presenter.js";
import { ReplayBar } from "./replay.js";
import { Status } from "./status.js";
import { Take } from "./take.js";

// Milliseconds between two drawings: while events arrive or a replay runs, and after something the reader did.
const CALM = 250,
  PROMPT = 60;
const MAIN = "\0main";
const REPLAY_S = 15; // a replay that begins by itself takes no longer than about that
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
  #asked = false; // somebody has pressed for the run that is shown
  #welcome = WELCOME;
  #timer = 0;
  #due = Infinity;
  #drawnAt = -Infinity;
  #present = button("Present", () => present(), { icon: "present", "aria-pressed": "false" });
  #notice = h("div", { class: "gb-notice gb-notice--error", role: "alert", hidden: true });
  #replay;
  #status;
  #back = button("Back to the lesson", () => goTo(".gb-lesson"), { hidden: false });
  #pin;
  #take;
  #undo = [];

  constructor(place, options) {
    this.#place = place;
    this.#options = { panels: [], onPoint() {}, onEnd() {}, onAgain() {}, ...options };
    const { base, title, experiment, first } = this.#options;
    const panels = withMain(this.#options.panels);
    const soon = () => this.#schedule(PROMPT);
    this.#pin = new Pin({ base, experiment }, () => this.#schedule(CALM));
    this.#take = new Take(base, (id) => this.#deleted(id));
    this.#back.hidden = true;
    this.#status = new Status([this.#back, ...this.#pin.tools, this.#present], (run) => this.#options.onAgain({ run }));
    this.#replay = new ReplayBar(this.#status.barStop);
    this.#numbers = panels.filter((panel) => panel.kind === "numbers").flatMap((panel) => panel.items || []);
    this.#panels = panels.map((panel) =>
      makePanel(panel, { base, refresh: soon, onPoint: (point) => this.#options.onPoint({ run: this.#feed?.id ?? "", ...point }) }),
    );
    const view = h(
      "section",
      { class: "gb-view", id: first === experiment ? "result" : null, tabindex: "-1", "aria-label": title || "Live view", onkeydown: (event) => this.#key(event) },
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

  // The main pictures, then the others in their order; those that name a fold stand together behind its title until somebody opens it.
  #groups(panels) {
    const place = (panel) => (panel.main || panel.beside ? MAIN : panel.fold || "");
    const folds = [...new Set([MAIN, "", ...panels.map(place)])].filter((fold) => panels.some((panel) => place(panel) === fold));
    return folds.map((fold) => {
      const mine = panels.map((_, i) => i).filter((i) => place(panels[i]) === fold);
      const made = mine.map((i) => this.#panels[i]);
      fillRows(
        mine.map((i) => panels[i]),
        made,
      );
      const grid = h("div", { class: fold === MAIN ? "gb-grid gb-grid--main" : "gb-grid" }, made.map((panel) => panel.element));
      return fold && fold !== MAIN ? h("details", { class: "gb-fold", ontoggle: () => this.#unfolded(made) }, h("summary", {}, fold), grid) : grid;
    });
  }

  #unfolded(panels) {
    panels.forEach((panel) => panel.redraw()); // a picture cannot be drawn while it is hidden
    this.#schedule(PROMPT);
  }

  /** Shows what the page says: `{run, recorded, error, hint}`; null empties the view. An error keeps the run that is shown. */
  show(value) {
    const { run = "", recorded = false, error = "", hint = "", pressed = false, lesson = false } = value || {};
    this.#tell(error, hint);
    if (pressed || error) this.#bringIntoSight();
    if (error && !run) return;
    this.#recorded = Boolean(recorded);
    this.#back.hidden = !lesson;
    if (run && run === this.#feed?.id && !this.#feed.refused) this.#player.follow();
    else this.#open(run);
    this.#asked = pressed;
    if (pressed && recorded && this.#player) {
      this.#told = false;
      this.#player.replay();
    }
    if (run && !run.startsWith("first-")) this.#address(run);
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
      if (!said && this.#player?.replaying && this.#feed.ended) this.#player.speed = speedFor(this.#feed.timeline.duration);
      said = Boolean(this.#feed?.answered);
    };
    this.#feed = new Feed(base, run, onChange, pace);
    this.#player = new Player(this.#feed.timeline, (smooth) => {
      this.#replay.update(this.#player, this.#feed.timeline);
      this.#schedule(smooth ? CALM : PROMPT);
    });
    if (pace && !this.#recorded) this.#player.chase();
  }

  // Whoever has started a run wants to see its picture, how far it is, and Stop, wherever on the page that was.
  #bringIntoSight() {
    const picture = this.#place.querySelector(".gb-panel .gb-plot, .gb-panel") ?? this.#place;
    const seen = this.#place.getBoundingClientRect().top > -40 && picture.getBoundingClientRect().top < 0.65 * innerHeight;
    if (!seen) goTo(this.#place);
    document.dispatchEvent(new CustomEvent("gb-started"));
  }

  // The address names the run from its first second, so that a reload, the way back and a phone that slept find it again.
  #address(run) {
    const { first, experiment } = this.#options;
    const own = [...new URLSearchParams(location.search)].filter(([name]) => name.startsWith("__"));
    const query = new URLSearchParams([...own, ["run", run], ...(first && first !== experiment ? [["of", experiment]] : [])]);
    history.replaceState(history.state, "", `${location.pathname}?${query}`);
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
    const over = sight.recorded ? this.#asked && !player?.replaying && player?.following : feed?.info || feed?.witnessed;
    if (feed?.ended && over && !this.#told) {
      this.#told = true;
      this.#options.onEnd({ run: feed.id, outcome: feed.timeline.latest.end.outcome });
    }
  }

  // Colours and sizes follow the page; the clock of a running run moves although no event arrives.
  #watch() {
    const restyle = () => {
      relabel(this.#present, presenting() ? "Leave presenter mode" : "Present");
      if (presenting() && this.#present.getAttribute("aria-pressed") === "false") {
        if (this.#leads()) this.#place.querySelector(".gb-view").focus({ preventScroll: true }); // so that space plays and does not press
        scrollTo({ top: 0, behavior: "instant" });
      }
      this.#present.setAttribute("aria-pressed", String(presenting()));
      this.#panels.forEach((panel) => panel.redraw());
      this.#schedule(PROMPT);
    };
    const theme = new MutationObserver(restyle);
    for (const element of [document.documentElement, document.body]) theme.observe(element, { attributeFilter: ["class"] });
    const second = setInterval(() => {
      if (this.#feed?.running) this.#schedule(CALM);
    }, 1000);
    const press = (event) => this.#leads() && !this.#place.contains(event.target) && this.#key(event);
    this.#undo = [() => theme.disconnect(), () => clearInterval(second), watchPresenter(restyle, press)];
  }

  /** Whether this is the view that the keys of presenter mode move: that of the page's own Run. */
  #leads() {
    const { first, experiment } = this.#options;
    return !first || first === experiment;
  }

  #key(event) {
    const { target, key } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !this.#player) return;
    const scrub = target.classList?.contains("gb-scrub");
    if (!scrub && target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (target.closest?.(".gb-scrolls")) return;
    if (key === " " && target.closest?.("button, a, summary")) return;
    const turn = (direction) => () => turnPage(this.#place, direction);
    const act = {
      " ": () => this.#player.toggle(),
      ArrowLeft: () => this.#player.step(-1),
      ArrowRight: () => this.#player.step(1),
      Home: () => this.#player.seek(0),
      End: () => this.#player.follow(),
      f: () => present(),
      ...(presenting() && { ArrowDown: turn(1), PageDown: turn(1), ArrowUp: turn(-1), PageUp: turn(-1) }),
    }[key];
    if (!act || this.#feed.timeline.length === 0) return;
    event.preventDefault();
    act();
  }
}

// Which picture is the main one a page says; where it says nothing, the first that is one.
function withMain(panels) {
  const first = panels.find((panel) => panel.main) ?? panels.find((panel) => ["matrix", "chart", "figure", "picture", "reveal"].includes(panel.kind));
  return panels.map((panel) => (panel === first ? { ...panel, main: true } : panel));
}

function speedFor(seconds) {
  return SPEEDS.find((speed) => speed >= 1 && seconds / speed <= REPLAY_S) ?? SPEEDS.at(-1);
}
