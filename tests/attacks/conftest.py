"""What the tests of the attacks share."""

from __future__ import annotations

import pyautoattack
import pytest

from tests.attacks.package import short


@pytest.fixture
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package with 5 iterations and 20 queries: its code, at a hundredth of its time."""
    monkeypatch.setattr(pyautoattack.AutoAttack, "_set_version", short)
