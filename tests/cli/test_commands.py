"""The first commands: the start, and a leaderboard without a database."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from harness import __version__
from tests.cli.conftest import Harness

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
            assert f"\n│ {command} " in text
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

    def test_runs_and_what_to_do(self, harness: Harness) -> None:
        assert "No run yet; `harness run sat --dataset digits --arch smallcnn`" in harness("runs")
        assert json.loads(harness("runs --json")) == {"runs": [], "models": [], "at_work": []}


def text(figure: dict[str, Any]) -> str:
    std = figure["std"]
    return f"{figure['median']:.2f}" + ("" if std is None or std != std else f" ± {std:.2f}")
