"""Requests on the digits, resolved or refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.planning.request import RunRequest
from harness.planning.run_job import RunJob, resolve_run

DIGITS = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", eval_every=0)


def jobs(**changes: Any) -> list[RunJob]:
    return resolve_run(dataclasses.replace(DIGITS, **changes))


def job(*values: str, **changes: Any) -> RunJob:
    (only,) = jobs(values=values, **changes)
    return only


def refusal(kind: type[HarnessError], **changes: Any) -> str:
    with pytest.raises(kind) as caught:
        jobs(**changes)
    message = str(caught.value)
    assert "\n" not in message
    return message
