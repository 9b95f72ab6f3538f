"""``harness site`` and ``harness serve``, through the entry point: what they write, and what they refuse."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Ends, Harness, Refused
from tests.first_board import FIRST_BOARD

ROOT = Path(__file__).parents[2]


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_it_writes_a_site_beside_whose_page_lies_the_json(harness: Harness, ends: Ends, elsewhere: Path) -> None:
    published = FIRST_BOARD
    before = published.read_bytes()
    code, out, err = ends(f"site --out made/page --db {published}")
    assert (code, out) == (0, "")
    assert err.startswith("wrote made/page/index.html and its files, ")
    page = elsewhere / "made" / "page"
    assert {"index.html", "run.html", "method.html", "compare.html", "static", "data"} <= set(everything(page))
    printed = harness(f"leaderboard --format json --db {published}")
    assert json.loads((page / "leaderboard.json").read_text()) == json.loads(printed)
    assert published.read_bytes() == before
    assert everything(elsewhere)[:2] == ["made", "made/page"]


def test_without_a_database_the_page_says_what_to_type(harness: Harness, elsewhere: Path) -> None:
    harness("site")
    page = (elsewhere / "site" / "index.html").read_text()
    assert "harness run sat trades --dataset digits --arch smallcnn" in page
    assert [path.name for path in elsewhere.iterdir()] == ["site"]  # and no database was made


def test_a_folder_with_other_files_is_refused(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "thesis").mkdir()
    (elsewhere / "thesis" / "main.tex").write_text("mine")
    assert "it has main.tex, which harness did not write; name an empty folder" in refusal("site --out thesis")
    assert everything(elsewhere) == ["thesis", "thesis/main.tex"]


def test_a_place_that_cannot_be_written_is_refused(refusal: Refused, elsewhere: Path) -> None:
    (elsewhere / "file").write_text("mine")
    assert "it is a file; name a folder" in refusal("site --out file")
    assert "choose another place" in refusal("site --out file/below")
    assert "cannot be written" in refusal("site --out /proc/nowhere/site")
    assert "is not a database" in refusal("site --db file")
    assert everything(elsewhere) == ["file"]


def test_an_unknown_option_is_refused(refusal: Refused) -> None:
    refusal("site --output x")


def test_a_port_in_use_is_refused(refusal: Refused) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"--port {port} of 127.0.0.1 cannot be used" in refusal(f"serve --port {port}")
    assert "--port 99999 is refused" in refusal("serve --port 99999")
    assert "is no address of this machine" in refusal("serve --host no.such.host.invalid --port 0")


@pytest.mark.parametrize("command", ["site --db other.db", "serve --port 0 --db other.db"])
def test_a_database_of_another_program_is_refused(refusal: Refused, elsewhere: Path, command: str) -> None:
    import sqlite3

    connection = sqlite3.connect(elsewhere / "other.db")
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert "is a database of another program" in refusal(command)
    assert everything(elsewhere) == ["other.db"]


def test_serve_ends_quietly_on_ctrl_c(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.site.server import SiteServer

    def interrupted(_: SiteServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(SiteServer, "serve_forever", interrupted)
    code, out, err = ends("serve --port 0")
    assert (code, out) == (0, "")
    assert err.startswith("http://127.0.0.1:")
    assert err.endswith("/ shows the leaderboard; Ctrl-C ends it\n")
    assert "whoever reaches this machine" in ends("serve --port 0 --host 0.0.0.0")[2]
