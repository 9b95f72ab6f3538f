"""The whole job on the digits, in fresh processes, through the installed command."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from harness.planning.assessment import with_attacks
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import discover
from tests.place import HARNESS, Place, make_place

PATIENCE_S = 120.0


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
def test_two_equal_commands_at_once_leave_what_one_leaves(base: Base, tmp_path: Path) -> None:
    place = make_place(tmp_path)
    options = ("--epochs", "2", "--seeds", "2", "--workers", "1")
    with place.started(*options) as one, place.started(*options) as other:
        printed = [process.communicate(timeout=PATIENCE_S) for process in (one, other)]
        assert (one.returncode, other.returncode) == (0, 0), printed
    assert [json.loads(out) for out, _ in printed] == [base.printed, base.printed]
    ((run,), (expected,)) = (where.runs() for where in (place, base.place))
    assert place.verdicts(run) == base.place.verdicts(expected)
    assert [c.sha256 for c in run.checkpoints] == [c.sha256 for c in expected.checkpoints]
    assert all(e.blocks == ((0, 25), (25, 25), (50, 10)) for c in run.checkpoints for e in c.evaluations)
    assert "also" not in run.provenance  # both were here


def test_a_setting_that_is_set_to_what_it_is_changes_nothing(base: Base, tmp_path: Path) -> None:
    assert base.copy(tmp_path).run("--epochs", "2", "--seeds", "2", "--set", "cw.kappa=50") == base.printed


def wait_for_epoch(place: Place, epoch: int) -> None:
    """Wait until the store has that epoch of the first run."""
    ends = time.monotonic() + PATIENCE_S
    file = place.folder / "leaderboard.db"
    while time.monotonic() < ends:
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as c,
        ):
            if c.execute("SELECT count(*) FROM epochs").fetchone()[0] >= epoch:
                return
        time.sleep(0.05)
    raise AssertionError(f"no epoch {epoch} after {PATIENCE_S} s")


def wait_for_the_end_of_group(group: int) -> None:
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("workers outlive the command that started them")


def test_a_training_that_is_killed_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    epochs = 10
    options = ["--epochs", str(epochs), "--seeds", "1"]
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed = (make_place(tmp_path / name) for name in ("whole", "killed"))
    with killed.started(*options) as process:
        wait_for_epoch(killed, 2)
        os.kill(process.pid, signal.SIGKILL)  # the command alone: its workers must notice
        process.wait()
        wait_for_the_end_of_group(process.pid)
    (run,) = killed.runs()
    assert (run.status, run.checkpoint("last")) == ("running", None)
    assert 2 <= len(run.epochs) < epochs

    found, expected = killed.run(*options), whole.run(*options)
    ((one,), (other,)) = (place.runs() for place in (whole, killed))
    assert (other.id, other.attempt, other.status) == (run.id, 1, "done")
    assert [c.sha256 for c in other.checkpoints] == [c.sha256 for c in one.checkpoints]
    for place, record in ((whole, one), (killed, other)):
        file = place.folder / "runs" / record.folder / "last.safetensors"
        assert hashlib.sha256(file.read_bytes()).hexdigest() == one.checkpoints[1].sha256
    durations = {"duration_s": 0.0}
    assert [asdict(e) | durations for e in other.epochs] == [asdict(e) | durations for e in one.epochs]
    assert killed.verdicts(other) == whole.verdicts(one)
    assert found["metrics"] == expected["metrics"]
    log = (killed.folder / "runs" / other.folder / "log.txt").read_text()
    assert log.count("resume after epoch") == 1


def test_an_interrupt_says_that_what_was_done_is_kept(place: Place) -> None:
    with place.started("--epochs", "500") as process:
        wait_for_epoch(place, 1)
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        out, told = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (130, "")
        assert "Traceback" not in told
        wait_for_the_end_of_group(process.pid)
        assert told.splitlines()[-1].startswith("harness: stopped; what was done is kept")


def test_autoattack_by_the_protocol_of_the_digits(place: Place) -> None:
    command = "run sat --dataset digits --arch smallcnn --set width=4 --epochs 2 --seeds 1 --limit 8 --json"
    row = json.loads(place.harness(str(HARNESS), *command.split()).stdout)
    whole, _ = with_attacks(load_protocol("digits").with_values({"train.epochs": 2}), discover("attacks"))
    assert row["protocol_fingerprint"] == whole.fingerprint
    assert list(row["metrics"]) == ["natural", "pgd", "cw", "autoattack", "worst_case"]
    assert {figure["n"] for figure in row["metrics"].values()} == {1}
    (run,) = place.runs()
    verdicts = place.verdicts(run)
    natural, robust = (verdicts["last", attack, 0, 8] for attack in ("natural", "autoattack"))
    assert all(r <= n for r, n in zip(robust, natural, strict=True))  # it leaves alone what is wrong already
    log = (place.folder / "runs" / run.folder / "log.txt").read_text()
    assert "robust accuracy" in log
