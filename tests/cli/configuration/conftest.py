"""What ``harness run`` asks the engine for, which is not called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.api import running
from harness.errors import HarnessError
from harness.planning.request import RunRequest
from tests.cli.conftest import Ends

Asked = Callable[[str], RunRequest]


@pytest.fixture
def asked(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Runs a command as far as its request."""
    seen: list[RunRequest] = []

    def plan(request: RunRequest, *_: Any, **__: Any) -> Any:
        seen.append(request)
        raise HarnessError("seen")

    monkeypatch.setattr(running, "plan_runs", plan)

    def call(command: str) -> RunRequest:
        code, _, err = ends(command)
        assert (code, "harness: seen" in err) == (2, True), err
        return seen.pop()

    return call
