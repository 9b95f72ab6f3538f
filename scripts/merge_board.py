"""Take the results of a database that came back, such as a board's, into ``leaderboard.db``.

python -m scripts.merge_board runs/boards/two-cores/board.db

A database of an older schema is refused: ``harness db upgrade --db FILE`` upgrades it and keeps a copy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.cli.db_merge import merge_lines
from harness.errors import HarnessError
from harness.store.merging import merge_database
from harness.targets.probe import same_function

PUBLISHED = Path(__file__).resolve().parent.parent / "leaderboard.db"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; a mistake is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m scripts.merge_board", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("source", help="the database to take results from; it is only read")
    parser.add_argument("--db", default=str(PUBLISHED), help="the database to add to; by default the published one")
    given = parser.parse_args(arguments)
    try:
        merged = merge_database(given.source, given.db, same_function)
    except HarnessError as error:
        print(f"merge_board: {error}", file=sys.stderr)
        return 2
    print("\n".join(merge_lines(merged)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
