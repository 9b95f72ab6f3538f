"""harness runs --watch: it shows what changes while others work, fits one screen, and ends when nothing is at work."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli import console, watch
from harness.events import EpochRecord, block_key, training_key
from harness.store.leases import Lease
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness, Refused
from tests.harness.store.holders import FAR, taken
from tests.stores import add_checkpoint, make_spec, start

Step = Callable[[], None]


class Time:
    """A clock that the watch alone moves; while it sleeps, others do the next step of their work.

    Attributes:
        steps: what they do, one in each sleep; after the last one nothing happens any more.
    """

    def __init__(self) -> None:
        self.now, self.steps = 100.0, list[Step]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 300, "the watch does not end"
        if self.steps:
            self.steps.pop(0)()


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    found = Time()
    monkeypatch.setattr(watch, "time", found)
    return found


def nothing() -> None:
    """A step in which nobody does anything."""


def stop() -> None:
    raise KeyboardInterrupt


class Others:
    """Another process, which works in the store: it trains two networks, of which one fails, and attacks the other."""

    def __init__(self, place: str | None = None) -> None:
        self.place, self.leases = place, dict[str, Lease]()

    @property
    def steps(self) -> list[Step]:
        return [self.queue, self.train, self.end_epoch, nothing, self.fail, self.end, self.attack, self.leave]

    def queue(self) -> None:
        store = Store.write(self.place)
        runs = [start(store, make_spec(train_seed=seed, training={"epochs": 3})) for seed in (0, 1)]
        self.take(store, "command 1")
        store.queue([run.id for run in runs], FAR)
        store.close()

    def take(self, store: Store, item: str, run_id: int | None = None) -> None:
        self.leases[item] = taken(store, item, FAR, 600, run_id)

    def train(self) -> None:
        store = Store.write(self.place)
        for number in (1, 2):
            self.take(store, training_key(number), number)
        store.close()

    def end_epoch(self) -> None:
        store = Store.write(self.place)
        store.add_epoch(1, EpochRecord(1, 2.5, 0.1, 100, 0.5, {}), self.leases[training_key(1)])
        store.close()

    def fail(self) -> None:
        store = Store.write(self.place)
        store.end_run(2, "the loss is not finite", self.leases[training_key(2)])
        store.close()

    def end(self) -> None:
        store = Store.write(self.place)
        store.end_run(1, lease=self.leases[training_key(1)])
        store.open_evaluation(add_checkpoint(store, store.run(1)).id, "pgd", {}, 0, 10)
        store.close()

    def attack(self) -> None:
        store = Store.write(self.place)
        self.take(store, block_key(1, 0))
        store.close()

    def leave(self) -> None:
        store = Store.write(self.place)
        store.give_back([self.leases["command 1"], self.leases[block_key(1, 0)]], FAR, "lost", None)
        store.close()


LINES = [
    "runs: none; whole evaluations: 0 of 0; at work: 0 items",
    "runs: 2 queued; whole evaluations: 0 of 0; at work: 0 items",
    "runs: 2 running; whole evaluations: 0 of 0; at work: 2 items; epochs: 0 of 6",
    "runs: 2 running; whole evaluations: 0 of 0; at work: 2 items; epochs: 1 of 6",
    "run 2 failed: sat-smallcnn-digits-s1: the loss is not finite",
    "runs: 1 running, 1 failed; whole evaluations: 0 of 0; at work: 1 item; epochs: 1 of 3",
    "runs: 1 done, 1 failed; whole evaluations: 0 of 1; at work: 0 items",
    "runs: 1 done, 1 failed; whole evaluations: 0 of 1; at work: 1 item",
    "runs: 1 done, 1 failed; whole evaluations: 0 of 1; at work: 0 items",
]


@pytest.mark.parametrize("backend", ["file", "server"])
def test_in_a_pipe_a_line_tells_what_changed(
    backend: str, ends: Ends, time: Time, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "server":
        monkeypatch.setenv("HARNESS_DB", request.getfixturevalue("server_url"))
    Store.write().close()
    time.steps = Others().steps
    code, out, err = ends("runs --watch")
    *lines, first, second = out.splitlines()
    assert code == 0
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC ", "", line) for line in lines] == LINES
    assert [first, second] == ["runs: 1 done, 1 failed", "whole evaluations: 0 of 1; at work: 0 items"]
    assert err == "nothing is at work; waiting up to 60 s for work to begin\n"
    assert time.now == 100 + watch.EVERY_S * (len(Others().steps) + watch.QUIET_LOOKS - 1)


def test_json_is_a_document_a_line_when_something_changed(harness: Harness, time: Time) -> None:
    Store.write().close()
    time.steps = Others().steps
    found = [json.loads(line) for line in harness("runs --watch --json").splitlines()]
    assert len(found) == len(LINES) - 1  # a failure has no line of its own
    assert [one["runs"]["running"] for one in found] == [0, 0, 2, 2, 1, 0, 0, 0]
    assert found[3]["at_work"][0].items() >= {"label": "sat-smallcnn-digits-s0", "epoch": 1, "epochs": 3}.items()
    assert found[6]["at_work"][0].items() >= {"attack": "pgd", "images_done": 0, "images": 10, "run": 1}.items()
    assert [one["reason"] for one in found[-1]["failures"]] == ["the loss is not finite"]
    assert found[-1]["evaluations"] == {"begun": 1, "whole": 0}


def test_without_work_it_waits_a_minute_for_work_to_begin(ends: Ends, time: Time) -> None:
    Store.write().close()
    code, out, _ = ends("runs --watch")
    assert (code, len(out.splitlines())) == (0, 3)
    assert time.now == 100 + watch.BEGINS_S


def test_a_moment_without_work_is_not_the_end(ends: Ends, time: Time) -> None:
    """A command that only attacks holds nothing between two items."""
    others, store = Others(), Store.write()
    others.queue()
    others.train()
    store.give_back([others.leases.pop("command 1")], FAR, "lost", None)
    store.close()

    def between() -> None:
        store = Store.write()
        store.give_back(list(others.leases.values()), FAR, "lost", None)
        store.close()

    def again() -> None:
        store = Store.write()
        others.take(store, "the next item")
        store.close()

    time.steps = [between, nothing, again, nothing, nothing, stop]
    assert ends("runs --watch")[0] == 130  # it is still there to be stopped


def test_ctrl_c_ends_it_with_the_totals(ends: Ends, time: Time) -> None:
    Store.write().close()
    time.steps = [*Others().steps[:2], stop]
    code, out, err = ends("runs --watch")
    assert code == 130
    assert out.splitlines()[-2:] == ["runs: 2 running", "whole evaluations: 0 of 0; at work: 2 items; epochs: 0 of 6"]
    assert "the watch ends; what is at work goes on" in err


def test_a_database_that_is_not_there_is_waited_for(ends: Ends, time: Time, elsewhere: Path) -> None:
    time.steps = [nothing] * 50 + Others("sub/mine.db").steps
    code, out, err = ends("runs --watch --db sub/mine.db")
    assert code == 0
    assert err == "waiting for the database sub/mine.db, which is not there yet; Ctrl-C ends\n"
    assert LINES[1] in out


def test_another_file_in_its_place_is_seen(ends: Ends, time: Time, elsewhere: Path) -> None:
    Store.write("mine.db").close()
    Others("other.db").queue()

    def replace() -> None:
        Path("other.db").replace("mine.db")

    time.steps = [nothing, replace, nothing, nothing, stop]
    code, out, _ = ends("runs --watch --db mine.db")
    assert code == 130
    assert "runs: none;" in out.splitlines()[0]
    assert out.splitlines()[-2] == "runs: 2 queued"


@pytest.mark.parametrize(("options", "named"), [("--limit 3", "--limit"), ("--sort date", "--sort")])
def test_what_only_a_list_has_is_refused(refusal: Refused, options: str, named: str) -> None:
    assert f"{named} is refused beside --watch" in refusal(f"runs --watch {options}")


def test_a_terminal_draws_in_place_and_has_the_totals_at_the_end(
    ends: Ends, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.api.terminal import Terminal

    def terminal() -> Terminal:
        return Terminal(force_terminal=True, width=80, height=24, legacy_windows=False, color_system=None)

    monkeypatch.setattr(console, "_console", terminal)
    monkeypatch.setenv("TERM", "xterm")
    Store.write().close()
    time.steps = Others().steps
    code, out, _ = ends("runs --watch")
    assert code == 0
    assert "\x1b[1A" in out  # up a line
    assert out.count("  sat-smallcnn-digits-s0: epoch 1/3, since ") == 3
    assert out.rpartition("\x1b[2K")[2].splitlines()[-3:] == [
        "run 2 failed: sat-smallcnn-digits-s1: the loss is not finite",
        "runs: 1 done, 1 failed",
        "whole evaluations: 0 of 1; at work: 0 items",
    ]
