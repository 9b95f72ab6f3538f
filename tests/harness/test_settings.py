"""Settings: what texts become, what is refused and in which words, and what a reader is told of them."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import pytest
from annotated_types import BaseMetadata, Ge, GroupedMetadata, Gt, Interval, Lt
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Doc

from harness.assessment import with_attacks
from harness.attack import Attack
from harness.errors import HarnessError, SettingError
from harness.identity import digest
from harness.plugins import KINDS, discover
from harness.protocol import load_protocol
from harness.settings import LATER, Epsilon, Plugin, SettingInfo, Settings


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    """Every kind of field that harness uses."""

    radius: Epsilon
    ratio: float = 0.5
    steps: Annotated[int, Ge(1), Doc("how many")] = 10
    flip: bool = False
    label: Annotated[str, Doc("free text")] = "none"
    mode: Literal["fast", "slow"] = "fast"
    drops: tuple[Annotated[float, Interval(gt=0, le=1)], ...] = (0.6, 0.9)
    names: tuple[str, ...] = ()

    def check(self) -> None:
        if self.mode == "slow" and self.steps > 100:
            raise SettingError("mode=slow takes at most 100 steps")


def example(**values: Any) -> Example:
    return Example.from_mapping({"radius": 0.1} | values)


def refusal(**values: Any) -> str:
    with pytest.raises(HarnessError) as caught:
        example(**values)
    message = str(caught.value)
    assert "\n" not in message
    return message


# ---- from text


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("radius", "8/255", 8 / 255),
        ("radius", " 8 / 255 ", 8 / 255),
        ("radius", "0.1", 0.1),
        ("ratio", "-1/4", -0.25),
        ("ratio", "+1.5/.5", 3.0),
        ("ratio", "1e-3", 0.001),
        ("steps", "7", 7),
        ("flip", "true", True),
        ("flip", "False", False),
        ("flip", "no", False),
        ("mode", "slow", "slow"),
        ("label", "8/255", "8/255"),  # text stays text
        ("label", "a, b", "a, b"),
        ("drops", "0.5", (0.5,)),
        ("drops", "1/2, 3/4", (0.5, 0.75)),
        ("drops", "", ()),
        ("drops", "0.5,", (0.5,)),
        ("names", "natural, pgd", ("natural", "pgd")),
    ],
)
def test_a_text_becomes_the_value_that_it_says(field: str, text: str, value: object) -> None:
    found = getattr(example(**{field: text}), field)
    assert found == value
    assert type(found) is type(value)


@given(numerator=st.integers(-(10**6), 10**6), denominator=st.integers(1, 10**6))
def test_a_fraction_is_the_nearest_float_of_its_quotient(numerator: int, denominator: int) -> None:
    assert example(ratio=f"{numerator}/{denominator}").ratio == numerator / denominator


@given(value=st.floats(allow_nan=False))
def test_a_float_survives_its_own_text(value: float) -> None:
    assert example(ratio=str(value)).ratio == value


@given(drops=st.lists(st.floats(0, 1, exclude_min=True), max_size=5))
def test_a_tuple_survives_its_own_text(drops: list[float]) -> None:
    assert example(drops=",".join(map(str, drops))).drops == tuple(drops)


def test_values_of_toml_are_taken_as_they_are() -> None:
    found = example(radius=1, drops=[0.5, 1], names=["a"])
    assert (found.radius, found.drops, found.names) == (1.0, (0.5, 1.0), ("a",))
    assert type(found.radius) is float  # 1 and 1.0 have different canonical JSON, so different identities


# ---- refusals


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("radius", -0.1, "it should be greater than or equal to 0"),
        ("radius", "high", "it should be a valid number"),
        ("radius", "1/0", "it should be a valid number"),
        ("radius", None, "it should be a valid number"),
        ("radius", [0.1], "it should be a valid number"),
        ("steps", 0, "it should be greater than or equal to 1"),
        ("steps", 2.5, "it should be a valid integer"),
        ("steps", "2.5", "it should be a valid integer"),
        ("steps", "4/2", "it should be a valid integer"),
        ("flip", "maybe", "it should be a valid boolean"),
        ("flip", 2, "it should be a valid boolean"),
        ("label", 3, "it should be a valid string"),
        ("mode", "fats", "it should be 'fast' or 'slow'"),
        ("drops", "0.5,2", "it should be less than or equal to 1"),
        ("drops", "0,0.5", "it should be greater than 0"),
        ("drops", "0.5,x", "it should be a valid number"),
        ("drops", 0.5, "it should be a valid tuple"),
    ],
)
def test_a_refusal_names_the_field_the_value_and_the_rule(field: str, value: object, rule: str) -> None:
    message = refusal(**{field: value})
    assert message.startswith(f"{field}={value} is refused: ")
    assert rule in message


@pytest.mark.parametrize("text", ["1..2/3", "./2", "1/."])
def test_a_malformed_fraction_is_refused_like_any_other_text(text: str) -> None:
    assert refusal(ratio=text).startswith(f"ratio={text} is refused: ")


@pytest.mark.parametrize("value", [8, 8.0, "8"])
def test_a_length_in_units_of_255_is_told_how_to_be_written(value: object) -> None:
    expected = "it should be less than or equal to 1; pixels are in [0, 1], so write 8/255 rather than 8"
    assert refusal(radius=value) == f"radius={value} is refused: {expected}"


def test_only_a_length_on_the_pixel_scale_gets_that_advice() -> None:
    assert "/255" not in refusal(steps=-8)
    assert "/255" not in refusal(drops="8")
    assert "/255" not in refusal(radius=-8)


def test_an_unknown_key_is_refused_with_near_misses_and_all_that_is_known() -> None:
    message = refusal(step=3)
    assert message.startswith("unknown setting 'step'; did you mean 'steps'? known: ")
    assert message.endswith("known: drops, flip, label, mode, names, radius, ratio, steps")
    assert "did you mean" not in refusal(zzzzzz=3)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(SettingError, match=r"^radius must be given: Example has no default for it$"):
        Example.from_mapping({"steps": 3})


def test_a_rule_that_binds_several_fields_is_applied_to_read_values() -> None:
    assert refusal(mode="slow", steps="101") == "mode=slow takes at most 100 steps"
    assert example(mode="slow", steps="100").steps == 100


def test_the_constructor_reads_and_refuses_as_from_mapping_does() -> None:
    assert Example(radius="8/255").radius == 8 / 255  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="radius=2"):
        Example(radius=2)
    with pytest.raises(SettingError, match="radius=2"):
        dataclasses.replace(example(), radius=2)


def test_settings_cannot_be_changed_or_given_by_position() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        example().steps = 3  # type: ignore[misc]
    with pytest.raises(TypeError):
        Example(0.1)  # type: ignore[call-arg]


# ---- what a reader is told


def test_describe_gives_name_type_default_and_meaning() -> None:
    assert Example.describe() == (
        SettingInfo("radius", "float", dataclasses.MISSING, "radius of the L-infinity ball"),
        SettingInfo("ratio", "float", 0.5, ""),
        SettingInfo("steps", "int", 10, "how many"),
        SettingInfo("flip", "bool", False, ""),
        SettingInfo("label", "str", "none", "free text"),
        SettingInfo("mode", "fast | slow", "fast", ""),
        SettingInfo("drops", "float, ...", (0.6, 0.9), ""),
        SettingInfo("names", "str, ...", (), ""),
    )
    assert [info.name for info in Example.describe() if info.required] == ["radius"]


def test_departures_are_the_values_that_differ_from_their_defaults() -> None:
    assert example().departures() == {}
    assert example(ratio="1/2", drops="0.6,0.9").departures() == {}  # the defaults, written out
    assert example(radius=0.2, steps=20, drops=[0.5]).departures() == {"steps": 20, "drops": [0.5]}


def test_resolved_has_every_field_as_json_types() -> None:
    assert example(names="a,b").resolved() == {
        "radius": 0.1,
        "ratio": 0.5,
        "steps": 10,
        "flip": False,
        "label": "none",
        "mode": "fast",
        "drops": [0.6, 0.9],
        "names": ["a", "b"],
    }


# ---- optional fields, and fields that came later


@dataclass(frozen=True, kw_only=True)
class Grown(Settings):
    """A class that got its last four fields after results were kept under its first."""

    steps: int = 10
    ball: Annotated[Epsilon | None, LATER, Doc("another radius")] = None
    ratio: Annotated[float | None, LATER] = 0.5
    drops: Annotated[tuple[float, ...] | None, LATER] = None
    again: Annotated[int, LATER, Ge(1)] = 1


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("ball", "4/255", 4 / 255),
        ("ball", "0", 0.0),
        ("ball", "none", None),
        ("ball", " None ", None),
        ("ball", None, None),
        ("ratio", "-1/4", -0.25),
        ("ratio", "none", None),
        ("drops", "1/2, 0.75", (0.5, 0.75)),
        ("again", "3", 3),
    ],
)
def test_an_optional_field_reads_texts_as_others_do(field: str, text: object, value: object) -> None:
    found = getattr(Grown.from_mapping({field: text}), field)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("ball", 8, "less than or equal to 1; pixels are in [0, 1], so write 8/255 rather than 8"),
        ("ball", "8", "less than or equal to 1; pixels are in [0, 1], so write 8/255 rather than 8"),
        ("ball", -1, "greater than or equal to 0"),
        ("ball", "1/0", "a valid number, unable to parse string as a number"),
        ("again", 0, "greater than or equal to 1"),
        ("again", "none", "a valid integer, unable to parse string as an integer"),
        ("steps", None, "a valid integer"),
    ],
)
def test_an_optional_field_refuses_what_others_do(field: str, value: object, told: str) -> None:
    with pytest.raises(SettingError) as caught:
        Grown.from_mapping({field: value})
    assert str(caught.value) == f"{field}={value} is refused: it should be {told}"


def test_optional_and_later_fields_are_described_readably() -> None:
    assert Grown.describe() == (
        SettingInfo("steps", "int", 10, ""),
        SettingInfo("ball", "float or none", None, "another radius"),
        SettingInfo("ratio", "float or none", 0.5, ""),
        SettingInfo("drops", "float, ... or none", None, ""),
        SettingInfo("again", "int", 1, ""),
    )


def test_a_field_that_came_later_is_resolved_only_where_it_departs() -> None:
    assert Grown().resolved() == {"steps": 10}
    assert Grown(ratio=0.5, again=1).resolved() == {"steps": 10}  # the defaults, written out
    found = Grown(ball="4/255", ratio=None, again=2)  # type: ignore[arg-type]
    assert found.resolved() == {"steps": 10, "ball": 4 / 255, "ratio": None, "again": 2}
    assert found.departures() == {"ball": 4 / 255, "ratio": None, "again": 2}
    assert Grown.from_mapping(found.resolved()) == found
    assert Grown(ball=0.0).resolved() == {"steps": 10, "ball": 0.0}  # a radius of 0 is not none


def test_stored_results_keep_their_identities() -> None:
    """Hashes that leaderboard.db, and every user's store, were filled under."""
    digits, attacks = with_attacks(load_protocol("digits"), discover("attacks"))
    assert digits.fingerprint == "88b490a183bd751e647c3866d47edcb62fef45805826388b4fb6ca6c126c7249"
    paper, _ = with_attacks(load_protocol("paper"), discover("attacks"))
    assert paper.fingerprint == "6028c5cdd86a4903d7b26ac2f657a83d25e208f83d2437bf7991389192f6d4d2"
    threat = digits.evaluation.threat(digits.epsilon)
    settings = {name: attack.settings_under(threat) | {"block_size": 500} for name, attack in attacks.items()}
    assert {name: digest(settings[name]) for name in ("pgd", "cw", "autoattack")} == {
        "pgd": "fc17158d4acc914ee83ae97a1ff42d63e385bc76fcd8970bf5188e30e16c8d26",
        "cw": "264aa7e2e6192b29ada974d7d0d9478ecaceafca2b3d8e89c17adf97dd6da37e",
        "autoattack": "22e29dcfc41f1028c6cb441e9c2c8fee49cc164f0ef01c0ba1d6f3b99252993c",
    }
    again = cast(Attack, discover("attacks").get("pgd").from_mapping({"restarts": "2"}))
    assert digest(again.settings_under(threat)) != digest(attacks["pgd"].settings_under(threat))


# ---- every registered plugin

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
    return [value / 2, value + 0.25] if isinstance(value, float) else [f"{value}x"]


def departing(cls: type[Settings], info: SettingInfo) -> Settings:
    for value in [value for value in others(info) if value != info.default]:
        try:
            return cls.from_mapping(required(cls) | {info.name: value})
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
            assert list(variant.departures()) == [info.name]
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
