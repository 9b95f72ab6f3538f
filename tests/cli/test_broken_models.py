"""Models from elsewhere that break after they were opened: one line, exit code 2, and what was done is kept."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from torch import Tensor

from harness.cli.main import main
from harness.rigour.trajectory import Guarded
from harness.runtime.isolation import Isolation
from harness.store.store import Store
from tests.cli.sources import ATTACK

# two blocks of 7 images; PGD of 3 steps
OPTIONS = (
    "--dataset digits --limit 14 --set evaluation.block_size=7 --set evaluation.steps=3 --attacks pgd --seeds 1"
    " --db board.db --runs-dir runs"
)
MODEL = """
import os, sys
import torch
from torch import nn

class Identity(torch.autograd.Function):
    @staticmethod
    def forward(context, x, model):
        context.model = model
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient):
        context.model.backward_passes += 1
        context.model.in_backward()
        return gradient, None

def spoilt(x, now):
    powers = x.exp()
    total = powers.sum()
    if now:
        with torch.no_grad():
            powers.zero_()
    return total

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.passes, self.backward_passes = nn.Linear(64, 10), 0, 0
    def in_forward(self, x):
        FORWARD
    def in_backward(self):
        BACKWARD
    def forward(self, x):
        self.passes += 1
        self.in_forward(x)
        logits = self.layer(Identity.apply(x, self).flatten(1))
        return RETURNED
"""


def write(forward: str = "pass", backward: str = "pass", returned: str = "logits") -> None:
    text = MODEL.replace("FORWARD", forward).replace("BACKWARD", backward).replace("RETURNED", returned)
    Path("net.py").write_text(text)


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str = "--no-checks --workers 1"
) -> tuple[object, str, str]:
    """The exit code, standard output, and standard error of the evaluation of the model."""
    monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"evaluate net.py:Net {OPTIONS} {options}")])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, *capsys.readouterr()


def kept() -> dict[str, int]:
    """How many blocks of each attack the store has."""
    store = Store.read("board.db")
    (model,) = store.models()
    store.close()
    return {e.attack: len(e.blocks) for e in model.checkpoint.evaluations}


def log() -> str:
    (file,) = Path("runs").glob("*/log.txt")
    return file.read_text()


# Opening makes at most 4 forward and 2 backward passes through one instance; an attack has one of its own, whose first
# 5 are those of natural accuracy, and of fixed images before and after each of its two blocks. So what happens from the
# sixth, or from the third backward pass, on happens in the first block of PGD.
LATE = {
    "forward": ({"forward": r"if self.passes > 5: raise ValueError('no\n\x1b[31mmore ' + 400 * '!')"}, "ValueError"),
    "exit": ({"forward": "if self.passes > 5: sys.exit(0)"}, "SystemExit: 0"),
    "backward": ({"backward": "if self.backward_passes > 2: raise KeyError('late')"}, "KeyError: 'late'"),
    "exit in backward": ({"backward": "if self.backward_passes > 2: sys.exit(0)"}, "SystemExit: 0"),
    "in torch's engine": ({"returned": "logits + spoilt(x, self.passes > 5)"}, "modified by an inplace operation"),
    "a tuple": ({"returned": "(logits, x) if self.passes > 5 else logits"}, "returned a tuple for 7 images"),
    "fewer rows": ({"returned": "logits[:5] if self.passes > 5 else logits"}, "returned the shape (5, 10)"),
    "more classes": ({"returned": "logits.repeat(1, 2) if self.passes > 5 else logits"}, "returned the shape (7, 20)"),
    "elsewhere": ({"returned": "logits.to('meta') if self.passes > 5 else logits"}, "on meta for 7 images on cpu"),
}


@pytest.mark.parametrize("case", LATE)
def test_what_breaks_in_an_attack_is_one_line_and_what_was_done_is_kept(
    case: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, told = LATE[case]
    write(**parts)
    code, out, err = run(monkeypatch, capsys)
    (line,) = [line for line in err.splitlines() if line.startswith("harness: net.py")]
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == line
    assert line.startswith("harness: net.py:Net r")
    assert told in line
    assert "during pgd, seed 0, on the images 0 to 6; " in line
    assert "\x1b" not in line
    assert len(line) < 700
    assert "Traceback" not in err
    assert kept() == {"natural": 2, "pgd": 0}
    assert "Traceback" in log()


def test_in_the_checks_and_in_another_process(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(forward="if self.passes > 5: raise ValueError('late')")
    code, out, err = run(monkeypatch, capsys, "--workers 2")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("harness: net.py:Net raised an exception in a pass of ")
    assert "during the checks of rigour" in err.splitlines()[-1] or "during pgd" in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("part", ["forward", "backward"])
@pytest.mark.parametrize("deed", ["raise ValueError('late')", "sys.exit(0)"])
def test_what_breaks_when_it_is_asked_again_is_refused_and_nothing_is_written(
    part: str, deed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = "self.passes > 3" if part == "forward" else "self.backward_passes > 1"
    write(**{part: f"if {passes}: {deed}"})
    before = set(Path().iterdir())
    code, out, err = run(monkeypatch, capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("harness: net.py:Net raised an exception in a ")
    assert "on noise and ramps in [0, 1]" in err
    assert set(Path().iterdir()) == before


def test_the_users_interrupt_is_none_of_the_models_faults(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(forward="if self.passes > 5: raise KeyboardInterrupt")
    code, _, err = run(monkeypatch, capsys)
    assert code == 130
    assert "what was done is kept" in err
    assert kept() == {"natural": 2, "pgd": 0}


class TestABugOfOursKeepsItsTraceback:
    def test_in_an_attack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr("harness.attacks.pgd.CrossEntropy.__call__", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bug(monkeypatch)

    def test_in_a_hook_of_the_backward_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr(Isolation, "enter", entering_breaks)
        with pytest.raises(ZeroDivisionError):
            bug(monkeypatch)
        assert kept() == {"natural": 2, "pgd": 0}

    def test_in_a_function_of_the_checks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr(Guarded, "forward", guarded_breaks)
        with pytest.raises(ZeroDivisionError):
            bug(monkeypatch, "--workers 1")


def bug(monkeypatch: pytest.MonkeyPatch, options: str = "--no-checks --workers 1") -> None:
    monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(f"evaluate net.py:Net {OPTIONS} {options}")])
    main()


_enter = Isolation.enter


def entering_breaks(self: Isolation, *, backward: bool = False) -> None:
    if backward:
        raise ZeroDivisionError
    _enter(self, backward=backward)


def guarded_breaks(self: Guarded, x: Tensor) -> Tensor:
    raise ZeroDivisionError


def test_an_attack_that_breaks_in_a_backward_pass_of_its_own_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    own = "torch.autograd.grad(Own.apply(z := x.clone().requires_grad_()).sum(), z)[0][:, 5:6]"
    head = (
        "import torch\n\nclass Own(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(context, x):\n        return x.clone()\n"
        "    @staticmethod\n    def backward(context, gradient):\n        raise ValueError('mine')\n"
    )
    Path("push.py").write_text(head + ATTACK.replace("PUSHED", own))
    code, _, err = run(monkeypatch, capsys, "--plugin push.py --attacks push --no-checks --workers 1")
    assert code == 2
    assert "attack 'push' (" in err
    assert "it raised ValueError: mine" in err
