"""``--detach``: a command that was checked here is handed to a Ray cluster, which does the work."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from harness.api.workplace import Workplace
from harness.cli.console import print_json, print_line
from harness.cli.options import Output
from harness.execution.executors.cluster.job import submitted
from harness.planning.missing import Missing

_OF_THIS_COMMAND = ("--detach",)
_WITH_A_VALUE = ("--ray-address",)  # a job is on its cluster


def hand_over(missing: Missing, place: Workplace, output: Output) -> None:
    """Hand the command line of this process to the cluster, and say how to follow it.

    Raises:
        HarnessError: the cluster does not take it; says why in one line.
    """
    if missing.idle:
        print_line("nothing is missing, and nothing was handed over: harness leaderboard shows the figures")
        return
    job = submitted(list(_words(sys.argv[1:])), place.ray_address)
    if output.as_json:
        print_json({"job": job})
        return
    print_line(
        f"{job} was handed to the cluster: the command works in this folder, on the machine of the cluster's head"
    )
    print_line(f"harness runs --watch follows it; ray job logs {job} shows its output, ray job stop {job} stops it")


def _words(typed: Sequence[str]) -> Iterator[str]:
    """The words of the command without those that hand it over."""
    words = iter(typed)
    for word in words:
        if word in _WITH_A_VALUE:
            next(words, None)
        elif word not in _OF_THIS_COMMAND and not word.startswith(tuple(f"{name}=" for name in _WITH_A_VALUE)):
            yield word
