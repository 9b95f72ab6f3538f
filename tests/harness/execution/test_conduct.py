"""What is planned is what is executed: once, where the workers say, and never over what another command has done."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import Engine, event

from harness.errors import PluginFault
from harness.events import EvaluationProgress, Event, Report, TrainingBegan
from harness.execution import work
from harness.execution.conduct import Conductor
from harness.execution.conduct_target import conduct_evaluation
from harness.execution.executors.executor import Executor, InProcess, Performed, Supply, W, one_by_one
from harness.execution.executors.placement import Placement
from harness.execution.loaded import kept_dataset
from harness.files import in_use
from harness.planning import gaps
from harness.planning.cost import estimate
from harness.planning.evaluate_job import resolve_evaluate
from harness.planning.missing import Missing, find_missing
from harness.planning.request import EvaluateRequest
from harness.runtime.provenance import ALSO, HOST_VARIABLE, every_place, host, joined
from harness.store.records import EvaluationRecord, RunRecord
from harness.store.store import Store
from tests.harness.execution.asked import conduct, jobs
from tests.harness.execution.executors.listed import Listed


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.write(str(tmp_path / "results.db"))
    yield opened
    opened.close()


@contextlib.contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts statements by the table that they read first, such as ``runs``."""
    counts: Counter[str] = Counter()

    def hear(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        words = statement.split()
        if words[0] == "SELECT":
            counts[words[words.index("FROM") + 1]] += 1

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        yield counts
    finally:
        event.remove(Engine, "before_cursor_execute", hear)


# ---- once


def test_as_many_queries_are_made_however_many_networks_are_asked_for(store: Store, tmp_path: Path) -> None:
    asked = jobs()
    with counted() as of_one:
        find_missing(jobs(methods=("standard",), train_seeds=1), store)
    with counted() as found:
        missing = find_missing(asked, store)
    assert found == of_one  # four networks of two methods
    assert 0 < found.total() < 12
    with counted() as costed:
        assert estimate(missing).seconds is None
    assert sum(costed.values()) == 0
    assert conduct(missing, store, tmp_path).trained == 4
    with counted() as of_one:
        find_missing(jobs(methods=("standard",), train_seeds=1), store)
    with counted() as again:
        missing = find_missing(asked, store)
        cost = estimate(missing)
    assert missing.idle
    assert (cost.training.total, cost.evaluation.total, cost.seconds) == (0, 0, 0.0)
    assert again == of_one
    with counted() as idle:
        conduct(missing, store, tmp_path)
    assert idle["runs"] == idle["evaluations"] == idle["blocks"] == 0  # all of it was found before


def test_gaps_are_found_once_and_networks_that_lack_all_share_theirs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, plain = jobs(methods=("standard",)), gaps.attack_gaps
    found: list[str] = []

    def attack_gaps(assessment: Any, *arguments: Any, **options: Any) -> Any:
        found.append("gaps")
        return plain(assessment, *arguments, **options)

    monkeypatch.setattr(gaps, "attack_gaps", attack_gaps)
    assert conduct(find_missing(asked, store), store, tmp_path).blocks == 2 * 2 * 2  # networks, attacks, blocks
    assert len(found) == 1  # of both networks, since the store had neither
    request = EvaluateRequest(target="1", dataset="digits", seeds=2, device="cpu", limit=16, checks=False)
    job = resolve_evaluate(replace(request, runs_dir=tmp_path), store)
    summary, _ = conduct_evaluation(job, store, tmp_path, lambda _event: None, Placement())
    assert summary.blocks == 2  # of the other seed of pgd
    assert len(found) == 2


# ---- where


class Elsewhere(InProcess):
    """Its workers are on a machine of that name, with that device, and say so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self._monkeypatch, self._name = monkeypatch, name

    def run(self, works: Supply[W], listen: Report) -> Iterator[Performed[W]]:
        for work_ in one_by_one(works):
            with self._monkeypatch.context() as patch:
                patch.setenv(HOST_VARIABLE, self._name)
                patch.setattr(work, "device_label", lambda _device: f"the device of {self._name}")
                outcomes = list(super().run(Listed([work_]), listen))
            yield from outcomes


def places(provenance: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Host, device, and threads of each place, the first one first."""
    return [(each["host"], each["device"], each["threads"]) for each in (provenance, *provenance.get(ALSO, []))]


def evaluations(run: RunRecord) -> dict[str, EvaluationRecord]:
    return {e.attack: e for e in run.checkpoints[-1].evaluations}


FAR, FARTHER, FARTHEST = ((name, f"the device of {name}", 1) for name in ("far", "farther", "farthest"))


def on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have everything performed by workers on that machine from now on."""

    def choose(*_: object) -> Executor:
        return Elsewhere(monkeypatch, name)

    monkeypatch.setattr(Placement, "executor", choose)


def test_what_is_stored_is_where_the_workers_were(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "far")
    conduct(find_missing(jobs(methods=("standard",), train_seeds=1, checks=True), store), store, tmp_path)
    (run,) = store.runs()
    assert places(run.provenance) == [FAR]
    assert [places(e.provenance) for e in run.checkpoints[-1].evaluations] == [[FAR], [FAR]]
    model, verdicts = run.checkpoints[-1].examinations
    assert places(model.provenance) == [FAR]
    assert places(verdicts.provenance) == [(host(), "cpu", torch.get_num_threads())]  # which this process looked at
    assert {"torch", "python", "harness"} <= run.provenance.keys()


def test_what_goes_on_elsewhere_names_both_places_and_is_not_timed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = jobs(methods=("standard",), train_seeds=1)

    def stop(after: type[Event], count: int) -> Report:
        heard: list[Event] = []

        def hear(told: Event) -> None:
            heard.append(told)
            if sum(isinstance(each, after) for each in heard) == count:
                raise KeyboardInterrupt

        return hear

    on(monkeypatch, "far")
    for after, count, then in ((TrainingBegan, 1, "farther"), (EvaluationProgress, 3, "farthest")):
        with pytest.raises(KeyboardInterrupt):
            Conductor(find_missing(asked, store), store, tmp_path, stop(after, count), Placement()).conduct()
        on(monkeypatch, then)
    conduct(find_missing(asked, store), store, tmp_path)
    (run,) = store.runs()
    assert places(run.provenance) == [FAR, FARTHER]
    assert {name: places(e.provenance) for name, e in evaluations(run).items()} == {
        "natural": [FARTHER],
        "pgd": [FARTHER, FARTHEST],  # a block each
    }
    monkeypatch.setenv(HOST_VARIABLE, "far")
    monkeypatch.setattr("harness.planning.cost.device_label", lambda _device: "the device of far")
    assert estimate(find_missing(jobs(methods=("sat",)), store)).seconds is None


def test_the_folder_of_a_run_is_in_use_while_it_is_worked_on(store: Store, tmp_path: Path) -> None:
    taken = []

    def hear(_event: Event) -> None:
        for run in store.runs():
            with pytest.raises(BlockingIOError), in_use([tmp_path / run.folder], alone=True):
                pass
            taken.append(run.id)

    Conductor(find_missing(jobs(methods=("standard",)), store), store, tmp_path, hear, Placement()).conduct()
    assert set(taken) == {1, 2}  # also the one whose turn is later
    with in_use([tmp_path / run.folder for run in store.runs()], alone=True):
        pass


def test_places_are_joined_by_hand() -> None:
    a, b, c = ({"host": name, "threads": 1} for name in "abc")
    assert joined({}, a) == a
    assert joined({"sources": {"method": "x"}}, a) == {"sources": {"method": "x"}} | a
    assert joined(a, a) == a
    assert joined(a, {}) == a  # what is not known says nothing
    both = joined(joined({"sources": {}} | a, b), b)
    assert both == {"sources": {}} | a | {ALSO: [b]}
    assert joined(joined(both, a), c) == {"sources": {}} | a | {ALSO: [b, c]}
    assert every_place(joined(both, c)) == [a, b, c]
    assert every_place({}) == [{}]


# ---- another command, meanwhile


def test_what_another_command_did_meanwhile_is_not_done_again(store: Store, tmp_path: Path) -> None:
    asked = jobs(methods=("standard",))
    stale = find_missing(asked, store)
    assert (len(stale.to_train), stale.items) == (2, 2 + 2 * 2 * 2)
    conduct(find_missing(asked, store), store, tmp_path)
    before = store.runs()
    summary = conduct(stale, store, tmp_path)
    assert (summary.trained, summary.blocks, summary.failures) == (0, 0, {})
    assert summary.run_ids == [run.id for run in before]
    assert store.runs() == before


def test_of_a_plan_that_is_stale_the_rest_is_done(store: Store, tmp_path: Path) -> None:
    conduct(find_missing(jobs(methods=("standard",), train_seeds=1), store), store, tmp_path)
    more = jobs(methods=("standard",), train_seeds=1, seeds=3)
    stale = find_missing(more, store)
    assert stale.items == 2 * 2  # seeds, blocks
    conduct(find_missing(jobs(methods=("standard",), train_seeds=1, seeds=2), store), store, tmp_path)
    assert conduct(stale, store, tmp_path).blocks == 2
    assert find_missing(more, store).idle


def test_a_run_that_was_finished_meanwhile_is_not_refused(store: Store, tmp_path: Path) -> None:
    asked = jobs(methods=("standard",), train_seeds=1)
    (gap,) = find_missing(asked, store).runs
    refused = Missing(runs=(replace(gap, passes=None, models=(), refusal=PluginFault("it breaks its contract")),))
    conduct(find_missing(asked, store), store, tmp_path)
    assert conduct(refused, store, tmp_path).failures == {}
    (run,) = store.runs()
    assert run.status == "done"


def test_a_command_keeps_its_images_while_it_works_and_no_longer(store: Store, tmp_path: Path) -> None:
    """So that a notebook of many commands does not hold the images of each."""
    (job, *_) = found = jobs(train_seeds=1)
    kept: list[bool] = []
    conduct(
        find_missing(found, store), store, tmp_path, lambda _event: kept.append(kept_dataset(job.place) is not None)
    )
    assert kept.count(True) > 0
    assert kept_dataset(job.place) is None
