"""Compare measured with reported figures cell by cell, and the order of the rows in each column.

A cell is measured on its table's data set and network. If the user names a data set or network that no table has, it
is measured there instead; then only the order of a column's rows can be compared, not the figures.

*Within the spread* means ``|measured - reported| <= 2 sqrt(std_reported^2 + std_measured^2)`` for medians. The reported
standard deviation is over attack seeds on one network. So is the measured one if there is one network, and it then
understates how much two trainings differ; for several networks it is the standard deviation of their medians over
training seeds. A cell gets this verdict only with the table's data, network, and protocol, every test image, all
seeds asked for, and both deviations. Natural accuracies have no reported deviation, and so no verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.identity import canonical_json
from harness.leaderboard.board import MEASURED, Row, Selection
from harness.leaderboard.ranking import boards
from harness.planning.assessment import with_attacks
from harness.planning.request import FATE, RunRequest
from harness.planning.run_job import choose
from harness.plugin.images import evaluation_set
from harness.plugin.network import Network
from harness.protocols.protocol import Protocol
from harness.registry.catalogue import Catalogue, discover
from harness.registry.shipped import code_of
from harness.reproduction.recipes import Cell, Ground, parts
from harness.statistics.figures import Figure
from harness.store.store import Store

Verdict = Literal[
    "within",
    "outside",
    "not measured",
    "not in the protocol",  # the protocol that the user chose has no such attack
    "incomplete",  # fewer attack seeds or networks than were asked for
    "order only",  # measured on other data, or on another network
    "other protocol",  # measured under one, or not on every test image, or on a network with other settings
    "no reported spread",
    "no measured spread",  # one attack seed on one network
    "a seed collapsed",  # so that no deviation over training seeds describes the networks
]


@dataclass(frozen=True)
class Conditions:
    """The conditions under which the cells of one data set and network are measured.

    Attributes:
        dataset: the data set's label.
        fingerprint: the data set's; None where the images were not read.
        of_the_paper: whether protocol, network, and test images are the paper's.
    """

    dataset: str
    fingerprint: str | None
    network: Network
    protocol: Protocol
    of_the_paper: bool


def conditions(cells: Sequence[Cell], base: RunRequest) -> dict[Ground, Conditions]:
    """The conditions of each data set and network. The paper's data sets are identified by name, so none is loaded."""
    found: dict[Ground, Conditions] = {}
    for place, (job, *_) in parts([c for c in cells if c.dataset != c.figure.dataset], base).items():
        found[place] = Conditions(job.dataset.name, job.dataset.fingerprint, job.network, job.protocol, False)
    places = dict.fromkeys((cell.dataset, cell.network) for cell in cells)
    return {place: found.get(place) or _without_images(place, base) for place in places}


def _without_images(place: Ground, base: RunRequest) -> Conditions:
    """The conditions that the user's options ask for, found without reading images."""
    dataset, network = place
    chosen = choose(replace(base, methods=(), dataset=dataset, network=network))
    # of the user's options only those that decide no result: any other may make another protocol
    kept = {name: getattr(base, name) for name, fate in FATE.items() if fate == "provenance"}
    papers = choose(RunRequest(methods=(), dataset=dataset, network=network, **kept))
    ours = chosen.protocol.fingerprint == papers.protocol.fingerprint
    same = ours and base.limit is None and not chosen.network.departures()
    return Conditions(dataset, None, chosen.network, chosen.protocol, same)


@dataclass(frozen=True)
class ComparedCell:
    """A reported cell and its measured figure, which is None if there is none yet.

    Attributes:
        spoilt: whether a network of the row is at chance; see ``FailedSeeds.spoils_means``.
    """

    cell: Cell
    measured: Figure | None
    verdict: Verdict
    spoilt: bool = False

    @property
    def networks(self) -> int:
        """How many trained networks the measured figure summarises."""
        if self.measured is None:
            return 0
        return self.measured.train.n if self.measured.train else 1

    @property
    def spread(self) -> float | None:
        """The measured standard deviation: over training seeds where there are several, else over attack seeds.

        None, too, where a network is at chance: a bound of such a deviation would take in any figure.
        """
        if self.measured is None or self.spoilt:
            return None
        return self.measured.train.std if self.measured.train else self.measured.std

    @property
    def difference(self) -> float | None:
        """Measured minus reported, in percentage points; None where the two cannot be compared."""
        if self.measured is None or not self.cell.at_home:
            return None
        return self.measured.median - self.cell.figure.median_percent

    @property
    def bound(self) -> float | None:
        """The largest difference that is *within the spread*; None without a difference, or without both deviations."""
        reported = self.cell.figure.std_percent
        comparable = self.difference is not None and reported is not None and self.spread is not None
        return 2 * math.hypot(reported or 0.0, self.spread or 0.0) if comparable else None


def compare_cells(cells: Sequence[Cell], base: RunRequest, store: Store) -> list[ComparedCell]:
    """Every cell with the leaderboard's figure for it, which takes all seeds that the store has."""
    methods, attacks = (discover(kind, base.plugins) for kind in ("methods", "attacks"))
    known = conditions(cells, base)
    rows = {place: _rows(standard, base.limit, attacks, store) for place, standard in known.items()}
    comparisons = []
    for cell in cells:
        place = (cell.dataset, cell.network)
        cls = methods.get(cell.recipe.method)
        settings = cls.from_mapping(dict(cell.recipe.settings)).resolved()
        key = (cell.recipe.method, canonical_json(settings), cell.figure.checkpoint, code_of(cls))
        row = _of_most_networks(rows[place].get(key, ()), cell.figure.metric)
        spoilt = row is not None and row.failed is not None and row.failed.spoils_means
        bare = ComparedCell(cell, row.metrics.get(cell.figure.metric) if row else None, "not measured", spoilt)
        comparisons.append(replace(bare, verdict=_verdict(bare, known[place], base)))
    return comparisons


def _fingerprints(protocol: Protocol, attacks: Catalogue, store: Store) -> Iterator[str]:
    """Under which protocols figures were measured that are the protocol's: those of fewer attacks, then itself.

    A protocol of fewer attacks is the same but for these, with the same settings of the attacks that it has.
    """
    for record in store.protocols():
        fewer = tuple(name for name in protocol.evaluation.attacks if name in record.attacks)
        if fewer and fewer != protocol.evaluation.attacks:
            same, _ = with_attacks(protocol.with_values({"evaluation.attacks": fewer}), attacks)
            if same.fingerprint == record.fingerprint:
                yield record.fingerprint
    yield protocol.fingerprint


def _of_most_networks(rows: Sequence[Row], metric: str) -> Row | None:
    """The row that has the metric of most networks; of several with as many, the last."""
    held = [(figure.train.n if figure.train else 1, row) for row in rows if (figure := row.metrics.get(metric))]
    return max(reversed(held), key=lambda one: one[0])[1] if held else None


def _rows(
    standard: Conditions, limit: int | None, attacks: Catalogue, store: Store
) -> dict[tuple[str, str, str, str], list[Row]]:
    """The leaderboard's rows under these conditions, by method, resolved settings, checkpoint, and the method's code.

    There is one for each protocol; two protocols of fewer attacks may have different ones, and rows of the same name.
    Models from elsewhere, which may stand on the same board, are left out: they belong to no cell.
    """
    runs = {run.id: run for run in store.called_runs()}
    found: dict[tuple[str, str, str, str], list[Row]] = {}
    chosen = [Selection(dataset=standard.dataset, protocol=f) for f in _fingerprints(standard.protocol, attacks, store)]
    for board in (board for selection in chosen for board in boards(store, selection)):
        for row in (row for row in board.rows if board.source == MEASURED and row.trained_here):
            run = runs[row.runs[0]]
            if (
                board.images == evaluation_set(limit, run.dataset.test_examples)
                and standard.fingerprint in (None, run.dataset.fingerprint)
                and (run.network, run.network_settings) == (standard.network.name, standard.network.resolved())
                and run.code.get("network", "") == code_of(type(standard.network))
                and not run.wrappers
            ):
                code = run.code.get("method", "")
                key = (run.method, canonical_json(run.method_settings), row.checkpoint, code)
                found.setdefault(key, []).append(row)
    return found


def _verdict(comparison: ComparedCell, standard: Conditions, base: RunRequest) -> Verdict:
    figure, measured = comparison.cell.figure, comparison.measured
    if figure.metric not in standard.protocol.evaluation.attacks:
        return "not in the protocol"
    if measured is None:
        return "not measured"
    if comparison.networks < base.train_seeds or (figure.std_percent is not None and (measured.n or 0) < base.seeds):
        return "incomplete"
    if not comparison.cell.at_home:
        return "order only"
    if not standard.of_the_paper:
        return "other protocol"
    if comparison.spoilt:
        return "a seed collapsed"
    if comparison.difference is None or comparison.bound is None:
        return "no reported spread" if figure.std_percent is None else "no measured spread"
    return "within" if abs(comparison.difference) <= comparison.bound else "outside"


@dataclass(frozen=True)
class Ordering:
    """The order of the rows in a column of a table, as reported and as measured.

    Attributes:
        panel: table, data set, network, checkpoint.
        reported, measured: the rows, best first, rows with equal medians in one list; ``measured`` is None if a row is
            missing.
        n: rows in the column.
        missing: rows without a complete measured figure.
        tau: Kendall's tau-b of the two orders; None if a row is missing, or all rows of one order are equal.
    """

    panel: tuple[str, str, str, str]
    metric: str
    reported: list[list[str]]
    measured: list[list[str]] | None
    n: int
    missing: int
    tau: float | None


def orderings(comparisons: Sequence[ComparedCell]) -> list[Ordering]:
    """The reported and measured order of the rows, for every column."""
    columns: dict[tuple[tuple[str, str, str, str], str], list[ComparedCell]] = {}
    for comparison in comparisons:
        columns.setdefault((comparison.cell.panel, comparison.cell.figure.metric), []).append(comparison)
    return [_ordering(panel, metric, column) for (panel, metric), column in columns.items()]


def _ordering(panel: tuple[str, str, str, str], metric: str, column: Sequence[ComparedCell]) -> Ordering:
    from scipy.stats import kendalltau

    reported = {c.cell.figure.method: c.cell.figure.median_percent for c in column}
    known = {c.cell.figure.method: c.measured.median for c in column if c.measured and c.verdict != "incomplete"}
    missing = len(reported) - len(known)
    measured, tau = None, math.nan
    if not missing:
        measured = _best_first(known)
        tau = float(kendalltau(list(reported.values()), [known[label] for label in reported]).statistic)
    return Ordering(
        panel, metric, _best_first(reported), measured, len(reported), missing, None if math.isnan(tau) else tau
    )


def _best_first(medians: dict[str, float]) -> list[list[str]]:
    levels = sorted(set(medians.values()), reverse=True)
    return [[label for label, median in medians.items() if median == level] for level in levels]
