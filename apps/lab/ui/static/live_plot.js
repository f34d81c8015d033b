// One chart that is not part of a run: the answer of a probe.
//
//   const plot = mountPlot(place, { label: "Layers", onPoint });
//   plot.show({ data, layout });          // null empties it

import { Plot } from "./plot.js";

export function mountPlot(place, { label, onPoint }) {
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", label);
  const plot = new Plot(place, { name: label, onPoint });
  new MutationObserver(() => plot.redraw()).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  return {
    show(figure) {
      place.hidden = !figure;
      if (figure) plot.draw(figure, label);
    },
  };
}
