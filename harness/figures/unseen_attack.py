"""Figure 1(b, c): GAIRAT and SAT under the attack that both craft in training, and under another, over the epochs."""

from __future__ import annotations

from harness.figures.curve_panels import draw_curves
from harness.figures.curves import curve_marks
from harness.figures.marks import Marks
from harness.figures.material import Material
from harness.figures.plot import Plot


def _data(material: Material) -> Marks:
    return curve_marks(material, ("sat", "gairat"), {"pgd": "PGD, crafted in training", "cw": "CW, unseen in training"})


UNSEEN_ATTACK = Plot(
    name="unseen-attack",
    title="Accuracy of GAIRAT and SAT over the epochs, under PGD and under CW",
    needs="curves of runs: harness run sat gairat --dataset digits --arch smallcnn --eval-every 1",
    data=_data,
    draw=draw_curves,
    paper="Figure 1(b, c)",
)
