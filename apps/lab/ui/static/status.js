// The top of the live view: what was found, in words; what is going on right now; and the buttons that stop it.

import { about, button, clock, h, ordinal, relabel, say } from "./dom.js";
import { cancel, clearLine } from "./client.js";
import { Layers } from "./layers.js";

const ENDINGS = {
  finished: (seconds) => `Finished in ${clock(seconds)}.`,
  cancelled: (seconds) => `Stopped after ${clock(seconds)}. You see what it had found by then.`,
  failed: (seconds) => (seconds >= 0.5 ? `Something went wrong after ${clock(seconds)}.` : "It could not begin."),
  interrupted: (seconds) => `The lab was closed ${clock(seconds)} into this run. You see what was saved.`,
};
const LOST = "Connection to the lab lost. Trying again; the run itself goes on.";
const LEFT = "Somebody else asked for the same run, so it goes on for them. You can leave or keep watching.";
const BADGES = { finished: "Finished", cancelled: "Stopped", failed: "Failed", interrupted: "Interrupted" };

export class Status {
  #badge = h("span", { class: "gb-badge" });
  #when = h("span", { class: "gb-when" });
  #layers = new Layers();
  #bar = h("div", { class: "gb-progress", role: "progressbar", "aria-label": "Progress of the run", "aria-valuemin": 0 }, h("span"));
  #line = h("p", { class: "gb-status-line" });
  #hint = h("p", { class: "gb-status-hint" });
  #lost = h("p", { class: "gb-lost", role: "status", hidden: true });
  #stop = button("Stop", () => this.#halt(), { icon: "stop", kind: "gb-button--stop" });
  #clear = button("Clear the line", () => this.#empty(), { hidden: false });
  #again;
  #halting = null;
  #left = null;
  #feed = null;
  /** The same button once more, for the replay bar. */
  barStop = button("Stop", () => this.#halt(), { icon: "stop", kind: "gb-button--stop gb-button--small" });

  /** `tools` are the buttons at the right of the badge; `onAgain(run)` computes a recorded run anew. */
  constructor(tools, onAgain) {
    this.#again = button("Compute again", () => onAgain(this.#feed.id), { icon: "again" });
    this.element = h(
      "div",
      { class: "gb-status" },
      h(
        "div",
        { class: "gb-status-top" },
        h("div", { class: "gb-status-what" }, this.#badge, this.#when, this.#again),
        h("div", { class: "gb-tools" }, tools),
      ),
      this.#layers.headline,
      h(
        "div",
        { class: "gb-now" },
        h("div", { class: "gb-now-words" }, this.#bar, this.#line, this.#hint, this.#lost),
        this.#clear,
        this.#stop,
      ),
      this.#layers.element,
    );
  }

  /** `sight` as live_view.js makes it; `empty` is what to say when there is no run. */
  update({ feed, state, player, recorded }, empty) {
    this.#feed = feed;
    if (this.#halting && (this.#halting !== feed?.id || feed.ended)) this.#halting = null;
    const left = feed?.running && this.#left === feed.id;
    if (left) this.#halting = null;
    const words = feed
      ? wordsOf(feed, state, player, recorded, this.#halting)
      : { tone: "empty", badge: "", line: "", hint: "", instead: empty };
    this.element.dataset.tone = words.tone;
    say(this.#badge, words.badge);
    this.#badge.hidden = !words.badge;
    say(this.#when, whenOf(feed, recorded, player));
    this.#layers.update(state?.verdict ?? null, words.instead, aboutOf(feed));
    say(this.#line, words.line);
    this.#line.hidden = !words.line;
    const hint = left ? LEFT : words.hint;
    say(this.#hint, hint);
    this.#hint.hidden = !hint;
    this.#connection(feed);
    this.#progress(feed, state);
    this.#again.hidden = !(recorded && feed?.ended && !feed.info?.first_view && feed.info?.mine !== false);
    this.#clear.hidden = !(feed?.waiting && feed.info?.host);
    for (const stop of [this.#stop, this.barStop]) {
      const focused = document.activeElement === stop;
      stop.hidden = !feed?.running || left || feed.info?.mine === false;
      stop.disabled = this.#halting !== null;
      if (focused && stop.hidden) stop.closest("section.gb-view")?.focus({ preventScroll: true }); // the next Tab goes on from here
      relabel(stop, this.#halting ? "Stopping …" : "Stop");
    }
  }

  // Says that the line is lost, and for a few seconds that it is back.
  #connection(feed) {
    const lost = Boolean(feed?.trouble);
    if (lost) say(this.#lost, LOST);
    else if (this.#lost.textContent === LOST) {
      say(this.#lost, "Connected again. Nothing was missed.");
      setTimeout(() => {
        if (this.#lost.textContent !== LOST) this.#lost.hidden = true;
      }, 5000);
    }
    if (lost) this.#lost.hidden = false;
    this.#lost.classList.toggle("gb-lost--found", !lost);
  }

  #progress(feed, state) {
    const { step = 0, total = 0 } = state?.progress || {};
    this.#bar.hidden = !feed?.running || feed.waiting;
    this.#bar.classList.toggle("gb-progress--unknown", !total);
    this.#bar.setAttribute("aria-valuemax", total || 1);
    if (total) this.#bar.setAttribute("aria-valuenow", step);
    else this.#bar.removeAttribute("aria-valuenow");
    this.#bar.firstChild.style.width = total ? `${Math.min(100, (100 * step) / total)}%` : "";
  }

  async #halt() {
    const feed = this.#feed;
    this.#halting = feed.id;
    this.#told(true);
    try {
      const { left } = await cancel(feed.base, feed.id);
      if (left) this.#left = feed.id;
    } catch (error) {
      this.#halting = null;
      this.#told(false);
      say(this.#line, error.hint ? `${error.message} ${error.hint}` : "The lab could not be reached. Try Stop again.");
      this.#line.hidden = false;
    }
  }

  #told(stopping) {
    for (const stop of [this.#stop, this.barStop]) {
      relabel(stop, stopping ? "Stopping …" : "Stop");
      stop.disabled = stopping;
    }
  }

  async #empty() {
    try {
      await clearLine(this.#feed.base);
    } catch (error) {
      say(this.#hint, error.hint ? `${error.message} ${error.hint}` : "The lab could not be reached. Try again.");
    }
  }
}

function wordsOf(feed, state, player, recorded, halting) {
  if (feed.refused) return { tone: "bad", badge: "Not here", instead: feed.refused.message, line: "", hint: feed.refused.hint };
  if (!feed.answered) return { tone: "wait", badge: "Opening", instead: "Opening the run …", line: "", hint: "" };
  if (feed.waiting)
    return {
      tone: "wait",
      badge: "In line",
      instead: "Waiting for its turn.",
      line: inLine(feed),
      hint: "The lab computes one experiment at a time. Close this page and your place goes to the next.",
    };
  if (!feed.ended || player.chasing) {
    const line = halting ? `Stopping … (${clock(feed.elapsed)})` : runningLine(feed, state, player);
    return {
      tone: "live",
      badge: player.chasing && feed.ended ? "Live, slowed down" : player.following || player.chasing ? "Live" : "Live, paused",
      instead: "Watch: the answer is being worked out.",
      line,
      hint: "",
    };
  }
  const { outcome, error, hint } = feed.timeline.latest.end;
  const seconds = feed.info?.duration_s ?? feed.timeline.duration;
  const ending = error && outcome === "failed" && seconds < 0.5 ? "" : (ENDINGS[outcome] || ENDINGS.finished)(seconds);
  const back = !player.following;
  const tone =
    outcome === "failed" || outcome === "interrupted" ? "bad" : outcome === "cancelled" ? "warn" : recorded ? "recorded" : "done";
  const line = back ? replayLine(state) : [recorded && outcome === "finished" ? "" : ending, error].filter(Boolean).join(" ");
  const quiet = back
    ? "The answer comes at the end of the replay."
    : outcome === "finished"
      ? "This run ended without a verdict."
      : error || "No verdict: the run did not get that far.";
  return {
    tone,
    badge: player.replaying ? "Replaying" : recorded ? "Recorded run" : BADGES[outcome] || "Finished",
    instead: quiet,
    line: quiet === error ? ending : line,
    hint: back ? "" : hint,
  };
}

function inLine({ place, estimate }) {
  return `You are ${place === 1 ? "next" : ordinal(place)} in line${estimate > 0 ? `, ${about(estimate)}` : ""}.`;
}

const stepOf = ({ progress }) => (progress?.total ? `step ${progress.step} of ${progress.total}` : "");
const noteOf = ({ progress }) => (progress?.note ? progress.note.charAt(0).toUpperCase() + progress.note.slice(1) : "");

function runningLine(feed, state, player) {
  const shown = feed.ended ? "shown slowly enough to follow" : `shown up to ${clock(player.time)}, the run goes on`;
  const parts = [noteOf(state) || "Running", stepOf(state), player.following ? clock(feed.elapsed) : shown];
  if (player.following && feed.estimate > 0) parts.push(`${about(feed.estimate)} left`);
  return parts.filter(Boolean).join(" · ");
}

function replayLine(state) {
  return ["Replay", noteOf(state), stepOf(state)].filter(Boolean).join(" · ");
}

// "computed at 12:22, replaying"; a run of another day says which.
function whenOf(feed, recorded, player) {
  if (!feed?.info?.created) return "";
  const day = new Date(feed.info.created);
  if (Number.isNaN(day.getTime())) return "";
  const today = day.toDateString() === new Date().toDateString();
  const clockTime = day.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  const date = day.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
  if (!recorded) return today ? clockTime : date;
  const when = today && !feed.info.first_view ? `computed at ${clockTime}` : `computed earlier, on ${date}`;
  return player?.replaying ? `${when}, replaying` : when;
}

// Of which model and whose questions a run speaks, so that nobody takes it for another.
function aboutOf(feed) {
  const { config, model } = feed?.info ?? {};
  if (!config) return "";
  const questions = "questions" in config ? (config.questions ? "your own questions" : `the lab's own questions${config.world ? ` (${config.world})` : ""}`) : "";
  return [model?.ref && `Model: ${model.ref}.`, questions && `Asked: ${questions}.`].filter(Boolean).join(" ");
}
