"""``harness protocol``: what is asked of protocols alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion
from harness.cli.console import print_json, print_line, print_parts
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, DB, PLUGINS, Command, Group, argument
from harness.cli.stores import there

if TYPE_CHECKING:
    from harness.comparison.protocols import NamedProtocol, ProtocolDifference

app = typer.Typer(cls=Group)
_ASKED = "A name, a TOML file, or the beginning of the fingerprint of a protocol that was used."


@app.callback()
def protocol_group() -> None:
    """Compare protocols."""


@app.command(
    "diff",
    cls=Command,
    epilog="Examples:\n\n  harness protocol diff paper rice2020\n\n  harness protocol diff fastat wang2023 --json",
)
@grouped
def diff(
    first: Annotated[str, argument("FIRST", _ASKED, complete=completion.protocols)],
    second: Annotated[str, argument("SECOND", _ASKED, complete=completion.protocols)],
    plugins: list[Path] | None = PLUGINS,
    db: str | None = DB,
    as_json: bool = AS_JSON,
) -> None:
    """Say in which settings two protocols differ."""
    from harness.comparison.protocols import protocol_difference
    from harness.store.store import Store

    store = Store.read(there(db))
    try:
        found = protocol_difference(store, first, second, tuple(plugins or ()))
    finally:
        store.close()
    if as_json:
        print_json(_document(found))
        return
    if found.same:
        print_line(f"{first} and {second} are the same protocol [{found.first.fingerprint[:8]}]")
    if found.settings:
        print_parts([_table(found)])
    if found.note:
        print_line(found.note)


def _document(found: ProtocolDifference) -> dict[str, Any]:
    def side(one: NamedProtocol) -> dict[str, str]:
        return {"asked": one.asked, "name": one.protocol.name, "fingerprint": one.fingerprint}

    settings = [{"key": each.key, "first": each.first, "second": each.second} for each in found.settings]
    sides = {"first": side(found.first), "second": side(found.second)}
    return {**sides, "same": found.same, "settings": settings, "note": found.note}


def _table(found: ProtocolDifference) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("setting", overflow="fold")
    for one in (found.first, found.second):
        table.add_column(Text(f"{one.protocol.name} [{one.fingerprint[:8]}]"), overflow="fold")
    for each in found.settings:
        table.add_row(each.key, *(Text(_text(each.key, value)) for value in (each.first, each.second)))
    return table


def _text(key: str, value: Any) -> str:
    from harness.cli.setting_text import setting_text

    if isinstance(value, (tuple, list)):
        return ", ".join(setting_text(key, each) for each in value) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else setting_text(key, value)
