"""An edited model from elsewhere is another one, whatever it was that changed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import HarnessError
from harness.store.store import Store
from tests.cli.conftest import Ends, Harness
from tests.cli.sources import NETWORK, PREP, RUN, TARGET, WHERE, write

EDITS = {
    "a number beside it": ("LEVELS = 16", "LEVELS = 2 "),
    "a base class": ("    pass", "    def __call__(self, x):\n        return super().__call__(x * 0.5)"),
    "a file that it reads": ("LEVELS = 16", "LEVELS = float(Path('levels.txt').read_text())"),
    "a variable that it reads": ("LEVELS = 16", "LEVELS = float(os.environ['LEVELS_OF_MINE'])"),
}


class TestTargets:
    def evaluate(self, harness: Harness, *options: str) -> dict[str, Any]:
        command = f"evaluate net_of_mine.py:make {WHERE} --attacks natural --json {' '.join(options)}"
        (report,) = json.loads(harness(command))["reports"]
        return dict(report)

    @pytest.mark.parametrize(("before", "after"), EDITS.values(), ids=EDITS)
    def test_another_function_is_another_model(
        self, before: str, after: str, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LEVELS_OF_MINE", "16")
        Path("levels.txt").write_text("16")
        write("net_of_mine.py", TARGET)
        write("prep_of_target.py", PREP)
        if "read" not in after and "environ" not in after:
            first = self.evaluate(harness)
            write("prep_of_target.py", PREP.replace(before, after))
        else:  # the source stays, what it reads does not
            write("prep_of_target.py", PREP.replace(before, after))
            first = self.evaluate(harness)
            monkeypatch.setenv("LEVELS_OF_MINE", "2")
            Path("levels.txt").write_text("2")
        second = self.evaluate(harness)
        assert (first["model"], second["model"]) == ("net_of_mine.py:make", "net_of_mine.py:make (2)")
        assert first["metrics"]["natural"] != second["metrics"]["natural"]

    def test_a_model_that_draws_is_told_from_one_that_changed(self, harness: Harness) -> None:
        drawing = TARGET.replace("return self.layer(", "x = x + 0.1 * torch.randn_like(x)\n        return self.layer(")
        write("net_of_mine.py", drawing)
        write("prep_of_target.py", PREP)
        assert self.evaluate(harness)["model"] == self.evaluate(harness)["model"] == "net_of_mine.py:make"

    def test_figures_from_the_store_say_so_and_fresh_attacks_again(self, harness: Harness) -> None:
        write("net_of_mine.py", TARGET)
        write("prep_of_target.py", PREP)
        command = f"evaluate net_of_mine.py:make {WHERE} --attacks natural,noise"
        assert "from the store" not in harness(command)
        again = harness(command)
        (model,) = Store.read("board.db").models()
        dates = {f"{e.created_utc:%Y-%m-%d}" for e in model.checkpoint.evaluations if e.created_utc}
        assert f"from the store, {' to '.join(sorted(dates))}; nothing was attacked" in again
        more = harness(command.replace("noise", "noise,fgsm"))
        assert "2 of 3 evaluations (natural, noise); the others were attacked now" in more
        fresh = harness(f"{command} --fresh")
        assert "from the store" not in fresh
        assert "attacked again: 2 evaluations, every verdict as the store had it" in fresh
        (model,) = Store.read("board.db").models()
        attempts = {e.attack: e.attempt for e in model.checkpoint.evaluations}
        assert attempts == {"natural": 2, "noise": 2, "fgsm": 1}

    def test_fresh_tells_of_verdicts_that_are_no_longer_those(self, harness: Harness) -> None:
        write("net_of_mine.py", TARGET)
        write("prep_of_target.py", PREP)
        command = f"evaluate net_of_mine.py:make {WHERE} --attacks natural"
        harness(command)
        with contextlib.closing(sqlite3.connect("board.db")) as connection, connection:
            ((verdicts, start),) = connection.execute("SELECT verdicts, start FROM blocks").fetchall()
            flipped = bytes([verdicts[0] ^ 0b10100000]) + verdicts[1:]
            right = int.from_bytes(flipped, "big").bit_count()
            found = (flipped, right, start)
            connection.execute("UPDATE blocks SET verdicts = ?, correct = ? WHERE start = ?", found)
        assert "differ from those that the store had: natural seed 0 on 2 of 360 images" in harness(
            f"{command} --fresh"
        )

    def test_weights_in_an_edited_network_are_another_model(self, harness: Harness) -> None:
        write("tiny.py", NETWORK, ACT="Sigmoid")
        weights = {"1.weight": (8, 64), "1.bias": (8,), "3.weight": (10, 8), "3.bias": (10,)}
        draws = torch.Generator().manual_seed(0)
        torch.save({name: torch.randn(shape, generator=draws) for name, shape in weights.items()}, "net.pt")
        command = f"evaluate net.pt --arch tiny --plugin tiny.py {WHERE} --attacks natural --json"
        (first,) = json.loads(harness(command))["reports"]
        write("tiny.py", NETWORK, ACT="ReLU")
        (second,) = json.loads(harness(command))["reports"]
        assert (first["model"], second["model"]) == ("net.pt", "net.pt (2)")
        assert first["metrics"]["natural"] != second["metrics"]["natural"]

    def test_a_name_is_one_name_in_whatever_form_of_unicode(self, harness: Harness) -> None:
        write("net_of_mine.py", TARGET)
        write("prep_of_target.py", PREP)
        composed, decomposed = (unicodedata.normalize(form, "Gemüse") for form in ("NFC", "NFD"))
        self.evaluate(harness, "--name", decomposed)
        (model,) = Store.read("board.db").models()
        assert model.name == composed
        for name in (composed, decomposed):
            assert composed in harness(f"show {name} --db board.db")

    def test_show_says_which_code(self, harness: Harness) -> None:
        write("net_of_mine.py", TARGET)
        write("prep_of_target.py", PREP)
        self.evaluate(harness)
        assert "today's is the same" in harness("show net_of_mine.py:make --db board.db")
        write("prep_of_target.py", PREP.replace("16", "8"))
        told = harness("show net_of_mine.py:make --db board.db")
        assert f"today's differs in {Path('prep_of_target.py').resolve()}" in told


def test_a_name_that_was_asked_for_is_not_given_away(harness: Harness) -> None:
    write("net_of_mine.py", TARGET)
    write("prep_of_target.py", PREP)
    command = f"evaluate net_of_mine.py:make {WHERE} --attacks natural --name ours"
    harness(command)
    write("prep_of_target.py", PREP.replace("16", "2"))
    with pytest.raises(AssertionError, match="another model on digits is called 'ours'; give this one another --name"):
        harness(command)
    assert issubclass(HarnessError, Exception)


def test_newer_checks_do_not_ask_for_weights_that_are_gone(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, ends: Ends
) -> None:
    run = f"run standard {RUN.replace(' --no-checks', '')}"
    harness(run)
    for file in Path("runs").rglob("*.safetensors"):
        file.unlink()
    assert Store.read("board.db").run(1).checkpoints[-1].examinations
    monkeypatch.setattr("harness.planning.assessment.EDITION", 99)
    code, out, err = ends(run)
    assert code == 0
    assert "1 checkpoint(s) could not be examined by the newest checks, since their weights are not here" in err
    assert "standard" in out
    with pytest.raises(AssertionError, match="cannot be read"):  # an attack needs them
        harness(run.replace("natural,pgd", "natural,pgd,fgsm"))
