"""Figure 5: GAIRAT whose variants CW crafts, and whose distances are counted along CW, against SAT over the epochs."""

from __future__ import annotations

from harness.figures.curve_panels import draw_curves
from harness.figures.curves import curve_marks
from harness.figures.marks import Marks
from harness.figures.material import Material
from harness.figures.plot import Plot


def _data(material: Material) -> Marks:
    return curve_marks(
        material, ("sat", "gairat attack=cw"), {"cw": "CW, crafted by GAIRAT", "pgd": "PGD, crafted by SAT"}
    )


GAIRAT_CW = Plot(
    name="gairat-cw",
    title="Accuracy of GAIRAT that is trained on CW, and of SAT, over the epochs",
    needs="curves of runs: sat as for unseen-attack, and harness run gairat --set attack=cw with the same options",
    data=_data,
    draw=draw_curves,
    paper="Figure 5",
)
