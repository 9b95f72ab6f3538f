"""``harness serve``: the web page of ``harness site``, live from the database."""

from __future__ import annotations

import contextlib

from harness.cli.console import print_line
from harness.cli.grouped import grouped
from harness.cli.options import DB, place
from harness.cli.sources import tell_sources

HERE = ("127.0.0.1", "::1", "localhost")


@grouped
def serve(
    *,
    port: int = place("--port N", "The port to listen at; 0 takes a free one.", 8000),
    host: str = place("--host ADDRESS", "The address to listen at; 0.0.0.0 lets other machines read it.", HERE[0]),
    db: str | None = DB,
) -> None:
    """Show the leaderboard as a web page that follows the database while runs go on; Ctrl-C ends it."""
    from harness.site.live import LiveSite
    from harness.site.server import SiteServer

    site = LiveSite(db)
    with SiteServer(site.files, host, port) as server:
        site.files()  # a database that cannot be read is refused now, and not by each page
        tell_sources()  # now, and not when the server ends
        print_line(f"{server.address} shows the leaderboard; Ctrl-C ends it", error=True)
        if host not in HERE:
            print_line("note: whoever reaches this machine can read it", error=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
