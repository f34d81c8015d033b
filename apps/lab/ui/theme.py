"""One look: system fonts, one blue, light and dark. Colours of our own parts live in static/style.css."""

from __future__ import annotations

import gradio as gr

# Linked, not inlined: fetched once and not with every page. A page with a live view fetches its scripts while Gradio still starts.
HEAD = """<link rel="stylesheet" href="lab/static/style.css"><meta name="color-scheme" content="light dark">
<meta name="description" content="Look inside AI models, live."><script>
if (!location.pathname.endsWith("/")) {
  for (const [rel, href] of [["modulepreload", "live_view.js"], ["preload", "plotly.min.js"]]) {
    document.head.append(Object.assign(document.createElement("link"), { rel, as: "script", href: "lab/static/" + href }));
  }
}
</script>"""
SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]


def theme() -> gr.themes.Base:
    """Gradio's theme for the site; fonts by name only, so that nothing is fetched."""
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=SANS, font_mono=MONO, text_size="md", radius_size="md").set(
        body_background_fill="var(--gb-page)", body_background_fill_dark="var(--gb-page)",
        body_text_color="var(--gb-ink)", body_text_color_dark="var(--gb-ink)",
        block_info_text_color="var(--gb-quiet)", block_info_text_color_dark="var(--gb-quiet)",
        button_primary_background_fill="var(--gb-accent)", button_primary_background_fill_dark="var(--gb-accent)",
        button_primary_background_fill_hover="var(--gb-accent-strong, var(--gb-accent))",
        button_primary_background_fill_hover_dark="var(--gb-accent-strong, var(--gb-accent))",
        button_primary_text_color="var(--gb-on-accent, #fff)", button_primary_text_color_dark="var(--gb-on-accent, #fff)")
