"""The check for a GPU, at toy size on the CPU: its file is whole after each step, also when the time runs out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import gpu_check
from scripts.gpu_check import Check, checks, run

FIRST = Check("first", ("-c", "print('hello'); open('{out}/first.json', 'w').write('[1]')"), 60, "first.json")
FAILS = Check("fails", ("-c", "raise SystemExit(3)"), 60)
HANGS = Check("hangs", ("-c", "import time; print('begun', flush=True); time.sleep(60)"), 2)


def _placed(check: Check, out: Path) -> Check:
    return Check(check.name, tuple(word.format(out=out) for word in check.command), check.limit_s, check.writes)


def test_each_step_leaves_its_exit_its_output_and_its_results(tmp_path: Path) -> None:
    document = run([_placed(check, tmp_path) for check in (FIRST, FAILS, HANGS)], 100, tmp_path)
    assert json.loads((tmp_path / "gpu_check.json").read_text()) == document
    steps = document["steps"]
    assert [step["exit"] for step in steps.values()] == [0, 3, "cut off after 2 s"]
    assert (steps["first"]["results"], steps["first"]["output"]) == ([1], "hello\n")
    assert steps["hangs"]["output"] == "begun\n"
    assert document["left out"] == []


def test_what_the_time_does_not_reach_is_named(tmp_path: Path) -> None:
    document = run([_placed(check, tmp_path) for check in (FIRST, FAILS)], gpu_check.LEAST_S - 1, tmp_path)
    assert document == {"steps": {}, "left out": ["first", "fails"]}
    assert json.loads((tmp_path / "gpu_check.json").read_text()) == document


def test_a_results_file_that_was_cut_off_is_no_result(tmp_path: Path) -> None:
    half = Check("half", ("-c", f"open(r'{tmp_path}/half.json', 'w').write('[1')"), 60, "half.json")
    assert run([half], 100, tmp_path)["steps"]["half"]["results"] is None


@pytest.mark.slow
def test_the_toy_size_agrees_on_the_cpu(tmp_path: Path) -> None:
    (agreement, _) = checks("cpu", tmp_path, toy=True)
    step = run([agreement], 300, tmp_path)["steps"]["agreement"]
    assert step["exit"] == 0, step["output"]
    (found,) = step["results"]["cases"].values()
    assert max(losses["loss"] for losses in found["methods"].values()) < 1e-5
    assert found["pixels alike"] > 0.99
    assert all(counts["different"] == 0 for counts in found["verdicts"].values())
    assert 0 < found["verdicts"]["pgd"]["right"] < found["images"]  # so both outcomes are compared


@pytest.mark.parametrize("toy", [True, False])
def test_the_steps_fit_into_the_time_of_one_call(toy: bool, tmp_path: Path) -> None:
    steps = checks("cuda", tmp_path, toy=toy)
    assert len({check.name for check in steps}) == len(steps)
    assert all(check.limit_s >= gpu_check.LEAST_S for check in steps)
    assert sum(check.limit_s for check in steps[:4]) < 520  # the most telling ones, however slow
