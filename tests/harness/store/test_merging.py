"""Taking one database into another: everything once, nothing changed, nothing half done."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.events import BlockDone, EpochRecord, Finding
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import row_documents
from harness.store import merging
from harness.store.merged_results import Merged
from harness.store.records import CheckpointRecord, RunRecord
from harness.store.store import Store
from harness.targets.probe import same_function
from scripts import merge_board
from tests import stores
from tests.first_board import FIRST_BOARD
from tests.harness.store.entries import FINDINGS, make_spec, rows, see_model, see_pgd_protocol, start
from tests.stores import DIGITS


def merge_database(source: str, into: str) -> Merged:
    return merging.merge_database(source, into, same_function)


def finish(store: Store, seed: int = 3, sha256: str = "c" * 64, **changes: Any) -> tuple[RunRecord, CheckpointRecord]:
    """A trained network, not attacked yet."""
    run = start(store, make_spec(train_seed=seed), **changes)
    store.add_epoch(run.id, EpochRecord(1, 2.5, 0.1, 1437, 0.5, {"weight": 1.0}))
    checkpoint = stores.add_checkpoint(store, run, sha256=sha256)
    store.end_run(run.id)
    return store.run(run.id), checkpoint


def attack(store: Store, checkpoint: CheckpointRecord, verdicts: str, seed: int = 0, **changes: Any) -> int:
    return stores.add_evaluation(
        store, checkpoint, "pgd", {"steps": 20}, stores.as_digits(verdicts), seed=seed, **changes
    )


def without_numbers(run: RunRecord) -> RunRecord:
    """The run as it would be in any database."""
    checkpoints = (
        dataclasses.replace(c, id=0, evaluations=tuple(dataclasses.replace(e, id=0) for e in c.evaluations))
        for c in run.checkpoints
    )
    return dataclasses.replace(run, id=0, checkpoints=tuple(checkpoints))


def test_the_published_database_taken_into_an_empty_one_gives_the_same_boards(tmp_path: Path) -> None:
    file = shutil.copy(FIRST_BOARD, tmp_path / "published.db")
    merged = merge_database(str(file), str(tmp_path / "new.db"))
    stores_ = [Store.read(str(tmp_path / name)) for name in ("published.db", "new.db")]
    old, new = ([without_numbers(run) for run in store.runs()] for store in stores_)
    assert old == new
    assert merged.runs == len(old)
    assert merged.evaluations == sum(len(c.evaluations) for run in old for c in run.checkpoints)
    rows = [list(row_documents(boards(store))) for store in stores_]
    assert rows[0] == rows[1]
    for store in stores_:
        store.close()


def test_nothing_is_taken_twice_and_what_is_there_stays(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    see_pgd_protocol(store)
    mine, checkpoint = finish(store)
    number = store.open_evaluation(checkpoint.id, "pgd", {"steps": 20}, 0, 5)
    store.add_block(BlockDone(number, 0, bytes([1, 0, 1]), 0.5, ("w",), (0.5, -0.5, 0.25), {"device": "cuda"}))
    store.add_block(BlockDone(number, 3, bytes([0, 1]), 0.5, (), (-0.25, 0.75), {"device": "cuda"}))
    store.add_examination(checkpoint.id, {"epsilon": 0.2}, FINDINGS, 1.5, {"device": "cuda"})
    theirs, of_theirs = finish(there, seed=7, sha256="e" * 64)
    attack(there, of_theirs, "0110")
    before = there.run(theirs.id)

    assert merge_database(place, other_place) == Merged(protocols=1, runs=1, evaluations=1, examinations=1)
    kept, taken = there.runs()
    assert kept == before
    assert without_numbers(taken) == without_numbers(store.run(mine.id))
    (evaluation,) = taken.checkpoints[0].evaluations
    assert there.verdicts(evaluation.id) == bytes([1, 0, 1, 0, 1])
    assert there.margins(evaluation.id) == [0.5, -0.5, 0.25, -0.25, 0.75]
    assert there.protocols() == store.protocols()

    again = rows(other_place)
    assert merge_database(place, other_place) == Merged()
    assert rows(other_place) == again


def test_what_is_half_done_is_left_out_and_named(store: Store, place: str, there: Store, other_place: str) -> None:
    running = start(store, make_spec(train_seed=1))
    broken = start(store, make_spec(train_seed=2))
    store.end_run(broken.id, failure="methods/mine.py broke its contract")
    _, checkpoint = finish(store)
    attack(store, checkpoint, "11", seed=0)
    attack(store, checkpoint, "11", seed=1, examples=4)  # two of four images
    merged = merge_database(place, other_place)
    assert (merged.runs, merged.evaluations) == (1, 1)
    assert [reason.partition(":")[2] for reason in merged.left] == [
        " its training is not finished",
        " its training failed: methods/mine.py broke its contract",
        " pgd, seed 1, is not complete",
    ]
    assert f"run {running.id} ({running.folder})" in merged.left[0]
    (run,) = there.runs()
    assert [e.seed for e in run.checkpoints[0].evaluations] == [0]


def test_a_network_that_is_there_gets_the_results_that_it_lacks(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    for each in (store, there):
        finish(each)
    ((mine,),), ((its,),) = ([run.checkpoints for run in each.runs()] for each in (store, there))
    attack(there, its, "0000", seed=0)
    attack(there, its, "00", seed=1, examples=4)
    for seed in range(3):
        attack(store, mine, "1111", seed=seed)
    older, newer = (Finding("logits", "passed", "", None, None, text, {}) for text in ("older", "newer"))
    there.add_examination(its.id, {"epsilon": 0.2}, [older], 1.0, {})
    store.add_examination(mine.id, {"epsilon": 0.2}, [newer], 1.0, {})
    merged = merge_database(place, other_place)
    assert (merged.evaluations, merged.examinations) == (1, 1)
    assert [reason.rpartition(": ")[2] for reason in merged.conflicts] == [
        "pgd, seed 0, is there already, with other verdicts",
        "pgd, seed 1, is there in part, with other verdicts or in other blocks",
    ]
    assert len(merged.replaced) == 1
    (run,) = there.runs()
    verdicts = {e.seed: there.verdicts(e.id) for e in run.checkpoints[0].evaluations}
    assert verdicts == {0: bytes(4), 1: bytes(2), 2: bytes([1] * 4)}  # what is there stays
    (examination,) = run.checkpoints[0].examinations
    assert examination.findings == (newer,)
    assert merge_database(other_place, place).examinations == 0  # and back: the newer one stays


def test_another_training_of_the_same_run_is_left_out(store: Store, place: str, there: Store, other_place: str) -> None:
    finish(store, sha256="a" * 64)
    theirs, _ = finish(there, sha256="b" * 64)
    merged = merge_database(place, other_place)
    assert [text.partition(":")[2] for text in merged.conflicts] == [
        " it is there already as run 1, with other weights"
    ]
    assert there.runs() == [theirs]


def test_a_finished_training_comes_after_one_that_is_not(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    mine, checkpoint = finish(store)
    attack(store, checkpoint, "10")
    stopped = start(there, make_spec())
    assert merge_database(place, other_place).runs == 1
    newest = there.newest_attempt(mine.identity)
    assert newest is not None
    assert (newest.attempt, newest.status) == (2, "done")
    assert newest.folder != stopped.folder
    assert there.run(stopped.id) == stopped
    assert merge_database(place, other_place) == Merged()


def test_only_the_newest_attempt_that_is_done_counts(store: Store, place: str, there: Store, other_place: str) -> None:
    finish(store, sha256="a" * 64)
    finish(store, sha256="b" * 64, attempt=2)
    start(store, make_spec(train_seed=3), attempt=3)
    merged = merge_database(place, other_place)
    (run,) = there.runs()
    assert (run.attempt, run.checkpoints[0].sha256) == (2, "b" * 64)
    assert [text.partition(":")[2] for text in merged.left] == [
        " it is an earlier attempt than run 2, which counts",
        " its training is not finished",
    ]


def test_a_model_from_elsewhere_keeps_its_name_if_that_is_free(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    same, mine = see_model(store, "same", sha256="a" * 64), see_model(store, "ours", sha256="b" * 64)
    see_model(there, "same as theirs", sha256="a" * 64)
    see_model(there, "ours", sha256="c" * 64)
    for model in (same, mine):
        attack(store, model.checkpoint, "1010")
    merged = merge_database(place, other_place)
    assert (merged.models, merged.evaluations) == (1, 2)
    assert merged.conflicts == ["model ours: another model has its name; it is called 'ours (2)' there"]
    assert merged.left == ["model same: it is there already, as same as theirs"]
    names = {model.checkpoint.sha256[0]: model.name for model in there.models()}
    assert names == {"a": "same as theirs", "b": "ours (2)", "c": "ours"}
    assert {model.dataset for model in there.models()} == {DIGITS}
    assert [len(model.checkpoint.evaluations) for model in there.models()] == [1, 0, 1]


def probe(logit: float) -> dict[str, Any]:
    return {"logits": [[logit, 0.0, 1.0]], "noise": 0.0, "gradients": [[1.0, 0.5]], "gradient_noise": 0.0}


def test_equal_weights_that_compute_something_else_are_another_model(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    """Each database counts the functions of equal weights for itself."""
    for each, probes in ((store, [5.0, 9.0]), (there, [9.0])):
        for number, logit in enumerate(probes, start=1):
            model = see_model(
                each, f"logit {logit}", function=number, probe=probe(logit), code={"mine.py": "a"}, rename=False
            )
            attack(each, model.checkpoint, "1111" if logit == 9.0 else "0000", seed=0 if each is store else 1)
    assert merge_database(place, other_place) == Merged(models=1, evaluations=2)
    verdicts = {
        model.name: {e.seed: there.verdicts(e.id) for e in model.checkpoint.evaluations} for model in there.models()
    }
    assert verdicts == {"logit 9.0": {0: bytes([1] * 4), 1: bytes([1] * 4)}, "logit 5.0": {0: bytes(4)}}
    assert merge_database(place, other_place) == Merged()


def test_models_of_a_users_code_that_cannot_be_compared_are_not_mixed(
    store: Store, place: str, there: Store, other_place: str
) -> None:
    for each in (store, there):
        attack(each, see_model(each, code={"mine.py": "a"}).checkpoint, "1010")
    merged = merge_database(place, other_place)
    assert (merged.models, merged.evaluations) == (0, 0)
    assert merged.conflicts == ["model theirs: one with its weights is there, without a probe to compare"]


@pytest.mark.parametrize("more", ["source", "target", "both"])
def test_checks_of_verdicts_stay_with_the_verdicts_that_they_saw(
    store: Store, place: str, there: Store, other_place: str, more: str
) -> None:
    """The newer checks may have seen fewer attacks, and so miss what the older ones flagged."""
    for each in (store, there):
        finish(each)
    ((mine,),), ((its,),) = ([run.checkpoints for run in each.runs()] for each in (store, there))
    for each, checkpoint in ((store, mine), (there, its)):
        attack(each, checkpoint, "1010", seed=0)
    if more != "target":
        attack(store, mine, "1010", seed=1)
    if more != "source":
        attack(there, its, "1010", seed=2)
    settings, (passed, flagged) = {"kind": "verdicts", "epsilon": 0.2}, FINDINGS
    first, then = ((there, its), (store, mine)) if more == "target" else ((store, mine), (there, its))
    for (each, checkpoint), finding in ((first, flagged), (then, passed)):
        each.add_examination(checkpoint.id, settings, [finding], 1.0, {})
    merged = merge_database(place, other_place)
    (run,) = there.runs()
    (examination,) = run.checkpoints[0].examinations
    assert examination.findings == ((passed,) if more == "both" else (flagged,))
    saw = {"source": [], "target": ["which saw fewer attacks"], "both": ["which saw those of one database only"]}
    assert [text.rpartition(", ")[2] for text in merged.left] == saw[more]


def test_a_failure_leaves_the_database_as_it_was(
    store: Store, place: str, other_place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        finish(store, seed=seed, sha256=str(seed) * 64)
    before = rows(other_place)
    take = merging._Merge.take_run

    def fail_at_the_second(self: merging._Merge, run: Any, counting: Any) -> None:
        if self.merged.runs:
            raise RuntimeError("the machine stops")
        take(self, run, counting)

    monkeypatch.setattr(merging._Merge, "take_run", fail_at_the_second)
    with pytest.raises(RuntimeError, match="the machine stops"):
        merge_database(place, other_place)
    assert rows(other_place) == before


def test_databases_that_cannot_be_taken_are_refused_before_anything_is_written(
    full: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "new.db"
    newer, older = Path(shutil.copy(full, tmp_path / "newer.db")), Path(__file__).parents[2] / "assets/schema-0001.db"
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE harness_schema_version SET version_num = '9999'")
    for source, reason in ((newer, "newer than"), (older, "older schema"), (tmp_path / "none.db", "no database")):
        with pytest.raises(StoreError, match=reason):
            merge_database(str(source), str(new))
        assert not new.exists()
    with pytest.raises(StoreError, match="cannot be taken into itself"):
        merge_database(str(full), str(full))
    assert merge_board.main([str(newer), "--db", str(new)]) == 2
    assert "newer than" in capsys.readouterr().err
    assert merge_board.main([str(full), "--db", str(new)]) == 0
    assert "1 models" in capsys.readouterr().out
