"""For people who write programs: every endpoint with an example.

The endpoints themselves hang on this page, so that no other page carries them.
"""

from __future__ import annotations

import gradio as gr
from markupsafe import escape

from apps.lab.api import add_endpoints, endpoint_name
from apps.lab.ui import frame
from core.engine.experiment import Experiment
from core.engine.registry import everything

ROUTE = "for-programs"
INTRO = ("Everything the pages do can be asked for by a program: a configuration in, the same numbers out as on the page "
         "and the command line.")
EXAMPLE = """from gradio_client import Client

lab = Client("http://127.0.0.1:7860/")
answer = lab.predict({"algorithm": "npo", "subjects": 3}, api_name="/unlearning_audit")
print(answer["verdict"]["text"])"""

FILES = ("Where a setting takes a file of your own: send it as a form field named <code>file</code> to <code>/lab/uploads</code> "
         "and use the <code>ref</code> of the answer. A file is used by whoever sent it, so send the same token with both requests: "
         "32 digits of 0-9 and a-f of your own choice, in the header <code>x-glassbox-visitor</code>; "
         "<code>Client(address, headers={...})</code> takes it. Without one, the answer's header names the token that you were given.")


def build(site: frame.Site) -> None:
    frame.header()
    gr.HTML(f'<header class="gb-head"><h1 class="gb-question">For programs</h1><p class="gb-intro">{INTRO}</p></header>',
            apply_default_css=False)
    # without a language: the colours of the highlighting are too faint to read
    gr.Code(EXAMPLE, language=None, label="Python", interactive=False, show_line_numbers=False)
    gr.HTML(f'<p class="gb-quiet">{FILES}</p>', apply_default_css=False)
    gr.HTML(f'<div class="gb-table-frame" tabindex="0" role="region" aria-label="Endpoints"><table class="gb-runs"><thead><tr>'
            '<th scope="col">Endpoint</th><th scope="col">Kind</th><th scope="col">Question</th><th scope="col">Settings</th></tr></thead>'
            f'<tbody>{"".join(_row(entry) for entry in everything())}</tbody></table></div>', apply_default_css=False)
    add_endpoints(site.engine)


def _row(entry: Experiment) -> str:
    fields = ", ".join(entry.config.model_fields)
    return (f'<tr><td><code>/{escape(endpoint_name(entry.name))}</code></td><td>{escape(entry.kind)}</td>'
            f'<td>{escape(entry.title)}</td><td>{escape(fields)}</td></tr>')
