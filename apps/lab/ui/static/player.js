// Moves through the events of a run: follows the newest, or stands at a position that play, step and scrub change.

export const SPEEDS = [0.5, 1, 2, 4, 8];

export class Player {
  /** How many events are shown; null follows the newest. */
  position = null;
  playing = false;
  /** Plays a run that goes on, or did until just now, no quicker than its timeline allows. */
  chasing = false;
  /** Plays by itself what was computed earlier. */
  replaying = false;
  speed = 1;
  #timeline;
  #clock = 0;
  #frame = 0;
  #onMove;

  /** `onMove(smooth)` after every change; `smooth` while it plays, when only the clock may have moved. */
  constructor(timeline, onMove) {
    this.#timeline = timeline;
    this.#onMove = onMove;
  }

  get following() {
    return this.position === null;
  }
  get count() {
    return this.position ?? this.#timeline.length;
  }
  get state() {
    return this.#timeline.at(this.count);
  }
  get time() {
    return this.following ? this.#timeline.duration : this.#clock;
  }

  /** Plays a run that has just begun from its start; where the run is slower, it is waited for. */
  chase() {
    this.#stand(0);
    this.playing = this.chasing = true;
    this.#run(performance.now());
  }

  /** Plays from the start what is all there already. */
  replay() {
    this.#halt();
    this.#stand(0);
    this.playing = this.replaying = true;
    this.#run(performance.now());
    this.#onMove(false);
  }

  /** Plays on from here, from the start if it stands at the end; pauses if it plays. */
  toggle() {
    if (this.playing) return this.pause();
    if (this.following && this.#timeline.ended) this.#stand(0);
    else if (this.following) return this.pause();
    this.playing = true;
    this.#run(performance.now());
    this.#onMove(false);
  }

  /** Stands still. A run that is followed live goes on, its view stays where it is. */
  pause() {
    this.#halt();
    if (this.following && !this.#timeline.ended) this.#stand(this.#timeline.duration);
    this.#onMove(false);
  }

  /** Back to the newest event. */
  follow() {
    this.#halt();
    this.position = null;
    this.#onMove(false);
  }

  /** To second `t` of the run. */
  seek(t) {
    const end = this.#timeline.duration;
    if (t >= end && this.#timeline.ended && !this.playing) return this.follow();
    this.#stand(Math.min(Math.max(0, t), end));
    this.#onMove(false);
  }

  /** One thing to see forwards (+1) or backwards (-1). */
  step(direction) {
    this.#halt();
    const next = this.#timeline.stop(this.count, direction);
    if (next >= this.#timeline.length && this.#timeline.ended) return this.follow();
    this.position = next;
    this.#clock = this.#timeline.timeOf(next);
    this.#onMove(false);
  }

  close() {
    this.#halt();
  }

  #stand(t) {
    this.#clock = t;
    this.position = t > 0 ? this.#timeline.countAt(t) : 0;
  }

  #halt() {
    this.playing = this.chasing = this.replaying = false;
    cancelAnimationFrame(this.#frame);
  }

  #run(before) {
    this.#frame = requestAnimationFrame((now) => {
      if (!this.playing) return;
      this.#clock += ((now - before) / 1000) * this.speed;
      const { duration, ended, latest } = this.#timeline;
      if (this.replaying && !ended) this.#clock = Math.min(this.#clock, duration); // its events are still on their way
      if (this.chasing && ended && latest.end.outcome !== "finished") return this.follow();
      if (this.#clock >= duration && (ended || !(this.chasing || this.replaying))) return this.follow();
      this.#clock = Math.min(this.#clock, duration);
      this.position = this.#timeline.countAt(this.#clock);
      this.#onMove(true);
      this.#run(now);
    });
  }
}
