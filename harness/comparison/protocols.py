"""In what two protocols differ: shipped ones, files, or those under which the store has results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UnknownName
from harness.planning.assessment import with_attacks
from harness.protocols.protocol import Protocol, load_protocol
from harness.registry.catalogue import discover
from harness.store.store import Store

APART = ("evaluation.checkpoints",)  # settings that are not part of a fingerprint


@dataclass(frozen=True)
class NamedProtocol:
    """A protocol as it was asked for, with the settings of its plugins resolved."""

    asked: str
    protocol: Protocol
    fingerprint: str


@dataclass(frozen=True)
class ProtocolSetting:
    """A setting in which two protocols differ; None for one that has no such attack or wrapper, or no value."""

    key: str
    first: Any
    second: Any


@dataclass(frozen=True)
class ProtocolDifference:
    """In what two protocols differ.

    Attributes:
        settings: those that differ, in the order of the files. Of equal fingerprints, results under one protocol are
            results under the other.
    """

    first: NamedProtocol
    second: NamedProtocol
    settings: tuple[ProtocolSetting, ...]

    @property
    def same(self) -> bool:
        """Whether their fingerprints are equal."""
        return self.first.fingerprint == self.second.fingerprint

    @property
    def note(self) -> str:
        """What the settings do not say; empty if they say all."""
        telling = [setting for setting in self.settings if setting.key not in APART]
        if not self.same and not telling:
            return "no setting differs: an attack has another code"
        if self.same and self.settings:
            return "which checkpoints are evaluated is not part of a fingerprint"
        return ""


def protocol_difference(store: Store, first: str, second: str, plugins: Sequence[Path] = ()) -> ProtocolDifference:
    """Compare two protocols, each a name, a TOML file, or the beginning of the fingerprint of one that was used.

    Raises:
        UnknownName: there is no such protocol.
        HarnessError: a fingerprint's beginning is that of several protocols, or a file is refused.
    """
    one, other = (named_protocol(store, asked, plugins) for asked in (first, second))
    ours, theirs = whole_settings(one.protocol), whole_settings(other.protocol)
    found = [
        ProtocolSetting(key, ours.get(key), theirs.get(key))
        for key in dict.fromkeys((*ours, *theirs))
        if (key in ours, ours.get(key)) != (key in theirs, theirs.get(key))
    ]
    return ProtocolDifference(one, other, tuple(found))


def named_protocol(store: Store, asked: str, plugins: Sequence[Path] = ()) -> NamedProtocol:
    """The protocol of a name, a file, or a fingerprint's beginning; what ships goes before what was used."""
    try:
        loaded = load_protocol(asked)
    except UnknownName as unknown:
        used = store.protocols()
        alike = [record for record in used if asked and record.fingerprint.startswith(asked)]
        alike = alike or [record for record in used if record.name == asked]
        if not alike:
            raise unknown
        if len(alike) > 1:
            names = ", ".join(f"{record.name} [{record.fingerprint[:8]}]" for record in alike)
            raise HarnessError(f"{asked!r} is several protocols, {names}; write more of a fingerprint") from None
        (record,) = alike
        return NamedProtocol(asked, Protocol.from_document(record.name, record.document), record.fingerprint)
    whole, _ = with_attacks(loaded, discover("attacks", plugins), discover("wrappers", plugins))
    return NamedProtocol(asked, whole, whole.fingerprint)


def whole_settings(protocol: Protocol) -> dict[str, Any]:
    """Every setting by its dotted name, defaults included, in the order of a file.

    The radius and the norm of the evaluation are those in which it attacks, said or not. The names of the wrappers
    stand in their order.
    """
    evaluation = replace(
        protocol.evaluation, epsilon=protocol.evaluation_threat.epsilon, norm=protocol.evaluation_threat.norm
    )
    found: dict[str, Any] = {"epsilon": protocol.epsilon}
    for table, part in (("train", protocol.train), ("evaluation", evaluation)):
        found |= {f"{table}.{field.name}": getattr(part, field.name) for field in fields(part)}
    found["wrappers"] = tuple(protocol.wrapper_settings)
    kinds = (("wrappers", protocol.wrapper_settings), ("attacks", protocol.attack_settings))
    for kind, tables in kinds:
        for name, settings in tables.items():
            defaults = {info.name: info.default for info in _described(kind, name)}
            found |= {f"{name}.{key}": value for key, value in {**defaults, **settings}.items()}
    return found


def _described(kind: str, name: str) -> Sequence[Any]:
    """The settings of a plugin that is here; none of another, whose protocol was used elsewhere."""
    known = discover(kind).found.get(name)
    return [info for info in known.cls.describe() if not info.required] if known is not None else ()
