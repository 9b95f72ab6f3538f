"""Figure 2: the images that are vulnerable in two views or in one view alone, where t-SNE puts their logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.figures.axes import write_caption
from harness.figures.marks import Marks, Value, number
from harness.figures.material import Material
from harness.figures.passes import passed_text
from harness.figures.plot import Canvas, Plot
from harness.figures.style import SMALL, WIDE
from harness.figures.tops import lowest_groups

if TYPE_CHECKING:
    from torch import Tensor

    from harness.figures.passes import Seen

VIEWS = {"steps_to_flip": "distance", "v_pgd": "PGD", "v_cw": "CW"}
PERPLEXITY, SEED = 30.0, 0
BOTH, FIRST, SECOND, NONE = "in both views", "in the first alone", "in the second alone", "in neither"
RED, BLUE = "#c62828", "#1565c0"
LOOKS: Mapping[str, dict[str, Any]] = {
    BOTH: {"marker": "o", "color": RED},
    FIRST: {"marker": "^", "color": BLUE},
    SECOND: {"marker": "v", "color": BLUE, "markerfacecolor": "none"},
    NONE: {"marker": ".", "color": "#d0d0d0", "markeredgecolor": "none"},
}
NAMES = {(True, True): BOTH, (True, False): FIRST, (False, True): SECOND, (False, False): NONE}


def _data(material: Material) -> Marks:
    from harness.figures.passes import seen_by_networks

    return Marks.of(row for one in seen_by_networks(material, ("sat", "gairat")) for row in _rows(one))


def _rows(one: Seen) -> Iterator[Mapping[str, Value]]:
    """One row an image: its place in the plane, its vulnerability in each view, and whether it is in each top set."""
    views = one.views
    values = {"steps_to_flip": views.steps_to_flip.tolist(), "v_pgd": views.pgd.tolist(), "v_cw": views.cw.tolist()}
    tops = {name: lowest_groups(of_view) for name, of_view in values.items()}
    for i, (x, y) in enumerate(embedded(views.logits)):
        own: dict[str, Value] = {name: of_view[i] for name, of_view in values.items()}
        own |= {f"top_{name}": int(top[i]) for name, top in tops.items()}
        yield {**one.about, "image": one.places[i], "label": one.labels[i], "x": x, "y": y, **own}


def embedded(logits: Tensor) -> list[tuple[float, float]]:
    """The places of the logits in the plane, to 0.001: t-SNE of scikit-learn, which begins at the principal components.

    Args:
        logits: ``(n, classes)``.
    Raises:
        HarnessError: there are too few images, or they all have the same logits, of which scikit-learn makes NaN.
    Source: van der Maaten and Hinton, JMLR 2008.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(logits) <= PERPLEXITY:
        raise HarnessError(f"t-SNE needs more than {PERPLEXITY:g} images, and there are {len(logits)}; raise --images")
    if bool((logits == logits[0]).all()):
        raise HarnessError("the network gives all images the same logits, so t-SNE cannot place them; choose others")
    tsne = TSNE(2, perplexity=PERPLEXITY, init="pca", learning_rate="auto", random_state=SEED)
    with threadpool_limits(1):  # sums over several threads depend on their number
        return [(round(float(x), 3), round(float(y), 3)) for x, y in tsne.fit_transform(logits.numpy())]


def _draw(marks: Marks, canvas: Canvas) -> None:
    rows, pairs = marks.distinct("row"), list(combinations(VIEWS, 2))
    canvas.set_size_inches(WIDE, 0.45 + 2.25 * len(rows))
    for across, row in zip(canvas.subplots(len(rows), len(pairs), squeeze=False), rows, strict=True):
        for axes, pair in zip(across, pairs, strict=True):
            _draw_panel(axes, marks.where(row=row), pair)
        across[0].set_ylabel(str(row))
    from matplotlib.lines import Line2D

    drawn: dict[str, Any] = {"linestyle": "none", "markersize": 4, "markeredgewidth": 0.7}
    keys = [Line2D([], [], **LOOKS[name], **drawn) for name in LOOKS]
    canvas.legend(keys, list(LOOKS), loc="outside upper left", ncols=len(LOOKS), borderpad=0, handletextpad=0.2)
    write_caption(canvas, passed_text(marks))


def _draw_panel(axes: Any, images: Sequence[Mapping[str, Value]], pair: tuple[str, str]) -> None:
    groups: dict[str, list[Mapping[str, Value]]] = {name: [] for name in LOOKS}
    for image in images:
        first, second = (bool(image[f"top_{view}"]) for view in pair)
        groups[NAMES[first, second]].append(image)
    for name in reversed(list(LOOKS)):
        x, y = ([number(image, column) for image in groups[name]] for column in ("x", "y"))
        drawn = {**LOOKS[name], "markersize": 1.8 if name == NONE else 2.6, "markeredgewidth": 0.4}
        axes.plot(x, y, linestyle="none", rasterized=True, **drawn)  # thousands of dots: a picture inside the SVG
    both, shares = len(groups[BOTH]), [sum(bool(image[f"top_{view}"]) for image in images) for view in pair]
    union = sum(shares) - both
    parts = zip((VIEWS[view] for view in pair), shares, strict=True)
    axes.set_title(" and ".join(f"{name} ({100 * share / len(images):.0f} %)" for name, share in parts))
    overlap = f"in both: {both} of {union} ({100 * both / union:.0f} %)" if union else "no image stands out"
    axes.set_xlabel(overlap, fontsize=SMALL)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


VULNERABLE = Plot(
    name="vulnerable",
    title="Images that are vulnerable in two views or in one alone, in the plane of t-SNE",
    needs="weights in --runs-dir: harness run sat gairat --dataset digits --arch smallcnn",
    data=_data,
    draw=_draw,
    paper="Figure 2",
)
