"""Hands a command to a Ray cluster as a job: it works there after the terminal is closed."""

from __future__ import annotations

import os
import shlex
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, SettingError, one_line
from harness.execution.executors.cluster.connection import answering, find_ray
from harness.locations import without_secrets_in

_PASSED_ON = ("HARNESS_", "OMP_NUM_THREADS")  # variables that change what a command does
_BEGIN_S = 30.0
_AGENT_S = 60.0
_LOOK_S = 0.5
_ANSWER_S = 10.0


def submitted(words: Sequence[str], address: str | None) -> str:
    """Have the cluster run ``harness`` with these words, in this folder, on its head's machine.

    Args:
        address: as ``--ray-address``; ``http://HOST:PORT`` of the cluster's dashboard, too.
    Returns:
        The job's name.
    Raises:
        SettingError: Ray with its dashboard is not installed; or a word or a variable has a secret, which the cluster
            would show to all its users.
        HarnessError: no dashboard answers, or the job ended at once.
    """
    find_ray()
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None or not address.startswith("http"):
        address = answering(address)
        if address is None:
            raise HarnessError(
                "--detach: no Ray cluster runs on this machine; start one with `ray start --head`, or name HOST:PORT of"
                " another with --ray-address"
            )
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PASSED_ON)}
    for text in (*words, *variables.values()):
        if without_secrets_in(text) != text:
            raise SettingError(
                f"--detach is refused: {without_secrets_in(text)} may have a secret, and a cluster shows the command of"
                " a job to everybody; name the database without user and password, and set PGUSER and PGPASSWORD (or"
                " ~/.pgpass) on the cluster's head"
            )
    try:
        from ray.job_submission import JobSubmissionClient

        if address.startswith("http"):
            _refuse_silent(address)
        client: Any = JobSubmissionClient(address)
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = shlex.join(["exec", "env", *settings, sys.executable, "-m", "harness", *words])
        own = '--ray-address "$RAY_ADDRESS"'  # which Ray sets in a job, whatever the project's configuration says
        job = _handed_over(client, f"cd {shlex.quote(str(Path.cwd()))} && {command} {own}")
    except (ImportError, ConnectionError, RuntimeError, ValueError) as error:
        raise HarnessError(
            f"--detach: no dashboard of a Ray cluster answers ({one_line(error)}); start the cluster with `ray start"
            " --head`, with ray[default] installed, or name http://HOST:8265 of its head with --ray-address"
        ) from None
    _refuse_failed(client, job)
    return job


def _handed_over(client: Any, entrypoint: str) -> str:
    """Submit a job, and again while the cluster, which began just now, has no agent yet that takes one."""
    end = time.monotonic() + _AGENT_S
    while True:
        try:
            return str(client.submit_job(entrypoint=entrypoint))
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() >= end:
                raise
        time.sleep(_LOOK_S)


def _refuse_silent(address: str) -> None:
    """Raise ConnectionError if nothing answers at a dashboard's address in time: Ray would wait for ever."""
    try:
        urllib.request.urlopen(f"{address.rstrip('/')}/api/version", timeout=_ANSWER_S).close()
    except urllib.error.HTTPError:
        return  # Ray says what is wrong
    except (OSError, HTTPException, ValueError) as error:
        raise ConnectionError(f"{address} was given {_ANSWER_S:g} s: {one_line(error)}") from None


def _refuse_failed(client: Any, job: str) -> None:
    """Wait until the job works, so that what stops it from beginning is told here."""
    end = time.monotonic() + _BEGIN_S
    while (state := str(client.get_job_status(job).value)) == "PENDING" and time.monotonic() < end:
        time.sleep(_LOOK_S)
    if state == "FAILED":
        said = str(client.get_job_logs(job)).strip().splitlines()
        reason = said[-1] if said else one_line(HarnessError(str(client.get_job_info(job).message)))
        raise HarnessError(f"the job {job} ended at once: {reason}")
