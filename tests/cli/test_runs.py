"""harness runs, a dry run, and a training that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.cli.show_text import curve
from harness.events import EpochRecord
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.stores import add_checkpoint, add_evaluation, as_digits, make_spec, start

TINY = "run sat --dataset digits --arch smallcnn --set width=1"


@pytest.fixture
def board(elsewhere: Path) -> Path:
    """A store with a run that is done and one that failed."""
    store = Store.write(str(elsewhere / "mine.db"))
    settings = {"kappa": 5.0, "minimum": 0.1}
    for seed in (0, 1):
        spec = make_spec(
            method="lrat",
            method_settings=settings,
            network_settings={"width": 4},
            training={"epsilon": 8 / 255, "epochs": 3},
            train_seed=seed,
        )
        run = start(
            store,
            spec,
            method_departures={"kappa": 5.0},
            network_departures={"width": 4},
            parameters=1034,
            provenance={"device": "toaster", "commit": "abc123"},
        )
        for epoch in range(1, 4 - seed):
            store.add_epoch(run.id, EpochRecord(epoch, 4.0 - epoch, 0.1, 1437, 2.0, {"mean_weight": 0.5 * epoch}))
        if seed:
            store.end_run(run.id, failure="the loss is not finite at epoch 3, batch 7")
            continue
        checkpoint = add_checkpoint(store, run, epoch=3, sha256="c" * 64)
        store.end_run(run.id)
        for attack, examples in (("pgd", 8), ("cw", 16)):
            how: dict[str, Any] = {"seed": 4, "examples": examples, "duration_s": 1.25}
            add_evaluation(
                store, checkpoint, attack, {"steps": 20}, as_digits("10100100"), warnings=("gradient masking?",), **how
            )
    store.close()
    return elsewhere / "mine.db"


class TestRuns:
    def test_a_list(self, harness: Harness, board: Path) -> None:
        good, bad = json.loads(harness("runs --db mine.db --json"))["runs"]
        date, ended = good.pop("created_utc"), good.pop("since_utc")
        assert date <= ended
        assert good == {
            "run": 1,
            "method": "lrat kappa=5.0",
            "label": "lrat kappa=5.0",
            "network": "smallcnn",
            "network_label": "smallcnn width=4",
            "wrappers": [],
            "dataset": "digits",
            "dataset_fingerprint": "f" * 64,
            "train_seed": 0,
            "attempt": 1,
            "status": "done",
            "reason": None,
            "epochs": "3/3",
            "evaluations": 1,
            "protocols": [],
            "figure": None,
            "tags": [],
            "note": None,
        }
        assert (bad["run"], bad["status"], bad["epochs"], bad["evaluations"]) == (2, "failed", "2/3", 0)
        lines = harness("runs --db mine.db").splitlines()
        assert any("lrat kappa=5.0" in line and "done" in line and date[:10] in line for line in lines)
        assert any("failed 2/3" in line for line in lines)

    def test_eighty_columns_hold_every_word(
        self, harness: Harness, board: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        lines = harness("runs --db mine.db").splitlines()
        assert max(map(len, lines)) <= 80
        (done,) = [line.split() for line in lines if " done " in line]
        assert done[-6:-1] == ["smallcnn", "width=4", "digits", "0", "done"]
        assert "…" not in "".join(lines)
        shown = harness("show 1 --db mine.db").splitlines()
        assert max(map(len, shown)) <= 80
        assert "  pgd, seed 4, last: gradient masking?" in [line.rstrip() for line in shown]

    def test_one_as_text(self, harness: Harness, board: Path) -> None:
        text = harness("show 1 --db mine.db")
        words = " ".join(text.split())
        for part in (
            "run 1 (attempt 1, identity ",
            "status done",
            "method lrat kappa=5 minimum=0.1",
            "network smallcnn width=4 1,034 parameters",
            "dataset digits 1,437 / 360 images [ffffffff]",
            "training epsilon=8/255 epochs=3",
            "device=toaster commit=abc123",
            "epochs 1 to 3",
            "loss █▅▁ 3 to 1",
            "mean_weight ▁▅█ 0.5 to 1.5",
            "gradient masking?",
        ):
            assert part in words, part
        (pgd,) = [line for line in text.splitlines() if "pgd" in line and "│" in line]
        for cell in ("last (3)", " 4 ", " 3 ", " 8 ", "37.50", "1.2"):
            assert cell in pgd
        (cw,) = [line for line in text.splitlines() if " cw " in line]
        assert "8/16 done" in cw  # of an evaluation that is not complete no accuracy is told
        assert "37.50" not in cw

    def test_one_that_failed(self, harness: Harness, board: Path) -> None:
        assert "failed: the loss is not finite at epoch 3, batch 7" in " ".join(harness("show 2 --db mine.db").split())

    def test_one_as_json(self, harness: Harness, board: Path) -> None:
        store = Store.read(str(board))
        record = store.run(1)
        store.close()
        document = json.loads(harness("show 1 --db mine.db --json"))
        assert document["identity"] == record.identity
        assert document["method_settings"] == record.method_settings
        assert document["provenance"] == record.provenance
        assert document["created_utc"] == record.created_utc.isoformat()
        assert [EpochRecord(**epoch) for epoch in document["epochs"]] == list(record.epochs)
        pgd, cw = document["checkpoints"][0]["evaluations"]
        assert (pgd["correct"], pgd["examples"], pgd["done"], pgd["blocks"], pgd["seed"]) == (3, 8, 8, [[0, 8]], 4)
        assert (cw["examples"], cw["done"]) == (16, 8)

    def test_looking_changes_nothing(self, harness: Harness, board: Path) -> None:
        before = board.read_bytes(), board.stat().st_mtime_ns
        for command in ("runs", "show 1", "leaderboard"):
            harness(f"{command} --db mine.db")
        assert (board.read_bytes(), board.stat().st_mtime_ns) == before
        assert [path.name for path in board.parent.iterdir()] == ["mine.db"]

    def test_a_curve_by_hand(self) -> None:
        assert curve([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
        assert curve([7.0, 0.0]) == "█▁"
        assert curve([7.0, float("nan"), 0.0, float("inf")]) == "█?▁?"
        assert curve([float("nan")]) == "?"
        assert curve([2.0, 2.0, 2.0]) == "▁▁▁"


class TestDryRun:
    def test_it_tells_what_would_run_and_writes_nothing(self, harness: Harness, elsewhere: Path) -> None:
        asked = f"{TINY} --seeds 3 --train-seeds 2 --epochs 7 --limit 50 --eval-every 0"
        document = json.loads(harness(f"{asked} --dry-run --json"))
        assert list(elsewhere.iterdir()) == []
        assert [(n["epochs_done"], n["trained"], n["attempt"]) for n in document["networks"]] == [(0, False, 1)] * 2
        counts: dict[str, int] = {}
        for e in document["evaluations"]:
            assert (e["checkpoint"], e["blocks"], e["images"]) == ("last", 1, 50)
            counts[e["attack"]] = counts.get(e["attack"], 0) + 1
        assert counts == {
            "natural": 2,
            "pgd": 6,
            "cw": 6,
            "minimum-margin": 6,
            "autoattack": 6,
        }  # natural accuracy draws nothing
        assert document["evaluations_done"] == 0
        # SAT: ten steps of attack and one of training, each forward and backward, of 1437 images, 7 epochs, 2 networks
        assert document["training_passes"] == {"forward": 11 * 1437 * 7 * 2, "backward": 11 * 1437 * 7 * 2}

    def test_as_text(self, harness: Harness, elsewhere: Path) -> None:
        text = harness(f"{TINY} --seeds 3 --dry-run")
        assert list(elsewhere.iterdir()) == []
        for part in (
            "nothing is written",
            "networks: 1 to train, 0 trained already",
            "sat-smallcnn-digits-s0 width=1 (attempt 1): 0/20 epochs done",
            "evaluations: 13 to do, 0 done already",
            "autoattack, 3 seed(s)",
            "this machine has not timed smallcnn",
        ):
            assert part in text

    def test_what_is_trained_already_is_not_recorded_and_that_is_said(self, ends: Ends, elsewhere: Path) -> None:
        request = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", values=("width=1",))
        (job,) = resolve_run(request)
        store = Store.write("mine.db")
        store.end_run(start(store, job.specs[0]).id)
        store.close()
        for every, told in (("1", True), ("0", False)):
            code, _, err = ends(f"{TINY} --device cpu --db mine.db --eval-every {every} --dry-run")
            assert code == 0
            assert ("records nothing of 1 network(s) trained already; --fresh trains them again" in err) == told

    def test_a_store_that_is_there_stays_as_it_is(self, harness: Harness, board: Path) -> None:
        before = board.read_bytes(), board.stat().st_mtime_ns
        harness(f"{TINY} --db mine.db --dry-run")
        harness(f"{TINY} --db mine.db --dry-run --fresh --json")
        assert (board.read_bytes(), board.stat().st_mtime_ns) == before
        assert [path.name for path in board.parent.iterdir()] == ["mine.db"]


def test_a_training_that_fails_is_told_and_recorded_and_never_ranked(harness: Harness, ends: Ends) -> None:
    command = f"{TINY} --epochs 1 --limit 2 --workers 1 --set lr=1e30 --json"
    for again in ("", " (before; --fresh starts it over)"):
        code, out, err = ends(command)
        assert code == 1
        assert json.loads(out) == {"rows": []}
        last = err.splitlines()[-1]
        assert last.startswith("harness: run 1 failed: the loss is not finite at epoch 1, batch ")
        assert last.endswith(again)
        assert "Traceback" not in err
    (failed,) = json.loads(harness("runs --json"))["runs"]
    assert (failed["status"], failed["epochs"], failed["evaluations"]) == ("failed", "0/1", 0)
    rows = json.loads(harness("leaderboard --format json"))["rows"]
    assert {row["source"] for row in rows} == {"reported"}
    assert "failed before, the loss is not finite" in harness(f"{command.removesuffix(' --json')} --dry-run")
