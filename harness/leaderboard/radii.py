"""Evaluations of one network by one attack in balls of several radii, its settings alike otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.identity import canonical_json
from harness.plugin.ball import LINF
from harness.plugin.images import Images
from harness.store.standing import Evaluated


@dataclass(frozen=True)
class RadiusCurve:
    """Robust accuracy against the radius.

    Attributes:
        alike: the settings without the radius, and with the step size as a fraction of it; equal for networks whose
            curves can be compared.
        points: radius -> the complete evaluations in that ball, one an attack seed; radii in ascending order. Radius 0
            has the natural accuracy on the same images, if the network has one.
    """

    attack: str
    norm: str
    images: Images
    alike: str
    points: Mapping[float, Sequence[Evaluated]]


def radius_curves(evaluations: Sequence[Evaluated]) -> Iterator[RadiusCurve]:
    """The curves of one network: for each attack that was made at several radii with settings alike otherwise.

    A step size that grows with the radius is alike. Natural accuracy on the same images is the point at 0.
    """
    found: dict[tuple[str, Images, str], dict[float, list[Evaluated]]] = {}
    for e in evaluations:
        if e.complete and "epsilon" in e.settings:
            radius = float(e.settings["epsilon"])
            found.setdefault((e.attack, e.images, _alike(e.settings, radius)), {}).setdefault(radius, []).append(e)
    natural = {e.images: e for e in evaluations if e.attack == "natural" and e.complete}
    for (attack, images, alike), by_radius in found.items():
        if len(by_radius) > 1:
            clean = {0.0: [natural[images]]} if images in natural and 0.0 not in by_radius else {}
            norm = next(iter(by_radius.values()))[0].settings.get("norm", LINF)
            yield RadiusCurve(attack, norm, images, alike, dict(sorted((clean | by_radius).items())))


def _alike(settings: Mapping[str, Any], radius: float) -> str:
    rest = {key: value for key, value in settings.items() if key not in ("epsilon", "step_size")}
    if "step_size" in settings and radius > 0:
        rest["step"] = f"{settings['step_size'] / radius:.6g}"
    return canonical_json(rest)
