"""Settings: what a text says, what is refused and how, and what a reader is told."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Interval
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Doc

from harness.errors import HarnessError, SettingError
from harness.plugin.settings import SettingInfo, Settings


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    """Every kind of field that harness uses."""

    radius: Annotated[float, Interval(ge=0, le=1), Doc("how far")]
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


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("radius", -0.1, "it should be greater than or equal to 0"),
        ("radius", "high", "it should be a valid number"),
        ("radius", "1/0", "it should be a valid number"),
        ("radius", None, "it should be a valid number"),
        ("radius", [0.1], "it should be a valid number"),
        ("radius", True, "it should be a number, and not true or false"),
        ("steps", True, "it should be a number, and not true or false"),
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


def test_describe_gives_name_type_default_and_meaning() -> None:
    assert Example.describe() == (
        SettingInfo("radius", "float", dataclasses.MISSING, "how far"),
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
