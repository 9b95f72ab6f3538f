"""``harness site``: the leaderboard as a web page in a folder."""

from __future__ import annotations

from pathlib import Path

from harness.cli.console import print_line
from harness.cli.grouped import grouped
from harness.cli.options import DB, of_output
from harness.cli.stores import there


@grouped
def site(
    *,
    out: Path = of_output(
        "--out DIR", "The folder to write the site into; an older site there is replaced.", Path("site")
    ),
    db: str | None = DB,
) -> None:
    """Write the leaderboard as a web page that opens from a file or from any web host."""
    from datetime import UTC, datetime

    from harness.site.pages import make_site
    from harness.site.snapshot import Snapshot
    from harness.site.writing import check_place, write_site
    from harness.store.database import locate, shown

    check_place(out)
    store = Snapshot.of(there(db))
    made = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    files = make_site(store, database=Path(shown(locate(db))).name, made=made)
    store.close()
    write_site(out, files)
    megabytes = sum(len(content) for content in files.values()) / 1e6
    print_line(f"wrote {out / 'index.html'} and its files, {megabytes:.1f} MB; open it in a browser", error=True)
