"""One run as a file to take away: HTML that needs nothing else, JSON, or CSV.

    Path("run.html").write_text(report.html(engine.records, run_id))

No script is built from data: the data lie in a block of type application/json, which one fixed script reads.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import escape as escape_html

from core.engine import outputs, registry
from core.engine.errors import LabError
from core.engine.events import layers
from core.engine.records import Records
from core.engine.stored import RunRecord
from core.engine.text_values import to_text

_DRAW = """
for (const place of document.querySelectorAll("[data-figure]")) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
}
"""

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #fff }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.verdict { font-size: 1.2rem; border-left: 4px solid #0a6c9f; padding: .4rem 1rem; background: #f1f6fa }
table { border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #d5dbe3; padding: .3rem .7rem; text-align: left; vertical-align: top }
pre { background: #f4f5f7; padding: .7rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere } img { max-width: 100% }
.quiet { color: #525e6e }
"""


# Terminals and old parsers act on control characters; what a model or a visitor wrote must not.
_VISIBLE = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def escape(value: Any) -> str:
    """Any value as text that HTML shows and does nothing with; None shows nothing."""
    return "" if value is None else str(escape_html(str(value).translate(_VISIBLE)))


def command(run: RunRecord | Mapping[str, Any]) -> str:
    """The command line that computes the run again."""
    given = [word for name, value in run["config"].items() for word in ("--set", f"{name}={to_text(value)}")]
    return shlex.join(["./launch.sh", "cli", "run", run["name"], *given, "--seed", str(run["seed"]), "--fresh"])


def last_of_each(lines: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The events of a kind that are shown in the end: the last of every name."""
    return {line["name"]: line for line in lines if line["kind"] == kind}


def _rows(columns: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _embed(value: Any) -> str:
    return json.dumps(value).replace("<", "\\u003c")


def _series(lines: list[dict[str, Any]]) -> dict[str, Any] | None:
    series: dict[str, tuple[list[int], list[float]]] = {}
    for line in lines:
        if line["kind"] == "metric" and line["step"] is not None:
            xs, ys = series.setdefault(line["name"], ([], []))
            xs.append(line["step"]), ys.append(line["value"])
    if not series:
        return None
    data = [{"type": "scatter", "mode": "lines", "name": name, "x": xs, "y": ys} for name, (xs, ys) in series.items()]
    return {"data": data, "layout": {"xaxis": {"title": {"text": "step"}}, "legend": {"orientation": "h"}}}


def _figures(lines: list[dict[str, Any]], declared: outputs.Outputs) -> str:
    from core.engine.events import safe_labels

    found = {name: line["figure"] for name, line in last_of_each(lines, "figure").items()}
    if series := _series(lines):
        found = {"while it ran": safe_labels(series)} | found
    return "".join(f'<h2>{_heading(declared, "figure", name)}</h2><div data-figure="figure-{i}" style="height:26rem"></div>'
                   f'<script type="application/json" id="figure-{i}">{_embed(figure)}</script>'
                   for i, (name, figure) in enumerate(found.items()))


def _pictures(records: Records, run_id: str, lines: list[dict[str, Any]], declared: outputs.Outputs) -> str:
    folder = records.folder(run_id)
    return "".join(f'<h2>{_heading(declared, "picture", name)}</h2><img alt="{escape(line["alt"])}" src="data:image/png;base64,'
                   f'{base64.b64encode((folder / line["file"]).read_bytes()).decode()}">'
                   for name, line in last_of_each(lines, "picture").items() if (folder / line["file"]).is_file())


def _declared(name: str) -> outputs.Outputs:
    """What the experiment says of its outputs; nothing once there is no such experiment any more, as its runs can still be read."""
    try:
        return registry.find(name).outputs
    except LabError:
        return ()


def _heading(declared: outputs.Outputs, kind: str, name: str) -> str:
    """What people read on the page too: the declared title, else the name."""
    found = outputs.find(declared, kind, name)
    return escape(found.title if found else name.replace("_", " "))


def _answer(run: RunRecord, verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return f'<p class="verdict">{escape(run["outcome"])}: {escape(run["error"])} {escape(run["hint"])}</p>'
    found = layers(verdict)
    evidence = found["evidence"] and _rows(["evidence", ""], list(map(list, found["evidence"].items())))
    sure = "" if found["text"] == found["headline"] else f'<h2>How sure?</h2><p>{escape(found["text"])}</p>'
    return f'<p class="verdict">{escape(found["headline"])}</p>{sure}{evidence or ""}'


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"


def html(records: Records, run_id: str) -> str:
    """The run as one self-contained page. Raises LabError for an unknown run."""
    from plotly.offline import get_plotlyjs

    run, lines = records.read(run_id), records.events(run_id)
    declared = _declared(run["name"])
    plotly = get_plotlyjs().replace("</script", "<\\/script")
    verdict = next((line for line in reversed(lines) if line["kind"] == "verdict"), None)
    numbers = [[name, line["value"], line["unit"]] for name, line in last_of_each(lines, "metric").items()]
    tables = "".join(f"<h2>{_heading(declared, 'table', name)}</h2>{_rows(line['columns'], line['rows'])}"
                     for name, line in last_of_each(lines, "table").items())
    texts = "".join(f"<h2>{_heading(declared, 'text', name)}</h2><pre>{escape(line['text'])}</pre>"
                    for name, line in last_of_each(lines, "text").items())
    facts = [["run", run["id"]], ["outcome", run["outcome"]], ["paper", run["paper"]], ["seed", run["seed"]],
             ["threads", run["threads"]], ["seconds", run["duration_s"]],
             *[[f"fingerprint of {ref}", print_] for ref, print_ in run["fingerprints"].items()], *map(list, run["versions"].items())]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_policy(plotly, _DRAW)}">
<title>{escape(run["title"])}</title><style>{STYLE}</style></head><body>
<h1>{escape(run["title"])}</h1><p class="quiet">Glassbox Lab, {escape(run["name"])}, {escape(run["created"])}</p>
{_answer(run, verdict)}{_figures(lines, declared)}{_pictures(records, run_id, lines, declared)}{tables}{texts}
<h2>All numbers</h2>{_rows(["name", "last value", "unit"], numbers)}
<h2>Settings</h2>{_rows(["field", "value"], list(map(list, run["config"].items())))}
<h2>Compute it again</h2><pre>{escape(command(run))}</pre>
<h2>Where the numbers come from</h2>{_rows(["", ""], facts)}
<script>{plotly}</script><script>{_DRAW}</script></body></html>"""


def data(records: Records, run_id: str) -> dict[str, Any]:
    """Everything that was recorded, as one JSON document, without who asked for it."""
    return {"run": records.read(run_id).public(), "events": records.events(run_id)}


def metrics_csv(records: Records, run_id: str) -> str:
    """`name,step,value,unit` for every metric event; names and units that a spreadsheet would compute get a `'` in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["name", "step", "value", "unit"])
    for line in records.events(run_id):
        if line["kind"] == "metric":
            writer.writerow([no_formula(line["name"]), line["step"], line["value"], no_formula(line["unit"])])
    return out.getvalue()


def no_formula(cell: str) -> str:
    """A cell that no spreadsheet computes."""
    return "'" + cell if cell.lstrip()[:1] in tuple("=+-@＝＋－＠") else cell
