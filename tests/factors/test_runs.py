"""Whole runs: equal numbers for equal requests, what the probes say, a table of one's own and everything that can be wrong with it."""

from __future__ import annotations

import numpy as np
import pytest

from core.engine.errors import LabError
from core.engine.events import layers
from core.factors import own_table
from core.factors.market import market
from core.factors.study import prepare
from tests.factors.conftest import QUICK


def test_a_run_says_what_changed_and_repeats_itself(quick, warm_engine) -> None:
    metrics, said = quick["metrics"], quick["verdict"]
    assert "changed IC from" in said["text"] and "2 seeds" in said["text"] and "not advice" in said["text"]
    assert "improve" not in said["text"] and len(layers(said)["headline"].split()) <= 25
    assert abs(metrics["ic augmented"] - metrics["ic none"] - metrics["ic change"]) < 1e-9
    assert abs(metrics["rec duplicate"] - metrics["rec none"]) < 0.05, "copies of a window are the window"
    assert metrics["net none"] < metrics["ar none"] and 0 < metrics["rms"] < 1
    again = warm_engine.start("factors/augment", QUICK, seed=0, fresh=True)
    warm_engine.wait(again.id)
    assert warm_engine.result(again.id)["metrics"] == metrics


def test_the_strategy_and_training_speak(warm_engine) -> None:
    short = {**QUICK, "controls": []}
    for name, config, seed in (("factors/backtest", short, 0), ("factors/train", {"denoiser_steps": 20, "windows": 100}, 6)):
        run = warm_engine.start(name, config, seed=seed)
        state = warm_engine.wait(run.id)
        assert state["outcome"] == "finished", state
        assert len(layers(warm_engine.result(run.id)["verdict"])["headline"].split()) <= 25
    kept = f"run/{run.id}/denoiser"
    with pytest.raises(LabError, match="no diffusion model"):
        warm_engine.probe("factors/edit", {"denoiser": "embedded/learngene-letters"})
    assert warm_engine.probe("factors/edit", {"denoiser": kept, "windows": 50})["rms"] > 0


def test_probes(warm_engine) -> None:
    still, far = (warm_engine.probe("factors/edit", {"strength": s, "windows": 60}) for s in (0, 700))
    assert still["rms"] == 0 and still["r2"] == 1 and far["r2"] < 0.3 and len(far["factors"]) == 20
    found = warm_engine.probe("factors/leak", {})
    assert found["clean"] and found["control_found"] and found["numbers"]["checks"]["value"] == 161


def rows(shares: int = 6, days: int = 120, **columns) -> list[dict[str, str]]:
    panel = market(1, shares=shares, days=20, targets=5)
    return [
        {"date": str(panel.dates[d]), "instrument": panel.names[s], "close": f"{panel.close[d, s]:.4f}"}
        for d in range(days)
        for s in range(shares)
    ]


def written(path, lines: list[dict[str, str]]):
    columns = list(lines[0])
    path.write_text("\n".join([",".join(columns), *(",".join(line.get(c, "") for c in columns) for line in lines)]) + "\n")
    return path


def test_a_table_of_ones_own_is_read_as_it_is(tmp_path) -> None:
    lines = rows()
    gone = lines.pop(7)
    lines[3]["close"] = ""
    panel = own_table.read(written(tmp_path / "mine.csv", [{**line, "date": line["date"] + " 00:00:00+09:00"} for line in reversed(lines)]))
    assert panel.days == 120 and len(panel.names) == 6 and panel.source == "your data"
    assert np.isnan(panel.close).sum() == 2 and np.isnan(panel.close[1, panel.names.index(gone["instrument"])])
    said = " ".join(panel.remarks)
    assert "sorted" in said and "time zones" in said and "no row" in said and "in_target" in said
    study = prepare(panel)
    assert len(study.names) == 8 and len(study.rows("test", target=True)) > 50

    import duckdb

    duckdb.connect().execute(
        "COPY (SELECT * FROM read_csv(?)) TO '" + str(tmp_path / "mine.parquet") + "' (FORMAT parquet)", [str(tmp_path / "mine.csv")]
    )
    again = own_table.read(tmp_path / "mine.parquet")
    assert again.names == panel.names and np.array_equal(again.close, panel.close, equal_nan=True)


WRONG = {
    "two rows": lambda lines: [*lines, lines[0]],
    "no column 'instrument'": lambda lines: [{"date": line["date"], "close": line["close"]} for line in lines],
    "no prices": lambda lines: [{"date": line["date"], "instrument": line["instrument"]} for line in lines],
    "above zero": lambda lines: [{**lines[0], "close": "-3"}, *lines[1:]],
    "no number": lambda lines: [{**lines[0], "close": "dear"}, *lines[1:]],
    "never change": lambda lines: [{**line, "close": "5"} for line in lines],
    "no date": lambda lines: [{**lines[0], "date": "yesterday"}, *lines[1:]],
    "in the future": lambda lines: [*lines, {**lines[0], "date": "2999-01-01"}],
    "more than this lab reads": lambda lines: [
        {"date": f"{1900 + i // 360}-{1 + i % 360 // 30:02d}-{1 + i % 28:02d}", "instrument": f"N{i}", "close": "1"} for i in range(5000)
    ],
}  # fmt: skip


def test_a_folder_of_qlib_is_read_as_the_table_that_it_holds(tmp_path) -> None:
    days, closes = [f"2020-01-{day:02}" for day in range(1, 6)], {"SH600000": (0, [10, 11, 12, 13, 14]), "SZ000001": (2, [5, 6, 7])}
    for name in ("calendars", "instruments"):
        (tmp_path / name).mkdir()
    (tmp_path / "calendars" / "day.txt").write_text("\n".join(days))
    (tmp_path / "instruments" / "all.txt").write_text("".join(f"{share}\t{days[0]}\t{days[-1]}\n" for share in closes))
    for share, (start, values) in closes.items():  # as qlib's dump_bin writes them
        for field, factor in (("close", 1), ("volume", 100)):
            file = tmp_path / "features" / share.lower() / f"{field}.day.bin"
            file.parent.mkdir(parents=True, exist_ok=True)
            np.hstack([start, np.array(values) * factor]).astype("<f").tofile(file)
    panel = own_table.read(tmp_path)
    assert panel.names == tuple(closes) and [str(day) for day in panel.dates] == days and set(panel.bars) == {"close", "volume"}
    assert np.array_equal(panel.close, [[10, np.nan], [11, np.nan], [12, 5], [13, 6], [14, 7]], equal_nan=True)
    assert panel.bars["volume"][4, 1] == 700
    with pytest.raises(LabError, match="no folder of qlib"):
        own_table.read(tmp_path / "features")


@pytest.mark.parametrize("says", WRONG)
def test_what_is_no_table_of_prices_gets_one_clear_sentence(says: str, tmp_path) -> None:
    with pytest.raises(LabError, match=says) as raised:
        own_table.read(written(tmp_path / "bad.csv", WRONG[says](rows(days=80))))
    assert raised.value.hint


def test_too_few_shares_or_days_are_said(tmp_path) -> None:
    for shares, days, says in ((1, 120, "too few to compare"), (6, 40, "too few to train")):
        with pytest.raises(LabError, match=says):
            prepare(own_table.read(written(tmp_path / f"{shares}.csv", rows(shares, days))))
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(LabError, match="no table"):
        own_table.read(tmp_path / "broken.parquet")
