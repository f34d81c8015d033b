// What Gradio's lists lack for the keyboard. After Tab they open once more behind one's back, since their handler of keys waits a moment
// and runs after the blur; a long list takes the focus itself, is removed at once, and the focus falls to the body, as it does after Enter.

const LIST = 'input[role="combobox"]';

const isList = (target) => target instanceof HTMLInputElement && target.matches(LIST);
const close = (list) => list.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));

/** Closes every list that nobody is in. */
function closeLeft() {
  for (const list of document.querySelectorAll(`${LIST}[aria-expanded="true"]`)) if (list !== document.activeElement) close(list);
}

function soon(work) {
  requestAnimationFrame(() => requestAnimationFrame(work)); // Gradio has drawn what the key did
}

document.addEventListener(
  "keydown",
  (event) => {
    if (!event.isTrusted || !isList(event.target)) return;
    const list = event.target;
    if (event.key === "Tab") {
      event.stopPropagation();
      document.getElementById(list.getAttribute("aria-controls"))?.setAttribute("tabindex", "-1"); // no place for Tab to stop
    }
    if (event.key !== "Enter" || list.getAttribute("aria-expanded") !== "true") return;
    soon(() => {
      if (document.activeElement !== document.body) return;
      list.focus({ preventScroll: true });
      soon(() => close(list)); // being entered opens it
    });
  },
  { capture: true },
);
// A picture keeps the focus where it is when it is pressed: whoever presses one has left the list all the same.
document.addEventListener(
  "pointerdown",
  ({ target }) => {
    const list = document.activeElement;
    if (isList(list) && !list.closest(".block")?.contains(target) && !target.closest?.('[role="listbox"]')) list.blur();
  },
  { capture: true },
);
for (const left of ["focusin", "focusout"]) document.addEventListener(left, () => soon(closeLeft));
