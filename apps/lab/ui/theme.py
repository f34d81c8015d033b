"""One look: system fonts, one blue, light and dark. Colours of our own parts live in static/style.css."""

from __future__ import annotations

import gradio as gr

from apps.lab.pages import PAGES
from apps.lab.ui.scripts import LISTS, PLOTLY, SCRIPTS, VIEW

# Linked, not inlined: fetched once and not with every page. Gradio's scripts put this into the page, so it cannot be what is
# fetched first: that stands in the `Link` header of the page itself (server.py). Plotly is run as soon as it is there, beside
# Gradio's own scripts; from other pages all of it is fetched when there is nothing else to do.
HEAD = f"""<link rel="stylesheet" href="{SCRIPTS}style.css"><meta name="color-scheme" content="light dark">
<meta name="description" content="Look inside AI models, live."><script>
(() => {{
  const add = (tag, properties) => document.head.appendChild(Object.assign(document.createElement(tag), properties));
  if ({[page.route for page in PAGES if page.built]}.includes(location.pathname.split("/").at(-1))) {{
    const plotly = add("script", {{ id: "gb-plotly", async: true, src: "{SCRIPTS}{PLOTLY}", onerror: () => plotly.remove() }});
    add("script", {{ type: "module", src: "{SCRIPTS}{LISTS}" }});
  }} else {{
    for (const name of {[*VIEW, PLOTLY]}) add("link", {{ rel: "prefetch", as: "script", href: "{SCRIPTS}" + name }});
  }}
}})();
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
