"""What the texts of the command line mean: ``--dataset NAME:ARGUMENT`` and ``--set key=value``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from harness.errors import SettingError, UnknownName
from harness.planning.request import SHORT_FORMS, RunRequest
from harness.plugin.dataset import DataSource
from harness.plugin.settings import Plugin
from harness.protocols.protocol import Protocol
from harness.registry.catalogue import Catalogue

FOLDER_OPTIONS = ("image_size", "class_order", "channels")  # settings that only some data sets have

Place = tuple[str, str]
"""Whose a setting is ('' for the protocol and its attacks, else a plugin's name), and its name there."""


def read_dataset(catalogue: Catalogue, text: str, options: Mapping[str, Any]) -> tuple[type[Plugin], dict[str, Any]]:
    """The data set's class and settings, from ``--dataset NAME:ARGUMENT`` and the options for folders of images.

    Args:
        options: by name, of which FOLDER_OPTIONS are read; None for an option that was not given.
    """
    name, colon, argument = text.partition(":")
    cls = cast(type[DataSource], catalogue.get(name))
    if cls.argument and not argument:
        raise SettingError(f"--dataset {name} needs its {cls.argument}: write --dataset {name}:{cls.argument.upper()}")
    if colon and not cls.argument:
        raise SettingError(f"--dataset {name} takes nothing after the colon; write --dataset {name}")
    given = {option: value for option in FOLDER_OPTIONS if (value := options.get(option)) is not None}
    refused = next((option for option in given if option not in {info.name for info in cls.describe()}), None)
    if refused is not None:
        own = "a size of its own" if refused == "image_size" else "its own"
        raise SettingError(f"--{refused.replace('_', '-')} is for folders of images; {name} has {own}")
    return cls, ({cls.argument: argument} if cls.argument else {}) | given


def short_forms(request: RunRequest) -> Iterator[str]:
    """Options that are short for ``--set``, as texts for it. They come after the others, and so override these.

    These are then of the project's configuration, or of an experiment: see ``refuse_two_values``.
    """
    for name, key in SHORT_FORMS.items():
        value = getattr(request, name)
        if value is not None:
            yield f"{key}={_text(value)}"


def refuse_two_values(typed: Mapping[str, Any], forms: Mapping[str, str]) -> None:
    """Refuse a command, or a call, that sets one setting by ``--set`` and by its short form, with different values.

    Args:
        typed: what the user said, and no file, by the field of a request; ``values`` are the texts of ``--set``.
        forms: field of a short form -> the setting.
    """
    for name, key in forms.items():
        texts = [text for text in typed.get("values") or () if text.partition("=")[0] in (key, key.rpartition(".")[2])]
        if typed.get(name) is None or not texts:
            continue
        if not _same(texts[-1].partition("=")[2], _text(typed[name])):
            option = f"--{name.replace('_', '-')} {_text(typed[name])}"
            raise SettingError(f"{option} is refused: --set {texts[-1]} sets it, too; leave one out")


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _same(one: str, other: str) -> bool:
    """Whether two texts say the same: up to spaces, or as numbers, such as 1/10 and 0.1."""
    one, other = ("".join(text.split()) for text in (one, other))
    try:
        return one == other or _number(one) == _number(other)
    except (ValueError, ZeroDivisionError):
        return False


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def network_values(texts: Sequence[str]) -> dict[str, str]:
    """The settings of a weights file's network: the texts that begin with ``network.``."""
    pairs = (text.partition("=") for text in texts)
    return {key.removeprefix("network."): value for key, _, value in pairs if key.startswith("network.")}


@dataclass(frozen=True)
class SettingNames:
    """What ``key=value`` texts of a command may set.

    Attributes:
        owners: the plugins that have settings, by name.
        places: each setting's full name -> its place.
    """

    owners: tuple[str, ...]
    places: Mapping[str, Place]

    def place(self, key: str, said: str) -> Place:
        """Where a setting is.

        Args:
            key: its full name, or the part after a dot.
            said: what was typed, which a refusal names.
        Raises:
            UnknownName: there is no such setting.
            SettingError: the key could be several settings.
        """
        matches = [name for name in self.places if name == key] or [n for n in self.places if n.endswith(f".{key}")]
        if not matches:
            raise UnknownName("setting", key, self.places, short=(name.split(".")[-1] for name in self.places))
        if len(matches) > 1:
            raise SettingError(f"{said} is refused: {key} could be {' or '.join(matches)}; write one of them")
        return self.places[matches[0]]

    def read(self, text: str) -> tuple[Place, str]:
        """Where a text of ``--set`` puts a value, and the value; it raises what ``place`` raises."""
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"--set {text} is refused: write --set key=value")
        return self.place(key, f"--set {text}"), value

    def assign(self, texts: Iterable[str]) -> dict[str, dict[str, str]]:
        """The texts' values by owner, and there by the setting's name; every owner is there."""
        values: dict[str, dict[str, str]] = {"": {}, **{name: {} for name in self.owners}}
        for text in texts:
            (owner, name), value = self.read(text)
            values[owner][name] = value
        return values


def setting_names(
    texts: Sequence[str],
    owners: Mapping[str, type[Plugin]],
    protocol: Protocol,
    attacks: Catalogue,
    more_attacks: Sequence[str] = (),
) -> SettingNames:
    """What may be set.

    Args:
        texts: all that a command sets: the attacks that they ask for have settings, too.
        more_attacks: others that have.
    """
    places: dict[str, Place] = {key: ("", key) for key in protocol.setting_names()}
    for name in (*_attacks_asked_for(texts, protocol), *more_attacks):
        places |= {f"{name}.{info.name}": ("", f"{name}.{info.name}") for info in attacks.get(name).describe()}
    for name, cls in owners.items():
        ours = name in protocol.wrapper_settings  # its settings are the protocol's, and so part of its fingerprint
        places |= {
            f"{name}.{info.name}": ("", f"{name}.{info.name}") if ours else (name, info.name) for info in cls.describe()
        }
    return SettingNames(tuple(owners), places)


def _attacks_asked_for(texts: Sequence[str], protocol: Protocol) -> Sequence[str]:
    """The attacks after ``evaluation.attacks=...`` in the texts: their settings may be set, too."""
    for text in reversed(texts):  # the last one counts
        key, _, value = text.partition("=")
        if key == "evaluation.attacks":
            return [name.strip() for name in value.split(",") if name.strip()]
    return protocol.evaluation.attacks
