// A figure of the lab inside Streamlit: drawn by the lab's own plot.js and changed in place, so that zoom stays while data change.
// data: { figure, name, version, height }; a pressed point is told as the trigger "point".

const plots = new WeakMap();

const DARK_BELOW = 128;

/** Whether Streamlit's theme of now is a dark one, told by its background. */
function dark(element) {
  const [r, g, b] = (getComputedStyle(element).color.match(/\d+(\.\d+)?/g) || [0, 0, 0]).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > DARK_BELOW; // light ink stands on a dark ground
}

export default async function ({ parentElement, data, setTriggerValue }) {
  const place = parentElement.querySelector(".gb-notebook-plot");
  place.style.height = `${data.height}px`;
  place.setAttribute("aria-label", data.name);
  const { Plot } = await import(`${location.origin}/glassbox/static/${data.version}/plot.js`);
  document.documentElement.classList.toggle("dark", dark(place));
  let plot = plots.get(place);
  if (!plot) {
    plot = new Plot(place, { name: data.name, onPoint: (point) => setTriggerValue("point", point) });
    plots.set(place, plot);
  }
  await plot.draw(data.figure, "kept");
  place.dataset.drawn = String(Number(place.dataset.drawn || 0) + 1);
}
