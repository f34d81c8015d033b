// The bar under the picture: play, pause, step, scrub, speed, back to the newest, stop. The same for live and recorded runs.

import { button, clock, h, relabel, say } from "./dom.js";
import { SPEEDS } from "./player.js";

export class ReplayBar {
  #back = button("One step back", () => this.#player?.step(-1), { icon: "back", hidden: true, kind: "gb-round" });
  #play = button("Play", () => this.#player?.toggle(), { icon: "play", hidden: true, kind: "gb-round gb-round--main" });
  #forward = button("One step on", () => this.#player?.step(1), { icon: "forward", hidden: true, kind: "gb-round" });
  #slider = h("input", {
    type: "range",
    class: "gb-scrub",
    min: 0,
    max: 1,
    step: "any",
    value: 1,
    "aria-label": "Moment of the run",
    oninput: () => this.#player?.seek(Number(this.#slider.value)),
  });
  #time = h("span", { class: "gb-time" }, "0.0 s");
  #speed = h(
    "select",
    {
      class: "gb-speed",
      "aria-label": "Replay speed",
      onchange: () => {
        this.#chosen = this.#player.speed = Number(this.#speed.value);
      },
    },
    SPEEDS.map((speed) => h("option", { value: speed, selected: speed === 1 }, `${speed}×`)),
  );
  #newest = button("Live", () => this.#player?.follow(), { icon: "live", kind: "gb-newest" });
  #player = null;
  #chosen = 0; // the speed that the reader wants, once one has been chosen

  element;

  /** `stop` is the button that stops the run; it stands here because the bar is always in sight. */
  constructor(stop) {
    this.element = h(
      "div",
      { class: "gb-replay", role: "group", "aria-label": "Replay" },
      h("div", { class: "gb-replay-buttons" }, this.#back, this.#play, this.#forward),
      this.#slider,
      this.#time,
      h("div", { class: "gb-replay-more" }, this.#speed, this.#newest, stop),
    );
  }

  /** `player` null switches the bar off. */
  update(player, timeline) {
    if (player && player !== this.#player && this.#chosen) player.speed = this.#chosen;
    if (player) this.#speed.value = String(player.speed);
    this.#player = player;
    const idle = !player || timeline.length === 0;
    for (const control of [this.#back, this.#play, this.#forward, this.#slider, this.#speed, this.#newest]) control.disabled = idle;
    this.element.classList.toggle("gb-replay--idle", idle);
    if (idle) {
      this.#newest.classList.remove("gb-newest--on");
      this.#slider.value = 0;
      this.#slider.style.setProperty("--gb-done", "0%");
      return say(this.#time, "–");
    }
    const moving = player.playing || (player.following && !timeline.ended);
    relabel(
      this.#play,
      moving ? "Pause" : player.following ? "Play from the start" : "Play",
      moving ? "pause" : player.following ? "again" : "play",
    );
    relabel(this.#newest, timeline.ended ? "To the end" : player.following ? "Live" : "Back to live");
    this.#newest.disabled = player.following;
    this.#newest.classList.toggle("gb-newest--on", player.following && !timeline.ended);
    const end = Math.max(timeline.duration, 0.001);
    this.#slider.max = end;
    this.#slider.value = player.time;
    this.#slider.style.setProperty("--gb-done", `${(100 * Math.min(1, player.time / end)).toFixed(2)}%`);
    const { progress } = player.state;
    const steps = progress ? `, step ${progress.step} of ${progress.total}` : "";
    this.#slider.setAttribute("aria-valuetext", `${clock(player.time)} of ${clock(timeline.duration)}${steps}`);
    say(this.#time, `${clock(player.time)} / ${clock(timeline.duration)}`);
  }
}
