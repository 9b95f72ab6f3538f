"""A trial of a tuning that is given up: what the command ends with, and what the interface of Python raises."""

from __future__ import annotations

from pathlib import Path

import pytest

import harness
from harness.api import trying
from harness.errors import GivenUp
from harness.execution.summary import Summary
from tests.command import exit_code


def test_a_trial_that_is_given_up_ends_the_command_with_1_and_the_interface_raises(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``harness run`` ends where a training was given up; the trials before it are told already."""

    def give_up(*_: object) -> Summary:
        return Summary(undone={"training of run 1": "it took more than 1 minutes, and was ended"})

    monkeypatch.setattr(trying, "conduct", give_up)
    monkeypatch.chdir(tmp_path)
    told = "a trial of sat was given up: it took more than 1 minutes, and was ended"
    wanted = "--set train.validation=200 --set width=1 --epochs 1 --trials 2 --attacks natural --no-checks --workers 1"
    assert exit_code(f"harness tune sat --dataset digits --arch smallcnn {wanted} --db own.db --runs-dir own") == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"harness: {told}"
    values = {"train.validation": 200, "width": 1, "train.epochs": 1}
    with pytest.raises(GivenUp, match=told):
        harness.tune("sat", trials=2, dataset="digits", arch="smallcnn", set=values, db="own.db", runs_dir="own")
