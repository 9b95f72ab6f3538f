"""Where settings are searched: by their annotations, or by what the class says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Lt

from harness.errors import SettingError
from harness.plugin.search import Searched, SearchList, SearchRange, search_space
from harness.plugin.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Many(Settings):
    """Settings of each kind."""

    between: Annotated[float, Interval(ge=0, lt=1)] = 0.1
    both: Annotated[float, Gt(0), Lt(2)] = 1.0
    near: Annotated[float, Gt(0), Lt(1)] = 0.0005
    small: Annotated[float, Gt(0)] = 0.005
    scale: Annotated[float, Ge(0)] = 6.0
    least: Annotated[float, Ge(2)] = 3.0
    free: float = -1.0
    at_zero: Annotated[float, Ge(0)] = 0.0
    steps: Annotated[int, Interval(gt=0, le=7)] = 3
    count: Annotated[int, Interval(ge=1, le=1000)] = 5
    images: Annotated[int, Ge(1)] = 20
    kind: Literal["a", "b"] = "b"
    flag: bool = True
    perhaps: Annotated[float, Ge(0)] | None = 1.0
    several: tuple[float, ...] = (1.0,)
    word: str = "x"


def test_each_kind_of_annotation_has_its_space() -> None:
    assert search_space(Many) == {
        "between": SearchRange(0, 0.999),
        "both": SearchRange(0.001, 1.999),
        "near": SearchRange(0.00005, 0.999),
        "small": SearchRange(0.0005, 0.05, log=True),
        "scale": SearchRange(0.6, 60.0, log=True),
        "least": SearchRange(2, 30.0, log=True),
        "steps": SearchRange(1, 7, whole=True),
        "count": SearchRange(1, 1000, log=True, whole=True),
        "images": SearchRange(2, 200, log=True, whole=True),
        "kind": SearchList(("a", "b")),
        "flag": SearchList((False, True)),
    }


@dataclass(frozen=True, kw_only=True)
class Own(Many):
    """The class says where, and leaves a setting out."""

    search: ClassVar[Mapping[str, Searched | None]] = {
        "free": SearchRange(-3, 3),
        "kind": None,
        "word": SearchList(("x", "y")),
    }


@dataclass(frozen=True, kw_only=True)
class Unknown(Many):
    """It names no setting."""

    search: ClassVar[Mapping[str, Searched | None]] = {"nothing": None}


@dataclass(frozen=True, kw_only=True)
class Outside(Many):
    """The default is not in the range."""

    search: ClassVar[Mapping[str, Searched | None]] = {"scale": SearchRange(1, 2)}


@dataclass(frozen=True, kw_only=True)
class Inheriting(Own):
    """It says one thing more, and one thing otherwise."""

    search: ClassVar[Mapping[str, Searched | None]] = {"free": SearchRange(-2, 2), "flag": None}


def test_what_a_class_inherits_is_searched_as_there() -> None:
    kept = {name: searched for name, searched in search_space(Own).items() if name != "flag"}
    assert search_space(Inheriting) == kept | {"free": SearchRange(-2, 2)}


@dataclass(frozen=True, kw_only=True)
class OtherDefaults(Own):
    """Two defaults lie outside of what its base class searches; one of the two has no bounds by its annotation."""

    free: float = 12.0
    scale: Annotated[float, Ge(0)] = math.inf
    word: str = "z"


@dataclass(frozen=True, kw_only=True)
class Unbounded(Settings):
    """A bound that is infinite bounds nothing."""

    weight: Annotated[float, Gt(0), Lt(math.inf)] = 2.0


def test_a_search_that_a_class_inherits_does_not_refuse_its_default() -> None:
    kept = {name: searched for name, searched in search_space(Own).items() if name not in ("free", "scale", "word")}
    assert search_space(OtherDefaults) == kept


def test_an_infinite_bound_is_none() -> None:
    assert search_space(Unbounded) == {"weight": SearchRange(0.2, 20.0, log=True)}


def test_a_search_that_is_no_mapping_is_refused() -> None:
    wrong = type("Wrong", (Many,), {"search": None})
    with pytest.raises(SettingError, match="search of Wrong is refused: it is no mapping"):
        search_space(wrong)


def test_what_the_class_says_goes_first_and_is_checked() -> None:
    found = search_space(Own)
    assert (found["free"], found["word"]) == (SearchRange(-3, 3), SearchList(("x", "y")))
    assert "kind" not in found
    for cls, said in ((Unknown, "nothing"), (Outside, "leaves out the default scale=6.0")):
        with pytest.raises(SettingError, match=said):
            search_space(cls)
    for low, high, log in ((1, 1, False), (0, 1, True)):
        with pytest.raises(SettingError, match="is refused: the first must be less"):
            SearchRange(low, high, log=log)


def test_a_value_keeps_four_digits_and_stays_in_its_range() -> None:
    assert SearchRange(0, 1).kept(0.123456) == 0.1235
    assert SearchRange(0.123449, 0.123451).kept(0.12345) == 0.123451
    assert SearchRange(1, 9, whole=True).kept(4) == 4
