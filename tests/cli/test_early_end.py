"""A file that ends early is no stop by the user."""

from __future__ import annotations

import pytest

from harness.api import running
from tests.cli.conftest import Harness


def test_an_end_of_file_in_the_work_is_a_bug_with_its_traceback(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object, **__: object) -> None:
        raise EOFError

    monkeypatch.setattr(running, "plan_runs", ends)
    with pytest.raises(RuntimeError, match="ended before its content") as told:
        harness("run sat --dataset digits --arch smallcnn --dry-run")
    assert isinstance(told.value.__cause__, EOFError)
