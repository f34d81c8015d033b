// Small windows over the page: to look closely, and to ask before something is gone.

import { button, h } from "./dom.js";

let made = 0;

/** Opens a window with a title and content; Escape, the cross and a click beside it close it. Gives the element. */
export function openDialog(title, ...content) {
  const id = `gb-dialog-${(made += 1)}`;
  const dialog = h(
    "dialog",
    { class: "gb-dialog gb-live-theme", "aria-labelledby": id },
    h(
      "div",
      { class: "gb-dialog-head" },
      h("h3", { id }, title),
      button("Close", () => dialog.close(), { icon: "close", hidden: true, kind: "gb-round" }),
    ),
    content,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Asks; gives whether the answer was yes. */
export function confirmed(title, text, yes) {
  return new Promise((resolve) => {
    let answer = false;
    const sure = button(
      yes,
      () => {
        answer = true;
        dialog.close();
      },
      { kind: "gb-button--bad" },
    );
    const dialog = openDialog(
      title,
      h("p", {}, text),
      h(
        "div",
        { class: "gb-dialog-foot" },
        button("Keep it", () => dialog.close()),
        sure,
      ),
    );
    dialog.addEventListener("close", () => resolve(answer));
  });
}
