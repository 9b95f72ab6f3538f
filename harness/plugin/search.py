"""Where ``harness tune`` looks for a method's settings: ranges and lists, from their annotations or the method's own.

A method need declare nothing: a setting that is a number within two bounds is searched between them; a positive number
without an upper bound from a tenth to ten times its default, on a logarithmic scale; a truth value and a ``Literal`` in
all their values. Any other setting keeps its default. ``search`` of the class, or of a base class, says otherwise,
setting by setting; what a base class says does not count where it leaves the class's default out.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import SettingError
from harness.plugin.settings import Settings, annotations_of

FACTOR = 10  # from the default divided by it to the default times it; a tenth of the way to an open bound, too
DIGITS = 4  # of a value: rounding in a sampler's last digits must not make another run
OPEN = 1e-3  # how far from a bound that may not be taken a number is searched, unless its default is nearer
WIDE = 100  # integers whose bounds are further apart, as a ratio, are searched on a logarithmic scale


@dataclass(frozen=True)
class SearchRange:
    """Numbers between two bounds, both of which may be taken.

    Attributes:
        log: whether each factor counts as much as another, in place of each difference.
        whole: whether only integers are taken.
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise SettingError(
                f"a search from {self.low:g} to {self.high:g} is refused: the first must be less"
                + (", and above 0 for a logarithmic scale" if self.log else "")
            )

    def kept(self, value: float) -> float | int:
        """The value in DIGITS digits, within the bounds."""
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)


@dataclass(frozen=True)
class SearchList:
    """Some values, each as likely as another."""

    values: tuple[Any, ...]


Searched = SearchRange | SearchList


def search_space(cls: type[Settings]) -> dict[str, Searched]:
    """Setting -> where it is searched; settings that keep their defaults are left out.

    Raises:
        SettingError: the class's own ``search`` names no setting of it, or is no search.
    """
    said: dict[str, Searched | None] = {}
    for base in reversed(cls.__mro__):
        said |= _said_by(base)
    infos = {info.name: info for info in cls.describe()}
    for name, searched in said.items():
        if name not in infos or not isinstance(searched, SearchRange | SearchList | None):
            raise SettingError(f"search of {cls.__name__} is refused: {name} = {searched!r} is no search of a setting")
        if searched is not None and name in _said_by(cls) and not _holds(searched, infos[name].default):
            raise SettingError(
                f"search of {cls.__name__} is refused: it leaves out the default {name}={infos[name].default}"
            )
    found: dict[str, Searched] = {}
    for name, info in infos.items():
        searched = said.get(name)
        if name not in said or (searched is not None and not _holds(searched, info.default)):
            searched = _of_annotation(*annotations_of(cls)[name], info.default)
        if searched is not None:
            found[name] = searched
    return found


def _said_by(cls: type) -> Mapping[str, Searched | None]:
    said = vars(cls).get("search", {})
    if not isinstance(said, Mapping):
        raise SettingError(f"search of {cls.__name__} is refused: it is no mapping of settings to searches")
    return said


def _holds(searched: Searched, value: Any) -> bool:
    if isinstance(searched, SearchList):
        return value in searched.values
    return isinstance(value, int | float) and searched.low <= value <= searched.high


def _of_annotation(bare: Any, optional: bool, notes: tuple[Any, ...], default: Any) -> Searched | None:
    if typing.get_origin(bare) is typing.Literal:
        return SearchList(typing.get_args(bare))
    if bare is bool:
        return SearchList((False, True))
    if bare not in (int, float) or optional or isinstance(default, bool) or not isinstance(default, int | float):
        return None
    if not math.isfinite(default):
        return None
    low, high = _bounds(notes, default, whole=bare is int)
    if low is not None and high is not None:
        wide = bare is int and low > 0 and high > WIDE * low
        return SearchRange(low, high, log=wide, whole=bare is int) if low < high else None
    if high is None and low is not None and low >= 0 and default > max(low, 0):
        if bare is int:
            return SearchRange(max(low, 1, default // FACTOR), default * FACTOR, log=True, whole=True)
        least = max(low, default / FACTOR)
        return SearchRange(least, default * FACTOR, log=True)
    return None


def _bounds(notes: tuple[Any, ...], default: float, *, whole: bool) -> tuple[float | None, float | None]:
    """The narrowest bounds of the annotations; of integers, an open one is moved to the next integer."""
    lows, highs = [], []
    for note in notes:
        ge, gt, le, lt = (_finite(getattr(note, name, None)) for name in ("ge", "gt", "le", "lt"))
        lows += [ge] if ge is not None else []
        highs += [le] if le is not None else []
        lows += [gt + 1 if whole else gt + min(OPEN, (default - gt) / FACTOR)] if gt is not None else []
        highs += [lt - 1 if whole else lt - min(OPEN, (lt - default) / FACTOR)] if lt is not None else []
    return max(lows, default=None), min(highs, default=None)


def _finite(bound: float | None) -> float | None:
    """The bound; None if it is infinite, and so bounds nothing."""
    return None if bound is None or math.isinf(bound) else bound
