// Asks the probe of a desk: the one way by which a question leaves the page.
//
//   value said: { n, by, field, sets, keep }     n: when it was asked, by: "sight" | "run" | "heard" | "input" | "press", field: the control that was
//                                                moved, sets: fields that were pressed in a picture, keep: hidden fields of the desk
//
// Whatever should make the desk ask again says so by the event "gb-due" of the document, `{ id, by, field, sets }`. What nobody did at
// the desk itself waits until it is in sight. The panels of the desk tell it likewise what was pressed and what has been answered.

const PATIENT = ["sight", "run", "heard"]; // these wait until the desk is in sight; what somebody did at the desk itself does not

export function mount(place, { answer, hears, hovers, first, opens, say }) {
  let due = first ? "sight" : "";
  let field = "";
  let near = false;
  let sets = { ...opens };
  let keep = {};
  let asked = null;
  let waiting = false; // one question at a time; of what changes meanwhile the last is asked next
  const PATIENCE = 10_000; // milliseconds after which somebody who presses is not held up by a question that seems lost

  function ask() {
    if (!due || (!near && PATIENT.includes(due))) return;
    if (waiting && (due !== "press" || performance.now() - asked.n < PATIENCE)) return;
    waiting = true;
    const by = due;
    due = "";
    asked = { n: performance.now(), by, field, sets: { ...sets }, keep };
    field = "";
    document.dispatchEvent(new CustomEvent("gb-asked", { detail: { id: answer, n: asked.n } }));
    say(asked);
  }

  function again(by) {
    due = by;
    setTimeout(ask);
  }

  document.addEventListener("gb-picked", ({ detail: { id, fact, pressed } }) => {
    if (!hears.includes(id)) return;
    const names = Object.keys(fact).filter((name) => pressed || hovers.includes(name));
    if (!names.length) return;
    for (const name of names) sets = { ...sets, [name]: fact[name] };
    again(id === answer ? "input" : "heard");
  });
  document.addEventListener("gb-answered", ({ detail }) => {
    if (detail.id !== answer) return;
    keep = { ...keep, ...detail.keep };
    if (detail.n !== asked?.n) return;
    for (const [name, value] of Object.entries(asked.sets)) if (sets[name] === value) delete sets[name]; // the controls say it now
    waiting = false;
    setTimeout(ask); // not from within Gradio's own update of the answer, where a new value would be lost
  });
  new IntersectionObserver(([entry]) => {
    near = entry.isIntersecting;
    ask();
  }).observe(place.closest("[role=tabpanel], .gb-try") ?? place);

  function changed({ by, field: moved, sets: given }) {
    delete window.gbPressed?.[answer];
    if (moved) {
      const { [moved]: _, ...others } = sets; // a control that was moved knows better
      sets = others;
    }
    sets = { ...sets, ...given };
    field = moved || field;
    again(by);
  }
  document.addEventListener("gb-due", ({ detail }) => detail.id === answer && changed(detail));
  if (window.gbPressed?.[answer]) changed(window.gbPressed[answer]); // pressed for before this desk was made

  return {
    show(value) {
      if (value?.by && value.n === undefined) changed(value); // from Python
    },
  };
}
