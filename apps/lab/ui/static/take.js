// Take it with you: link, share, report, data, command, the settings of the run, and its deletion.

import { addressOf, remove, send } from "./client.js";
import { confirmed } from "./dialog.js";
import { button, clock, h, relabel, say } from "./dom.js";
import { copied } from "./tables.js";

// What another page does with a model that a run kept: experiment -> name of the model, words, address with settings that fit.
const ONWARD = {
  "unlearning/audit": {
    kept: "unlearned",
    words: "Attack this model on the soft-token bench",
    address: (ref, { model, world, reference, questions }, { n }) =>
      !questions &&
      `soft-token-bench?${new URLSearchParams({
        unlearned: ref,
        model,
        world,
        ...(reference && { reference }),
        ...(n < 10 && { targets: n }), // no more facts than were forgotten
      })}`,
  },
};

export class Take {
  #link = button("Copy link", () => this.#copy(this.#link, this.address, "Copy link"));
  #share = button("Let others open this link", () => this.#publish(), { "aria-pressed": "false" });
  #command = button("Copy command", () => this.#copy(this.#command, this.#feed.info.command, "Copy command"));
  #delete = button("Delete this run", () => this.#remove(), { kind: "gb-button--quiet" });
  #report = download("Report");
  #data = download("Data (JSON)");
  #numbers = download("Numbers (CSV)");
  #files = h("span", { class: "gb-take-files" });
  #onward = h("a", { class: "gb-button", hidden: true });
  #notebook = h("a", { class: "gb-button", hidden: true, target: "_blank", rel: "noopener" }, "Compare in the notebook");
  #said = h("p", { class: "gb-said", role: "status" });
  #code = h("code", { class: "gb-command" });
  #facts = h("dl", { class: "gb-facts" });
  #settings = h("details", { class: "gb-settings" }, h("summary", {}, "Settings of this run"), this.#code, this.#facts);
  #feed = null;
  #known = null;
  #onDeleted;

  element = h(
    "section",
    { class: "gb-take", "aria-label": "Take it with you", hidden: true },
    h("h3", {}, "Take it with you"),
    h("div", { class: "gb-take-row" }, this.#link, this.#share, this.#report, this.#data, this.#numbers, this.#files, this.#command, this.#onward, this.#notebook, this.#delete),
    this.#said,
    this.#settings,
  );

  /** `onDeleted(id)` after a run is gone. */
  constructor(base, onDeleted) {
    this.base = base;
    this.#onDeleted = onDeleted;
  }

  get address() {
    // Pages lie side by side, so a link is relative to the page that is open, wherever the site is mounted.
    return new URL(String(this.#feed.info.link || "").replace(/^\//, ""), document.baseURI).href;
  }

  update({ feed }) {
    const info = feed?.info || null;
    if (this.#feed?.id !== feed?.id) say(this.#said, "");
    this.#feed = feed;
    this.element.hidden = !info || Boolean(feed.refused);
    this.#lead(feed);
    this.#brought(feed);
    if (!info || info === this.#known) return;
    this.#known = info;
    const own = info.mine && !info.first_view;
    this.#share.hidden = !info.owner || info.first_view;
    this.#delete.hidden = !own;
    this.#share.setAttribute("aria-pressed", String(Boolean(info.published)));
    relabel(this.#share, info.published ? "Shared: stop sharing" : "Let others open this link");
    this.#command.hidden = !info.command;
    this.#link.hidden = !info.link;
    this.#notebook.hidden = !info.notebook;
    this.#notebook.href = `${this.base}notebook?run=${encodeURIComponent(info.id)}`;
    for (const [element, file] of [
      [this.#report, "report.html"],
      [this.#data, "data.json"],
      [this.#numbers, "metrics.csv"],
    ])
      element.href = addressOf(this.base, feed.id, file);
    say(this.#code, info.command || "");
    this.#code.hidden = !info.command;
    this.#facts.replaceChildren(...factsOf(info).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  // Where the model that this run kept can go next; a first view kept none on this machine.
  #lead(feed) {
    const info = feed?.info;
    const { keeps = {}, verdict, end } = feed?.timeline.latest ?? {};
    const next = ONWARD[info?.name];
    const ref = end?.outcome === "finished" && !info?.first_view && keeps[next?.kept]?.ref;
    const address = ref && next.address(ref, info.config, verdict?.evidence ?? {});
    this.#onward.hidden = !address;
    if (!address || this.#onward.getAttribute("href") === address) return;
    this.#onward.href = address;
    this.#onward.replaceChildren(h("span", {}, next.words));
  }

  // What the run wrote to be taken away, a link each.
  #brought(feed) {
    const names = Object.keys(feed?.timeline.latest?.files ?? {});
    const wanted = names.map((name) => addressOf(this.base, feed.id, `files/${name}`));
    if (wanted.join() === [...this.#files.children].map((link) => link.getAttribute("href")).join()) return;
    this.#files.replaceChildren(
      ...names.map((name, i) => Object.assign(download(name.replace(/\..*/, "").replaceAll("-", " ")), { href: wanted[i] })),
    );
  }

  async #copy(element, text, label) {
    relabel(element, (await copied(text)) ? "Copied" : "Copying is not allowed here");
    setTimeout(() => relabel(element, label), 2000);
  }

  async #publish() {
    const feed = this.#feed,
      published = !feed.info.published;
    await this.#attempt(
      () => send(this.base, feed.id, "publish", { published }),
      published ? "Anybody with the link can open this run now." : "Only you can open this run now.",
    );
    await feed.refresh();
  }

  async #remove() {
    const { id } = this.#feed;
    if (
      !(await confirmed(
        "Delete this run?",
        "Its numbers, figures and kept models are removed from this machine. This cannot be undone.",
        "Delete it",
      ))
    )
      return;
    if (await this.#attempt(() => remove(this.base, id), "")) this.#onDeleted(id);
  }

  async #attempt(act, done) {
    try {
      await act();
      say(this.#said, done);
      return true;
    } catch (error) {
      say(this.#said, error.hint ? `${error.message} ${error.hint}` : "The lab could not be reached. Try again.");
      return false;
    }
  }
}

function download(label) {
  return h("a", { class: "gb-button", target: "_blank", rel: "noopener" }, h("span", {}, label));
}

function factsOf(info) {
  const written = (value) =>
    value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);
  const model = typeof info.model === "object" && info.model ? info.model.ref : info.model;
  return [
    ...Object.entries(info.config || {}).map(([name, value]) => [name, written(value)]),
    ["seed", written(info.seed)],
    ["experiment", written(info.name)],
    ["paper", written(info.paper)],
    ["model", written(model)],
    ["threads", written(info.threads)],
    ["computing time", typeof info.duration_s === "number" ? clock(info.duration_s) : "–"],
    ["run", written(info.id)],
    ...Object.entries(info.versions || {}).map(([name, value]) => [name, written(value)]),
  ].filter(([, value]) => value !== "–");
}
