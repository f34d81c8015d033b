// What can be got by one press: how far each thing is, and the buttons that ask the lab to get, stop, go on and remove it.
//
//   watchShop(base, ({ items, host }) => ...)          asks again and again while something is on its way
//   mount(place, { base })                             the list on the home page
//
// Only whoever sits at the computer of the lab can press; the others see what is there and whom to ask.

import { Refused, read } from "./client.js";
import { confirmed } from "./dialog.js";
import { button, h, say } from "./dom.js";

const PAUSE = 700;

/** Calls `onState({items, host})` now, and again while something is being fetched. `look()` asks at once, `act(name, what)` presses. */
export function watchShop(base, onState) {
  let timer = 0;
  let asked = 0;

  async function look() {
    clearTimeout(timer);
    const turn = (asked += 1);
    const state = await read(base, "shop").catch(() => null);
    if (turn !== asked) return; // somebody asked later
    if (state) onState(state);
    if (!state || state.items.some((item) => item.state === "getting")) timer = setTimeout(look, state ? PAUSE : 10 * PAUSE);
  }

  async function act(name, what) {
    const address = `${base}shop/${encodeURIComponent(name)}${what === "remove" ? "" : `/${what}`}`;
    const response = await fetch(address, { method: what === "remove" ? "DELETE" : "POST", credentials: "same-origin" });
    const said = await response.json().catch(() => ({}));
    await look();
    if (!response.ok) throw new Refused(said.error || "The lab did not do that.", said.hint || "Reload the page and try again.");
  }

  look();
  return { look, act };
}

/** Bytes as people read them. */
export const size = (bytes) => (bytes < 1e7 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e6)} MB`);

/** The buttons and words of one thing; `update(item, host)` shows how it stands. The focus stays where it is. */
export function controls(act) {
  const get = button("Get it", () => press("get"), { kind: "gb-button--main" });
  const stop = button("Stop", () => press("stop"));
  const remove = button("Remove", () => press("remove"));
  const bar = h("div", { class: "gb-progress", role: "progressbar", "aria-label": "How much has come", "aria-valuemin": 0, "aria-valuemax": 100 }, h("span"));
  const words = h("p", { class: "gb-shop-words", role: "status" });
  const wrong = h("p", { class: "gb-shop-wrong", role: "alert", hidden: true });
  let now = null;

  async function press(what) {
    if (what === "remove" && !(await confirmed(`Remove ${now.title}?`, "It goes from this computer. It can be fetched again.", "Remove it"))) return;
    say(wrong, "");
    await act(now.name, what).catch((error) => say(wrong, `${error.message} ${error.hint || ""}`));
    wrong.hidden = !wrong.textContent;
  }

  function update(item, host) {
    now = item;
    const { state, done, total } = item;
    const share = total ? Math.round((100 * done) / total) : 0;
    get.hidden = !host || state === "getting" || state === "got";
    say(get.querySelector("span"), state === "begun" ? `Go on: ${size(done)} of ${size(total)} are here` : `Get it: ${size(total)}`);
    stop.hidden = !host || state !== "getting";
    remove.hidden = !host || state === "getting" || state === "absent";
    bar.hidden = state !== "getting";
    bar.setAttribute("aria-valuenow", share);
    bar.firstElementChild.style.width = `${share}%`;
    const ask = host ? "" : "Whoever sits at the computer of the lab can get it.";
    // the amount stands beside the bar and is not spoken at every step
    say(words, state === "got" ? "It is on this computer." : state === "getting" ? item.words : ask);
    const error = item.error ? `${item.error} ${item.hint}` : "";
    if (error || state === "getting") say(wrong, error);
    wrong.hidden = !wrong.textContent;
    amount.hidden = state !== "getting";
    say(amount, `${size(done)} of ${size(total)}`);
  }

  const amount = h("span", { class: "gb-shop-amount", hidden: true });
  return { parts: [bar, h("div", { class: "gb-shop-row" }, words, amount), wrong, h("div", { class: "gb-shop-row" }, get, stop, remove)], update };
}

/** The home page's list. */
export function mount(place, { base }) {
  const address = new URL(base, document.baseURI).href;
  const known = new Map();
  const list = h("ul", { class: "gb-shop-list" });
  const shop = watchShop(address, ({ items, host }) => {
    for (const item of items) {
      if (!known.has(item.name)) {
        const made = controls((name, what) => shop.act(name, what));
        known.set(item.name, made);
        const facts = `${size(item.size)}, ${item.licence}. From: ${item.source}.`;
        list.append(
          h("li", { class: "gb-shop-item", "data-name": item.name }, h("h3", {}, item.title), h("p", {}, item.purpose), h("p", { class: "gb-quiet" }, facts), made.parts),
        );
      }
      known.get(item.name).update(item, host);
    }
  });
  place.replaceChildren(list);
  return { show() {} };
}
