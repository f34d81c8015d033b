"""One run as a file to take away: HTML that needs nothing else, JSON, or CSV. The HTML begins with one page for those who read no more.

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
const places = [...document.querySelectorAll("[data-figure]")];
for (const place of places) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, figure.layout, { responsive: true, displaylogo: false });
}
const heights = places.map((place) => place.layout?.height ?? null);
const sized = (layout) => () => places.forEach((place, i) => Plotly.relayout(place, layout(i)));
addEventListener("beforeprint", sized((i) => (i ? { width: 640 } : { width: 640, height: 300 })));  // the first one shares its page
addEventListener("afterprint", sized((i) => ({ width: null, height: heights[i], autosize: true })));
"""

STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #fff }
h1 { font-size: 1.7rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
.verdict { font-size: 1.2rem; border-left: 4px solid #0a6c9f; padding: .4rem 1rem; background: #f1f6fa }
table { border-collapse: collapse; font-size: .9rem; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #d5dbe3; padding: .3rem .7rem; text-align: left; vertical-align: top }
pre { background: #f4f5f7; padding: .7rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere } img { max-width: 100% }
.quiet { color: #525e6e }
.numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem;
  margin: 1rem 0 }
.numbers p { margin: 0; padding: .5rem .8rem; background: #f4f5f7; font-size: .9rem }
.numbers .value { font-size: 1.4rem; padding-bottom: 0 }
@page { size: A4; margin: 15mm }
@media print {
  body { margin: 0; padding: 0; font-size: 11pt } .summary { break-after: page } .summary .figure { height: 300px !important }
  .figure, tr, img { break-inside: avoid } h2 { break-after: avoid } .verdict, .numbers p { print-color-adjust: exact }
}
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


def _figures(lines: list[dict[str, Any]], declared: outputs.Outputs) -> list[str]:
    """Every figure with its heading, the main one of the page first."""
    from core.engine.events import safe_labels

    found = {name: line["figure"] for name, line in last_of_each(lines, "figure").items()}
    main = next((one.name for one in outputs.each(declared) if one.kind == "figure" and one.look == "figure" and one.name in found), None)
    found = {main: found[main]} | found if main else found
    if series := _series(lines):
        found |= {"while it ran": safe_labels(series)}
    return [f'<h2>{_heading(declared, "figure", name)}</h2>'
            f'<div class="figure" data-figure="figure-{i}" style="height:{_height(figure)}px"></div>'
            f'<script type="application/json" id="figure-{i}">{_embed(figure)}</script>' for i, (name, figure) in enumerate(found.items())]


def _height(figure: dict[str, Any]) -> int:
    asked = figure.get("layout", {}).get("height")
    return int(asked) if isinstance(asked, (int, float)) and 100 <= asked <= 2000 else 416


def _numbers(lines: list[dict[str, Any]], declared: outputs.Outputs) -> str:
    """The numbers that stand large on the page, under their names there."""
    last = last_of_each(lines, "metric")
    group = next((one for one in declared if isinstance(one, outputs.Group) and one.look == "numbers"), None)
    tiles = "".join(f'<div><p class="value">{escape(_worded(last[one.name]["value"], one.unit or last[one.name]["unit"]))}</p>'
                    f"<p>{escape(one.title)}</p></div>" for one in (group.outputs if group else ()) if one.name in last)
    return tiles and f'<div class="numbers">{tiles}</div>'


def _worded(value: Any, unit: str) -> str:
    """Three digits are enough for somebody who reads no more than this page; all of them stand below."""
    if value is None:
        return "–"
    if not isinstance(value, (int, float)):
        return f"{value} {unit}".strip()
    return f"{100 * value:.3g} %" if unit == "share" else f"{value:,.{3 if abs(value) < 1000 else 6}g} {unit}".strip()


def _about(run: RunRecord) -> str:
    """Of which model, whose questions and what day the summary speaks."""
    config = run["config"]
    asked = "their own questions" if config.get("questions") else "the lab's own questions"
    said = [f"Model: {config['model']}." if config.get("model") else "", f"Asked: {asked}." if "questions" in config else "",
            f"Computed on {run['created'][:10]}, seed {run['seed']}."]
    return " ".join(filter(None, said))


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
    if found and found.name.endswith(" {}"):  # one of several of a kind
        return escape(f"{found.title} ({name.removeprefix(found.name[:-2])})")
    return escape(found.title if found else name.replace("_", " "))


def _answer(run: RunRecord, verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return f'<p class="verdict">{escape(run["outcome"])}: {escape(run["error"])} {escape(run["hint"])}</p>'
    found = layers(verdict)
    sure = "" if found["text"] == found["headline"] else f'<h2>How sure?</h2><p>{escape(found["text"])}</p>'
    return f'<p class="verdict">{escape(found["headline"])}</p>{sure}'


def _evidence(verdict: dict[str, Any] | None) -> str:
    found = layers(verdict)["evidence"] if verdict else None
    return "<h2>What the answer rests on</h2>" + _rows(["evidence", ""], list(map(list, found.items()))) if found else ""


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}"


def html(records: Records, run_id: str) -> str:
    """The run as one self-contained page. Raises LabError for an unknown run."""
    from plotly.offline import get_plotlyjs

    run, lines = records.read(run_id), records.events(run_id)
    declared = _declared(run["name"])
    figures = _figures(lines, declared)
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
<div class="summary"><h1>{escape(run["title"])}</h1><p class="quiet">Glassbox Lab, {escape(run["name"])}. {escape(_about(run))}</p>
{_answer(run, verdict)}{"".join(figures[:1])}{_numbers(lines, declared)}</div>
{_evidence(verdict)}{"".join(figures[1:])}{_pictures(records, run_id, lines, declared)}{tables}{texts}
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
