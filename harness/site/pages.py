"""A whole site as files in memory: what ``harness site`` writes, and ``harness serve`` shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import jinja2

from harness import __version__
from harness.errors import visible
from harness.leaderboard.board import MEASURED
from harness.leaderboard.ranking import boards
from harness.leaderboard.render_json import render_json
from harness.site.boards import Document, board_tabs
from harness.site.comparisons import comparison_documents
from harness.site.methods import method_documents
from harness.site.packed import compact, joined_texts, packed_script, page_json, replaced
from harness.site.runs import run_texts
from harness.site.seeds import attempts
from harness.store.store import Store

PAGES = {"index.html": "Leaderboard", "compare.html": "Compare", "method.html": "Methods", "run.html": "Runs"}

# `file:` since some browsers take a page that was opened from a file for no origin at all, which 'self' never matches
POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' data:; connect-src {connect};"
    " base-uri 'none'; form-action 'none'"
)

Files = dict[str, bytes]


def make_site(store: Store, *, database: str, made: str, live: bool = False) -> Files:
    """Every file of the site, by its path below the site's folder.

    Args:
        database: the name of the database, for the foot of the page.
        made: when the site is made, in words.
        live: for a server: the pages ask again and again whether they have changed, which ``version.json`` tells. A
            page that is not live asks for nothing.
    """
    everything = boards(store)
    tabs = replaced(board_tabs(store, everything, attempts(store.runs(), store.states(store.runs()))))
    data = {
        "boards": page_json(_board_data(tabs)),
        "comparisons": page_json(comparison_documents(store, everything)),
        "methods": page_json(method_documents(run.method for run in store.runs())),
        "runs": joined_texts(run_texts(store)),
    }
    scripts = {f"data/{name}.js": packed_script(name, document) for name, document in data.items()}
    shared = {
        "pages": PAGES.items(),
        "version": __version__,
        "database": visible(database),  # a file's name may hold bytes that are no text
        "made": made,
        "live": "",
        "policy": POLICY.format(connect="'self'" if live else "'none'"),
        "tabs": tabs,
        "measured": any(board.source == MEASURED for board in everything),
    }
    pages = {page: _rendered(page, shared) for page in PAGES}
    versions = {}
    if live:
        versions = {page: _version(content, scripts) for page, content in pages.items()}
        pages = {page: _rendered(page, shared | {"live": version}) for page, version in versions.items()}
    return {
        **pages,
        **scripts,
        **static_files(),
        "leaderboard.json": render_json(everything).encode(),
        **({"version.json": compact(versions).encode()} if live else {}),
    }


def _version(page: bytes, scripts: Files) -> str:
    """What changes if the page, or a document that it shows, changes."""
    shown = [content for name, content in scripts.items() if name.encode() in page]
    return hashlib.sha256(b"".join([page, *shown])).hexdigest()[:16]


def _rendered(page: str, values: Mapping[str, Any]) -> bytes:
    return _environment().get_template(page).render(values, page=page).encode()


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("harness.site"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def static_files() -> Files:
    """Style, scripts, and libraries with their licences, which are the same in every site."""
    return dict(_below(resources.files("harness.site") / "static", "static"))


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _below(entry, f"{path}/{entry.name}")
        else:
            yield f"{path}/{entry.name}", entry.read_bytes()


def _board_data(tabs: Sequence[Document]) -> Document:
    """What the scripts of the board need beyond the tables: numbers to sort by and to draw, and the details of rows."""
    return {
        "tabs": [{"id": tab["id"], "boards": [board["id"] for board in tab["boards"]]} for tab in tabs],
        "boards": [_board_numbers(board) | {"tab": tab["name"]} for tab in tabs for board in tab["boards"]],
    }


def _board_numbers(board: Document) -> Document:
    columns = [column["name"] for column in board["columns"]]
    kept = ("id", "source", "title", "protocol", "axes", "ranked_by")
    return {
        **{key: board[key] for key in kept},
        "columns": columns,
        "titles": [column["title"] for column in board["columns"]],
        "sortable": ["rank", "method", *board["words"], *columns, *board["counts"]],
        "rows": [_row_numbers(board, row) for row in board["rows"]],
    }


def _row_numbers(board: Document, row: Document) -> Document:
    kept = (
        "rank",
        "rank_text",
        "name",
        "method",
        "network",
        "checkpoint",
        "figures",
        "flags",
        "about",
        "runs",
        "failed",
    )
    counts = {name: row["texts"][name] for name in board["counts"]}
    return {**counts, **{key: row[key] for key in kept}}
