"""The whole job on the digits, in fresh processes, through the installed command."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from harness.planning.assessment import with_attacks
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from tests.place import HARNESS, Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@dataclass(frozen=True)
class Base:
    place: Place  # for looking at alone
    printed: Any  # by the command that made it

    def copy(self, folder: Path) -> Place:
        """The same, for a test that goes on from there."""
        shutil.copytree(self.place.folder, folder, dirs_exist_ok=True)
        return Place(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Two epochs, two attack seeds, side by side in two processes."""
    place = make_place(tmp_path_factory.mktemp("base"))
    return Base(place, place.run("--epochs", "2", "--seeds", "2", "--workers", "2"))


def test_the_row_it_prints_is_the_one_that_other_programs_rely_on(base: Base) -> None:
    row, (run,) = base.printed, base.place.runs()
    promised = {
        "dataset": "digits",
        "arch": "smallcnn",
        "arch_settings": {"width": 4},
        "method": "sat",
        "checkpoint": "last",
        "protocol": "mine",
        "source": "measured",
        "train_seeds": 1,
        "examples": 60,
        "rank": 1,
        "runs": [run.id],
    }
    assert {key: row[key] for key in promised} == promised
    assert list(row["metrics"]) == ["natural", "pgd", "cw", "worst_case"]
    verdicts = base.place.verdicts(run)
    *attacked, (_, worst_case) = row["metrics"].items()
    assert worst_case["median"] == pytest.approx(100 * sum(map(all, zip(*verdicts.values(), strict=True))) / 60)
    assert worst_case["seeds"] == {"natural": 1, "pgd": 2, "cw": 2}
    for attack, figure in attacked:
        counts = [sum(bits) for (_, name, _, _), bits in verdicts.items() if name == attack]
        assert figure["n"] == len(counts) == (1 if attack == "natural" else 2)
        assert figure["median"] == pytest.approx(100 * sum(counts) / len(counts) / 60)
        assert (figure["std"] is None) == (attack == "natural")
    leaderboard = base.place.harness(str(HARNESS), "leaderboard", "--dataset", "digits", "--format", "json")
    assert json.loads(leaderboard.stdout)["rows"] == [row]


def test_what_the_store_keeps(base: Base) -> None:
    (run,) = base.place.runs()
    # three convolutions with their batch-norms, one linear layer: 36 + 8, 288 + 16, 576 + 16, 90
    assert (run.status, run.attempt, run.training["epochs"], run.parameters) == ("done", 1, 2, 1030)
    assert [epoch.epoch for epoch in run.epochs] == [1, 2]
    assert run.epochs[1].loss < run.epochs[0].loss
    assert [(c.name, c.epoch, len(c.evaluations)) for c in run.checkpoints] == [("early", 1, 0), ("last", 2, 5)]
    for evaluation in run.checkpoints[1].evaluations:
        assert evaluation.complete
        assert [first for first, _ in evaluation.blocks] == [0, 25, 50]
    verdicts = base.place.verdicts(run)
    assert verdicts["last", "pgd", 0, 60] != verdicts["last", "pgd", 1, 60]
    assert {"torch", "device", "host", "threads"} <= run.provenance.keys()


def test_checkpoints_carry_the_settings_of_their_run(base: Base) -> None:
    (run,) = base.place.runs()
    for checkpoint in run.checkpoints:
        file = base.place.folder / "runs" / run.folder / f"{checkpoint.name}.safetensors"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == checkpoint.sha256
        with safe_open(file, framework="pt") as opened:
            told = json.loads(opened.metadata()["harness"])
            assert sum(opened.get_tensor(name).numel() for name in opened.keys()) > run.parameters  # noqa: SIM118
        assert (told["identity"], told["checkpoint"], told["epoch"]) == (
            run.identity,
            checkpoint.name,
            checkpoint.epoch,
        )
        for key in ("method", "method_settings", "network", "network_settings", "training", "train_seed"):
            assert told["run"][key] == getattr(run, key)
        assert told["run"]["dataset_fingerprint"] == run.dataset.fingerprint


@pytest.mark.slow
def test_the_same_command_again_does_only_what_is_missing(base: Base, tmp_path: Path) -> None:
    place = base.copy(tmp_path)
    files = place.files()
    (run,) = place.runs()

    assert place.run("--epochs", "2", "--seeds", "2") == base.printed
    assert place.files() == files  # not one byte, not one time

    wider = place.run("--epochs", "2", "--seeds", "3")
    assert [wider["metrics"][name]["n"] for name in ("natural", "pgd", "cw")] == [1, 3, 3]
    (more,) = place.runs()
    old, new = ({e.id: e for e in r.checkpoints[1].evaluations} for r in (run, more))
    assert {number: new[number] for number in old} == old
    assert sorted((e.attack, e.seed) for number, e in new.items() if number not in old) == [("cw", 2), ("pgd", 2)]
    weights = [name for name in files if not name.endswith((".db", "log.txt"))]
    assert {name: place.files()[name] for name in weights} == {name: files[name] for name in weights}

    part = place.run("--epochs", "2", "--seeds", "1", "--limit", "10")
    assert (part["examples"], part["rank"], part["runs"]) == (10, 1, [run.id])
    board = place.harness(str(HARNESS), "leaderboard", "--dataset", "digits", "--format", "json")
    rows = json.loads(board.stdout)["rows"]
    assert sorted((row["examples"], row["rank"]) for row in rows) == [(10, 1), (60, 1)]


@pytest.mark.slow
def test_a_fresh_start_with_another_number_of_workers_gives_the_same_bits(base: Base, tmp_path: Path) -> None:
    place = base.copy(tmp_path)
    before = place.runs()
    printed = place.run("--epochs", "2", "--seeds", "2", "--fresh", "--workers", "1")
    kept, again = place.runs()
    assert [kept] == before
    assert (again.attempt, again.status, again.identity) == (2, "done", kept.identity)
    assert again.folder != kept.folder
    assert [c.sha256 for c in again.checkpoints] == [c.sha256 for c in kept.checkpoints]
    assert place.verdicts(again) == place.verdicts(kept)
    assert printed == base.printed | {"runs": [again.id]}


@pytest.mark.slow
def test_a_setting_that_is_set_to_what_it_is_changes_nothing(base: Base, tmp_path: Path) -> None:
    assert base.copy(tmp_path).run("--epochs", "2", "--seeds", "2", "--set", "cw.kappa=50") == base.printed


@pytest.mark.slow
def test_autoattack_by_the_protocol_of_the_digits(place: Place) -> None:
    command = "run sat --dataset digits --arch smallcnn --set width=4 --epochs 2 --seeds 1 --limit 8 --json"
    row = json.loads(place.harness(str(HARNESS), *command.split()).stdout)
    whole, _ = with_attacks(load_protocol("digits").with_values({"train.epochs": 2}), discover("attacks"))
    assert row["protocol_fingerprint"] == whole.fingerprint
    assert list(row["metrics"]) == ["natural", "pgd", "cw", "minimum-margin", "autoattack", "worst_case"]
    assert {figure["n"] for figure in row["metrics"].values()} == {1}
    (run,) = place.runs()
    verdicts = place.verdicts(run)
    natural, robust = (verdicts["last", attack, 0, 8] for attack in ("natural", "autoattack"))
    assert all(r <= n for r, n in zip(robust, natural, strict=True))  # it leaves alone what is wrong already
    log = (place.folder / "runs" / run.folder / "log.txt").read_text()
    assert "robust accuracy" in log
