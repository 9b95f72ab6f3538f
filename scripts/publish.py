"""Write all that leaderboard.db decides in README.md and the docs: tables and figures. `python -m scripts.publish`."""

from __future__ import annotations

from scripts import publish_figures, publish_tables


def main() -> None:
    """Write the tables, then the figure."""
    publish_tables.main()
    publish_figures.main()


if __name__ == "__main__":
    main()
