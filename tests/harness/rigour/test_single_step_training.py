"""Networks that were trained with one step: the check for catastrophic overfitting sees the one that fits its step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.events import Finding
from harness.methods.fast import RSFGSM
from harness.methods.n_fgsm import NFGSM
from harness.plugin.method import Method
from harness.rigour.checks import examine_model
from tests.harness.rigour.trained import THREAT, digits, trained

RADIUS = 0.3


def finding(method: Method, folder: Path) -> Finding:
    data = digits()
    model = trained(method, "single-step", data, folder, epochs=20, epsilon=RADIUS)
    x, threat = data.pixels(data.test.images), replace(THREAT, epsilon=RADIUS, step_size=RADIUS / 4)
    (found,) = (f for f in examine_model(model, x, data.test.labels, threat) if f.check == "catastrophic-overfitting")
    return found


def test_a_network_that_fits_its_own_step_is_flagged(tmp_path: Path) -> None:
    found = finding(RSFGSM(alpha=2.0), tmp_path)
    assert found.status == "flagged"
    assert found.value is not None
    assert found.value > 0.2


@pytest.mark.slow
def test_one_of_noise_and_the_same_radius_is_not(tmp_path: Path) -> None:
    found = finding(NFGSM(k=1.0), tmp_path)
    assert found.status == "passed"
