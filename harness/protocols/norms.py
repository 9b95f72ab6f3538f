"""A radius belongs to a norm: what changes a norm in a protocol says the radius, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from harness.errors import SettingError
from harness.plugin.ball import LINF, radius_text

_TABLES = {"train": "epsilon", "evaluation": "evaluation.epsilon"}  # a norm's table -> where its radius is


def refuse_norm_alone(base: Mapping[str, Any], said: Collection[str], result: Mapping[str, Any]) -> None:
    """Refuse changes of a protocol that give a ball another norm, and leave its radius as it was.

    Without it, an L2 ball of 8/255 would follow from a protocol in L-infinity, and almost no attack breaks an image
    there.

    Args:
        base: the document before the changes.
        said: the settings that are said anew, such as ``epsilon`` and ``evaluation.epsilon``.
        result: the document with the changes.
    Raises:
        SettingError: names the norm's table and the radius.
    """
    for table, key in _TABLES.items():
        before, after = _ball(base, table), _ball(result, table)
        if before[0] != after[0] and before[1] is not None and before[1] == after[1] and key not in said:
            raise norm_alone(f"{table}.norm", str(after[0]), key, before[1], str(before[0]))


def radii_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings among ``epsilon`` and ``evaluation.epsilon`` that a document says."""
    return tuple(key for table, key in _TABLES.items() if _ball(document, table)[1] is not None)


def norm_alone(norm_key: str, norm: str, key: str, epsilon: Any, of: str) -> SettingError:
    """The refusal of a norm whose radius, the setting ``key``, is of another norm."""
    radius = radius_text(epsilon) if isinstance(epsilon, float) else str(epsilon)
    return SettingError(
        f"{norm_key}={norm} is refused without {key}: {radius} is a radius in {of}; say both, such as {key}=0.5 in L2"
        f" or {key}=8/255 in {LINF}"
    )


def _ball(document: Mapping[str, Any], table: str) -> tuple[Any, Any]:
    """The norm and the radius of a table's own ball; radius None: it is the training's, or not said yet."""
    own = _said(document, table, "norm")
    norm = own or _said(document, "train", "norm") or LINF
    return norm, document.get("epsilon") if table == "train" else _said(document, table, "epsilon")


def _said(document: Mapping[str, Any], table: str, key: str) -> Any:
    values = document.get(table)
    value = values.get(key) if isinstance(values, Mapping) else None
    return None if value == "none" else value
