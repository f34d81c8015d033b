// Presenter mode: large type, one picture on a screen, the whole screen where the browser allows it. Esc or "f" leaves.

const CLASS = "gb-presenting";

export function presenting() {
  return document.documentElement.classList.contains(CLASS);
}

/** Switches presenter mode; `on` undefined turns it over. */
export async function present(on = !presenting()) {
  document.documentElement.classList.toggle(CLASS, on);
  dispatchEvent(new Event("gb-present"));
  try {
    if (on && !document.fullscreenElement) await document.documentElement.requestFullscreen?.();
    if (!on && document.fullscreenElement) await document.exitFullscreen();
  } catch {
    /* some frames and phones have no full screen: the large type works without */
  }
}

/** Brings the next (+1) or previous (-1) screen of `view` into sight: its head with the first picture, then one picture after another. */
export function turnPage(view, direction) {
  const below = (panel) => panel.getBoundingClientRect().bottom + scrollY > innerHeight; // the first one may fit under the headline
  const panels = [...view.querySelectorAll(".gb-panel")].filter((panel, i) => panel.checkVisibility() && (i > 0 || below(panel)));
  const tops = [0, ...panels.map((panel) => panel.getBoundingClientRect().top + scrollY)];
  const slack = 40;
  const next = direction > 0 ? tops.find((top) => top > scrollY + slack) : tops.findLast((top) => top < scrollY - slack);
  if (next === undefined) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  scrollTo({ top: next, behavior: calm ? "auto" : "smooth" });
}

/**
 * Calls `onChange` whenever the mode changes; Esc leaves, and so does leaving the full screen; `onKey` gets every key meanwhile,
 * wherever it is pressed. The answer ends that.
 */
export function watchPresenter(onChange, onKey) {
  const key = (event) => {
    if (presenting() && !document.querySelector("dialog[open]")) onKey?.(event);
    if (event.key === "Escape" && presenting() && !document.querySelector("dialog[open]")) present(false);
  };
  const screen = () => {
    if (!document.fullscreenElement && presenting()) present(false);
  };
  addEventListener("gb-present", onChange);
  addEventListener("keydown", key);
  document.addEventListener("fullscreenchange", screen);
  return () => {
    removeEventListener("gb-present", onChange);
    removeEventListener("keydown", key);
    document.removeEventListener("fullscreenchange", screen);
    if (presenting()) present(false);
  };
}
