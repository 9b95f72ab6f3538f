"""What ``harness run --until-separated`` refuses: one line, and nothing is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import harness as interface
from harness.errors import SettingError
from harness.planning.run_job import resolve_run
from harness.store.store import Store
from tests.cli.conftest import Harness, Refused
from tests.cli.seeds_kept import REQUEST, TINY, TINY_TOO, fill, jobs, keep


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("run standard sat --until-separated 2", "--until-separated 2 is refused: it is the most training seeds"),
        ("run standard sat --until-separated 101", "3 to 100"),
        ("run standard sat --until-separated 100 --seeds 9000", "--until-separated 100 with --seeds 9000 is refused"),
        ("run standard --until-separated 6", "it separates methods; name two or more"),
        ("run sat sat --until-separated 6", "it separates methods; name two or more"),
        ("run standard sat --until-separated 4 --train-seeds 5", "--train-seeds 5 is more"),
        ("run standard sat --until-separated 6 --fresh", "--fresh is refused beside --until-separated"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    refusal: Refused, elsewhere: Path, command: str, line: str
) -> None:
    assert line in refusal(f"{command.split(' ', 1)[0]} {TINY} {command.split(' ', 1)[1]}")
    assert list(elsewhere.iterdir()) == []


def test_an_experiment_s_file_is_refused(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "both.toml").write_text(
        'methods = ["sat", "trades"]\ndatasets = ["digits"]\nnetworks = ["smallcnn"]\n'
    )
    assert "beside an experiment's file" in refusal("run both.toml --until-separated 6")


def test_no_configuration_names_the_limit(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "harness.toml").write_text("[run]\nuntil-separated = 6\n")
    assert "it is no default; give --until-separated when you want it" in refusal(f"run sat {TINY}")


def test_another_limit_for_the_same_methods_is_refused(refusal: Refused, harness: Harness) -> None:
    fill({"standard": [10, 12, 11, 12], "sat": [11, 11, 12, 10], "trades": [20, 21, 20]}, 8)
    for command in ("standard sat", "sat standard trades"):
        line = refusal(f"run {command} {TINY} --until-separated 12")
        assert "were looked at with the limit 8" in line
        assert "give --until-separated 8" in line
    # another attack ranks: another question
    plan = harness(f"run standard sat {TINY} --attacks pgd,natural --until-separated 12 --dry-run --json")
    assert len(json.loads(plan)["networks"]) == 10
    with pytest.raises(SettingError, match="with the limit 8"):
        interface.run(["standard", "sat"], **TINY_TOO, until_separated=9)


def test_it_is_refused_as_well_where_a_later_seed_was_looked_at(refusal: Refused) -> None:
    """The first seeds were named in advance, and separate the two at once; the fourth was added with a limit of 8."""
    store = Store.write("leaderboard.db")
    for job in resolve_run(replace(REQUEST, train_seeds=3)):
        store.see_protocol(job.protocol_record(), job.protocol.training_document)
        for seed in range(3):
            keep(store, job, seed, 10 + 20 * (job.specs[0].method == "sat") + seed % 2)
    keep(store, jobs("standard", "sat", limit=8)[0], 3, 10)
    store.close()
    assert "were looked at with the limit 8" in refusal(f"run standard sat {TINY} --until-separated 6")
