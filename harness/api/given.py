"""Python values as the requests of the command line take them: texts, tuples, paths."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.api.workplace import Workplace
from harness.errors import SettingError

Names = str | Sequence[str]
"""A name, or several."""

Paths = str | Path | Sequence[str | Path]
"""A path, or several."""


def names_of(given: Names | None) -> tuple[str, ...]:
    """A name or several as a tuple."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def attacks_of(given: Names | None) -> tuple[str, ...] | None:
    """Attacks: their names, or one text with commas as the command line takes it.

    Raises:
        SettingError: there is no name.
    """
    if given is None:
        return None
    parts = tuple(part.strip() for text in names_of(given) for part in text.split(",") if part.strip())
    if not parts:
        raise SettingError("attacks is refused: name at least one, such as attacks=['pgd', 'cw']")
    return parts


def paths_of(given: Paths) -> tuple[Path, ...]:
    """A path or several as a tuple."""
    return tuple(map(Path, [given] if isinstance(given, (str, Path)) else given))


def settings_of(given: Mapping[str, object], more: Mapping[str, object] | None = None) -> tuple[str, ...]:
    """Settings as ``--set`` takes them: ``key=value``.

    Raises:
        SettingError: a setting is given twice, or has a value that no setting has.
    """
    for key in given.keys() & (more or {}).keys():
        raise SettingError(f"{key} is given twice, in set and by itself; leave one out")
    return tuple(f"{key}={text_of(key, value)}" for key, value in {**given, **(more or {})}.items())


def grid_of(given: Mapping[str, Sequence[object]]) -> tuple[str, ...]:
    """Settings with several values each, as ``--grid`` takes them: ``key=value;value``.

    Raises:
        SettingError: a setting has no list of values, or a value that no setting has.
    """
    texts = []
    for key, values in given.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise SettingError(f"grid is refused: give {key} a list of its values, and not {values!r}")
        parts = [text_of(key, value) for value in values]
        if any(";" in part for part in parts):
            raise SettingError(f"grid is refused: a value of {key} has a semicolon, which separates values")
        texts.append(f"{key}={';'.join(parts)}" + (";" if len(parts) == 1 else ""))
    return tuple(texts)


def text_of(name: str, value: object) -> str:
    """A value as the command line takes it.

    Raises:
        SettingError: it is no number, text, truth value, None, or sequence of these; or it is a number of numpy or
            torch that was rounded to fewer digits: as a float64, the float32 of 8/255 is another radius.
    """
    kept = str(getattr(value, "dtype", "float64")).removeprefix("torch.")
    if "float" in kept and kept != "float64":
        raise SettingError(
            f"{name} is refused as {kept}, which is rounded; give a Python number or a text such as '8/255'"
        )
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(text_of(name, part) for part in value)
    if isinstance(value, (str, int)):
        return str(value)
    try:
        return repr(float(value))  # type: ignore[arg-type]  # a number of numpy, or a tensor of one number
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
        raise SettingError(f"{name} is refused: a {kind} is no setting; give a number, a text, or a list") from None


def counts_of(given: Mapping[str, object]) -> dict[str, int | None]:
    """Whole numbers, by their keywords; None stays None.

    Raises:
        SettingError: a value is no whole number; names its keyword.
    """
    counts: dict[str, int | None] = {}
    for name, value in given.items():
        try:
            counts[name] = None if value is None else operator.index(_whole(value))
        except TypeError:
            raise SettingError(f"{name}={value!r} is refused: it must be a whole number") from None
    return counts


def number_of(name: str, value: object) -> float:
    """A number, by its keyword.

    Raises:
        SettingError: it is none.
    """
    try:
        return float(_whole(value))
    except (TypeError, ValueError):
        raise SettingError(f"{name}={value!r} is refused: it must be a number") from None


def _whole(value: object) -> Any:
    if isinstance(value, bool):
        raise TypeError("a truth value is no count")
    return value


def workplace_of(
    *,
    db: str | None,
    runs_dir: Path,
    workers: int | None,
    device: object,
    devices: Names | None,
    per_device: int,
    time_limit: float | None,
    executor: str,
    ray_address: str | None,
    allow_mixed: bool,
) -> Workplace:
    """Where a function works, of its arguments.

    Raises:
        SettingError: a number is none; names its keyword.
    """
    counts = counts_of({"workers": workers, "per_device": per_device})
    return Workplace(
        db=db,
        runs_dir=runs_dir,
        workers=counts["workers"],
        device=None if device is None else str(device),
        devices=None if devices is None else names_of(devices),
        per_device=1 if counts["per_device"] is None else counts["per_device"],
        time_limit=None if time_limit is None else number_of("time_limit", time_limit),
        executor=executor,
        ray_address=ray_address,
        allow_mixed=allow_mixed,
    )
