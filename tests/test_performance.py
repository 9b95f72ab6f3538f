"""The page on performance says what the files of results hold, and the ways that are compared do the same work."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import growth, growth_plot, measuring, peers, textbook
from benchmarks.ours import METHODS, SETTINGS, Training
from benchmarks.parts import Timers
from harness.plugin.threat import Threat
from scripts import performance_tables, performance_work
from scripts.performance_cells import PAGE, RESULTS
from scripts.performance_tables import TABLES, tables_of

THREAT = Threat(epsilon=0.1, steps=4, step_size=0.05, start="uniform")
CPU = torch.device("cpu")


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_its_file_holds(name: str) -> None:
    assert tables_of(PAGE.read_text(encoding="utf-8"))[name] == TABLES[name]()


def test_every_result_has_its_place_date_and_load() -> None:
    for name in ("peers-cpu", "parts-cpu", "profile_step-cpu"):
        for case, entry in json.loads((RESULTS / f"{name}.json").read_text())["cases"].items():
            assert {"device", "threads", "cores", "versions", "date", "load"} <= entry.keys(), case


def test_medians_are_those_of_the_rounds() -> None:
    found = measuring.compared({"a": [1.0, 2.0, 4.0], "b": [2.0, 6.0, 4.0]}, "a")
    assert found["ratios"] == {"b": {"median": 2.0, "quartiles": [1.5, 2.5]}}  # of 2, 3, and 1
    assert found["seconds"]["a"]["median"] == 2.0


def test_what_workers_take_once_started_is_told_with_its_spread() -> None:
    base, two, ray = "one process", "two processes", "a Ray cluster of two cores"

    def case(*seconds: list[float]) -> dict[str, Any]:
        found = {
            side: {"median": sum(each) / len(each), "each": each}
            for side, each in zip((base, two, ray), seconds, strict=True)
        }
        return {"base": base, "seconds": found}

    few, many = case([15.0], [10.0], [12.0]), case([210.0, 230.0], [110.0, 130.0], [122.0, 122.0])
    told = performance_work._once_started({"few": few, "many": many})  # 110 s beside 100, and beside 120
    assert "takes 1.01 times as long as two processes (rounds from 0.92 to 1.10); at most 1.05: met" in told


@pytest.fixture
def no_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collecting the garbage of a long session takes seconds a call."""
    monkeypatch.setattr("gc.collect", lambda: 0)


@pytest.mark.usefixtures("no_collection")
def test_each_side_is_first_as_often_as_the_others() -> None:
    called: list[str] = []
    sides = {name: partial(called.append, name) for name in "abc"}
    _, found = measuring.in_turn(sides, CPU, rounds=6, seconds=math.inf)
    assert Counter(called) == dict.fromkeys("abc", 7)  # one round warms up
    assert Counter(called[3::3]) == dict.fromkeys("abc", 2)
    assert {len(times) for times in found.values()} == {6}


@pytest.mark.usefixtures("no_collection")
def test_a_short_time_still_gives_quartiles() -> None:
    _, found = measuring.in_turn({"a": lambda: None}, CPU, rounds=9, seconds=0.0)
    assert len(found["a"]) == measuring.LEAST_ROUNDS


def test_merged_cases_stay_beside_earlier_ones(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "found.json"
    measuring.merge(file, {"benchmark": "x"}, {"a": {"n": 1}, "b": {"n": 1}})
    measuring.merge(file, {"benchmark": "x"}, {"b": {"n": 2}})
    assert json.loads(file.read_text()) == {"benchmark": "x", "cases": {"a": {"n": 1}, "b": {"n": 2}}}


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_exponent_of_an_exact_power_is_found(exponent: float) -> None:
    fit = growth.fitted({n: [3.0 * n**exponent] * 2 for n in (1, 2, 4, 8)})
    assert fit["exponent"] == pytest.approx(exponent)
    assert fit["interval95"] == pytest.approx([exponent, exponent])


def test_an_inner_part_counts_as_the_outer_one() -> None:
    times = iter([0.0, 10.0])  # read when the outermost part begins, and when it ends
    timers = Timers(lambda: next(times))
    timers.around("outer", timers.around("inner", lambda: None))()
    assert timers.spent == {"outer": 10.0}


@pytest.mark.parametrize(("median", "verdict"), [(1.6, "met"), (1.59, "missed")])
def test_a_goal_is_judged_by_the_median(median: float, verdict: str) -> None:
    entry = {"ratios": {"textbook": {"median": median, "quartiles": [1.0, 2.0]}}, "at_least": {"textbook": 1.6}}
    assert performance_tables._judged(entry, "textbook").endswith(f"at least 1.6: {verdict}")


@pytest.mark.parametrize(
    "arguments", re.findall(r"^    python -m benchmarks.peers (.*)$", PAGE.read_text(), re.MULTILINE)
)
def test_the_commands_of_the_page_measure_the_cases_that_they_name(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"at_least": {}, "base": "fast", "rounds": 3, "ratios": {"plain": {"median": 1.0, "quartiles": [1.0, 1.0]}}}
    monkeypatch.setattr(peers, "measured", lambda *_: found)
    monkeypatch.setattr(sys, "argv", ["peers", *shlex.split(arguments), "--out", str(tmp_path / "found.json")])
    peers.main()
    network, _, cases = arguments.partition(" --cases ")
    written = json.loads((tmp_path / "found.json").read_text())["cases"]
    assert {entry["case"] for entry in written.values()} == set(shlex.split(cases) or peers.CASES[network])
    assert capsys.readouterr().out.count("\n") == len(written)


def test_the_commands_of_the_page_name_every_case() -> None:
    said = re.findall(r"^    python -m benchmarks.peers (\w+)(?: --cases (.*))?$", PAGE.read_text(), re.MULTILINE)
    for network, cases in peers.CASES.items():
        named = [case for name, some in said if name == network for case in (shlex.split(some) or cases)]
        assert sorted(named) == sorted(cases)


def test_every_side_of_an_evaluation_gives_a_verdict_an_image() -> None:
    judged = {name: side() for name, side in peers.evaluation(SETTINGS["smallcnn"], 9, CPU).items()}
    assert all(isinstance(v, Tensor) and v.shape == (9,) and v.dtype == torch.bool for v in judged.values())
    assert {"fast", "plain", "textbook"} <= judged.keys()


@pytest.mark.parametrize("method", METHODS)
def test_every_side_of_a_training_changes_its_own_network(method: str, tmp_path: Path) -> None:
    sides = peers.training(replace(SETTINGS["smallcnn"], batch=8), method, CPU, tmp_path)
    assert {"fast", "plain", "textbook"} <= sides.keys()
    for side in sides.values():
        side()


class Counting(nn.Module):
    """A network that counts its passes, by mode."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.passes = SETTINGS["smallcnn"].model(CPU), Counter[str]()

    def forward(self, x: Tensor) -> Any:
        self.passes["training" if self.training else "evaluation"] += 1
        return self.inner(x)


@pytest.mark.parametrize(
    ("update", "evaluation", "training"),
    [(textbook.sat, 4, 1), (textbook.gairat, 4, 1), (textbook.trades, 8, 3), (textbook.lrat, 8, 3)],
)
def test_a_textbook_step_makes_the_passes_of_the_script(
    update: Callable[..., None], evaluation: int, training: int
) -> None:
    model = Counting()
    before = [p.detach().clone() for p in model.parameters()]
    x, y = SETTINGS["smallcnn"].examples(6, CPU)
    update(model, torch.optim.SGD(model.parameters(), lr=0.1), x, y, THREAT)
    assert model.passes == {"evaluation": evaluation, "training": training}
    assert any(not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


@pytest.mark.parametrize("margins", [False, True])
def test_textbook_pgd_stays_in_the_ball_and_raises_the_loss(margins: bool) -> None:
    model = SETTINGS["smallcnn"].model(CPU)
    x, y = SETTINGS["smallcnn"].examples(16, CPU)
    x_adv, steps = textbook.pgd(model, x, y, THREAT, margins=margins, count=True)
    assert float((x_adv - x).abs().max()) <= THREAT.epsilon + 1e-6
    assert float(x_adv.min()) >= 0
    assert float(x_adv.max()) <= 1
    assert steps.tolist() == [s for s in steps.tolist() if 0 <= s <= THREAT.steps]
    with torch.no_grad():
        assert textbook.margin(model(x_adv), y) > textbook.margin(model(x), y)


def test_the_textbook_weights_of_equal_examples_are_one() -> None:
    assert textbook.geometry(torch.full((5,), 3.0), 10).tolist() == pytest.approx([1.0] * 5)


@pytest.mark.parametrize("method", METHODS)
def test_the_harness_side_makes_a_real_update(method: str, tmp_path: Path) -> None:
    training = Training(SETTINGS["smallcnn"], method, CPU, tmp_path, fast=True)
    before = [p.detach().clone() for p in training.model.parameters()]
    training.update(*SETTINGS["smallcnn"].examples(8, CPU))
    assert all(not torch.equal(p, b) for p, b in zip(training.model.parameters(), before, strict=True))
    assert list(tmp_path.iterdir()) == []


def test_the_plot_of_the_same_results_is_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    times = {str(n): {"median": float(n), "quartiles": [0.9 * n, 1.1 * n]} for n in (1, 2, 4)}
    fit = {"clock": "wall", "seconds": times, "exponent": 1.0, "interval95": [0.98, 1.02]}
    found = {"growth": {"images": fit, "seeds": fit}, "memory_bytes": {"10": {"median": 1e6}, "20": {"median": 1e6}}}
    first, second = tmp_path / "new" / "a.svg", tmp_path / "b.svg"
    growth_plot.draw(found, first)
    growth_plot.draw(found, second)
    assert first.read_bytes() == second.read_bytes()
    assert first.read_text().count("exponent 1.000 [0.980, 1.020]") == 2
