"""Attacks whose figures could not be had again: refused in one line, before anything is trained or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ends, Harness
from tests.cli.sources import ATTACK, RUN, WHERE, rows

HEAD = "import itertools, numpy, torch\nCALLS = itertools.count()\n"
NO_SEED = "seeded: ClassVar[bool] = False"
DARKER = "(x - threat.epsilon * {}).clamp(0, 1)"
BROKEN = {
    "draws from the system": ("numpy.random.default_rng().random()", "a second call with an equal generator gave"),
    "counts its calls": ("(next(CALLS) % 2)", "a second call with an equal generator gave"),
    "draws what it says not to": ("torch.rand(len(x), 1, 1, 1, generator=generator)", "say seeded = True"),
    "draws from a global generator": ("float(numpy.random.rand())", "say seeded = True"),
}
COMMAND = f"run sat --plugin push.py {RUN} --set evaluation.attacks=natural,push"


def write(part: str, *, seeded: bool = False) -> None:
    text = HEAD + ATTACK.replace("PUSHED", DARKER.format(part))
    Path("push.py").write_text(text.replace(NO_SEED, NO_SEED.replace("False", str(seeded))))


@pytest.mark.parametrize(("part", "words"), BROKEN.values(), ids=BROKEN)
def test_it_is_refused_before_anything_is_written(part: str, words: str, fails: Ends) -> None:
    write(part)
    Path("net.py").write_text("from torch import nn\ndef make(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))")
    before = set(Path().iterdir())
    for command in (COMMAND, f"evaluate net.py:make --plugin push.py --attacks push {WHERE}"):
        code, out, err = fails(command)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"harness: attack 'push' ({Path('push.py').resolve()})")
        assert words in err
    assert set(Path().iterdir()) - {Path("__pycache__")} == before


@pytest.mark.parametrize("part", ["torch.rand(len(x), 1, 1, 1, generator=generator)", "float(numpy.random.rand())"])
def test_one_that_draws_and_says_so_is_evaluated(part: str, harness: Harness) -> None:
    write(part, seeded=True)
    harness(COMMAND)
    (row,) = rows(harness)
    assert row["metrics"]["push"] is not None


def test_one_that_takes_no_other_images_is_tried_by_its_evaluation(harness: Harness) -> None:
    write("torch.ones(1, 1, 8, 8) + 0 * x.view(-1, 1, 8, 8)")
    harness(COMMAND)
    (row,) = rows(harness)
    assert row["metrics"]["push"] is not None
