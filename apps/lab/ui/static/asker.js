// Asks the probe of a desk: the one way by which a question leaves the page.
//
//   value said: { n, by, sets, keep }     n: when it was asked, by: "sight" | "run" | "input" | "press", sets: fields that were pressed in a
//                                         picture, keep: hidden fields of the desk
//
// Whatever should make the desk ask again gives this part any other value, `{ by, field }`. It asks when its place is in sight, at once or
// when somebody gets there. The panels of the desk tell it by events of the document what was pressed and what has been answered.

export function mount(place, { answer, hears, hovers, first, say }) {
  let due = first ? "sight" : "";
  let near = false;
  let sets = {};
  let keep = {};
  let asked = null;

  function ask() {
    if (!due || !near) return;
    const by = due;
    due = "";
    asked = { n: performance.now(), by, sets, keep };
    document.dispatchEvent(new CustomEvent("gb-asked", { detail: { id: answer, n: asked.n } }));
    say(asked);
  }

  function again(by) {
    due = by;
    ask();
  }

  document.addEventListener("gb-picked", ({ detail: { id, fact, pressed } }) => {
    if (!hears.includes(id)) return;
    const names = Object.keys(fact).filter((name) => pressed || hovers.includes(name));
    if (!names.length) return;
    for (const name of names) sets = { ...sets, [name]: fact[name] };
    again("input");
  });
  document.addEventListener("gb-answered", ({ detail }) => {
    if (detail.id !== answer) return;
    keep = { ...keep, ...detail.keep };
    if (detail.n === asked?.n) sets = {}; // the controls say it now
  });
  new IntersectionObserver(([entry]) => {
    near = entry.isIntersecting;
    ask();
  }).observe(place.closest("[role=tabpanel]") ?? place);

  return {
    show(value) {
      if (!value || value.n !== undefined) return; // what was said here
      if (value.field) {
        const { [value.field]: _, ...others } = sets; // a control that was moved knows better
        sets = others;
      }
      if (value.by) again(value.by);
    },
  };
}
