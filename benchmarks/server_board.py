"""Measure the leaderboard of 10,000 runs, made anew from a file of SQLite and from a PostgreSQL server, in turn.

The server has the same rows: they are put there as `harness db copy` does it. It runs on this machine, so no network is
in its time.

Expected before measuring: PostgreSQL takes 1.3 times as long, since its values come through a socket, and its JSON is
decoded row by row.

    OMP_NUM_THREADS=1 python -m benchmarks.server_board      # about 3 minutes
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import RESULTS, compared, machine, merge, middle, surroundings
from benchmarks.scale import HERE, STORES, run_command
from benchmarks.scale_store import make_store
from harness.store.copying import copy_database
from tests import postgres

STORE = "10,000 runs of 4 evaluations"
COMMANDS = (("leaderboard",), ("leaderboard", "--format", "json"))
BASE = "SQLite"
SETTINGS = ("max_connections=20", "logging_collector=off", "log_min_messages=fatal")


def copied(file: Path, server: postgres.Server) -> str:
    """The address of a copy of the database on the server.

    The command would go on to check the copy, and find that the identities of made-up runs are made up.
    """
    address = server.url(server.create())
    copy_database(str(file), address)
    return address


def measured(arguments: tuple[str, ...], places: dict[str, str], rounds: int) -> dict[str, Any]:
    """A command on each database in turn; the ratios are of wall times, since the server works in other processes."""
    held: dict[str, list[dict[str, float]]] = {name: [] for name in places}
    for number in range(rounds):
        for name in (*places,)[:: 1 if number % 2 else -1]:
            held[name].append(run_command(HERE, arguments, places[name]))
    texts = {one["text_bytes"] for each in held.values() for one in each}
    if len(texts) != 1:
        raise RuntimeError(f"the databases gave texts of different lengths: {texts}")
    parts = {name: {key: middle([one[key] for one in each]) for key in each[0]} for name, each in held.items()}
    return {"sides": parts, **compared({name: [one["wall_s"] for one in each] for name, each in held.items()}, BASE)}


def main() -> None:
    """Make both databases, measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    with postgres.running(SETTINGS) as server, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "store.db"
        make_store(file, *STORES[STORE])
        places = {BASE: str(file), "PostgreSQL": copied(file, server)}
        (version,) = server.execute("postgres", "SHOW server_version")[0]
        for arguments in COMMANDS:
            entry = measured(arguments, places, asked.rounds)
            head = machine(torch.device("cpu"), "sqlalchemy", "psycopg")
            head["versions"]["PostgreSQL"] = str(version).split()[0]
            title = f"{' '.join(arguments)}: {STORE}"
            merge(RESULTS / "server_board-cpu.json", {}, {title: {**head, **surroundings(), **entry}})
            for name, side in entry["sides"].items():
                print(f"{title}, {name}: {side['wall_s']['median']:.2f} s", flush=True)


if __name__ == "__main__":
    main()
