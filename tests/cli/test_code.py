"""A figure belongs to the code that computed it: edited code never gives, joins, or goes on with the old figure."""

from __future__ import annotations

import contextlib
import json
import shlex
import sqlite3
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.cli.main import main
from harness.errors import HarnessError, PluginError
from harness.job import Request, resolve
from harness.parts import method_of
from harness.source import closure
from harness.store.store import Store
from harness.training.loop import Trainer
from tests.cli.conftest import Harness

METHOD = """
from dataclasses import dataclass
import torch.nn.functional as F
from harness.method import Method, Step

@dataclass(frozen=True, kw_only=True)
class Mine(Method):
    '''A method under work.'''
    def loss(self, step: Step):
        return SCALE * F.cross_entropy(step.model(step.x), step.y)
"""
NETWORK = """
from dataclasses import dataclass
from torch import nn
from harness.network import Network, Shape

@dataclass(frozen=True, kw_only=True)
class Tiny(Network):
    '''A network under work.'''
    def build(self, shape: Shape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ACT(), nn.Linear(8, 10))
"""
ATTACK = """
from dataclasses import dataclass
from typing import ClassVar
from harness.attack import Attack, Passes

@dataclass(frozen=True, kw_only=True)
class Push(Attack):
    '''An attack under work.'''
    budget: ClassVar[tuple[str, ...]] = ("epsilon",)
    seeded: ClassVar[bool] = False
    def perturb(self, model, x, y, threat, generator):
        return PUSHED
    def passes(self, threat):
        return Passes(0, 0)
"""
WRAPPER = """
from dataclasses import dataclass
from harness.wrapper import Wrapper

@dataclass(frozen=True, kw_only=True)
class Half(Wrapper):
    '''A wrapper under work.'''
    def published(self, weights):
        return {name: TIMES * tensor if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
"""
DATA = """
from dataclasses import dataclass
from harness.dataset import Dataset, DataSource, Split
from harness.data.digits import Digits

@dataclass(frozen=True, kw_only=True)
class Few(DataSource):
    '''A data set under work.'''
    protocol = "digits"
    def load(self, data_dir):
        data = Digits().load(data_dir)
        few = Split(data.train.images[:64], data.train.labels[:64])
        return Dataset(name="few", train=few, test=few, classes=data.classes, levels=16)
"""
EDIT = """
def EDIT(file):
    import pathlib
    pathlib.Path(file).write_text(pathlib.Path(file).read_text() + "# edited")
"""
TARGET = """
from torch import nn
import torch
from prep_of_target import LEVELS, Base

class Net(Base):
    def __init__(self):
        super().__init__()
        self.levels = LEVELS
        self.layer = nn.Linear(64, 10)
    def forward(self, x):
        return self.layer((x * self.levels).round().flatten(1) / self.levels)

def make():
    return Net()
"""
PREP = """
import os
from pathlib import Path
from torch import nn
LEVELS = 16
class Base(nn.Module):
    pass
"""
WHERE = "--dataset digits --seeds 1 --workers 1 --no-checks --set evaluation.attacks=natural,pgd --db board.db"
RUN = f"--arch smallcnn --set width=2 --epochs 1 {WHERE}"


def write(name: str, text: str, **values: str) -> str:
    for key, value in values.items():
        text = text.replace(key, value)
    Path(name).write_text(text)
    return name


def rows(harness: Harness) -> list[dict[str, Any]]:
    document = json.loads(harness("leaderboard --dataset digits --db board.db --format json"))
    return [row for row in document["rows"] if row["source"] == "measured"]


class TestPlugins:
    def test_a_method_that_was_mended_is_trained_anew_and_has_a_row_of_its_own(self, harness: Harness) -> None:
        run = f"run mine --plugin mine.py {RUN} --train-seeds"
        write("mine.py", METHOD, SCALE="-0.01")
        harness(f"{run} 2")
        write("mine.py", METHOD, SCALE="1.0000")
        harness(f"{run} 1")
        broken, mended = sorted(rows(harness), key=lambda row: row["runs"])
        assert (broken["runs"], mended["runs"]) == ([1, 2], [3])
        assert broken["code"].keys() == mended["code"].keys() == {"method"}
        assert broken["code"] != mended["code"]
        assert broken["metrics"]["natural"]["median"] < 20 < mended["metrics"]["natural"]["median"]
        write("mine.py", METHOD, SCALE="-0.01")
        assert "2 trained already" in harness(f"{run} 2 --dry-run")

    def test_an_edit_while_the_data_set_is_loaded_is_not_taken_for_what_was_imported(self) -> None:
        method, data = Path(write("mine.py", METHOD, SCALE="1")), Path(write("few.py", DATA))
        data.write_text(data.read_text().replace("data = Digits()", f"EDIT({str(method)!r}); data = Digits()") + EDIT)
        begun_with = closure([method]).digest
        plugins = (method, data)
        (job,) = resolve(Request(methods=("mine",), arch="smallcnn", dataset="few", device="cpu", plugins=plugins))
        assert closure([method]).digest != begun_with
        assert job.specs[0].code["method"] == begun_with
        with pytest.raises(PluginError, match=r"the code of the method 'mine' is not the one that .* was begun with"):
            method_of(job.specs[0], plugins)

    def test_two_files_of_one_name_are_two_methods(self, harness: Harness) -> None:
        for folder, scale in (("a", "1"), ("b", "0.5")):
            Path(folder).mkdir()
            write(f"{folder}/mine.py", METHOD, SCALE=scale)
            harness(f"run mine --plugin {folder}/mine.py {RUN}")
        assert len({row["code"]["method"] for row in rows(harness)}) == 2

    def test_a_row_is_found_by_its_name_as_long_as_that_says_which(self, harness: Harness) -> None:
        harness(f"run standard {RUN}")
        write("mine.py", METHOD, SCALE="1")
        harness(f"run mine --plugin mine.py {RUN}")
        assert "mine" in harness("compare mine standard --dataset digits --db board.db")
        write("mine.py", METHOD, SCALE="0.5")
        harness(f"run mine --plugin mine.py {RUN}")
        with pytest.raises(AssertionError, match="mine was run with 2 different codes; write one of mine@"):
            harness("compare mine standard --dataset digits --db board.db")
        label = f"mine@{rows(harness)[-1]['code'].get('method', '')[:8]}"
        assert label in harness("leaderboard --dataset digits --db board.db") or label == "mine@"

    def test_an_edited_network_is_another_one_and_old_weights_are_not_put_into_it(self, harness: Harness) -> None:
        run = f"run standard --arch tiny --plugin tiny.py --epochs 1 {WHERE}"
        write("tiny.py", NETWORK, ACT="Sigmoid")
        harness(run)
        write("tiny.py", NETWORK, ACT="ReLU")
        with pytest.raises(AssertionError, match=r"the code of the network 'tiny' is not the one that .* put the old"):
            harness("evaluate 1 --plugin tiny.py --attacks fgsm --workers 1 --no-checks --db board.db")
        harness(run)
        first, second = rows(harness)
        assert first["code"]["network"] != second["code"]["network"]
        assert first["train_seeds"] == second["train_seeds"] == 1

    def test_an_edited_wrapper_and_an_edited_data_set_are_trained_anew(self, harness: Harness) -> None:
        files = " ".join(f"--plugin {name}" for name in (write("half.py", WRAPPER, TIMES="1"), write("few.py", DATA)))
        run = f"run standard --wrap half {files} {RUN.replace('digits', 'few')}"
        harness(run)
        write("half.py", WRAPPER, TIMES="0.5")
        harness(run)
        write("few.py", DATA + "# edited\n")
        harness(run)
        runs = Store.read("board.db").runs()
        assert [sorted(run.code) for run in runs] == [["dataset", "wrapper half"]] * 3
        assert len({run.code["wrapper half"] for run in runs}) == len({run.code["dataset"] for run in runs}) == 2

    def test_an_edited_attack_attacks_again_on_a_board_of_its_own(self, harness: Harness) -> None:
        run = f"run standard --plugin push.py {RUN.replace('natural,pgd', 'natural,push')}"
        write("push.py", ATTACK, PUSHED="x")
        harness(run)
        write("push.py", ATTACK, PUSHED="1 - x")
        harness(run)
        first, second = rows(harness)
        assert first["runs"] == second["runs"] == [1]
        assert first["protocol_fingerprint"] != second["protocol_fingerprint"]
        assert first["metrics"]["push"]["median"] == first["metrics"]["natural"]["median"]
        assert second["metrics"]["push"]["median"] < first["metrics"]["push"]["median"]

    def test_a_stopped_training_does_not_go_on_with_other_code(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run = f"run mine --plugin mine.py {RUN.replace('--epochs 1', '--epochs 3')}"
        write("mine.py", METHOD, SCALE="1")
        keep = Trainer._keep

        def stopped(trainer: Trainer, state: Any, record: Any, report: Any) -> None:
            keep(trainer, state, record, report)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_keep", stopped)
            with pytest.raises(AssertionError):
                harness(run)
        write("mine.py", METHOD, SCALE="2")
        with pytest.raises(AssertionError, match="stopped after epoch 1 of 3, and the code of its method has changed"):
            harness(run)
        assert len(Store.read("board.db").runs()) == 1
        harness(f"{run} --fresh")
        assert [run.status for run in Store.read("board.db").runs()] == ["running", "done"]
        write("mine.py", METHOD, SCALE="1")
        harness(run)  # what was put back goes on
        assert [run.status for run in Store.read("board.db").runs()] == ["done", "done"]

    def test_show_says_which_code_and_whether_todays_differs(self, harness: Harness) -> None:
        write("mine.py", METHOD, SCALE="1")
        harness(f"run mine --plugin mine.py {RUN}")
        digest = rows(harness)[0]["code"]["method"]
        told = harness("show 1 --db board.db")
        assert f"method mine: {digest[:12]}; today's is the same: {Path('mine.py').resolve()}" in told
        assert "network smallcnn: as shipped with harness" in told
        write("mine.py", METHOD, SCALE="2")
        assert f"today's differs in {Path('mine.py').resolve()}" in harness("show 1 --db board.db")
        Path("mine.py").unlink()
        assert f"not on this disk: {Path('mine.py').resolve()}" in harness("show 1 --db board.db")

    def test_what_ships_has_no_code_in_its_identity(self, harness: Harness) -> None:
        harness(f"run standard {RUN}")
        (row,) = rows(harness)
        assert row["code"] == {}
        assert Store.read("board.db").run(1).code == {}


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
            connection.execute("UPDATE blocks SET verdicts = ? WHERE start = ?", (flipped, start))
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
    harness: Harness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = f"run standard {RUN.replace(' --no-checks', '')}"
    harness(run)
    for file in Path("runs").rglob("*.safetensors"):
        file.unlink()
    assert Store.read("board.db").run(1).checkpoints[-1].examinations
    monkeypatch.setattr("harness.assessment.EDITION", 99)
    monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(run)])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0
    assert "1 checkpoint(s) could not be examined by the newest checks, since their weights are not here" in err
    assert "standard" in out
    with pytest.raises(AssertionError, match="cannot be read"):  # an attack needs them
        harness(run.replace("natural,pgd", "natural,pgd,fgsm"))
