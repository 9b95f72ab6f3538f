"""JSON and CSV: every figure, to its last digit."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from harness.leaderboard.board import Board
from harness.leaderboard.render_csv import render_csv
from harness.leaderboard.render_json import render_json
from harness.statistics.figures import Figure, Spread, wilson
from tests.harness.leaderboard.rendered import BOARDS, both, every_figure, paper


def over_images(percent: float) -> dict[str, Any]:
    """Wilson's interval over the 360 images as JSON."""
    found = wilson(percent, 360)
    return {"kind": "wilson", "level": 0.95, "unit": "test images", "n": 360, "low": found.low, "high": found.high}


def over_seeds(mean: float, std: float) -> dict[str, Any]:
    """The t-interval over three seeds as JSON: the 97.5 % point with 2 degrees of freedom is 4.3026527."""
    half = 4.302652729911275 * std / 3**0.5
    ends = {"low": pytest.approx(mean - half), "high": pytest.approx(mean + half)}
    return {"kind": "t", "level": 0.95, "unit": "training seeds", "n": 3, **ends}


class TestJson:
    def test_a_row_is_what_was_promised(self) -> None:
        (first, second, third) = json.loads(render_json(BOARDS))["rows"]
        promised = {
            "dataset": "digits",
            "arch": "smallcnn",
            "method": "sat",
            "checkpoint": "last",
            "protocol": "tiny",
            "source": "measured",
            "train_seeds": 1,
            "metrics": {
                "natural": {"median": 100 / 3, "std": None, "n": 1, "interval": over_images(100 / 3)},
                "pgd": {"median": 55.5, "std": 0.125, "n": 5, "interval": over_images(55.5)},
                "cw": {"median": 54.25, "std": 0.0, "n": 5, "interval": over_images(54.25)},
                "autoattack": None,
                "worst_case": None,
            },
        }
        assert {key: second[key] for key in promised} == promised
        beside = {key: second[key] for key in second.keys() - promised.keys()}
        assert beside == {
            "arch_settings": {},
            "settings": {},
            "varied": {},
            "wrappers": [],
            "code": {},
            "protocol_fingerprint": "0123456789abcdef" * 4,
            "examples": 360,
            "sample": "first",
            "rank": None,
            "ranked_by": "autoattack",
            "ranked_among": {"rows": 1, "network": None, "checkpoint": None},
            "train_seed": None,
            "tied": None,
            "versus_best": None,
            "notes": [],
            "runs": [3],
            "dataset_fingerprint": None,
            "trained_under_protocol": True,
            "epsilon": None,
            "norm": None,
            "flags": None,
            "not_judged": [],
            "unchecked": [],
            "failed_seeds": None,
        }
        assert first["metrics"]["pgd"] == {
            "median": 100.0,
            "std": 100 / 7,
            "n": 5,
            "interval": over_images(100.0),
            "train": {"mean": 99.5, "std": 0.35, "n": 3, "interval": over_seeds(99.5, 0.35)},
        }
        assert first["metrics"]["worst_case"] == {
            "median": 40.0,
            "std": None,
            "n": 4,
            "interval": over_images(40.0),
            "train": {"mean": 40.5, "std": 0.5, "n": 3, "interval": over_seeds(40.5, 0.5)},
            "seeds": {"natural": 1, "pgd": 5, "cw": 4, "autoattack": 5},
        }
        assert (first["tied"], first["versus_best"], third["tied"]) == (False, None, None)
        assert "interval" not in third["metrics"]["pgd"]  # the paper does not say of how many images
        assert (first["settings"], first["wrappers"]) == ({"kappa": 5.0, "floor": "natural"}, ["awp gamma=0.01"])
        assert (first["arch_settings"], first["train_seeds"]) == ({"width": 4}, 3)
        assert (third["source"], third["train_seeds"], third["examples"]) == ("reported", None, None)
        assert third["notes"] == ["pgd: probably a misprint"]

    def test_nothing_is_an_empty_list_of_rows(self) -> None:
        assert json.loads(render_json([])) == {"rows": []}

    def test_every_figure_of_the_paper(self) -> None:
        chosen = paper()
        rows = json.loads(render_json(chosen))["rows"]
        assert {row["source"] for row in rows} == {"reported"}
        found = [(row["dataset"], row["method"], name, cell) for row in rows for name, cell in row["metrics"].items()]
        expected = [
            (board.dataset, row.method, name, {"median": figure.median, "std": figure.std, "n": figure.n})
            for board in chosen
            for row in board.rows
            for name, figure in row.metrics.items()
            if figure is not None
        ]
        assert found == expected
        assert len(found) == 104


class TestCsv:
    @pytest.mark.parametrize("chosen", [pair[1] for pair in both()], ids=[pair[0] for pair in both()])
    def test_it_parses_back_to_the_same_numbers(self, chosen: Sequence[Board]) -> None:
        lines = list(csv.DictReader(io.StringIO(render_csv(chosen))))
        found = []
        for line in lines:
            spread = line["train_mean_percent"]
            train = Spread(float(spread), float(line["train_std_percent"]), int(line["networks"])) if spread else None
            std = float(line["std_percent"]) if line["std_percent"] else None
            figure = Figure(float(line["median_percent"]), std, int(line["n"]), train)
            row = f"{line['method']}, {line['network']}, {line['checkpoint']}"
            found.append((line["dataset"], line["source"], row, line["attack"], figure))
        assert found == every_figure(chosen)

    def test_what_the_rows_share_is_on_each_line(self) -> None:
        line = next(csv.DictReader(io.StringIO(render_csv(BOARDS))))
        shared = {key: line[key] for key in ("protocol", "fingerprint", "examples", "rank", "networks")}
        assert shared == {
            "protocol": "tiny",
            "fingerprint": "0123456789abcdef" * 4,
            "examples": "360",
            "rank": "1",
            "networks": "3",
        }

    def test_a_label_with_a_comma_stays_one_field(self) -> None:
        (row,) = [line for line in csv.reader(io.StringIO(render_csv(paper()))) if "lrat[P,P+C]" in line][:1]
        assert len(row) == len(next(csv.reader(io.StringIO(render_csv([])))))
