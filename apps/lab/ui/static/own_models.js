// Under the field of a model: what else may be chosen - models that were got or lie in the folder of models, and one that can be got by a
// press. What cannot be used stands there with the reason. The value said is the reference of the model that was chosen.

import { read } from "./client.js";
import { h } from "./dom.js";
import { controls, size, watchShop } from "./shop.js";

export function mount(place, { base, families, speaks, say }) {
  const address = new URL(base, document.baseURI).href;
  const fits = (family) => family && (!families.length || families.includes(family));
  const own = h("ul", { class: "gb-own-list" });
  const offers = h("div", { class: "gb-own-offers" });
  const known = new Map();
  let here = null; // names of what was got when the models were last listed

  async function list() {
    const { models } = await read(address, "models").catch(() => ({ models: [] }));
    const usable = models.filter((model) => !model.why_not && fits(model.family));
    const not = models.filter((model) => model.why_not && speaks);
    own.replaceChildren(
      ...usable.map((model) =>
        h("li", {}, h("span", {}, model.words), h("button", { type: "button", class: "gb-button", onclick: () => say({ ref: model.ref }), "aria-label": `Use ${model.words}` }, "Use it")),
      ),
    );
    if (not.length)
      own.append(
        h("li", {}, h("details", {}, h("summary", {}, `${not.length} ${not.length > 1 ? "models" : "model"} in the folder cannot be used`),
          h("ul", { class: "gb-own-list" }, ...not.map((model) => h("li", {}, h("span", {}, h("b", {}, model.words), ` ${model.why_not}`)))))),
      );
    own.hidden = !own.children.length;
  }

  function offer(item, host) {
    if (!known.has(item.name)) {
      const made = controls((name, what) => shop.act(name, what));
      const box = h("details", { class: "gb-own-offer" }, h("summary", {}, `${item.title}: ${size(item.size)}, ${item.licence} – get it`), h("p", { class: "gb-quiet" }, item.purpose), made.parts);
      known.set(item.name, { made, box });
      offers.append(box);
    }
    const { made, box } = known.get(item.name);
    made.update(item, host);
    if (item.state === "getting") box.open = true;
    box.hidden = item.state === "got";
  }

  const shop = watchShop(address, ({ items, host }) => {
    const wanted = items.filter((item) => item.kind === "model" && fits(item.family));
    for (const item of wanted) offer(item, host);
    const got = items.filter((item) => item.state === "got").map((item) => item.name).join();
    if (got !== here) {
      here = got;
      list();
    }
  });
  place.replaceChildren(own, offers);
  return { show() {} };
}
