// Pin a run and lay the next one over it: which run is pinned, remembered per experiment, and both side by side in numbers.

import { Feed } from "./feed.js";
import { read, send } from "./client.js";
import { button, h, number, relabel, remember, say } from "./dom.js";

export class Pin {
  feed = null;
  #context;
  #onChange;
  #button = button("Pin this run", () => this.#toggle(), { icon: "pin", "aria-pressed": "false" });
  #others = h("select", { class: "gb-pin-others", "aria-label": "Compare with one of your other runs", hidden: true, onchange: () => this.#choose() });
  #body = h("div");
  #shown = null;
  #key = "";
  #listed = "";

  /** The buttons for the top of the view. */
  tools = [this.#others, this.#button];
  /** What pinning does, in words, for under the head. */
  note = h("p", { class: "gb-pin-note", role: "status", hidden: true });
  element = h(
    "section",
    { class: "gb-compare", "aria-label": "This run beside the pinned run", hidden: true },
    h("h3", {}, "The two runs in numbers"),
    this.#body,
  );

  constructor(context, onChange) {
    this.#context = context;
    this.#onChange = onChange;
    const known = remember(this.#store);
    if (typeof known === "string" && known) this.#pin(known);
  }

  get #store() {
    return `gb-pin:${this.#context.experiment}`;
  }

  /** The pinned run as other parts of the view need it; null when there is none or it is the one that is shown. */
  sight(shownFeed) {
    if (!this.feed || !this.feed.answered || this.feed.id === shownFeed?.id) return null;
    return {
      id: this.feed.id,
      state: this.feed.timeline.latest,
      label: differences(this.feed.info, shownFeed?.info)[0]?.pinned || short(this.feed.id),
    };
  }

  update(sight, numbers) {
    this.#shown = sight.feed;
    if (this.feed?.refused) return this.#unpin();
    const here = this.feed && this.feed.id === sight.feed?.id;
    this.#button.disabled = !sight.feed && !this.feed;
    this.#button.setAttribute("aria-pressed", String(Boolean(this.feed)));
    relabel(this.#button, this.feed ? "Unpin" : "Pin this run");
    this.#list(sight.feed);
    this.element.hidden = !sight.pinned;
    this.note.hidden = !this.feed;
    if (!this.feed) return;
    if (here) say(this.note, "This run is pinned. Change a setting and press Run: the next run is drawn over this one.");
    else if (sight.pinned)
      say(this.note, `Dashed and hatched: the pinned run, ${sight.pinned.label}. Both runs in numbers stand below the figures.`);
    else say(this.note, "Opening the pinned run …");
    this.#compare(sight, numbers);
  }

  close() {
    this.feed?.close();
  }

  #compare({ feed, state, pinned }, numbers) {
    const rows = pinned && state ? rowsOf(state, pinned.state, numbers) : [];
    const changed = pinned ? differences(this.feed.info, feed?.info) : [];
    const key = JSON.stringify([rows, changed, pinned?.state.verdict?.text, state?.verdict?.text]);
    if (key === this.#key) return;
    this.#key = key;
    this.#body.replaceChildren(...(pinned && state ? [sideBySide(rows, changed, state, pinned.state)] : []));
  }

  #toggle() {
    if (this.feed) return this.#unpin();
    if (this.#shown) this.#pin(this.#shown.id, true);
  }

  #choose() {
    if (this.#others.value) this.#pin(this.#others.value);
    this.#others.value = "";
  }

  #pin(id, shown = false) {
    this.feed?.close();
    this.feed = new Feed(this.#context.base, id, this.#onChange);
    remember(this.#store, id);
    // The lab keeps a pinned run going even when nobody watches it; runs of others cannot be asked for that.
    if (shown && this.#shown.info?.owner) send(this.#context.base, id, "pin", { pinned: true }).catch(() => {});
    this.#onChange();
  }

  #unpin() {
    const { id, info } = this.feed;
    this.feed.close();
    this.feed = null;
    this.#key = "";
    remember(this.#store, "");
    if (info?.owner) send(this.#context.base, id, "pin", { pinned: false }).catch(() => {});
    this.#onChange();
  }

  // The visitor's other runs, read again when another run is shown or this one ends.
  async #list(feed) {
    const mark = `${feed?.id} ${feed?.ended}`;
    if (!feed?.answered || mark === this.#listed) return;
    this.#listed = mark;
    let runs = [];
    try {
      runs = (await read(this.#context.base, `runs?experiment=${encodeURIComponent(this.#context.experiment)}`)).runs || [];
    } catch {
      /* without the list there is still the button */
    }
    const others = runs.filter((run) => run.id !== feed?.id).slice(0, 30);
    this.#others.hidden = others.length === 0;
    this.#others.replaceChildren(
      h("option", { value: "" }, "Compare with …"),
      ...others.map((run) => h("option", { value: run.id }, described(run, feed?.info))),
    );
  }
}

const short = (id) => String(id).slice(-8);
const written = (value) =>
  value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);

/** What differs between the settings of two runs: [{ name, pinned, shown }], each side as "algorithm ga". */
export function differences(pinned, shown) {
  if (!pinned?.config || !shown?.config) return [];
  const names = [...new Set([...Object.keys(pinned.config), ...Object.keys(shown.config)])];
  const all = names.map((name) => [name, pinned.config[name], shown.config[name]]);
  all.push(["seed", pinned.seed, shown.seed]);
  return all
    .filter(([, a, b]) => JSON.stringify(a) !== JSON.stringify(b))
    .map(([name, a, b]) => ({ name, pinned: `${name} ${written(a)}`, shown: `${name} ${written(b)}` }));
}

function described(run, shown) {
  const changed = shown
    ? differences({ ...run, seed: run.seed ?? shown.seed }, shown)
        .map((one) => one.pinned)
        .slice(0, 3)
        .join(", ")
    : "";
  const time = new Date(run.created);
  const when = Number.isNaN(time.getTime())
    ? ""
    : time.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  return [changed || run.title || short(run.id), when, run.outcome === "finished" ? "" : run.outcome].filter(Boolean).join(" · ");
}

function rowsOf(state, old, numbers) {
  const named = new Map(numbers.map((item) => [item.metric, item]));
  const names = named.size ? [...named.keys()] : [...new Set([...Object.keys(old.metrics), ...Object.keys(state.metrics)])];
  return names
    .filter((name) => state.metrics[name] || old.metrics[name])
    .map((name) => {
      const now = state.metrics[name]?.value ?? null,
        then = old.metrics[name]?.value ?? null;
      const unit = named.get(name)?.unit ?? state.metrics[name]?.unit ?? old.metrics[name]?.unit ?? "";
      return [`${named.get(name)?.label || name}${unit ? ` (${unit})` : ""}`, then, now, then === null || now === null ? null : now - then];
    });
}

function sideBySide(rows, changed, state, old) {
  const signed = (value) => (value === null ? "–" : `${value > 0 ? "+" : value < 0 ? "−" : "±"}${number(Math.abs(value))}`);
  const row = (name, kind, ...cells) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      cells.map((cell) => h("td", { class: kind }, cell)),
    );
  const heads = ["", "pinned run", "this run", "difference"].map((name, i) =>
    h("th", { scope: "col", class: i ? "gb-number" : null }, name),
  );
  return h(
    "div",
    { class: "gb-table-frame gb-scrolls", tabindex: "0", role: "region", "aria-label": "Comparison" },
    h(
      "table",
      { class: "gb-table gb-table--even" },
      h("caption", { class: "gb-unseen" }, "The pinned run and this run"),
      h("thead", {}, h("tr", {}, heads)),
      h(
        "tbody",
        {},
        changed.map((one) => row("Changed setting", "gb-number", one.pinned, one.shown, "")),
        rows.map(([name, then, now, change]) => row(name, "gb-number", number(then), number(now), signed(change))),
      ),
    ),
    h(
      "dl",
      { class: "gb-verdicts" },
      [
        ["Pinned run", old],
        ["This run", state],
      ]
        .filter(([, one]) => one.verdict)
        .map(([name, one]) => h("div", {}, h("dt", {}, name), h("dd", {}, one.verdict.text))),
    ),
  );
}
