"""What a model card is made of: a run's checkpoint, everything that was measured of it, and what the checks found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.events import Finding
from harness.identity import canonical_json
from harness.leaderboard.board import Board, Selection
from harness.leaderboard.columns import WORST_CASE
from harness.leaderboard.contestants import Contestant, contestants
from harness.leaderboard.gap_judge import GapJudge
from harness.leaderboard.ranking import measured_boards
from harness.leaderboard.render_bibtex import bibtex_text, publications_by_name
from harness.leaderboard.superseded import Held, without_superseded
from harness.plugin.ball import LINF
from harness.plugin.images import Images
from harness.robustbench.export import checkpoint_of
from harness.statistics import attack_gaps
from harness.statistics.figures import Figure, Interval, summarise, wilson
from harness.store.records import CheckpointRecord, EvaluationRecord, ExaminationRecord, RunRecord
from harness.store.store import Store
from harness.training.weights_place import checked_checkpoint_name

_FLAGGED = "flagged"


@dataclass(frozen=True)
class CardFigure:
    """An accuracy of the checkpoint.

    Attributes:
        column: an attack, or the worst case over all attacks of the protocol.
        figure: over attack seeds; one network.
        interval: Wilson's, 95 %, over the test images.
        seeds: attack -> how many attack seeds.
        board: of the protocol that asks for the attack with these settings; None where none does.
        epsilon, norm: of the attack's ball; None where it has none.
    """

    column: str
    figure: Figure
    interval: Interval
    seeds: dict[str, int]
    images: Images
    board: Board | None
    epsilon: float | None
    norm: str | None


@dataclass(frozen=True)
class CardFacts:
    """Everything that the files of a model hub tell of a checkpoint.

    Attributes:
        figures: of every complete evaluation; those of one protocol together, in its order.
        evaluations: those behind the figures, of every attack seed.
        unfinished: evaluations that are not complete, and so have no figure.
        examinations: of the checks of rigour; of several with the same settings, the newest. ``autoattack-gap`` is
            judged beside the networks of the store, as on a leaderboard.
        bibtex: of the method and its wrappers.
        licence: its identifier on the Hub; None where the user chose none.
        note: the user's remark on the run; None unless the user publishes it.
    """

    run: RunRecord
    checkpoint: CheckpointRecord
    boards: tuple[Board, ...]
    figures: tuple[CardFigure, ...]
    evaluations: tuple[EvaluationRecord, ...]
    unfinished: tuple[EvaluationRecord, ...]
    examinations: tuple[ExaminationRecord, ...]
    bibtex: str
    licence: str | None = None
    note: str | None = None

    @property
    def flags(self) -> list[tuple[ExaminationRecord, Finding]]:
        """Every finding that warns, with its examination."""
        return [(e, found) for e in self.examinations for found in e.findings if found.status == _FLAGGED]


def card_facts(
    store: Store,
    run_id: int,
    checkpoint: str,
    *,
    plugins: Sequence[Path] = (),
    licence: str | None = None,
    with_note: bool = False,
) -> CardFacts:
    """Read everything about a checkpoint.

    Raises:
        HarnessError: there is no such run or checkpoint, the run is not done, or no evaluation of it is complete.
    """
    run = store.run(run_id)
    found = checkpoint_of(run, checkpoint)
    if run.status != "done":
        raise HarnessError(f"run {run_id} is {run.status}; a model hub takes runs that are done: see `harness runs`")
    checked_checkpoint_name(checkpoint)
    contestant = next(c for c in contestants([run], with_trials=True) if c.checkpoint.name == checkpoint)
    complete = [e for e in found.evaluations if e.complete]
    if not complete:
        what = "" if checkpoint == "last" else f":{checkpoint}"
        raise HarnessError(
            f"run {run_id}, {checkpoint}: no accuracy was measured, and a model card without one says nothing of"
            f" robustness; `harness evaluate {run_id}{what}` measures it"
        )
    protocols = store.protocols()
    every = tuple(measured_boards([contestant], protocols, store.verdicts_of({e.id for e in complete})))
    held: list[Held] = [(board, [[contestant]]) for board in every]
    boards = tuple(board for board, _ in without_superseded(held, protocols, Selection()))
    groups = _alike(complete)
    on_boards = {e.id for b in boards for es in b.column(WORST_CASE).evaluations(contestant).values() for e in es}
    figures = [figure for board in boards for figure in _of_board(board, groups)]
    figures += [_figure(group, None) for group in groups if group[0].id not in on_boards]
    return CardFacts(
        run=run,
        checkpoint=found,
        boards=boards,
        figures=tuple(figures),
        evaluations=tuple(e for group in groups for e in group),
        unfinished=tuple(e for e in found.evaluations if not e.complete),
        examinations=tuple(_beside(_newest(found.examinations), contestant, every, store)),
        bibtex=_bibtex(run, plugins),
        licence=licence,
        note=run.note if with_note else None,
    )


def _alike(evaluations: Sequence[EvaluationRecord]) -> list[list[EvaluationRecord]]:
    """Evaluations that differ in the attack seed alone."""
    groups: dict[tuple[object, ...], list[EvaluationRecord]] = {}
    for e in evaluations:
        groups.setdefault((e.attack, e.settings_sha256, e.images), []).append(e)
    return list(groups.values())


def _of_board(board: Board, groups: Sequence[list[EvaluationRecord]]) -> Iterator[CardFigure]:
    (row,) = board.rows
    for column, figure in row.metrics.items():
        if figure is None or board.images is None:
            continue
        if column == WORST_CASE:
            interval, scope = wilson(figure.median, board.images.count), board.scope
            ball = (None, None) if scope is None else (scope.epsilon, scope.norm)
            yield CardFigure(column, figure, interval, dict(row.worst_case_seeds), board.images, board, *ball)
        else:
            wanted = (column, board.attacks[column], board.images)
            yield _figure(next(g for g in groups if (g[0].attack, g[0].settings_sha256, g[0].images) == wanted), board)


def _figure(group: Sequence[EvaluationRecord], board: Board | None) -> CardFigure:
    one = group[0]
    figure = summarise([[e.percent for e in group]])
    assert figure is not None  # a group has an evaluation
    epsilon = one.settings.get("epsilon")
    norm = None if epsilon is None else one.settings.get("norm", LINF)
    interval = wilson(figure.median, one.examples)
    return CardFigure(one.attack, figure, interval, {one.attack: len(group)}, one.images, board, epsilon, norm)


def _newest(examinations: Sequence[ExaminationRecord]) -> tuple[ExaminationRecord, ...]:
    """Of the examinations by different versions of the checks, the newest."""
    found: dict[str, ExaminationRecord] = {}
    for examination in sorted(examinations, key=lambda e: e.created_utc):
        settings: dict[str, Any] = {key: v for key, v in examination.settings.items() if key != "edition"}
        found[canonical_json(settings)] = examination
    return tuple(found.values())


def _beside(
    examinations: Sequence[ExaminationRecord], contestant: Contestant, boards: Sequence[Board], store: Store
) -> Iterator[ExaminationRecord]:
    """The examinations, with the verdict of ``autoattack-gap`` on the board that each belongs to."""
    if not any(found.check == attack_gaps.CHECK for e in examinations for found in e.findings):
        yield from examinations
        return
    alike = (contestant.dataset.fingerprint, contestant.training_sha256)
    others = [n for n in contestants(*store.standings()) if (n.dataset.fingerprint, n.training_sha256) == alike]
    for examination in examinations:
        scopes = [b.scope for b in boards if b.scope is not None and b.scope.covers("verdicts", examination.settings)]
        verdict = GapJudge(others, scopes[0]).verdict(contestant) if scopes else None
        findings = (
            replace(found, status=verdict.status, mark=verdict.mark, reason=verdict.reason)
            if verdict is not None and found.check == attack_gaps.CHECK
            else found
            for found in examination.findings
        )
        yield replace(examination, findings=tuple(findings))


def _bibtex(run: RunRecord, plugins: Sequence[Path]) -> str:
    wrappers = [wrapper["name"] for wrapper in run.wrappers]
    cited = [*publications_by_name("methods", [run.method], plugins)]
    return bibtex_text([*cited, *publications_by_name("wrappers", wrappers, plugins)])
