"""The model card: every figure equals the store's, flags come first, and nothing private is in it."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.events import Finding
from harness.hub.card import model_card
from harness.hub.facts import card_facts
from harness.store.store import Store
from tests.first_board import FIRST_BOARD
from tests.harness.hub.cards import Card, card_of, text_of
from tests.hub_store import ATTACKS, DATASET, EXAMPLES, PGD, TRAINING, OneRun, flagged, passed
from tests.stores import add_evaluation, right, see_protocol

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> OneRun:
    made = OneRun(tmp_path_factory.mktemp("one-run"))
    made.measure()
    made.end()
    made.store.close()
    return made


@pytest.fixture
def one_run(kept: OneRun, tmp_path: Path) -> OneRun:
    """For each test anew."""
    return kept.moved(tmp_path)


def percents(database: Path, run: int) -> dict[tuple[str, str, int], list[float]]:
    """Attack, hash of its settings, and number of images -> percent right by seed, counted from the verdicts' bits."""
    query = """
        SELECT e.attack, e.settings_sha256, e.examples, e.seed, e.attempt, b.examples, b.verdicts, b.start
        FROM evaluations e JOIN checkpoints c ON c.id = e.checkpoint_id JOIN blocks b ON b.evaluation_id = e.id
        WHERE c.run_id = ? AND c.name = 'last' ORDER BY e.attempt, b.start
    """
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    bits: dict[tuple[str, str, int, int], dict[int, str]] = {}
    for attack, sha256, examples, seed, attempt, n, packed, start in connection.execute(query, (run,)):
        whole = "".join(f"{byte:08b}" for byte in packed)[:n]
        found = bits.setdefault((attack, sha256, examples, seed), {})
        if found and attempt != found.get(-1):
            found.clear()
        found[-1], found[start] = attempt, whole
    connection.close()
    told: dict[tuple[str, str, int], list[float]] = {}
    for (attack, sha256, examples, _), found in bits.items():
        text = "".join(part for start, part in sorted(found.items()) if start >= 0)
        if len(text) == examples:
            told.setdefault((attack, sha256, examples), []).append(100 * text.count("1") / examples)
    return told


class TestFigures:
    def test_by_hand(self, one_run: OneRun) -> None:
        card = card_of(one_run.folder)
        rows = [row for row in card.rows() if len(row) == 6]
        assert rows == [
            ["attack", "right, %", "95 % interval", "attack seeds", "test images", "ball"],
            ["`natural`", "85.00", "[70.9, 92.9]", "1", "40", "-"],  # 34 of 40
            ["`pgd`", "50.00 ± 2.50", "[35.2, 64.8]", "3", "40", "`0.2 Linf`"],  # 21, 19, 20 of 40
            ["`worst case`", "47.50", "[32.9, 62.5]", "`natural` 1 `pgd` 3", "40", "`0.2 Linf`"],  # 19 of 40
            ["attack", "right, %", "95 % interval", "attack seeds", "test images", "ball"],
            ["`pgd`", "25.00", "[14.2, 40.2]", "1", "40", "`0.4 Linf`"],  # 10 of 40; the other seed is not complete
        ]
        assert "Left out as not complete: `pgd`, seed 1, 30 of 40 images." in card.text
        assert "**Under no protocol that the network was trained under:**" in card.text
        assert [(m["args"]["attack"], m["value"]) for m in card.metrics] == [
            ("natural", 85.0),
            ("pgd", 50.0),
            ("worst_case", 47.5),
            ("pgd", 25.0),
        ]
        assert [m["args"].get("protocol_fingerprint") for m in card.metrics] == [*3 * ["a1b2c3d4" * 8], None]
        assert [m["args"]["attack_seeds"] for m in card.metrics][1:3] == [{"pgd": 3}, {"natural": 1, "pgd": 3}]
        assert card.metrics[1]["args"]["standard_deviation"] == statistics.stdev([52.5, 47.5, 50.0])

    @pytest.mark.parametrize("run", [1, 12, 30, 36, 40])
    def test_of_the_published_database(self, run: int) -> None:
        """The bits of the verdicts, counted anew by SQL; five attack seeds on the digits, one on the photographs."""
        database = FIRST_BOARD
        told = percents(database, run)
        card = Card(text_of(database, run))
        shown = {m["args"]["attack"]: m["value"] for m in card.metrics}
        by_attack = {attack: statistics.median(values) for (attack, _, _), values in told.items()}
        assert len(by_attack) == len(told)  # one setting of each attack
        worst = shown.pop("worst_case")
        assert shown == by_attack
        assert worst <= min(by_attack.values())
        seeds = {m["args"]["attack"]: m["args"]["attack_seeds"] for m in card.metrics}
        assert seeds.pop("worst_case") == {attack: len(values) for (attack, _, _), values in told.items()}
        assert seeds == {attack: {attack: len(values)} for (attack, _, _), values in told.items()}

    def test_a_repetition_counts_in_place_of_the_first_attempt(self, one_run: OneRun) -> None:
        add_evaluation(one_run.store, one_run.record, "natural", {}, right(20, EXAMPLES), attempt=2)
        assert card_of(one_run.folder).metrics[0]["value"] == 50.0

    def test_two_protocols_of_one_training_have_a_table_each(self, one_run: OneRun) -> None:
        more = ATTACKS | {"cw": PGD}
        see_protocol(one_run.store, more, TRAINING, fingerprint="b" * 64, name="larger")
        card = card_of(one_run.folder)
        assert card.text.count("**Protocol `") == 2
        assert [m["args"]["attack"] for m in card.metrics] == ["natural", "pgd", "worst_case", "natural", "pgd", "pgd"]

    def test_a_protocol_that_got_an_attack_has_one_table(self, one_run: OneRun) -> None:
        """Once the attack was run, the larger table has every figure of the smaller one."""
        see_protocol(one_run.store, ATTACKS | {"cw": PGD}, TRAINING, fingerprint="b" * 64, name="paper")
        assert card_of(one_run.folder).text.count("**Protocol `") == 2
        add_evaluation(one_run.store, one_run.record, "cw", PGD, right(18, EXAMPLES))
        card = card_of(one_run.folder)
        assert card.text.count("**Protocol `") == 1
        assert [m["args"]["attack"] for m in card.metrics] == ["natural", "pgd", "cw", "worst_case", "pgd"]

    def test_an_attack_of_the_protocol_that_was_not_measured_is_named(self, one_run: OneRun) -> None:
        said = "Not measured, so that there is no worst case"
        assert said not in card_of(one_run.folder).text
        see_protocol(one_run.store, ATTACKS | {"cw": PGD}, TRAINING, fingerprint="b" * 64, name="larger")
        text = card_of(one_run.folder).text
        assert text.count(said) == text.count(f"{said}: `cw`.") == 1
        assert text.index("**Protocol `larger`") < text.index(said)

    def test_figures_on_other_images_stand_apart(self, one_run: OneRun) -> None:
        add_evaluation(one_run.store, one_run.record, "pgd", PGD, right(1, 20), sample="balanced")
        card = card_of(one_run.folder)
        assert "**Protocol `paper`, fingerprint `" in card.text
        assert "; 20 test images, balanced over the classes:**" in card.text
        assert "% of 20 test images, balanced over the classes;" in card.metrics[0]["name"]
        assert [(m["value"], m["args"]["sample"]) for m in card.metrics if m["args"]["test_images"] == 20] == [
            (5.0, "balanced")
        ]

    def test_the_head_is_what_a_hub_reads(self, one_run: OneRun) -> None:
        head = card_of(one_run.folder, licence="mit").head
        assert head["license"] == "mit"
        assert head["datasets"] == ["uoft-cs/cifar10"]
        assert head["pipeline_tag"] == "image-classification"
        assert head["tags"][-1] == "trades"
        assert head["model-index"][0]["name"] == "trades-smallcnn-cifar10-s3"
        assert "license" not in card_of(one_run.folder).head


class TestChecks:
    def test_flags_come_first(self, one_run: OneRun) -> None:
        one_run.examine(passed(), flagged("zero-gradient", "Z", "no gradient on 40.0 % of the images"))
        one_run.examine(flagged(), kind="verdicts")
        card = card_of(one_run.folder)
        first = card.body.strip().split("\n\n")[1]
        assert first.startswith("> **Warning: 2 findings of the checks of rigour warn.**")
        assert "**`Z` `zero-gradient`: flagged**, `no gradient on 40.0 % of the images` (flagged beyond 0.15)" in first
        assert "**`S` `square-stronger`: flagged**" in first
        assert card.body.count("`zero-gradient`: passed") == 1

    def test_a_network_without_flags_has_no_warning(self, one_run: OneRun) -> None:
        one_run.examine(passed())
        one_run.examine(passed("square-stronger"), kind="verdicts")
        assert "Warning" not in card_of(one_run.folder).text

    def test_that_nobody_looked_is_a_warning_too(self, one_run: OneRun) -> None:
        assert "**Warning: the checks of rigour of the model and of the verdicts were not made.**" in (
            card_of(one_run.folder).text
        )
        one_run.examine(passed())
        assert "**Warning: the checks of rigour of the verdicts were not made.**" in card_of(one_run.folder).text

    def test_of_two_versions_of_the_checks_the_newest_counts(self, one_run: OneRun) -> None:
        one_run.examine(flagged("zero-gradient", "Z"), edition=1)
        one_run.examine(passed(), edition=2)
        assert "flagged**" not in card_of(one_run.folder).text

    def test_what_does_not_apply_is_said(self, one_run: OneRun) -> None:
        one_run.examine(Finding("square-stronger", "not-applicable", "", None, None, "it needs Square", {}))
        assert "- `square-stronger`: not applicable, `it needs Square`" in card_of(one_run.folder).text

    @pytest.mark.parametrize(
        ("method", "shown"),
        [
            (
                "gairat",
                "**`A` `autoattack-gap`: flagged**, `AutoAttack breaks 53.4 % of the 116 images that pgd leaves",
            ),
            ("trades", "`autoattack-gap`: passed, `AutoAttack breaks 24.2 % of the 95 images that pgd leaves"),
            ("sat", "`autoattack-gap`: not applicable, `AutoAttack breaks 20.4 % of the 113 images that pgd leaves"),
        ],
    )
    def test_the_gap_is_judged_beside_the_store_s_sat(self, method: str, shown: str, tmp_path: Path) -> None:
        """The published networks on photographs, one a method; what is stored of each is a flag of an older rule."""
        store = Store.read(str(shutil.copy(FIRST_BOARD, tmp_path / "copy.db")))
        (run,) = (run for run in store.runs() if run.method == method and "jpeg" in run.dataset.name)
        text = model_card(card_facts(store, run.id, "last"))
        store.close()
        assert text.count("autoattack-gap") == text.count(shown) == (2 if method == "gairat" else 1)
        assert ("of sat 20.4 % [14.3, 27.6] of the 113 that pgd leaves (1 network)" in text) == (method != "sat")


class TestContent:
    def test_it_says_how_the_network_was_trained(self, one_run: OneRun) -> None:
        rows = dict(row for row in card_of(one_run.folder).rows() if len(row) == 2)
        assert rows["method"] == "`trades`, settings: `beta=6.0`"
        assert rows["network"] == "`smallcnn`, settings: `width=2`, 1 parameters"
        assert rows["departs from the network's defaults"] == "`width=2`"
        assert rows["training"] == "`epsilon=0.2 epochs=2`"
        assert rows["data set"].startswith(f"`cifar10`, fingerprint `{DATASET.fingerprint}`, 50,000 training and 40")
        assert rows["classes"].startswith("`a`, `b`")
        assert (rows["checkpoint"], rows["training seed"]) == ("`last`, after epoch 2", "3")
        assert rows["time"] == "12 s of training"

    def test_it_cites_the_method_and_its_wrappers(self, tmp_path: Path) -> None:
        wrappers = ({"name": "awp", "settings": {"gamma": 0.01}, "departures": {}},)
        made = OneRun(tmp_path, wrappers=wrappers)
        made.measure()
        made.end()
        text = card_of(tmp_path).text
        assert "zhang2019" in text.lower()
        assert "Adversarial Weight Perturbation" in text
        assert "| wrappers of the update | `awp` `gamma=0.01` |" in text

    def test_code_that_does_not_ship_is_named_by_its_digest(self, tmp_path: Path) -> None:
        made = OneRun(tmp_path, code={"method": "d" * 64, "network": "e" * 64})
        made.measure()
        made.end()
        text = card_of(tmp_path).text
        assert f"- `method`: `{'d' * 64}`" in text
        assert "The network `smallcnn` is no part of harness" in text

    def test_it_tells_neither_the_machine_nor_paths_on_it(self, one_run: OneRun) -> None:
        text = card_of(one_run.folder).text
        assert "device=cpu torch=2.15.0" in text
        for private in ("a-private-host", "/home/me", str(one_run.folder)):
            assert private not in text

    def test_warnings_and_devices_of_every_attack_seed(self, one_run: OneRun) -> None:
        part = right(20, EXAMPLES)
        number = add_evaluation(one_run.store, one_run.record, "pgd", PGD, part, seed=3, warnings=("of seed 3 alone",))
        other = '{"device": "cuda", "host": "another"}'
        with sqlite3.connect(one_run.folder / "leaderboard.db") as connection:
            connection.execute("UPDATE evaluations SET provenance = ? WHERE id = ?", (other, number))
        connection.close()
        text = card_of(one_run.folder).text
        assert text.count("- `pgd`: `of seed 3 alone`") == 1
        assert text.count("- `pgd`: `device=cuda`") == 1
        assert text.count("- `pgd`: `epsilon=0.2 steps=20 block_size=100`") == 1

    def test_a_note_is_published_only_if_the_user_wants_it(self, one_run: OneRun) -> None:
        one_run.store.annotate(one_run.store.run(1), "for the *reviewers*")
        assert "reviewers" not in card_of(one_run.folder).text
        assert "Note: `for the *reviewers*`" in card_of(one_run.folder, with_note=True).text


class TestRefused:
    def refused(self, folder: Path, **options: Any) -> str:
        with pytest.raises(HarnessError) as refusal:
            card_of(folder, **options)
        return str(refusal.value)

    def test_a_run_that_is_not_done(self, tmp_path: Path) -> None:
        made = OneRun(tmp_path)
        made.measure()
        assert self.refused(tmp_path) == ("run 1 is running; a model hub takes runs that are done: see `harness runs`")

    def test_a_network_of_which_nothing_was_measured(self, tmp_path: Path) -> None:
        OneRun(tmp_path).end()
        assert self.refused(tmp_path).endswith("`harness evaluate 1` measures it")

    def test_a_checkpoint_that_is_not_there(self, one_run: OneRun) -> None:
        assert "run 1 has no checkpoint 'early'; it has: last" in self.refused(one_run.folder, checkpoint="early")

    def test_a_checkpoint_whose_name_is_no_files_name(self, one_run: OneRun) -> None:
        one_run.store.add_checkpoint(1, "../last", 2, "0" * 64)
        assert "is refused, since it is no file's name" in self.refused(one_run.folder, checkpoint="../last")
