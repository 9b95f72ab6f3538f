"""Identical commands at once: each item of work is done once, and a dead command's items are taken up."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dying.deaths import Job
from tests.dying.frozen import freeze
from tests.dying.left import DATABASE, held, history, left, on_server
from tests.dying.started import Started, until

Known = Callable[[str], Job]


def logged(place: Path) -> list[str]:
    """The beginnings of epochs' ends and of blocks, as the logs have them."""
    text = "".join(file.read_text() for file in place.rglob("log.txt"))
    return re.findall(r"(epoch \d+: loss|\S+ on \S+, seed \d+, images from \d+)", text)


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest) -> str | None:
    """The address of a database on a server; None: the commands use a file."""
    return None if request.param == "file" else request.getfixturevalue("server_url")


def side_by_side(job: Job, number: int, url: str | None) -> tuple[Path, list[Started]]:
    """Identical commands, the later ones started when the first one trains."""
    place = job.place()
    more = on_server(place, url)
    first = job.starter.start(place, *job.command, more=more)
    until(lambda: (url or (place / DATABASE).exists()) and "training of run 1" in held(place))
    return place, [first, *(job.starter.start(place, *job.command, more=more) for _ in range(number - 1))]


@pytest.mark.parametrize("number", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_each_item_is_done_once(number: int, known: Known, url: str | None) -> None:
    job = known("wrapped")
    place, started = side_by_side(job, number, url)
    assert [each.wait() for each in started] == [0] * number, [each.err for each in started]
    for each in started:
        assert left(place, each.out) == job.whole
    assert history(place).count("running") == 1
    items = logged(place)
    assert len(items) == len(set(items)) > 3
    for each in started[1:]:
        assert "has training of run 1 at work since" in each.err


def test_the_items_of_a_killed_command_are_taken_up_by_the_one_that_waits(known: Known, url: str | None) -> None:
    job = known("wrapped")
    place, (first, second) = side_by_side(job, 2, url)
    until(lambda: "has training of run 1 at work since" in second.err or first.ended() is not None)
    first.send(signal.SIGKILL)
    assert first.wait() == -9
    assert second.wait() == 0, second.err
    assert left(place, second.out) == job.whole
    assert history(place) == ["queued", "running", "queued", "lost", "running", "done"]


def test_a_command_that_was_frozen_past_its_lease_writes_nothing(
    known: Known, draws: random.Random, url: str | None
) -> None:
    freeze(known("plain"), draws, url=url)


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["group", "parent", "worker"])
@pytest.mark.parametrize("name", ["autoattack", "workers"])
def test_others_that_were_frozen(name: str, whom: str, known: Known, draws: random.Random) -> None:
    for _ in range(2):
        freeze(known(name), draws, "group" if name == "autoattack" else whom)


@pytest.mark.slow
def test_different_attacks_side_by_side(known: Known) -> None:
    job = known("plain")
    place = job.place()
    words = [("--attacks", attacks) for attacks in ("natural,pgd", "natural,cw", "natural,fgsm")]
    started = [job.starter.start(place, *job.command, *more) for more in words]
    assert [each.wait() for each in started] == [0, 0, 0], [each.err for each in started]
    printed = [each.out for each in started]
    assert [job.starter.run(place, *job.command, *more).out for more in words] == printed
    assert history(place).count("running") == 1
    items = logged(place)
    assert len(items) == len(set(items))
