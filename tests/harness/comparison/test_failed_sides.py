"""What a comparison says of training seeds that failed, and which pairs of a board it does not test."""

from __future__ import annotations

from typing import Any

from harness.api.pairs import pair_table
from harness.comparison.comparison import families, rivals
from harness.comparison.document import comparison_document, family_document
from harness.leaderboard.board import Selection
from harness.leaderboard.ranking import boards
from harness.protocols.run_spec import TRIAL_SEED
from harness.store.records import DatasetRecord
from tests.harness.comparison.kept import Kept, Put, run

IMAGES = 200
DIGITS = DatasetRecord("digits", "d" * 64, 20, IMAGES, 1, 8, 8, 10)
FALLS, STANDS = (96, 92, 7), (101, 100, 102)


def digits(right: int) -> str:
    return "1" * right + "0" * (IMAGES - right)


def keep(put: Put, method: str, counts: tuple[int, ...], **changes: Any) -> None:
    for seed, count in enumerate(counts):
        put(method, {"natural": [digits(190)], "pgd": [digits(count)]}, seed, dataset=DIGITS, **changes)


def test_a_training_that_failed_is_told(store: Kept, put: Put) -> None:
    keep(put, "sat", (96, 92))
    keep(put, "lrat", STANDS)
    gone = put("sat", {}, 4, dataset=DIGITS, status="running")
    store.end_run(gone, "the loss is not finite at epoch 2, batch 7")
    store.end_run(
        put("sat", {}, TRIAL_SEED, dataset=DIGITS, status="running"), "the loss is not finite at epoch 1, batch 1"
    )
    found = run(store, "sat", "lrat", "pgd")
    (first, *others) = found.notes
    assert first.endswith("seed 4 training failed (the loss is not finite at epoch 2, batch 7)")
    assert not any("t-test" in note for note in others)  # the means are of networks that stand
    assert comparison_document(found)["failed_seeds"]["first"]["of"] == 3


def test_a_network_that_was_attacked_on_other_images_does_not_count(store: Kept, put: Put) -> None:
    """Seeds 3 and 4 stand on a board of 40 images: on that of 200 three seeds ended, and one of them failed."""
    keep(put, "sat", FALLS)
    keep(put, "lrat", STANDS)
    few = "1" * 20 + "0" * 20
    for seed in (3, 4):
        put("sat", {"natural": [few], "pgd": [few]}, seed, dataset=DIGITS)
    row = next(r for b in boards(store, Selection(sort="pgd")) for r in b.rows if r.failed and r.failed.count)
    found = run(store, "sat", "lrat", "pgd").failed[0]
    assert found is not None
    assert (found.count, found.of) == (1, 3)
    assert row.failed is not None
    assert (row.failed.count, row.failed.of) == (1, 3)


def test_the_notes_name_the_seed_and_warn_of_the_mean(store: Kept, put: Put) -> None:
    keep(put, "sat", FALLS)
    keep(put, "lrat", STANDS)
    found = run(store, "sat", "lrat", "pgd")
    assert found.methods is not None
    first, second = found.notes[:2]
    said = "sat failed 1 of 3 training seeds, 95 % [0.8, 90.6]: seed 2 collapsed (3.50 % right under pgd, not above"
    assert first.startswith(said)
    assert second == "so mean and deviation over the seeds of sat describe no network: do not read the t-test"
    told = comparison_document(found)["failed_seeds"]
    assert (told["first"]["count"], told["first"]["of"], told["second"]["count"]) == (1, 3, 0)
    assert [seed["percent"] for seed in told["first"]["figures"]["pgd"]] == [48.0, 46.0, 3.5]


def test_one_run_has_no_seeds_beside_it(store: Kept, put: Put) -> None:
    first = put("sat", {"natural": [digits(190)], "pgd": [digits(96)]}, dataset=DIGITS)
    keep(put, "lrat", STANDS)
    store.end_run(put("sat", {}, 4, dataset=DIGITS, status="running"), "the loss is not finite at epoch 2, batch 7")
    assert not any("failed" in note for note in run(store, str(first), "lrat", "pgd").notes)
    assert any("failed 1 of 2" in note for note in run(store, "sat", "lrat", "pgd").notes)


def test_without_a_failure_there_is_no_note(store: Kept, put: Put) -> None:
    keep(put, "sat", (96, 92, 90))
    keep(put, "lrat", STANDS)
    assert not any("failed" in note for note in run(store, "sat", "lrat", "pgd").notes)


def test_the_worst_case_has_the_failure_without_figures(store: Kept, put: Put) -> None:
    for method, counts in (("sat", FALLS), ("lrat", STANDS)):
        for seed, count in enumerate(counts):
            attacked = {attack: [digits(count)] for attack in ("pgd", "cw")}
            put(method, {"natural": [digits(190)], **attacked}, seed, dataset=DIGITS)
    found = run(store, "sat", "lrat", "worst_case")
    assert found.failed[0] is not None
    assert (found.failed[0].count, found.failed[0].figures) == (1, {})


def test_pairs_with_such_a_row_are_not_compared(store: Kept, put: Put) -> None:
    keep(put, "sat", FALLS)
    keep(put, "lrat", STANDS)
    keep(put, "trades", (95, 90, 91))
    (family,) = families(store, rivals(store, Selection(sort="pgd")))
    compared = {names: decision is not None for names, decision in family.pairs.items()}
    assert compared == {("lrat", "sat"): False, ("lrat", "trades"): True, ("sat", "trades"): False}
    (board,) = family_document([family])["boards"]
    assert board["correction"]["comparisons"] == 1
    (note,) = board["notes"]
    assert note.startswith("sat has no t-test over training seeds: seed 2 collapsed (3.50 % right under pgd, ")
    assert pair_table(store, Selection(sort="pgd")).notes == (f"{family.board.heading}: {note}",)


def test_pairs_of_which_each_was_tested_have_no_note(store: Kept, put: Put) -> None:
    keep(put, "sat", (96, 92, 90))
    keep(put, "lrat", STANDS)
    (family,) = families(store, rivals(store, Selection(sort="pgd")))
    assert family.notes == ()
