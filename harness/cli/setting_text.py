"""How a setting is written for people: radii and lengths of steps as 8/255."""

from __future__ import annotations

from typing import Any

from harness.plugin.ball import radius_text

LENGTHS = ("epsilon", "step_size")  # of an image's ball, on the [0, 1] pixel scale


def setting_text(name: str, value: Any) -> str:
    """The value of a setting; ``name`` may have a table before it, as in ``evaluation.epsilon``."""
    if not isinstance(value, float):
        return str(value)
    return radius_text(value) if name.rpartition(".")[2] in LENGTHS else f"{value:.6g}"
