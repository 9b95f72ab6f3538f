"""``harness config``: what the environment and the project's configuration say, and which of them holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.cli.config_file import Table, said_of, without_secrets
from harness.cli.console import print_json, print_line, print_parts
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON
from harness.cli.sources import given
from harness.locations import shown_location
from harness.planning.configuration import FILE
from harness.planning.places import PLACES, PLUGINS, ConfiguredPlaces
from harness.registry.catalogue import PLUGIN_FOLDER_VARIABLE

if TYPE_CHECKING:
    from rich.console import RenderableType

DEFAULT = "default"


@dataclass(frozen=True)
class ShownSetting:
    """A setting in force.

    Attributes:
        command: whose option it is; None: a place, the same for all commands.
        origin: the file, the variable, or ``default``.
        overruled: what the file says, if a variable holds.
    """

    command: str | None
    key: str
    value: Any
    origin: str
    overruled: str | None = None


@grouped
def config(*, as_json: bool = AS_JSON) -> None:
    """Show the project's configuration: each place and each default of an option, and where it comes from."""
    defaults = given().defaults
    file = defaults.configuration.file
    entries = [*_places(defaults.places, str(file)), *_options(defaults.tables, str(file))]
    if as_json:
        print_json({"file": None if file is None else str(file), "settings": list(map(asdict, entries))})
        return
    print_line(f"configuration: {file or f'none; there is no {FILE} here or in a folder above'}")
    print_parts([_table(entries)])


def _places(places: ConfiguredPlaces, file: str) -> Iterator[ShownSetting]:
    for place in PLACES:
        variable, told = (
            shown_location(text) if text else text
            for text in (os.environ.get(place.variable), places.paths.get(place.key))
        )
        if variable:
            yield ShownSetting(None, place.key, variable, place.variable, told)
        else:
            yield ShownSetting(None, place.key, told or place.default, file if told else DEFAULT)
    folder = os.environ.get(PLUGIN_FOLDER_VARIABLE)
    if folder:
        yield ShownSetting(None, PLUGINS, [folder], PLUGIN_FOLDER_VARIABLE)
    if places.plugins or not folder:  # those of the variable and of the file count together
        yield ShownSetting(None, PLUGINS, list(map(str, places.plugins)), file if places.plugins else DEFAULT)


def _options(tables: Mapping[tuple[str, ...], Table], file: str) -> Iterator[ShownSetting]:
    for words, table in tables.items():
        yield from (ShownSetting(" ".join(words), key, without_secrets(value), file) for key, value in table.values())


def _table(entries: Iterable[ShownSetting]) -> RenderableType:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    grid = Grid(box=box.SIMPLE_HEAD)
    for name in ("command", "setting", "value", "from"):
        grid.add_column(name, overflow="fold")
    for entry in entries:
        instead = "" if entry.overruled is None else f" (the file says {entry.overruled})"
        grid.add_row(*map(Text, (entry.command or "", entry.key, said_of(entry.value), f"{entry.origin}{instead}")))
    return grid
