"""Two plain slopes, and an attack that walks them."""

from __future__ import annotations

from torch import nn

from harness.events import Finding
from harness.plugin.threat import Threat
from harness.rigour.checks import examine_model
from tests.broken_models import Landscape, landscape_images

THREAT = Threat(epsilon=0.02, steps=20, step_size=0.005, start="none")


def examined(model: nn.Module, threat: Threat = THREAT) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine_model(model, *landscape_images(), threat)}


# every image starts at distance 0.0005; margins are by the distance
SLOPE = Landscape((0.0, 1.0), (0.01, -1.0))
FAR_SLOPE = Landscape((0.0, 1.0), (0.014, -1.0))
