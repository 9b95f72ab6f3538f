"""The ranking: figures that can be compared, side by side; figures that cannot, apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.errors import UnknownName
from harness.evaluation.statistics import Figure, summarise
from harness.identity import canonical_json
from harness.reference import ReportedFigure
from harness.store.records import CheckpointRecord, ProtocolRecord, RunRecord
from harness.store.store import Store

MEASURED, REPORTED = "measured", "reported"
REPORTED_SEEDS = 5  # attack seeds of every attacked figure of the paper (section 5.2)


@dataclass(frozen=True)
class Row:
    """One method on one network at one checkpoint.

    Attributes:
        settings, arch_settings: those that are not the defaults.
        wrappers: what wraps the update, each with its settings that are not the defaults.
        train_seeds: networks behind the row.
        metrics: attack -> figure, in the protocol's order; None where there is none yet.
        rank: among the rows of its board; None without a figure to rank by.
        runs: numbers of the runs behind it.
        unseeded: attacks that draw nothing, so that one seed is all there is.
    """

    method: str
    settings: dict[str, Any]
    wrappers: tuple[str, ...]
    arch: str
    arch_settings: dict[str, Any]
    checkpoint: str
    train_seeds: int | None
    metrics: dict[str, Figure | None]
    notes: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    unseeded: frozenset[str] = frozenset()
    rank: int | None = None

    @property
    def label(self) -> str:
        """The method with what departs from its defaults, and what wraps it."""
        return "+".join((_with(self.method, self.settings), *self.wrappers))

    @property
    def arch_label(self) -> str:
        """The network with what departs from its defaults."""
        return _with(self.arch, self.arch_settings)


def _with(name: str, departures: dict[str, Any]) -> str:
    return name + "".join(f" {key}={value}" for key, value in departures.items())


@dataclass(frozen=True)
class Board:
    """Rows that may be ranked together: one data set, one source, one protocol, one set of examples.

    Attributes:
        fingerprint: of the protocol; for reported rows the paper's name stands for it.
        examples: how many test images were attacked; None where a paper does not say.
    """

    dataset: str
    source: str
    protocol: str
    fingerprint: str
    examples: int | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...] = field(default=())

    @property
    def heading(self) -> str:
        """What the rows have in common, in one line."""
        if self.source == REPORTED:
            return f"{self.dataset}, reported by {self.protocol} (not measured here)"
        return (
            f"{self.dataset}, measured, protocol {self.protocol} [{self.fingerprint[:8]}], {self.examples} test images"
        )


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows to show, and by which column to rank them; None: all, and each board's last column."""

    dataset: str | None = None
    arch: str | None = None
    protocol: str | None = None
    checkpoint: str | None = None
    sort: str | None = None
    runs: frozenset[int] | None = None

    def takes(self, board: Board, row: Row) -> bool:
        """Whether the row is wanted."""
        return (
            self.dataset in (None, board.dataset)
            and self.arch in (None, row.arch)
            and self.checkpoint in (None, row.checkpoint)
            and (self.protocol in (None, board.protocol) or board.fingerprint.startswith(str(self.protocol)))
            and (self.runs is None or not self.runs.isdisjoint(row.runs))
        )


def boards(store: Store, selection: Selection | None = None) -> list[Board]:
    """Every board, measured ones first, with the selected rows, each ranked.

    Raises:
        UnknownName: ``sort`` is no column of any board.
    """
    selection = selection or Selection()
    everything = [*_measured(store.runs(), store.protocols()), *_reported(store.reported())]
    columns = {column for board in everything for column in board.columns}
    if selection.sort is not None and selection.sort not in columns:
        raise UnknownName("column", selection.sort, columns)
    chosen = []
    for board in everything:
        rows = [row for row in board.rows if selection.takes(board, row)]
        column = selection.sort if selection.sort in board.columns else board.columns[-1]
        if rows:
            chosen.append(replace(board, rows=_ranked(rows, column)))
    return chosen


def _ranked(rows: Sequence[Row], column: str) -> tuple[Row, ...]:
    """Highest median first; equal medians share a rank; rows without a figure come last, without one."""
    figures = [row.metrics.get(column) for row in rows]
    ranked = [
        replace(row, rank=1 + sum(f is not None and f.median > figure.median for f in figures) if figure else None)
        for row, figure in zip(rows, figures, strict=True)
    ]
    return tuple(sorted(ranked, key=lambda row: (row.rank is None, row.rank, row.label)))


def _measured(runs: Iterable[RunRecord], protocols: Sequence[ProtocolRecord]) -> Iterator[Board]:
    newest: dict[str, RunRecord] = {}
    for run in runs:  # in the order of their numbers: a later attempt replaces an earlier one
        if run.status == "done":
            newest[run.identity] = run
    distinct = {
        canonical_json([p.training_sha256, list(p.attacks.items())]): p for p in protocols
    }  # the last of equal ones
    for protocol in distinct.values():
        groups: dict[tuple[str, int], dict[str, list[tuple[RunRecord, CheckpointRecord]]]] = {}
        for run in newest.values():
            if run.training_sha256 != protocol.training_sha256:
                continue
            for checkpoint in run.checkpoints:
                for examples in sorted({e.examples for e in checkpoint.evaluations if _counts(e, protocol)}):
                    group = groups.setdefault((run.dataset.fingerprint, examples), {})
                    group.setdefault(_kinship(run, checkpoint), []).append((run, checkpoint))
        for (_, examples), kin in groups.items():
            rows = tuple(_row(members, protocol, examples) for members in kin.values())
            dataset = next(iter(kin.values()))[0][0].dataset.name
            columns = tuple(protocol.attacks)
            yield Board(dataset, MEASURED, protocol.name, protocol.fingerprint, examples, columns, rows)


def _counts(evaluation: Any, protocol: ProtocolRecord) -> bool:
    return bool(evaluation.complete and protocol.attacks.get(evaluation.attack) == evaluation.settings_sha256)


def _kinship(run: RunRecord, checkpoint: CheckpointRecord) -> str:
    """What networks of one row share: everything but the training seed."""
    return canonical_json(
        [
            run.method,
            run.method_settings,
            run.wrappers,
            run.network,
            run.network_settings,
            checkpoint.name,
            checkpoint.epoch,
        ]
    )


def _row(members: Sequence[tuple[RunRecord, CheckpointRecord]], protocol: ProtocolRecord, examples: int) -> Row:
    run, checkpoint = members[0]
    metrics = {
        attack: summarise(
            [
                [
                    e.percent
                    for e in c.evaluations
                    if e.attack == attack and e.examples == examples and _counts(e, protocol)
                ]
                for _, c in members
            ]
        )
        for attack in protocol.attacks
    }
    return Row(
        method=run.method,
        settings=run.method_departures,
        wrappers=tuple(_with(wrapper["name"], wrapper["departures"]) for wrapper in run.wrappers),
        arch=run.network,
        arch_settings=run.network_departures,
        checkpoint=checkpoint.name,
        train_seeds=len(members),
        metrics=metrics,
        runs=tuple(member.id for member, _ in members),
        unseeded=frozenset(
            e.attack
            for _, c in members
            for e in c.evaluations
            if _counts(e, protocol) and "block_size" not in e.settings
        ),
    )


def _reported(figures: Iterable[ReportedFigure]) -> Iterator[Board]:
    cells: dict[tuple[str, str], dict[tuple[str, str, str], list[ReportedFigure]]] = defaultdict(dict)
    for f in figures:
        cells[f.dataset, f.paper].setdefault((f.method, f.network, f.checkpoint), []).append(f)
    for (dataset, paper), groups in cells.items():
        columns = tuple(dict.fromkeys(f.metric for group in groups.values() for f in group))
        rows = tuple(
            Row(
                method=method,
                settings={},
                wrappers=(),
                arch=arch,
                arch_settings={},
                checkpoint=checkpoint,
                train_seeds=None,
                metrics=dict.fromkeys(columns) | {f.metric: _paper_figure(f) for f in group},
                notes=tuple(f"{f.metric}: {f.note}" for f in group if f.note),
                unseeded=frozenset(f.metric for f in group if f.std_percent is None),
            )
            for (method, arch, checkpoint), group in groups.items()
        )
        yield Board(dataset, REPORTED, paper, paper, None, columns, rows)


def _paper_figure(figure: ReportedFigure) -> Figure:
    return Figure(figure.median_percent, figure.std_percent, REPORTED_SEEDS if figure.std_percent is not None else 1)
