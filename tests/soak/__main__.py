"""Run the rows, each for its share of the time, and print what was reached: ``python -m tests.soak --minutes 20``."""

from __future__ import annotations

import argparse
import platform
import secrets
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from harness import __version__
from tests.dying.deaths import Job
from tests.dying.started import starter
from tests.soak.rows import ROWS, Bench


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="the whole time, which the rows share (20)")
    parser.add_argument("--only", default=",".join(ROWS), help="these rows alone: " + ", ".join(ROWS))
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of the random moments; printed")
    chosen = parser.parse_args(words)
    unknown = set(chosen.only.split(",")) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    return chosen


def _machine() -> str:
    parts = (f"harness {__version__}", f"Python {platform.python_version()}", f"torch {torch.__version__}")
    return ", ".join((*parts, f"SQLite {sqlite3.sqlite_version}", platform.system(), platform.machine(), "CPU"))


def _row(name: str, bench: Bench, failures: list[str]) -> str:
    """Try until the time is over; the line of the table."""
    began, good, tried, before = time.monotonic(), 0, 0, 0
    for what, attempt in ROWS[name].tries(bench):
        try:
            one, of, cut = attempt()
        except AssertionError:
            one, of, cut = 0, 1, False  # the row goes on
            print(traceback.format_exc(), flush=True)
        if one < of:
            failures.append(f"{name}: {what}, seed {bench.seed}")
            print(failures[-1], flush=True)
        good, tried, before = good + one, tried + of, before + (cut or not of)
        if bench.is_over:
            break
    beside = f"; {before} more were over before, or had no time" if before else ""
    return f"{ROWS[name].title} | {good:,} of {tried:,}{beside} | {time.monotonic() - began:.0f} s"


def main(words: Sequence[str] | None = None) -> int:
    """Run the rows; 1 if a try failed. What a failed try left stays in its folder."""
    chosen = _arguments(words)
    names = [name for name in ROWS if name in chosen.only.split(",")]
    shares = sum(ROWS[name].share for name in names)
    folder = Path(tempfile.mkdtemp(prefix="harness-soak-"))
    (folder / "notes").mkdir()
    print(f"{_machine()}; seed {chosen.seed}, {chosen.minutes:g} minutes\n", flush=True)
    failures: list[str] = []
    print("| what | reached | time |\n|---|---|---|", flush=True)
    with starter(folder / "notes") as commands:
        jobs: dict[str, Job] = {}
        for name in names:
            ends = time.monotonic() + 60 * chosen.minutes * ROWS[name].share / shares
            print(f"| {_row(name, Bench(commands, folder, chosen.seed, ends, jobs), failures)} |", flush=True)
    if failures:
        print(f"\nfailed (see {folder}):", *failures, sep="\n")
    else:
        shutil.rmtree(folder)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
