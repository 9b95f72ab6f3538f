"""What a watcher sees is what the whole records say, at every moment; and each look reads no verdicts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from harness.cli.runs import WantedRuns, _takes, documents
from harness.events import EpochRecord, block_key, checks_key, training_key
from harness.store.seen import RunFilter, UnfinishedEvaluations, WorkSeen
from harness.store.store import Store
from tests.harness.store import entries
from tests.harness.store.holders import FAR, HERE, dead, let_it_pass, taken
from tests.stores import DIGITS, add_checkpoint, add_evaluation, make_spec, see_protocol, start
from tests.varied import varied_store

FILTERS: list[dict[str, Any]] = [
    *({}, {"method": "sat"}, {"method": "theirs"}, {"method": "nobody"}, {"dataset": "digits"}, {"dataset": "toy"}),
    *({"network": "smallcnn"}, {"tag": "paper"}, {"state": "done"}, {"state": "failed"}, {"state": "lost"}),
    *({"since": "2999-01-01"}, {"since": "2020-01-01", "method": "sat"}, {"tag": "paper", "state": "done"}),
]


def look(store: Store, memory: UnfinishedEvaluations | None = None, **wanted: Any) -> WorkSeen:
    since = wanted.pop("since", None)
    asked = RunFilter(**wanted, since=datetime.fromisoformat(since) if since else None)
    return store.work_seen(asked, memory or UnfinishedEvaluations())


def expected(store: Store, **wanted: Any) -> tuple[dict[str, int], int]:
    """Runs by state, and whole evaluations, by the documents of the list of runs.

    An evaluation that is whole there, and was begun again, is at work for who watches.
    """
    values: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(WantedRuns))
    asked = WantedRuns(**(values | wanted))
    chosen = [d for d in documents(store) if _takes(asked, wanted.get("since", ""), d)]
    counts = Counter(d["status"] for d in chosen if "run" in d)
    runs = store.runs_of([d["run"] for d in chosen if "run" in d])
    begun_again = sum(len(checkpoint.begun) for run in runs for checkpoint in run.checkpoints)
    return dict(counts), sum(d["evaluations"] for d in chosen) - begun_again


def there(seen: WorkSeen) -> dict[str, int]:
    return {state: count for state, count in seen.runs.items() if count}


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
def test_it_is_what_the_list_of_runs_says(file: Path, wanted: dict[str, Any]) -> None:
    store = varied_store(file)
    start(store, make_spec(method="sat", train_seed=77))
    store.change_tags([store.run(2), store.models()[0]], ["paper"], [])
    seen = look(store, **wanted)
    assert (there(seen), seen.whole) == expected(store, **wanted)
    assert (seen.filtered, seen.idle, seen.items) == (bool(wanted), True, [])
    store.close()


def test_a_protocol_is_named_or_its_fingerprint_begins_so(store: Store) -> None:
    see_protocol(store, {"pgd": {}}, {"epochs": 2}, fingerprint="ab" * 32, name="tiny")
    start(store, make_spec(training={"epochs": 2}))
    start(store, make_spec(training={"epochs": 3}))
    assert [there(look(store, protocol=asked)) for asked in ("tiny", "aba", "b")] == [{"lost": 1}, {"lost": 1}, {}]


def test_evaluations_are_counted_by_hand_at_every_moment(store: Store) -> None:
    """The same memory sees what a new one sees, whatever happens between two looks."""
    memory, run = UnfinishedEvaluations(), start(store, make_spec())
    weights, model = add_checkpoint(store, run), entries.see_model(store)

    def counts(**wanted: Any) -> tuple[int, int]:
        seen = look(store, **wanted)
        return seen.whole, seen.begun

    def remembered() -> tuple[int, int]:
        seen = look(store, memory)
        assert (seen.whole, seen.begun) == counts()
        assert store._engine.pool.checkedout() == 0  # type: ignore[attr-defined]  # no lock between two looks
        return seen.whole, seen.begun

    assert remembered() == (0, 0)
    add_evaluation(store, weights, "pgd", {}, [1] * 4, examples=10)
    add_evaluation(store, weights, "cw", {}, [1] * 10, block=5)
    add_evaluation(store, model.checkpoint, "cw", {}, [1] * 9, examples=10)
    assert remembered() == (1, 3)
    assert [counts(method=name) for name in ("sat", "theirs")] == [(1, 2), (0, 1)]
    add_evaluation(store, weights, "pgd", {}, [1] * 3, examples=10, attempt=2)  # the newest attempt counts alone
    assert remembered() == (1, 3)
    add_evaluation(store, weights, "pgd", {}, [1] * 10, attempt=3)
    assert remembered() == (2, 3)
    assert counts(method="sat") == (2, 2)
    add_evaluation(store, weights, "pgd", {}, [1] * 3, examples=10, attempt=4)  # and is to be done, though 3 counts
    assert remembered() == (1, 3)
    store.remove([store.run(run.id)])
    assert remembered() == (0, 1)
    store.remove([model])
    assert remembered() == (0, 0)
    again = start(store, make_spec(train_seed=5))
    add_evaluation(store, add_checkpoint(store, again), "pgd", {}, [1] * 10)
    assert remembered() == (1, 1)


def test_what_is_at_work_by_hand(store: Store) -> None:
    trained, done = start(store, make_spec(training={"epochs": 9})), start(store, make_spec(method="mart"))
    for number in (1, 2):
        store.add_epoch(trained.id, EpochRecord(number, 2.5, 0.1, 10, 0.5, {}))
    weights, model = add_checkpoint(store, done), entries.see_model(store)
    store.end_run(done.id)
    attacked = add_evaluation(store, weights, "pgd", {}, [1] * 4, examples=10, seed=3)
    taken(store, "command 12", FAR)
    keys = [training_key(trained.id), block_key(attacked, 4), checks_key(model.checkpoint.id, {"norm": "linf"}), "odd"]
    for key in keys:
        taken(store, key, FAR, run_id=trained.id if "training" in key else None)
    taken(store, "of a dead process", dead())
    let_it_pass(store, taken(store, "of long ago", FAR))
    seen = look(store)
    assert [one.held.item for one in seen.items] == keys
    training, block, checks, odd = seen.items
    assert training.document().items() >= {"label": "sat-smallcnn-digits-s0", "epoch": 2, "epochs": 9, "run": 1}.items()
    attack = {"label": "mart-smallcnn-digits-s0", "checkpoint": "last", "attack": "pgd", "attack_seed": 3, "run": 2}
    assert block.document().items() >= (attack | {"images_done": 4, "images": 10, "evaluation": attacked}).items()
    assert (checks.label, checks.model, checks.run, odd.label, odd.run) == ("theirs", model.id, None, None, None)
    assert (there(seen), seen.workers, seen.idle) == ({"running": 1, "done": 1}, frozenset({FAR}), False)
    of_methods = {name: [one.held.item for one in look(store, method=name).items] for name in ("sat", "mart", "theirs")}
    assert of_methods == {"sat": keys[:1], "mart": keys[1:2], "theirs": keys[2:3]}


def test_a_command_between_two_items_is_not_over(store: Store) -> None:
    run, command = start(store, make_spec()), taken(store, "command 1", HERE)
    store.queue([run.id], HERE)
    assert (look(store).idle, look(store, method="sat").idle, look(store, method="mart").idle) == (False, False, True)
    store.end_run(run.id)  # it opens the evaluations next
    assert (look(store).idle, look(store, method="sat").idle) == (False, True)
    store.open_evaluation(add_checkpoint(store, run).id, "pgd", {}, 0, 10)
    assert look(store, method="sat").idle is False
    store.give_back([command], HERE, "lost", None)
    assert (look(store).idle, look(store, method="sat").idle) == (True, True)


def test_failures_have_their_reasons_and_the_newest_comes_first(store: Store) -> None:
    runs = [start(store, make_spec(train_seed=seed)) for seed in range(4)]
    store.end_run(runs[2].id, "first")
    store.end_run(runs[0].id, "second")
    lease = taken(store, "training of run 4", FAR, run_id=runs[3].id)
    let_it_pass(store, lease)
    store.end_run(runs[1].id)
    found = [(one.id, one.state.state, one.state.reason) for one in look(store).failures]
    lost = (4, "lost", f"{FAR.title} ended without a word")
    assert found == [lost, (1, "failed", "second"), (3, "failed", "first")]


def test_no_look_reads_verdicts_or_all_that_is_done(store: Store) -> None:
    for seed in range(5):
        run = start(store, make_spec(train_seed=seed), DIGITS)
        add_evaluation(store, add_checkpoint(store, run), "pgd", {}, [1] * 10)
        store.end_run(run.id)
    said: list[str] = []
    event.listen(store._engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    memory = UnfinishedEvaluations()
    look(store, memory)
    first = len(said)
    look(store, memory)
    assert first
    assert [text for text in said if "verdicts" in text or "margins" in text or "diagnostics" in text] == []
    assert (memory.last, memory.numbers) == (5, set())
