"""``harness export robustbench``: the entry by hand from known verdicts, the refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli import export
from harness.store.records import DatasetRecord
from tests.cli.conftest import Ends, Harness, Refused
from tests.cli.exported import AUTOATTACK, CIFAR, EXAMPLES, TRAINING, Results
from tests.cli.imported import HEAVY, modules
from tests.stores import see_protocol, start


@pytest.fixture
def results(elsewhere: Path) -> Results:
    return Results(elsewhere)


class TestTheEntry:
    def test_by_hand(self, results: Results, harness: Harness) -> None:
        results.natural(34)  # 34 of 40: 85 %
        results.attacked(21, 19, 20)  # median 20 of 40: 50 %
        options = "--authors 'A. B, C. D' --title 'On it' --link https://x.org --venue 'ICML 2021' --additional-data"
        assert json.loads(harness(f"export robustbench 1 {options}")) == {
            "link": "https://x.org",
            "name": "On it",
            "authors": "A. B, C. D",
            "additional_data": True,
            "number_forward_passes": 1,
            "dataset": "cifar10",
            "venue": "ICML 2021",
            "architecture": "smallcnn (width=2)",
            "eps": "8/255",
            "clean_acc": "85.00",
            "reported": "50.00",
            "autoattack_acc": "50.00",
            "footnote": (
                "Robust accuracy is the median over 3 attack seeds of standard AutoAttack on 1 network (trades,"
                " training seed 3, checkpoint last), on 40 test images, under harness's protocol paper [a1b2c3d4]."
            ),
        }

    def test_what_nobody_filled_in_yet(self, results: Results, harness: Harness) -> None:
        results.natural()
        results.attacked(20)
        entry = json.loads(harness("export robustbench 1"))
        assert (entry["link"], entry["authors"], entry["venue"]) == ("", "", "N/A")
        assert entry["additional_data"] is False
        assert entry["name"] == "trades, trained by harness"
        assert "over 1 attack seed of" in entry["footnote"]

    @pytest.mark.parametrize(
        ("network", "spelled"), [("resnet18", "ResNet-18 (width=2)"), ("wrn-32-10", "WideResNet-34-10 (width=2)")]
    )
    def test_architectures_are_spelled_as_theirs(
        self, network: str, spelled: str, elsewhere: Path, harness: Harness
    ) -> None:
        results = Results(elsewhere, network=network)
        results.natural()
        results.attacked(20)
        assert json.loads(harness("export robustbench 1"))["architecture"] == spelled

    def test_wrappers_and_a_limit_are_told(self, elsewhere: Path, harness: Harness) -> None:
        results = Results(elsewhere, wrappers=({"name": "awp", "settings": {}, "departures": {}},))
        results.natural(10, examples=20)
        results.attacked(5, examples=20)
        entry = json.loads(harness("export robustbench 1"))
        assert (entry["clean_acc"], entry["autoattack_acc"]) == ("50.00", "25.00")
        assert "(trades+awp, training seed 3" in entry["footnote"]
        assert "on the first 20 of 40 test images" in entry["footnote"]

    def test_of_two_evaluation_sets_the_larger(self, results: Results, harness: Harness) -> None:
        results.natural(10, examples=20)
        results.attacked(5, examples=20)
        results.natural(34)
        results.attacked(20)
        assert json.loads(harness("export robustbench 1"))["autoattack_acc"] == "50.00"

    def test_of_several_radii_the_runs_own_or_the_one_that_is_named(self, results: Results, harness: Harness) -> None:
        results.natural()
        results.attacked(30, epsilon=4 / 255)
        results.attacked(20)
        assert json.loads(harness("export robustbench 1"))["eps"] == "8/255"
        other = json.loads(harness("export robustbench 1 --epsilon 4/255"))
        assert (other["eps"], other["autoattack_acc"]) == ("4/255", "75.00")
        assert "under no protocol of harness" in other["footnote"]

    def test_autoattack_in_another_ball_is_no_figure_of_this_leaderboard(
        self, results: Results, harness: Harness, refusal: Refused
    ) -> None:
        """The entry is of L-infinity: a figure in an L2 ball of the same radius would pass for one."""
        results.natural()
        results.add("autoattack", [30], {"epsilon": 8 / 255, "norm": "L2"})
        assert "AutoAttack's accuracy was not measured" in refusal("export robustbench 1")
        results.attacked(20)
        assert json.loads(harness("export robustbench 1"))["autoattack_acc"] == "50.00"

    def test_of_a_training_in_l2_the_figures_in_l2_are_the_entrys(
        self, elsewhere: Path, harness: Harness, refusal: Refused, ends: Ends
    ) -> None:
        results = Results(elsewhere, training=TRAINING | {"epsilon": 1.5, "norm": "L2"})
        results.natural(34)
        results.attacked(20, epsilon=8 / 255)  # in L-infinity
        assert "AutoAttack's accuracy was not measured" in refusal("export robustbench 1")
        results.add("autoattack", [30], {"epsilon": 1.5, "norm": "L2"})
        entry = json.loads(harness("export robustbench 1 --epsilon 3/2"))  # no radius in L-infinity
        assert (entry["eps"], entry["clean_acc"], entry["autoattack_acc"]) == ("1.5", "85.00", "75.00")
        assert "the entry is for RobustBench's L2 leaderboard of cifar10" in ends("export robustbench 1")[2]

    def test_a_newer_protocol_that_asks_for_more_is_not_the_one_they_were_made_under(
        self, results: Results, harness: Harness
    ) -> None:
        results.natural()
        results.attacked(20)
        more = {"natural": {}, "pgd": {"epsilon": 8 / 255}, "autoattack": AUTOATTACK}
        see_protocol(results.store, more, TRAINING, fingerprint="b" * 64, name="later", document={})
        footnote = json.loads(harness("export robustbench 1"))["footnote"]
        assert footnote.endswith("under harness's protocol paper [a1b2c3d4].")
        results.add("pgd", [20], {"epsilon": 8 / 255})
        footnote = json.loads(harness("export robustbench 1"))["footnote"]
        both = "under harness's protocols paper [a1b2c3d4] and later [bbbbbbbb], which agree in all that these figures"
        assert footnote.endswith(f"{both} depend on.")

    def test_a_protocol_of_which_a_part_was_measured_is_named_where_no_other_fits(
        self, results: Results, harness: Harness
    ) -> None:
        results.natural()
        results.attacked(20, epsilon=0.5)
        more = {"natural": {}, "pgd": {"epsilon": 0.5}, "autoattack": {"epsilon": 0.5}}
        see_protocol(results.store, more, TRAINING, fingerprint="b" * 64, name="larger", document={})
        footnote = json.loads(harness("export robustbench 1"))["footnote"]
        assert footnote.endswith("under harness's protocol larger [bbbbbbbb].")

    def test_a_decimal_radius(self, results: Results, harness: Harness) -> None:
        results.natural()
        results.attacked(20, epsilon=0.031)
        assert json.loads(harness("export robustbench 1"))["eps"] == "0.031"

    def test_a_data_set_that_robustbench_does_not_rank(self, elsewhere: Path, ends: Ends) -> None:
        results = Results(elsewhere, DatasetRecord("digits", "d" * 64, 100, EXAMPLES, 1, 8, 8, 10))
        results.natural()
        results.attacked(20)
        code, out, err = ends("export robustbench 1")
        assert code == 0
        assert json.loads(out)["dataset"] == "digits"
        assert "it has no leaderboard for digits" in err


def test_nothing_heavy_is_imported(results: Results, elsewhere: Path) -> None:
    results.natural()
    results.attacked(20)
    assert modules(elsewhere, "export", "robustbench", "1") & set(HEAVY) == set()


class TestRefused:
    def test_autoattack_was_not_measured(self, results: Results, refusal: Refused) -> None:
        results.natural()
        line = refusal("export robustbench 1")
        assert "AutoAttack's accuracy was not measured, and an entry needs it" in line
        assert "`harness evaluate 1 --attacks natural,autoattack` measures it" in line

    def test_natural_accuracy_was_not_measured(self, results: Results, refusal: Refused) -> None:
        results.attacked(20)
        assert "natural accuracy was not measured" in refusal("export robustbench 1")

    def test_autoattack_is_not_finished(self, results: Results, refusal: Refused) -> None:
        results.natural()
        results.attacked(20, done=False)
        assert "AutoAttack's accuracy is not finished" in refusal("export robustbench 1")

    def test_they_are_of_different_images(self, results: Results, refusal: Refused) -> None:
        results.natural()
        results.attacked(10, examples=20)
        assert "were measured on different test images" in refusal("export robustbench 1")

    def test_radii_of_which_none_is_the_runs_own(self, results: Results, refusal: Refused) -> None:
        results.natural()
        results.attacked(20, epsilon=4 / 255)
        results.attacked(10, epsilon=16 / 255)
        assert "was attacked by AutoAttack at 4/255, 16/255; say which one with --epsilon" in refusal(
            "export robustbench 1"
        )
        assert "was not attacked by AutoAttack at 8/255; there is: 4/255, 16/255" in refusal(
            "export robustbench 1 --epsilon 8/255"
        )
        assert "write 8/255 rather than 8" in refusal("export robustbench 1 --epsilon 8")

    def test_no_such_run_and_no_such_checkpoint(self, results: Results, refusal: Refused) -> None:
        assert "there is no run 9" in refusal("export robustbench 9")
        line = refusal("export robustbench 1 --checkpoint early")
        assert "run 1 has no checkpoint 'early'; it has: last; give --checkpoint NAME" in line

    def test_a_run_that_failed(self, results: Results, refusal: Refused) -> None:
        failed = start(results.store, replace(results.spec, train_seed=4), CIFAR)
        results.store.end_run(failed.id, failure="the loss is not finite")
        assert "run 2 is failed and has no weights; export one that is done" in refusal("export robustbench 2")

    def test_places(self, results: Results, refusal: Refused, elsewhere: Path) -> None:
        results.natural()
        results.attacked(20)
        assert "write --out entry.json" in refusal("export robustbench 1 --out entry.txt")
        assert "write --out entry.json" in refusal("export robustbench 1 --out .")
        assert "choose another place" in refusal("export robustbench 1 --out nowhere/entry.json")
        (elsewhere / "mine.py").write_text("print()")
        assert "mine.py is there and is not a loader" in refusal("export robustbench 1 --out mine.json")
        (elsewhere / "other.json").write_text("{}")
        assert "other.json is no entry of RobustBench" in refusal("export robustbench 1 --out other.json")
        (elsewhere / "wrn.json").write_text('{"eps": "8/255", "dataset": "cifar10", "architecture": "WRN"}')
        assert "has architecture 'WRN'" in refusal("export robustbench 1 --out wrn.json")
        assert not (elsewhere / "wrn.py").exists()

    def test_every_option_says_what_it_is_for(self) -> None:
        group: Any = typer.main.get_command(export.app)
        for parameter in group.commands["robustbench"].params:
            assert len(parameter.help or "") >= 8, parameter.name

    def test_a_command_without_a_form(self, refusal: Refused) -> None:
        assert "Missing command" in refusal("export")
        assert "autobench" in refusal("export autobench 1")
