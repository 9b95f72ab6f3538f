"""Methods that no seed decides: refused in one line, before anything is trained or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Ends, Harness
from tests.cli.sources import METHOD, RUN, write

UNSEEDED = ("__import__('numpy').random.default_rng().random()", "__import__('random').SystemRandom().random()")
SEEDED = ("__import__('numpy').random.rand()", "__import__('torch').rand((), generator=step.generator)")


@pytest.mark.parametrize("scale", UNSEEDED)
@pytest.mark.parametrize("wrap", ["", "--wrap awp"])
def test_it_is_refused_before_anything_is_written(scale: str, wrap: str, fails: Ends) -> None:
    file = Path(write("mine.py", METHOD, SCALE=scale)).resolve()
    before = set(Path().iterdir())
    code, out, err = fails(f"run mine {wrap} --plugin mine.py {RUN}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"harness: method 'mine' ({file}): two equal updates gave different gradients")
    assert set(Path().iterdir()) - {Path("__pycache__")} == before


@pytest.mark.parametrize("scale", SEEDED)
def test_one_that_draws_what_the_engine_seeds_is_not(scale: str, harness: Harness) -> None:
    write("mine.py", METHOD, SCALE=scale)
    assert "1 to train" in harness(f"run mine --plugin mine.py {RUN} --dry-run")
