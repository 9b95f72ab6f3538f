"""Models from elsewhere that break after they were opened: one line, exit code 2, and what was done is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from harness.rigour.trajectory import Guarded
from harness.runtime.isolation import Isolation
from tests.cli.conftest import Ends
from tests.cli.model_file import evaluation, kept, log, write
from tests.cli.sources import ATTACK
from tests.command import exit_code

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
def test_what_breaks_in_an_attack_is_one_line_and_what_was_done_is_kept(case: str, ends: Ends) -> None:
    parts, told = LATE[case]
    write(**parts)
    code, out, err = ends(evaluation())
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


@pytest.mark.slow
def test_in_the_checks_and_in_another_process(ends: Ends) -> None:
    write(forward="if self.passes > 5: raise ValueError('late')")
    code, out, err = ends(evaluation("--workers 2"))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("harness: net.py:Net raised an exception in a pass of ")
    assert "during the checks of rigour" in err.splitlines()[-1] or "during pgd" in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("part", ["forward", "backward"])
@pytest.mark.parametrize("deed", ["raise ValueError('late')", "sys.exit(0)"])
def test_what_breaks_when_it_is_asked_again_is_refused_and_nothing_is_written(part: str, deed: str, ends: Ends) -> None:
    passes = "self.passes > 3" if part == "forward" else "self.backward_passes > 1"
    write(**{part: f"if {passes}: {deed}"})
    before = set(Path().iterdir())
    code, out, err = ends(evaluation())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("harness: net.py:Net raised an exception in a ")
    assert "on noise and ramps in [0, 1]" in err
    assert set(Path().iterdir()) == before


def test_the_users_interrupt_is_none_of_the_models_faults(ends: Ends) -> None:
    write(forward="if self.passes > 5: raise KeyboardInterrupt")
    code, _, err = ends(evaluation())
    assert code == 130
    assert "what was done is kept" in err
    assert kept() == {"natural": 2, "pgd": 0}


class TestABugOfOursKeepsItsTraceback:
    def test_in_an_attack(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr("harness.attacks.pgd.CrossEntropy.__call__", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bug()

    def test_in_a_hook_of_the_backward_pass(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr(Isolation, "enter", entering_breaks)
        with pytest.raises(ZeroDivisionError):
            bug()
        assert kept() == {"natural": 2, "pgd": 0}

    def test_in_a_function_of_the_checks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        write()
        monkeypatch.setattr(Guarded, "forward", guarded_breaks)
        with pytest.raises(ZeroDivisionError):
            bug("--workers 1")


def bug(options: str = "--no-checks --workers 1") -> None:
    exit_code(f"harness {evaluation(options)}")


_enter = Isolation.enter


def entering_breaks(self: Isolation, *, backward: bool = False) -> None:
    if backward:
        raise ZeroDivisionError
    _enter(self, backward=backward)


def guarded_breaks(self: Guarded, x: Tensor) -> Tensor:
    raise ZeroDivisionError


def test_an_attack_that_breaks_in_a_backward_pass_of_its_own_is_named(ends: Ends) -> None:
    write()
    own = "torch.autograd.grad(Own.apply(z := x.clone().requires_grad_()).sum(), z)[0][:, 5:6]"
    head = (
        "import torch\n\nclass Own(torch.autograd.Function):\n"
        "    @staticmethod\n    def forward(context, x):\n        return x.clone()\n"
        "    @staticmethod\n    def backward(context, gradient):\n        raise ValueError('mine')\n"
    )
    Path("push.py").write_text(head + ATTACK.replace("PUSHED", own))
    code, _, err = ends(evaluation("--plugin push.py --attacks push --no-checks --workers 1"))
    assert code == 2
    assert "attack 'push' (" in err
    assert "it raised ValueError: mine" in err
