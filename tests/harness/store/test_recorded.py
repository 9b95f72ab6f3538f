"""Histograms, curves, predicted classes, and adversarial images: what is put into the store comes out, once."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from harness.errors import StoreError
from harness.events import BlockDone, EpochRecord, Histogram
from harness.identity import digest
from harness.store.records import AdversarialImage, Curve, EpochHistogram
from harness.store.store import Store
from harness.store.verdicts import NOT_KEPT, pack_classes, unpack_classes
from tests.harness.store.entries import (
    FLIPS,
    WEIGHT,
    epoch,
    images,
    make_spec,
    point,
    recorded_block,
    see_model,
    start,
    start_evaluation,
)


class TestCurves:
    def test_points_are_in_the_order_of_the_epochs_and_a_curve_has_one_attack_on_one_sample(self, store: Store) -> None:
        run, other = start(store), start(store, make_spec(train_seed=4))
        store.add_epoch(run.id, epoch(4, point(70), point(90, "train"), point(100, attack="natural")))
        store.add_epoch(run.id, epoch(2, point(60)))
        store.add_epoch(run.id, epoch(6, point(50, steps=40), point(40, images=64)))
        store.add_epoch(other.id, epoch(2, point(1)))
        pgd: dict[str, Any] = {"steps": 20}
        natural: dict[str, Any] = {}
        assert store.curves(run.id) == [
            Curve("test", "pgd", pgd, digest(pgd), 128, ((2, 60), (4, 70))),
            Curve("train", "pgd", pgd, digest(pgd), 128, ((4, 90),)),
            Curve("test", "natural", natural, digest(natural), 128, ((4, 100),)),
            Curve("test", "pgd", {"steps": 40}, digest({"steps": 40}), 128, ((6, 50),)),
            Curve("test", "pgd", pgd, digest(pgd), 64, ((6, 40),)),
        ]
        assert {number: len(curves) for number, curves in store.curves_of([other.id, run.id, 99]).items()} == {
            **{other.id: 1, run.id: 5, 99: 0}
        }

    def test_an_epoch_that_is_told_again_replaces_its_points_and_histograms(self, store: Store, file: Path) -> None:
        run, other = start(store), start(store, make_spec(train_seed=4))
        for each in (run, other):
            store.add_epoch(each.id, epoch(1, point(10), point(11, "train"), histograms=(WEIGHT, FLIPS)))
            store.add_epoch(each.id, epoch(2, point(20), histograms=(WEIGHT,)))
        store.add_epoch(run.id, epoch(1, point(12), histograms=(dataclasses.replace(FLIPS, counts=(9, 9, 9)),)))
        assert [curve.points for curve in store.curves(run.id)] == [((1, 12), (2, 20)), ()]
        assert [(one.epoch, one.histogram.name, one.histogram.counts) for one in store.histograms(run.id)] == [
            (1, "steps_to_flip", (9, 9, 9)),
            (2, "weight", WEIGHT.counts),
        ]
        assert [curve.points for curve in store.curves(other.id)] == [((1, 10), (2, 20)), ((1, 11),)]
        assert len(store.histograms(other.id)) == 3
        with sqlite3.connect(file) as connection:
            assert connection.execute("SELECT count(*) FROM curve_points").fetchone() == (5,)
            assert connection.execute("SELECT count(*) FROM histograms").fetchone() == (5,)

    def test_percent_best_and_last(self) -> None:
        curve = Curve("test", "pgd", {}, "", 128, ((1, 50), (2, 61), (3, 61), (4, 58)))
        assert (curve.best, curve.last, curve.percent(32)) == ((2, 61), (4, 58), 25.0)
        assert curve.lost_points == 100 * 3 / 128
        assert dataclasses.replace(curve, points=((1, 5),)).lost_points == 0.0


class TestHistograms:
    def test_they_come_back_by_epoch_and_name(self, store: Store) -> None:
        run = start(store)
        store.add_epoch(run.id, epoch(2, histograms=(FLIPS,)))
        store.add_epoch(run.id, epoch(1, histograms=(WEIGHT, FLIPS)))
        assert store.histograms(run.id) == [
            EpochHistogram(1, FLIPS),
            EpochHistogram(1, WEIGHT),
            EpochHistogram(2, FLIPS),
        ]
        assert store.histograms_of([run.id, 99])[99] == []

    def test_a_record_is_read_back_from_its_document_and_an_older_one_has_none(self) -> None:
        record = epoch(3, point(64), point(65, "train"), histograms=(WEIGHT, FLIPS))
        assert EpochRecord.from_document(dataclasses.asdict(record)) == record
        older = {"epoch": 1, "loss": 2.0, "lr": 0.1, "images": 5, "duration_s": 1.0, "diagnostics": {}}
        assert EpochRecord.from_document(older) == EpochRecord(1, 2.0, 0.1, 5, 1.0)

    def test_an_empty_range_is_refused(self, store: Store) -> None:
        run = start(store)
        with pytest.raises(IntegrityError, match="ck_histograms_range_not_empty"):
            store.add_epoch(run.id, epoch(1, histograms=(Histogram("weight", 1.0, 1.0, (1,)),)))
        assert store.run(run.id).epochs == ()


class TestPredicted:
    @given(st.lists(st.integers(-1, 65534)))
    def test_classes_come_back_as_they_were_in_two_bytes_each(self, classes: list[int]) -> None:
        packed = pack_classes(classes)
        assert unpack_classes(packed) == classes
        assert len(packed) == 2 * len(classes)

    @pytest.mark.parametrize("number", [-2, 65535, 65536, 2**40])
    def test_no_other_number_passes_for_a_class(self, number: int) -> None:
        with pytest.raises(ValueError, match="classes must lie in"):
            pack_classes([0, number])

    def test_they_are_in_the_order_of_the_images(self, store: Store) -> None:
        number = start_evaluation(store, start(store), examples=5)
        store.add_block(recorded_block(number, 2, (65534, -1, 0)))
        store.add_block(recorded_block(number, 0, (7, 256)))
        assert store.predicted(number) == [7, 256, 65534, -1, 0]

    def test_what_one_block_lacks_is_none_and_the_other_block_is_whole(self, store: Store) -> None:
        number = start_evaluation(store, start(store), examples=5)
        store.add_block(recorded_block(number, 0, (7, -1)))
        store.add_block(BlockDone(number, 2, bytes([1, 0, 1]), 0.5, ()))
        assert store.predicted(number) is None
        kept = store.judgements({number: 5})
        assert kept.predicted.tolist() == [7, -1, NOT_KEPT, NOT_KEPT, NOT_KEPT]
        assert kept.correct.tolist() == [False, False, True, False, True]
        assert np.isnan(kept.margins).tolist() == [False, False, True, True, True]

    def test_judgements_follow_the_order_that_is_asked_for(self, store: Store) -> None:
        run = start(store)
        first, second = (start_evaluation(store, run, seed=seed, examples=2) for seed in (0, 1))
        store.add_block(recorded_block(first, 0, (1, 2)))
        store.add_block(recorded_block(second, 1, (4,)))
        store.add_block(recorded_block(second, 0, (3,)))
        assert store.judgements({second: 2, first: 2}).predicted.tolist() == [3, 4, 1, 2]
        assert len(store.judgements({}).predicted) == 0


class TestAdversarialImages:
    def test_pixels_come_back_to_the_last_bit(self, store: Store) -> None:
        """Also a subnormal number, the neighbours of 0 and 1, and a negative zero."""
        odd = np.array([0.0, -0.0, 1e-45, np.nextafter(np.float32(1), np.float32(0)), 1.0, 0.1], np.float32)
        pixels = np.resize(odd, (1, 8, 8)).astype("<f4")
        number = start_evaluation(store, start(store), examples=5)
        store.add_block(recorded_block(number, 2, (0, 1, 2), images(0.25)))
        store.add_block(recorded_block(number, 0, (0, 1), (pixels.tobytes(), *images(0.5))))
        found = store.adversarial_images(number)
        assert found == [
            AdversarialImage(0, pixels.tobytes()),
            AdversarialImage(1, images(0.5)[0]),
            AdversarialImage(2, images(0.25)[0]),
        ]
        back = np.frombuffer(found[0].pixels, "<f4").reshape(1, 8, 8)
        assert back.view(np.uint32).tolist() == pixels.view(np.uint32).tolist()

    def test_a_block_that_is_dropped_leaves_no_images(self, store: Store) -> None:
        number = start_evaluation(store, start(store), examples=5)
        store.add_block(recorded_block(number, 0, (0, 1), images(0.5)))
        store.add_block(recorded_block(number, 1, (0, 1), images(0.75)))
        assert store.adversarial_images(number) == [AdversarialImage(0, images(0.5)[0])]

    def test_an_evaluation_says_the_shape_of_its_images(self, store: Store) -> None:
        of_run = start_evaluation(store, start(store), examples=5)
        of_model = store.open_evaluation(see_model(store).checkpoint.id, "pgd", {}, 0, 7)
        assert store.evaluated(of_run) == (5, (1, 8, 8))
        assert store.evaluated(of_model) == (7, (1, 8, 8))
        with pytest.raises(StoreError, match="there is no evaluation 99"):
            store.evaluated(99)


@pytest.mark.parametrize(
    "old", sorted((Path(__file__).parents[2] / "assets").glob("schema-000[1-5].db")), ids=lambda f: f.stem
)
def test_an_upgraded_database_has_no_records_and_says_so(old: Path, tmp_path: Path) -> None:
    from harness.store.database import upgrade_database

    file = Path(shutil.copy(old, tmp_path / "board.db"))
    upgrade_database(str(file), backup=False)
    store = Store.write(str(file))
    (run,) = store.runs()
    assert (store.curves(run.id), store.histograms(run.id)) == ([], [])
    evaluations = [e for checkpoint in run.checkpoints for e in checkpoint.evaluations]
    assert len(evaluations) == 3
    for evaluation in evaluations:
        assert store.predicted(evaluation.id) is None
        assert store.adversarial_images(evaluation.id) == []
        kept = store.judgements({evaluation.id: evaluation.examples})
        assert set(kept.predicted.tolist()) == {NOT_KEPT}
        assert kept.correct.sum() == evaluation.correct
    number = store.open_evaluation(run.checkpoints[-1].id, "pgd", {"steps": 1}, 0, 2)
    store.add_block(recorded_block(number, 0, (0, -1), images(0.5)))
    store.add_epoch(run.id, epoch(1, point(5), histograms=(FLIPS,)))
    assert store.predicted(number) == [0, -1]
    assert (len(store.adversarial_images(number)), len(store.curves(run.id)), len(store.histograms(run.id))) == (
        1,
        1,
        1,
    )
    store.close()
