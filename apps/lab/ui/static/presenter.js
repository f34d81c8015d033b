// Presenter mode: large type, no side panel, the whole screen where the browser allows it. Esc or "f" leaves.

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

/** Calls `onChange` whenever the mode changes; Esc leaves, and so does leaving the full screen. The answer ends that. */
export function watchPresenter(onChange) {
  const key = (event) => {
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
