"""The settings of every registered plugin."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import typing
from typing import Annotated, Any, cast

import pytest
from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Interval, Lt

from harness.errors import SettingError
from harness.plugin.settings import LATER, Plugin, SettingInfo, Settings
from harness.protocols.protocol import load_protocol
from harness.registry.catalogue import KINDS, discover

PLUGINS = {f"{kind}-{name}": found.cls for kind in KINDS for name, found in discover(kind).found.items()}


def required(cls: type[Settings]) -> dict[str, Any]:
    return {info.name: "somewhere" for info in cls.describe() if info.required}


def notes_on(cls: type[Settings], name: str) -> tuple[Any, ...]:
    return typing.get_args(typing.get_type_hints(cls, include_extras=True)[name])


def others(info: SettingInfo) -> list[Any]:
    """Other values of a field than its default; the first that all of the settings' rules allow is taken."""
    if " | " in info.type:
        return [option for option in info.type.split(" | ") if option != str(info.default)]
    value = info.default
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1, value - 2]
    if isinstance(value, float):
        return [value / 2, value + 0.25]
    return [f"{value}x", re.sub(r"\d+$", lambda found: str(int(found[0]) + 1), str(value))]


def departing(cls: type[Settings], info: SettingInfo) -> Settings:
    """The settings with another value of one; if no value is allowed alone, beside another value of one other."""
    beside = [{other.name: value} for other in cls.describe() if not other.required for value in others(other)]
    for rest in ({}, *(one for one in beside if info.name not in one)):
        for value in [value for value in others(info) if value != info.default]:
            try:
                return cls.from_mapping(required(cls) | rest | {info.name: value})
            except SettingError:
                continue
    raise AssertionError(f"no other value of {info.name} is allowed")


@pytest.mark.parametrize("cls", PLUGINS.values(), ids=PLUGINS)
def test_every_plugin_comes_back_from_json_and_from_text(cls: type[Plugin]) -> None:
    variants: list[Settings] = [cls.from_mapping(required(cls))]
    assert variants[0].departures() == {}
    for info in cls.describe():
        if not info.required:
            variant = departing(cls, info)
            assert info.name in variant.departures()
            assert len(variant.departures()) <= 2
            variants.append(variant)
    for plugin in variants:
        resolved = plugin.resolved()
        later = {info.name for info in cls.describe() if LATER in notes_on(cls, info.name)}
        shown = [info.name for info in cls.describe() if info.name not in later or info.name in plugin.departures()]
        assert list(resolved) == shown
        assert cls.from_mapping(json.loads(json.dumps(resolved))) == plugin
        assert cls.from_mapping({key: str(value) for key, value in resolved.items()}) == plugin


@pytest.mark.parametrize("cls", PLUGINS.values(), ids=PLUGINS)
def test_every_plugin_says_what_it_is_and_what_each_setting_means(cls: type[Plugin]) -> None:
    assert cls.summary()
    assert [info.name for info in cls.describe() if not info.meaning] == []


def ranged_floats(cls: type[Settings]) -> list[str]:
    hints = typing.get_type_hints(cls, include_extras=True)
    notes = {name: typing.get_args(hint)[1:] for name, hint in hints.items() if typing.get_args(hint)[:1] == (float,)}
    return [
        name
        for name, bounds in notes.items()
        if any(isinstance(bound, (BaseMetadata, GroupedMetadata)) for bound in bounds)
    ]


PAPER = load_protocol("paper")


RANGED: dict[str, Settings] = {
    **{"train": PAPER.train, "evaluation": PAPER.evaluation, "threat": PAPER.train.threat(PAPER.epsilon)},
    **{name: cls() for name, cls in PLUGINS.items() if ranged_floats(cls)},
}


@pytest.mark.parametrize("settings", RANGED.values(), ids=RANGED)
def test_nan_is_refused_wherever_a_range_is_declared(settings: Settings) -> None:
    names = ranged_floats(type(settings))
    assert names
    for name in names:
        for nan in (math.nan, "nan"):
            with pytest.raises(SettingError, match=f"{name}=nan is refused"):
                type(settings).from_mapping(settings.resolved() | {name: nan})


@pytest.mark.parametrize("bound", [Gt(0), Ge(0), Lt(1), Interval(ge=0, le=1)], ids=str)
@pytest.mark.parametrize("value", [math.nan, "nan", "-nan", "NaN"], ids=repr)
def test_nan_lies_in_no_range(bound: BaseMetadata, value: object) -> None:
    hint: Any = Annotated[float, bound]
    made = dataclasses.make_dataclass("Ranged", [("value", hint)], bases=(Settings,), frozen=True, kw_only=True)
    cls = cast(type[Settings], made)
    with pytest.raises(SettingError, match="is refused"):
        cls.from_mapping({"value": value})
