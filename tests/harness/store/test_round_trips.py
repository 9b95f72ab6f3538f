"""What is put into the store comes out."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StoreError
from harness.events import BlockDone, EpochRecord, Finding
from harness.protocols.run_spec import RunSpec
from harness.store.records import ProtocolRecord, RunRecord
from harness.store.scope import Scope
from harness.store.store import Store
from harness.store.verdicts import pack, unpack
from tests.harness.store.entries import FINDINGS, make_spec, see_model, start, start_evaluation
from tests.stores import DIGITS
from tests.tiny import PROTOCOL_DOCUMENT


class TestRoundTrips:
    def test_a_run(self, store: Store) -> None:
        before = datetime.now(UTC).replace(tzinfo=None)
        wrapped = make_spec(wrappers=({"name": "awp", "settings": {"gamma": 0.01}, "departures": {}},))
        started = start(store, wrapped)
        found = store.run(started.id)
        assert found == started
        assert before <= found.created_utc <= datetime.now(UTC).replace(tzinfo=None)
        for name in set(RunSpec.__dataclass_fields__) & set(RunRecord.__dataclass_fields__) - {"dataset", "wrappers"}:
            assert getattr(found, name) == getattr(wrapped, name)
        assert found.dataset == DIGITS
        assert found.wrappers == list(wrapped.wrappers)
        assert found.identity == wrapped.identity
        assert (found.status, found.failure, found.finished_utc) == ("running", None, None)
        assert (found.parameters, found.provenance) == (1234, {"device": "cpu", "threads": 1})
        assert (found.method_departures, found.network_departures) == ({"strength": 1.5}, {"width": 4})
        assert (found.epochs, found.checkpoints) == ((), ())
        assert found.folder == f"{wrapped.label}-{wrapped.identity[:8]}"

    def test_the_end_of_a_run(self, store: Store) -> None:
        good, bad = start(store), start(store, make_spec(train_seed=4))
        store.end_run(good.id)
        store.end_run(bad.id, failure="the loss is not finite at epoch 1, batch 7")
        good, bad = store.run(good.id), store.run(bad.id)
        assert (good.status, good.failure) == ("done", None)
        assert (bad.status, bad.failure) == ("failed", "the loss is not finite at epoch 1, batch 7")
        assert good.finished_utc is not None
        assert good.finished_utc >= good.created_utc

    def test_an_epoch_that_is_told_twice_is_kept_once_as_told_last(self, store: Store) -> None:
        run = start(store)
        second, first = EpochRecord(2, 1.25, 0.01, 1437, 0.5, {"weight": 0.75}), EpochRecord(1, 2.0, 0.1, 1437, 0.25)
        store.add_epoch(run.id, dataclasses.replace(second, loss=9.0, diagnostics={}))
        store.add_epoch(run.id, first)
        store.add_epoch(run.id, second)
        assert store.run(run.id).epochs == (first, second)

    def test_a_checkpoint_takes_a_new_hash_until_it_is_evaluated(self, store: Store) -> None:
        run = start(store)
        store.add_checkpoint(run.id, "last", 2, "a" * 64)
        store.add_checkpoint(run.id, "early", 1, "e" * 64)
        store.add_checkpoint(run.id, "last", 2, "b" * 64)
        assert [(c.name, c.epoch, c.sha256[0]) for c in store.run(run.id).checkpoints] == [
            ("early", 1, "e"),
            ("last", 2, "b"),
        ]
        start_evaluation(store, run)
        store.add_checkpoint(run.id, "last", 2, "d" * 64)
        checkpoint = store.run(run.id).checkpoint("last")
        assert checkpoint is not None
        assert checkpoint.sha256 != "d" * 64
        assert store.run(run.id).checkpoint("middle") is None

    def test_blocks_by_hand(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store))
        store.add_block(BlockDone(evaluation, 8, bytes([1, 0]), 0.5, ("late", "weak")))  # out of order
        store.add_block(BlockDone(evaluation, 0, bytes([1, 1, 0, 1]), 0.25, ("weak",)))
        (half,) = store.runs()[0].checkpoints[0].evaluations
        assert (half.done, half.correct, half.complete, half.percent) == (6, 4, False, 400 / 6)
        store.add_block(BlockDone(evaluation, 4, bytes([0, 0, 0, 1]), 0.25, ()))
        (whole,) = store.runs()[0].checkpoints[0].evaluations
        assert (whole.done, whole.correct, whole.complete, whole.percent) == (10, 5, True, 50.0)
        assert ({first for first, _ in whole.blocks}, whole.duration_s, whole.warnings) == (
            {0, 4, 8},
            1.0,
            ("weak", "late"),
        )
        assert list(store.verdicts(evaluation)) == [1, 1, 0, 1, 0, 0, 0, 1, 1, 0]

    def test_a_block_that_is_there_stays(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store))
        store.add_block(BlockDone(evaluation, 0, bytes([1, 0, 1]), 0.5, ()))
        store.add_block(BlockDone(evaluation, 0, bytes([0, 0, 0]), 9.0, ("again",)))
        assert list(store.verdicts(evaluation)) == [1, 0, 1]

    @pytest.mark.parametrize(("first", "length"), [(1, 1), (2, 4), (4, 2), (0, 10)])
    def test_no_image_is_counted_twice_whatever_sizes_blocks_have(self, store: Store, first: int, length: int) -> None:
        evaluation = start_evaluation(store, start(store))
        store.add_block(BlockDone(evaluation, 1, bytes([1, 0, 1, 0]), 0.5, (), None, {"host": "here"}))
        store.add_block(BlockDone(evaluation, first, bytes(length), 9.0, ("again",), None, {"host": "there"}))
        (found,) = store.runs()[0].checkpoints[0].evaluations
        assert (found.done, found.correct, found.provenance) == (4, 2, {"host": "here"})
        assert store.blocks(evaluation) == [(1, 4)]
        for place, number in ((0, 1), (5, 5)):  # what only touches it
            store.add_block(BlockDone(evaluation, place, bytes(number), 0.5, (), None, {"host": "there"}))
        assert store.blocks(evaluation) == [(0, 1), (1, 4), (5, 5)]
        (whole,) = store.runs()[0].checkpoints[0].evaluations
        assert (whole.complete, whole.provenance) == (True, {"host": "here", "also": [{"host": "there"}]})

    def test_a_protocol_is_seen_once(self, store: Store) -> None:
        protocol = ProtocolRecord("p" * 64, "tiny", "t" * 64, {"pgd": "a", "cw": "b"}, {"epsilon": 0.1})
        store.see_protocol(protocol, {"epochs": 2})
        store.see_protocol(dataclasses.replace(protocol, name="another name for the same"), {"epochs": 2})
        assert store.protocols() == [protocol]
        assert list(store.protocols()[0].attacks) == ["pgd", "cw"]  # their order is the board's

    @given(st.lists(st.booleans(), max_size=70).map(bytes))
    def test_verdicts_are_one_bit_each_most_significant_first(self, verdicts: bytes) -> None:
        packed = pack(verdicts)
        digits = "".join(str(v) for v in verdicts).ljust(8 * len(packed), "0")
        assert len(packed) == -(-len(verdicts) // 8)
        assert packed == (int(digits, 2).to_bytes(len(packed)) if packed else b"")
        assert unpack(packed, len(verdicts)) == verdicts

    def test_a_model_from_elsewhere(self, store: Store) -> None:
        seen = see_model(store)
        (found,) = store.models()
        assert found == seen
        assert (found.name, found.network, found.network_settings, found.parameters) == (
            *("theirs", "resnet", {"depth": 2}, 99),
        )
        assert (found.dataset, found.provenance) == (DIGITS, {"file": "theirs.pt"})
        checkpoint = found.checkpoint
        assert (checkpoint.sha256, checkpoint.epoch, checkpoint.evaluations) == ("d" * 64, None, ())

    def test_the_same_weights_on_the_same_data_are_one_model_and_take_the_newest_name(self, store: Store) -> None:
        first = see_model(store)
        assert see_model(store, "renamed").id == first.id
        assert [model.name for model in store.models()] == ["renamed"]
        assert see_model(store, "theirs.pt", rename=False) == store.models()[0]
        assert [model.name for model in store.models()] == ["renamed"]
        assert see_model(store, "another", sha256="e" * 64).id != first.id

    def test_a_name_that_nobody_chose_replaces_none(self, store: Store) -> None:
        first = see_model(store, "ours")
        see_model(store, "file.pt", sha256="e" * 64, rename=False)
        again = see_model(store, "file.pt", rename=False)
        assert (again.id, again.name) == (first.id, "ours")
        assert sorted(model.name for model in store.models()) == ["file.pt", "ours"]

    def test_the_same_weights_on_other_data_are_another_model_which_may_share_the_name(self, store: Store) -> None:
        here = see_model(store)
        other = dataclasses.replace(DIGITS, name="letters", fingerprint="9" * 64)
        facts: dict[str, Any] = {"network": "resnet", "network_settings": {}, "network_departures": {}}
        there = store.see_model("theirs", other, sha256="d" * 64, parameters=99, provenance={}, **facts)
        assert there.id != here.id
        assert there.checkpoint.id != here.checkpoint.id
        assert [model.dataset.name for model in store.models()] == ["digits", "letters"]

    def test_two_models_on_one_data_set_cannot_share_a_name(self, store: Store) -> None:
        see_model(store)
        with pytest.raises(StoreError, match="on digits is called 'theirs'; give this one another --name"):
            see_model(store, sha256="e" * 64)
        assert len(store.models()) == 1

    def test_an_examination_comes_back_in_the_order_of_its_findings_and_replaces_the_same(self, store: Store) -> None:
        number = see_model(store).checkpoint.id

        def examinations() -> list[tuple[dict[str, Any], tuple[Finding, ...], float, dict[str, Any]]]:
            found = store.models()[0].checkpoint.examinations
            return [(e.settings, e.findings, e.duration_s, e.provenance) for e in found]

        here, there = {"epsilon": 0.2}, {"device": "cpu"}
        store.add_examination(number, here, FINDINGS, 1.5, there)
        assert examinations() == [(here, FINDINGS, 1.5, there)]
        store.add_examination(number, here, FINDINGS[1:], 2.0, there)
        assert examinations() == [(here, FINDINGS[1:], 2.0, there)]
        store.add_examination(number, {"epsilon": 0.1}, FINDINGS, 1.0, there)
        assert [settings for settings, *_ in examinations()] == [here, {"epsilon": 0.1}]

    def test_findings_are_those_of_the_newest_examination_of_each_kind_in_that_evaluation(self, store: Store) -> None:
        number = see_model(store).checkpoint.id
        attacks = {"pgd": "a", "cw": "b"}
        scope = Scope.of_document(PROTOCOL_DOCUMENT, attacks, 10)
        model, verdicts = scope.settings("model"), scope.settings("verdicts")
        for settings, findings in (
            (verdicts, FINDINGS[:1]),
            (model | {"edition": 1}, FINDINGS),
            (model | {"edition": 2}, FINDINGS[1:]),
            (model | {"epsilon": 0.1}, ()),
            (model | {"examples": 9}, ()),
            (verdicts | {"attacks": attacks | {"pgd": "c"}}, ()),
        ):
            store.add_examination(number, settings, findings, 1.0, {})
        checkpoint = store.checkpoint(number)
        assert checkpoint.findings(scope) == (FINDINGS[1], FINDINGS[0])
        assert checkpoint.findings(dataclasses.replace(scope, attacks={"pgd": "a"})) == FINDINGS[1:]
        assert checkpoint.findings(dataclasses.replace(scope, examples=11)) == ()

    def test_margins_come_back_to_half_precision_in_the_order_of_the_examples(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store), examples=5)
        store.add_block(BlockDone(evaluation, 2, bytes(3), 0.5, (), (-1.0, 0.1234567, 1.0)))
        store.add_block(BlockDone(evaluation, 0, bytes(2), 0.5, (), (0.5, -0.25)))
        assert store.margins(evaluation) == [0.5, -0.25, -1.0, 0.12347412109375, 1.0]  # the nearest half to 0.1234567

    def test_margins_that_one_block_lacks_are_none(self, store: Store) -> None:
        evaluation = start_evaluation(store, start(store), examples=5)
        store.add_block(BlockDone(evaluation, 0, bytes(2), 0.5, (), (0.5, -0.25)))
        store.add_block(BlockDone(evaluation, 2, bytes(3), 0.5, ()))
        assert store.margins(evaluation) is None

    def test_no_run_of_that_number(self, store: Store) -> None:
        with pytest.raises(StoreError, match=r"no run 7; `harness runs`"):
            store.run(7)
