"""``harness evaluate`` where an item is given up: the rest is printed, and the exit code is that of ``harness run``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import harness as package
from harness.errors import GivenUp
from harness.execution.conduct_target import conduct_evaluation
from harness.planning.evaluate_job import EvaluateJob
from tests.cli.conftest import Ends
from tests.cli.evaluate.given import HERE, N

TOLD = "evaluation of run 1 was given up: it took more than 1 minutes, and was ended; the same command tries it again"


@pytest.fixture
def gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attacks nothing by FGSM, as where each of its items takes longer than the time limit."""

    def in_part(job: EvaluateJob, *arguments: Any) -> Any:
        chosen = tuple(name for name in job.assessment.chosen if name != "fgsm")
        summary, model = conduct_evaluation(replace(job, assessment=replace(job.assessment, chosen=chosen)), *arguments)
        item, _, reason = TOLD.partition(" was given up: ")
        summary.undone[item] = reason
        return summary, model

    monkeypatch.setattr("harness.api.evaluating.conduct_evaluation", in_part)


@pytest.mark.usefixtures("gives_up")
def test_what_was_done_is_printed_and_the_exit_code_is_1(place: Path, ends: Ends) -> None:
    command = f"evaluate 1 --attacks pgd,fgsm --seeds 1 --limit {N} --no-checks {HERE}"
    code, out, err = ends(command)
    assert code == 1
    assert err.splitlines()[-1] == f"harness: {TOLD}"
    attacks = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert attacks == ["attack", "natural", "pgd"]  # no worst case: an attack lacks
    code, out, err = ends(f"{command} --json")
    assert code == 1
    (report,) = json.loads(out)["reports"]
    assert (list(report["metrics"]), report["worst_case"]) == (["natural", "pgd"], None)


@pytest.mark.usefixtures("gives_up")
def test_the_interface_of_python_raises(place: Path) -> None:
    with pytest.raises(GivenUp, match=TOLD):
        package.evaluate(
            "1", attacks=["pgd", "fgsm"], seeds=1, limit=N, checks=False, db="leaderboard.db", runs_dir="runs"
        )
