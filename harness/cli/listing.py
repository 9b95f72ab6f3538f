"""``harness list``: what can be chosen, its source, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.console import print_json
from harness.cli.grouped import grouped
from harness.cli.options import AS_JSON, PLUGINS, argument
from harness.cli.setting_text import setting_text
from harness.errors import UnknownName

if TYPE_CHECKING:
    from harness.registry.catalogue import Found


@grouped
def list_plugins(
    kind: Annotated[
        str,
        argument(
            "KIND", "methods, attacks, datasets, networks, wrappers, or protocols.", complete=completion.listed_kinds
        ),
    ],
    plugins: list[Path] | None = PLUGINS,
    as_json: bool = AS_JSON,
) -> None:
    """List methods, attacks, datasets, networks, wrappers, or protocols, with their sources and settings."""
    from harness.registry.catalogue import KINDS, discover

    if kind not in (*KINDS, "protocols"):
        raise UnknownName("kind", kind, (*KINDS, "protocols"))
    if kind == "protocols":
        document = {"protocols": list(protocol_documents())}
    else:
        catalogue = discover(kind, tuple(plugins or ()))
        document = {
            kind: [plugin_document(kind, found) for found in catalogue.found.values()],
            "broken": [{"name": b.name, "where": b.where, "reason": b.reason} for b in catalogue.broken],
        }
    if as_json:
        print_json(document)
    else:
        _print(document)


def plugin_document(kind: str, found: Found) -> dict[str, Any]:
    """A plugin as JSON types: where it comes from, and its settings."""
    return {
        **{"name": found.name, "summary": found.cls.summary(), "where": found.where},
        **({"kind": getattr(found.cls, "kind", None)} if kind == "attacks" else {}),
        "settings": [_setting(s.name, s.type, s.meaning, s.default) for s in found.cls.describe()],
    }


def _setting(name: str, kind: str, meaning: str, default: Any) -> dict[str, Any]:
    setting = {"name": name, "type": kind, "meaning": meaning}
    return setting if default is MISSING else setting | {"default": default}


def protocol_documents() -> Iterator[dict[str, Any]]:
    """Every protocol that ships, as JSON types."""
    from harness.planning.assessment import with_attacks
    from harness.protocols.evaluation_protocol import EvaluationProtocol
    from harness.protocols.protocol import load_protocol, protocol_names
    from harness.protocols.train_protocol import TrainProtocol
    from harness.registry.catalogue import discover

    for name in protocol_names():
        protocol, _ = with_attacks(load_protocol(name), discover("attacks"))
        document = protocol.document()
        rows = [_setting("epsilon", "float", "radius of the ball, on the [0, 1] pixel scale", protocol.epsilon)]
        for table, cls in (("train", TrainProtocol), ("evaluation", EvaluationProtocol)):
            for info in cls.describe():
                value = document[table].get(info.name, info.default)
                rows.append(_setting(f"{table}.{info.name}", info.type, info.meaning, value))
        for kind, tables in (("wrappers", protocol.wrapper_settings), ("attacks", protocol.attack_settings)):
            for plugin, values in tables.items():
                meaning = f"see `harness list {kind}`, {plugin}"
                rows += [_setting(f"{plugin}.{key}", "", meaning, value) for key, value in values.items()]
        place = {"where": f"harness/protocols/{name}.toml", "fingerprint": protocol.fingerprint}
        yield {"name": name, "summary": protocol.summary, **place, "settings": rows}


def _print(document: dict[str, list[dict[str, Any]]]) -> None:
    from rich.text import Text

    from harness.api.terminal import Terminal

    broken = document.pop("broken", [])
    for entry in (entry for entries in document.values() for entry in entries):
        print_entry(entry)
    for entry in broken:
        reason = f"{entry['name']}  cannot be used: {entry['where']}: {entry['reason']}"
        Terminal().print(Text(reason, style="red"))


def print_entry(entry: dict[str, Any]) -> None:
    """Print one plugin or protocol with its settings."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from harness.api.terminal import Terminal

    console = Terminal()
    place = ", ".join(filter(None, (entry.get("kind"), entry["where"])))
    console.print(Text(entry["name"], style="bold"), Text(f"  {entry['summary']}  [{place}]"), sep="")
    if entry["settings"]:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(no_wrap=True, min_width=max(len(setting["name"]) for setting in entry["settings"]))
        for _ in range(3):
            table.add_column(overflow="fold")
        for setting in entry["settings"]:
            name = setting["name"]
            default = _shown(setting["default"], name) if "default" in setting else "(required)"
            table.add_row(*(Text(text) for text in (name, default, setting["type"], setting["meaning"])))
        console.print(Padding(table, (0, 0, 0, 4)))


def _shown(value: Any, name: str = "") -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(_shown(item) for item in value)
    return "none" if value is None else setting_text(name, value)
