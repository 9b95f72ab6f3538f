"""How each cell of the LRAT paper's tables is measured: its method, settings, data set, network, and ordinary runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import SettingError, UnknownName
from harness.reference import lrat_paper
from harness.reference.figure import ReportedFigure

if TYPE_CHECKING:  # these import torch
    from harness.planning.request import RunRequest
    from harness.planning.run_job import RunJob

Ground = tuple[str, str]  # data set and network, as options name them


@dataclass(frozen=True)
class Recipe:
    """A method, and its settings that differ from the method's defaults."""

    method: str
    settings: tuple[tuple[str, str], ...] = ()


RECIPES: dict[str, Recipe] = {
    **{method: Recipe(method) for method in ("sat", "gairat", "lrat", "trades", "gair-trades", "lrat-trades")},
    "lrat[P]": Recipe("lrat", (("attacks", "pgd"), ("floor", "none"))),
    "lrat[C]": Recipe("lrat", (("attacks", "cw"), ("floor", "none"))),
    "lrat[P+C]": Recipe("lrat", (("floor", "none"),)),
    "lrat[N+P+C]": Recipe("lrat"),
    "lrat[P,P+C]": Recipe("lrat", (("floor", "pgd"),)),
}
"""Label of a row in the tables -> how its network is trained. Two labels with the same recipe mean the same network.

``lrat[N+P+C]`` is Table 1's ``lrat``: appendix C says that its natural data term is the sum of the natural and the PGD
loss, and both rows print the same figures. Table 3 alone would suggest ``floor=natural``. ``lrat[P,P+C]`` is
([P]+P+C), where the floor weight multiplies the loss of the PGD variant.
"""

STAND_IN_NETWORKS: dict[str, str] = {"digits": "smallcnn"}
"""Data set whose images do not fit the paper's networks -> the network that is trained there instead."""


@dataclass(frozen=True)
class Cell:
    """One reported figure, and the recipe, data set, and network to measure it with."""

    figure: ReportedFigure
    recipe: Recipe
    dataset: str  # as in --dataset
    network: str

    @property
    def at_home(self) -> bool:
        """Whether the cell is measured on its table's data set and network."""
        return (self.dataset, self.network) == (self.figure.dataset, self.figure.network)

    @property
    def panel(self) -> tuple[str, str, str, str]:
        """Table, data set, network, checkpoint: cells with an equal panel are compared with one another."""
        return self.figure.paper_table, self.figure.dataset, self.figure.network, self.figure.checkpoint


def select(table: str, dataset: str | None = None, network: str | None = None) -> list[Cell]:
    """The cells of a table, such as ``table1``, or of ``all``, in the order of the paper.

    Args:
        dataset, network: if the tables have it, only its cells are selected; otherwise all cells are measured on it.
    Raises:
        UnknownName: there is no such table.
        SettingError: the table has no cell there.
    """
    figures = list(lrat_paper.figures())
    names = {f"table{f.paper_table}" for f in figures} | {"all"}
    if table not in names:
        raise UnknownName("table", table, names)
    network = network or STAND_IN_NETWORKS.get(dataset or "")
    other_data = dataset not in {f.dataset for f in figures}
    other_network = network not in {f.network for f in figures}
    inside = [f for f in figures if table in ("all", f"table{f.paper_table}")]
    chosen = [
        Cell(f, RECIPES[f.method], dataset or f.dataset, network or f.network)
        for f in inside
        if (other_data or f.dataset == dataset) and (other_network or f.network == network)
    ]
    if not chosen:
        there = ", ".join(dict.fromkeys(f"{f.dataset} with {f.network}" for f in inside))
        wanted = " with ".join(name for name in (dataset, network) if name)
        raise SettingError(f"{table} has no cell on {wanted}; it has {there}")
    return chosen


def requests(cells: Sequence[Cell], base: RunRequest) -> dict[RunRequest, list[Recipe]]:
    """The requests that measure some cells, and the recipes that each request trains.

    A network that stands in several tables is trained once.

    Args:
        base: the user's options; the cells set methods, data set, network, and checkpoints.
    Raises:
        SettingError: the user's options choose checkpoints.
    """
    for text in base.values:
        if text.partition("=")[0].rpartition(".")[2] == "checkpoints":
            raise SettingError(f"--set {text} is refused: the tables decide which checkpoints are evaluated")
    wanted: dict[tuple[Ground, Recipe], set[str]] = {}
    for cell in cells:
        wanted.setdefault(((cell.dataset, cell.network), cell.recipe), set()).add(cell.figure.checkpoint)
    alike: dict[RunRequest, list[Recipe]] = {}
    for ((dataset, network), recipe), checkpoints in wanted.items():
        own = [f"{recipe.method}.{key}={value}" for key, value in recipe.settings]
        values = (*base.values, *own, f"evaluation.checkpoints={','.join(sorted(checkpoints))}")
        shared = replace(base, methods=(), dataset=dataset, network=network, values=values)
        alike.setdefault(shared, []).append(recipe)
    return {replace(shared, methods=tuple(r.method for r in recipes)): recipes for shared, recipes in alike.items()}


def parts(cells: Sequence[Cell], base: RunRequest, *, count_only: bool = False) -> dict[Ground, list[RunJob]]:
    """The jobs that measure some cells, by data set and network. Writes nothing.

    Args:
        count_only: the jobs are only for estimating costs; see ``resolve_run``.
    Raises:
        HarnessError: a job cannot be done; says why in one line.
    """
    from harness.planning.run_job import resolve_run

    together: dict[Ground, list[RunJob]] = {}
    images: dict[str, Any] = {}  # fingerprint -> data set: requests share one copy
    for request, recipes in requests(cells, base).items():
        for job, recipe in zip(resolve_run(request, count_only=count_only), recipes, strict=True):
            if job.method != type(job.method).from_mapping(dict(recipe.settings)):
                raise SettingError(f"--set must not change {recipe.method}: the tables decide it; use `harness run`")
            dataset = images.setdefault(job.dataset.fingerprint, job.dataset)
            together.setdefault((request.dataset, request.network), []).append(replace(job, dataset=dataset))
    return together
