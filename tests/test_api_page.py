"""``docs/api.md``: it names all that is public, describes every column, and its examples run."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

import harness
from harness.api import columns, orders, pairs, protocols, ranked
from harness.api.contents import TableColumn

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
TABLES = {
    "runs": columns.RUNS,
    "models": columns.MODELS,
    "epochs": columns.EPOCHS,
    "evaluations": columns.EVALUATIONS,
    "curves": columns.CURVES,
    "histograms": columns.HISTOGRAMS,
    "verdicts": columns.VERDICTS,
    "findings": columns.FINDINGS,
    "reported": columns.REPORTED,
    "leaderboard": ranked.LEADERBOARD,
    "leaderboard, with intervals": columns.RANK_INTERVAL,
    "leaderboard, with costs": columns.COST,
    "compare": columns.COMPARISON,
    "compare_all": pairs.PAIRS,
    "compare_protocols": orders.ORDERS,
    "protocol_diff": protocols.DIFFERENCES,
    "power": columns.POWER,
    "metrics, of an evaluation's report": columns.METRICS,
    "findings, of an evaluation's report": columns.CHECKED,
}


def line(column: TableColumn) -> str:
    return f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning} |"


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_described_in_order(name: str) -> None:
    section = PAGE.split(f"\n### {name}\n")[1].split("\n#")[0]
    assert re.findall(r"^\| `.*$", section, re.MULTILINE) == [line(column) for column in TABLES[name]]


def test_every_public_name_is_described() -> None:
    words = set(re.findall(r"[A-Za-z_]+", " ".join(re.findall(r"`([^`]+)`", BLOCK.sub("", PAGE)))))
    assert set(harness.__all__) <= words
    for part in (harness.Results, harness.Table, harness.TableColumn, harness.EvaluationReport, harness.RunReport):
        held = [name for kind in part.__mro__ if kind.__module__.startswith("harness.") for name in vars(kind)]
        names = {name for name in (*held, *part.__annotations__) if not name.startswith("_")}
        assert names - {"of_rows"} <= words, part
    for function in (harness.run, harness.evaluate, harness.open):
        assert inspect.signature(function).parameters.keys() - {"settings"} <= words


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In order, in a folder that has a copy of the board that ships."""
    shutil.copy(ROOT / "leaderboard.db", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    blocks = BLOCK.findall(PAGE)
    assert blocks
    for block in blocks:
        exec(compile(block, "docs/api.md", "exec"), {})
    assert "sat" in capsys.readouterr().out
