"""The commands, through the entry point: what they print, and that those that only look write nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from harness.assessment import with_attacks
from harness.cli.main import main
from harness.cli.show import curve
from harness.events import BlockDone, EpochRecord
from harness.plugins import discover
from harness.protocol import load_protocol, protocol_names
from harness.spec import RunSpec
from harness.store.records import DatasetRecord
from harness.store.store import Store
from tests.cli.conftest import Harness

KINDS = ("methods", "attacks", "datasets", "networks")
TINY = "run sat --dataset digits --arch smallcnn --set width=1"
SVHN = {  # table 5 of the paper: method -> natural, PGD-20, CW, AutoAttack
    "sat": ["92.38", "55.97 ± 0.18", "52.90 ± 0.21", "47.84 ± 0.17"],
    "gairat": ["90.31", "62.96 ± 0.10", "47.17 ± 0.17", "38.74 ± 0.19"],
    "lrat": ["92.30", "59.76 ± 0.14", "55.47 ± 0.18", "47.65 ± 0.27"],
}


class TestStart:
    def test_without_arguments_it_shows_help_and_three_commands_that_work(
        self, harness: Harness, elsewhere: Path
    ) -> None:
        text = harness("")
        assert "Usage: harness" in text
        for command in ("run", "leaderboard", "list", "runs", "show"):
            assert f"\n  {command} " in text
        _, _, steps = text.partition("Three commands to start with:")
        first = [line.strip().split("   ")[0] for line in steps.splitlines() if line.strip()]
        assert [line.split()[:2] for line in first] == [
            ["harness", "run"],
            ["harness", "leaderboard"],
            ["harness", "list"],
        ]
        for line in first:
            arguments = line.removeprefix("harness ")
            assert harness(arguments + (" --dry-run" if arguments.startswith("run") else ""))
        assert list(elsewhere.iterdir()) == []

    def test_the_version(self, harness: Harness) -> None:
        assert harness("--version") == f"harness {__version__}\n"


class TestLeaderboardWithoutADatabase:
    """A new machine: the paper's tables are there, and looking at them makes no file."""

    @pytest.fixture(autouse=True)
    def nothing_is_made(self, elsewhere: Path) -> Any:
        yield
        assert list(elsewhere.iterdir()) == []

    def test_the_table(self, harness: Harness) -> None:
        text = harness("leaderboard --dataset svhn")
        assert "svhn, reported by Gao et al. 2021 (not measured here)" in " ".join(text.split())
        assert "resnet18" in text
        for method, figures in SVHN.items():
            (line,) = [line for line in text.splitlines() if f" {method} " in line]
            assert " ".join(line.split()).endswith(f"{method} {' '.join(figures)}")

    def test_markdown(self, harness: Harness) -> None:
        lines = harness("leaderboard --dataset svhn --format markdown").splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][2:]
        assert {row[1]: row[4:8] for row in rows} == SVHN
        assert [row[0] for row in rows] == ["1", "2", "3"]
        assert {tuple(row[2:4] + row[8:]) for row in rows} == {("resnet18", "early", "5", "-", "reported")}

    def test_json(self, harness: Harness) -> None:
        rows = json.loads(harness("leaderboard --dataset svhn --format json"))["rows"]
        assert {row["method"]: [text(row["metrics"][key]) for key in row["metrics"]] for row in rows} == SVHN
        assert {(row["dataset"], row["arch"], row["source"], row["checkpoint"]) for row in rows} == {
            ("svhn", "resnet18", "reported", "early")
        }
        assert {row["metrics"]["cw"]["n"] for row in rows} == {5}

    def test_csv(self, harness: Harness) -> None:
        lines = list(csv.DictReader(io.StringIO(harness("leaderboard --dataset svhn --format csv"))))
        found: dict[str, list[str]] = {}
        for line in lines:
            figure = {"median": float(line["median_percent"]), "std": float(line["std_percent"] or "nan")}
            found.setdefault(line["method"], []).append(text(figure))
        assert found == SVHN

    def test_filters_and_sorting(self, harness: Harness) -> None:
        command = "leaderboard --dataset cifar10 --arch wrn-32-10 --checkpoint last --sort pgd --format json"
        rows = json.loads(harness(command))["rows"]
        assert [(row["rank"], row["method"], row["metrics"]["pgd"]["median"]) for row in rows] == [
            (1, "gair-trades", 61.27),
            (2, "lrat-trades", 56.89),
            (3, "trades", 54.27),
        ]
        assert json.loads(harness("leaderboard --protocol paper --format json")) == {"rows": []}

    def test_no_row_is_said_with_a_near_miss(self, harness: Harness) -> None:
        assert harness("leaderboard --dataset svnh") == "No row matches; did you mean --dataset svhn?\n"
        assert harness("leaderboard --arch nothing") == "No row matches; there are rows for cifar10, cifar100, svhn\n"
        assert json.loads(harness("leaderboard --dataset svnh --format json")) == {"rows": []}

    def test_runs_and_what_to_do(self, harness: Harness) -> None:
        assert "No run yet; `harness run sat --dataset digits --arch smallcnn`" in harness("runs")
        assert json.loads(harness("runs --json")) == {"runs": [], "models": []}


def text(figure: dict[str, Any]) -> str:
    std = figure["std"]
    return f"{figure['median']:.2f}" + ("" if std is None or std != std else f" ± {std:.2f}")


def shown(value: object) -> str:
    """A default as a person writes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(shown(item) for item in value)
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


class TestList:
    @pytest.mark.parametrize("kind", KINDS)
    def test_json_is_the_registry(self, harness: Harness, kind: str) -> None:
        entries = json.loads(harness(f"list {kind} --json"))[kind]
        found = discover(kind).found
        assert [entry["name"] for entry in entries] == list(found)
        for entry in entries:
            cls = found[entry["name"]].cls
            assert entry["summary"] == cls.summary()
            fields = {field.name: field.default for field in dataclasses.fields(cls)}
            assert {setting["name"] for setting in entry["settings"]} == set(fields)
            for setting in entry["settings"]:
                default = fields[setting["name"]]
                assert ("default" in setting) == (default is not dataclasses.MISSING)
                assert default is dataclasses.MISSING or setting["default"] == default
                assert setting["meaning"]
                assert setting["type"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_text_tells_all_of_it(self, harness: Harness, kind: str) -> None:
        lines = [" ".join(line.split()) for line in harness(f"list {kind}").splitlines()]
        for name, found in discover(kind).found.items():
            start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} {found.cls.summary()}"))
            settings = found.cls.describe()
            for info, line in zip(settings, lines[start + 1 :], strict=False):
                default = "(required)" if info.required else shown(info.default)
                assert line == f"{info.name} {default} {info.type} {info.meaning}"

    @pytest.mark.parametrize("name", protocol_names())
    def test_a_protocol_with_every_setting(self, harness: Harness, name: str) -> None:
        protocol = load_protocol(name)
        whole, _ = with_attacks(protocol, discover("attacks"))
        (entry,) = [e for e in json.loads(harness("list protocols --json"))["protocols"] if e["name"] == name]
        assert (entry["summary"], entry["fingerprint"]) == (protocol.summary, whole.fingerprint)
        document = whole.document()
        tables = {"train": document["train"], "evaluation": document["evaluation"], **document["attacks"]}
        expected = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
        expected |= {"epsilon": document["epsilon"], "evaluation.epsilon": None}  # not in documents while it is unset
        assert {setting["name"]: setting["default"] for setting in entry["settings"]} == expected
        assert all(setting["meaning"] for setting in entry["settings"])
        _, _, below = harness("list protocols").partition(f"{name}  {protocol.summary}")
        lines = [line.split() for line in below.splitlines()]
        for key, value in expected.items():
            assert next(line for line in lines if line[:1] == [key])[1] == shown(value)

    @pytest.mark.parametrize("kind", [*KINDS, "protocols"])
    def test_names_are_whole_at_80_columns(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        output = harness(f"list {kind}")
        names = {s["name"] for e in json.loads(harness(f"list {kind} --json"))[kind] for s in e["settings"]}
        assert [name for name in sorted(names) if f"    {name} " not in output] == []
        assert "…" not in output
        assert max(len(line) for line in output.splitlines()) <= 80

    def test_every_method_and_attack_names_its_source(self, harness: Harness) -> None:
        for kind in ("methods", "attacks"):
            entries = json.loads(harness(f"list {kind} --json"))[kind]
            for entry in (entry for entry in entries if entry["name"] != "standard"):  # plain training has none
                assert any(word in entry["summary"] for word in ("et al.", "paper", "Croce and Hein")), entry["name"]

    def test_a_broken_plugin_is_told_with_its_reason_and_breaks_nothing(
        self, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (elsewhere / "mine").mkdir()
        (elsewhere / "mine" / "half_done.py").write_text("import nowhere_to_be_found\n")
        monkeypatch.setenv("HARNESS_PLUGINS", "mine")
        assert "mine/half_done.py: ModuleNotFoundError" in "".join(harness("list methods").split("\n"))
        document = json.loads(harness("list methods --json"))
        (broken,) = document["broken"]
        assert (broken["name"], "nowhere_to_be_found" in broken["reason"]) == ("half-done", True)
        assert "sat" in {entry["name"] for entry in document["methods"]}


@pytest.fixture
def board(elsewhere: Path) -> Path:
    """A store with a run that is done and one that failed."""
    store = Store.write(str(elsewhere / "mine.db"))
    dataset = DatasetRecord("digits", "f" * 64, 1437, 360, 1, 8, 8, 10)
    for seed in (0, 1):
        spec = RunSpec(
            method="lrat",
            method_settings={"kappa": 5.0, "minimum": 0.1},
            network="smallcnn",
            network_settings={"width": 4},
            dataset="digits",
            dataset_fingerprint="f" * 64,
            training={"epsilon": 8 / 255, "epochs": 3},
            train_seed=seed,
        )
        run = store.start_run(
            spec,
            dataset,
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
        store.add_checkpoint(run.id, "last", 3, "c" * 64)
        store.end_run(run.id)
        checkpoint = store.run(run.id).checkpoints[0]
        for attack, examples in (("pgd", 8), ("cw", 16)):
            number = store.open_evaluation(checkpoint.id, attack, {"steps": 20}, 4, examples, {})
            store.add_block(BlockDone(number, 0, bytes([1, 0, 1, 0, 0, 1, 0, 0]), 1.25, ("gradient masking?",)))
    store.close()
    return elsewhere / "mine.db"


class TestRuns:
    def test_a_list(self, harness: Harness, board: Path) -> None:
        good, bad = json.loads(harness("runs --db mine.db --json"))["runs"]
        assert good == {
            "run": 1,
            "method": "lrat kappa=5.0",
            "network": "smallcnn",
            "dataset": "digits",
            "train_seed": 0,
            "attempt": 1,
            "status": "done",
            "epochs": "3/3",
            "evaluations": 1,
        }
        assert (bad["run"], bad["status"], bad["epochs"], bad["evaluations"]) == (2, "failed", "2/3", 0)
        lines = harness("runs --db mine.db").splitlines()
        assert any("lrat kappa=5.0" in line and "done" in line and "3/3" in line for line in lines)
        assert any("failed" in line and "2/3" in line for line in lines)

    def test_eighty_columns_hold_every_word(
        self, harness: Harness, board: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        lines = harness("runs --db mine.db").splitlines()
        assert max(map(len, lines)) <= 80
        (done,) = [line.split() for line in lines if "3/3" in line]
        assert done[-7:] == ["smallcnn", "digits", "0", "1", "done", "3/3", "1"]
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
            "training epsilon=0.0313725 epochs=3",
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
        document = json.loads(harness(f"{TINY} --seeds 3 --train-seeds 2 --epochs 7 --limit 50 --dry-run --json"))
        assert list(elsewhere.iterdir()) == []
        assert [(n["epochs_done"], n["trained"], n["attempt"]) for n in document["networks"]] == [(0, False, 1)] * 2
        counts: dict[str, int] = {}
        for e in document["evaluations"]:
            assert (e["checkpoint"], e["blocks"], e["images"]) == ("last", 1, 50)
            counts[e["attack"]] = counts.get(e["attack"], 0) + 1
        assert counts == {"natural": 2, "pgd": 6, "cw": 6, "autoattack": 6}  # natural accuracy draws nothing
        assert document["evaluations_done"] == 0
        # SAT: ten steps of attack and one of training, each forward and backward, of 1437 images, 7 epochs, 2 networks
        assert document["training_passes"] == {"forward": 11 * 1437 * 7 * 2, "backward": 11 * 1437 * 7 * 2}

    def test_as_text(self, harness: Harness, elsewhere: Path) -> None:
        text = harness(f"{TINY} --seeds 3 --dry-run")
        assert list(elsewhere.iterdir()) == []
        for part in (
            "nothing is written",
            "networks: 1 to train, 0 trained already",
            "sat-smallcnn-digits-s0 (attempt 1): 0/20 epochs done",
            "evaluations: 10 to do, 0 done already",
            "autoattack, 3 seed(s)",
            "this machine has not timed smallcnn",
        ):
            assert part in text

    def test_a_store_that_is_there_stays_as_it_is(self, harness: Harness, board: Path) -> None:
        before = board.read_bytes(), board.stat().st_mtime_ns
        harness(f"{TINY} --db mine.db --dry-run")
        harness(f"{TINY} --db mine.db --dry-run --fresh --json")
        assert (board.read_bytes(), board.stat().st_mtime_ns) == before
        assert [path.name for path in board.parent.iterdir()] == ["mine.db"]


def test_a_training_that_fails_is_told_and_recorded_and_never_ranked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], harness: Harness
) -> None:
    command = f"{TINY} --epochs 1 --limit 2 --workers 1 --set lr=1e30 --json"
    for again in ("", " (before; --fresh starts it over)"):
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(command)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert ended.value.code == 1
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
