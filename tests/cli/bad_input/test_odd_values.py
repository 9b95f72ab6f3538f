"""Odd values of every option: one line and nothing changed, or a result; never a traceback, and never a hang."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.store.store import Store
from tests import stores
from tests.cli.bad_input.given import tree
from tests.cli.bad_input.odd_values import VALUES, Place, places

MODEL = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""
Odd = Callable[[list[str]], int | None]


class Accepted(Exception):
    """The value was taken, and the command began its work."""


@pytest.fixture
def given(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, a database of one run, a pipe, and links; no command trains, measures, serves, or asks."""

    def begin(*_: object, **__: object) -> None:
        raise Accepted

    for what in (
        "execution.conduct.Conductor.conduct",
        "execution.bench.measure",
        "site.server.SiteServer.__init__",
        "hub.upload.upload_files",
    ):
        monkeypatch.setattr(f"harness.{what}", begin)
    (elsewhere / "model.py").write_text(MODEL)
    os.mkfifo(elsewhere / "pipe")
    (elsewhere / "circle").symlink_to("circle")
    (elsewhere / "gone").symlink_to("nowhere")
    store = Store.write("leaderboard.db")
    stores.start(store, stores.make_spec())
    store.close()
    shutil.copy("leaderboard.db", "other.db")
    return elsewhere


@pytest.fixture
def odd(given: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Odd:
    """Runs a command line that holds an odd value; gives its exit code, None if it began its work."""

    def call(words: list[str]) -> int | None:
        before = tree(given)
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        except Accepted:
            return None
        out, err = capsys.readouterr()
        shown = f"{' '.join(words)[:200]!r}\n{out[:500]}{err[:500]}"
        code = ended.value.code
        assert isinstance(code, int)
        assert code in (0, 1, 2), shown
        if code == 2:
            assert (out, err[:9], err.count("\n"), err[-1:]) == ("", "harness: ", 1, "\n"), shown
            assert tree(given) == before, shown
        assert not set(err) & set("\x1b\u202e"), shown
        return code

    return call


PLACES = list(places())


@pytest.mark.parametrize(
    ("place", "value"),
    list(zip(PLACES, islice(cycle(VALUES), len(PLACES)), strict=True)),
    ids=lambda part: "".join(filter(None, part)) if isinstance(part, Place) else part,
)
def test_one_value_for_each_option(odd: Odd, place: Place, value: str) -> None:
    odd(place.words(VALUES[value]))


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "".join(filter(None, place)))
def test_every_value_for_each_option(odd: Odd, given: Path, place: Place) -> None:
    before = tree(given)
    for value in VALUES.values():
        if odd(place.words(value)) != 2 and tree(given) != before:
            _put_back(given, before)


def _put_back(folder: Path, before: dict[str, bytes | None]) -> None:
    """Remove what a command wrote, and restore what it changed."""
    for name in tree(folder).keys() - before.keys():
        path = folder / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for name, content in before.items():
        if content is not None:
            (folder / name).write_bytes(content)
