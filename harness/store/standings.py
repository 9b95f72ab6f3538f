"""The queries of the leaderboard: what rows and figures are made of, of all runs and models at once."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Collection, Container, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from harness.runtime.collector import collector_paused
from harness.statistics import attack_gaps
from harness.store.attempts import Rank, only_earlier, rank
from harness.store.queries import Queries, dataset_record, evaluation_record, lost_part
from harness.store.recorded import IDS_A_QUERY
from harness.store.records import DatasetRecord, ModelRecord, RunRecord
from harness.store.schema import METADATA, DatasetRow, EvaluationRow
from harness.store.soundness import count_problems, refuse_unsound
from harness.store.standing import (
    CheckpointStanding,
    EvaluationStanding,
    ExaminationStanding,
    ModelStanding,
    RaisedFlag,
    RunStanding,
)
from harness.store.typed_columns import TypedColumns
from harness.store.verdicts import Bits, VerdictsById

_TABLES = METADATA.tables
_RUN, _MODEL, _CHECKPOINT = _TABLES["runs"].c, _TABLES["models"].c, _TABLES["checkpoints"].c
_EVALUATION, _BLOCK = _TABLES["evaluations"].c, _TABLES["blocks"].c
_EXAMINATION, _FINDING = _TABLES["examinations"].c, _TABLES["findings"].c
_APART = "\x1f"  # between the names of checks; the unit separator of ASCII
_FIELDS = ("method_settings", "method_departures", "wrappers", "network", "network_settings", "network_departures")


class Standings(Queries):
    """The base of ``Store``: its queries for the leaderboard."""

    def standings(self) -> tuple[Sequence[RunRecord | RunStanding], Sequence[ModelRecord | ModelStanding]]:
        """Of every identity the newest run that is done, in the order in which identities came; and every model."""
        with collector_paused(), self._reading() as session:
            rows = TypedColumns(session)
            datasets = {row.id: dataset_record(row, "datasets", row.id) for row in session.scalars(select(DatasetRow))}
            runs: dict[str, list[Any]] = {}
            attempts: dict[str, list[int]] = defaultdict(list)
            done = select(_RUN.identity, _RUN.id, _RUN.dataset_id, _RUN.training_sha256, _RUN.train_seed)
            done = done.add_columns(_RUN.code, _RUN.method, *(_RUN[name] for name in _FIELDS))
            for identity, *values in rows.rows(done.where(_RUN.status == "done").order_by(_RUN.id)):
                runs[identity] = values
                attempts[identity].append(values[0])
            model_columns = (_MODEL.id, _MODEL.identity, _MODEL.name, _MODEL.network)
            every = select(*model_columns, _MODEL.network_departures, _MODEL.dataset_id).order_by(_MODEL.id)
            models = list(rows.rows(every))
            names = {number: shlex.quote(name) for number, _, name, *_ in models}
            of_runs, of_models = self._weights(
                session, rows, {n for numbers in attempts.values() for n in numbers}, names
            )
            made = []
            for identity, (number, dataset_id, training_sha256, train_seed, code, *values) in runs.items():
                known = dict(zip(("method", *_FIELDS), values, strict=True))
                known |= {"training_sha256": training_sha256, "train_seed": train_seed, "code": code}
                dataset = _dataset_of(datasets, dataset_id, "runs", number)
                older = [(one, of_runs[one]) for one in attempts[identity][:-1]]
                earlier = only_earlier(of_runs[number], older) if older else ()
                known |= {"dataset": dataset, "checkpoints": tuple(of_runs[number]), "earlier": earlier}
                made.append(RunStanding(id=number, **known))
            elsewhere = []
            for number, identity, name, network, departures, dataset_id in models:
                dataset = _dataset_of(datasets, dataset_id, "models", number)
                if number not in of_models:
                    raise lost_part("models", number, "checkpoint")
                held = of_models[number][0]
                elsewhere.append(ModelStanding(number, identity, name, network, departures, dataset, held))
            return made, elsewhere

    def bits_of(self, evaluation_ids: Collection[int]) -> VerdictsById:
        """The verdicts of many evaluations, as ``verdicts_of`` has them.

        Raises:
            StoreError: the counts of a block are damaged.
        """
        found: dict[int, tuple[int, int]] = dict.fromkeys(sorted(evaluation_ids), (0, 0))
        numbers, columns = list(found), (_BLOCK.evaluation_id, _BLOCK.start, _BLOCK.examples, _BLOCK.correct)
        with collector_paused(), self._reading() as session:
            for first in range(0, len(numbers), IDS_A_QUERY):
                some = _BLOCK.evaluation_id.in_(numbers[first : first + IDS_A_QUERY])
                blocks = select(*columns, _BLOCK.verdicts).where(some).order_by(_BLOCK.evaluation_id, _BLOCK.start)
                for number, start, examples, correct, verdicts in TypedColumns(session).rows(blocks):
                    own = int.from_bytes(verdicts, "big")
                    if _is_unsound(examples, correct, verdicts, own):
                        problems = count_problems(examples, correct, verdicts)
                        refuse_unsound(f"evaluation {number}, block at {start}", problems)
                    images, bits = found[number]
                    found[number] = images + examples, bits << examples | own >> (-examples % 8)
        return Bits(found)

    def checks_of(self, examination_ids: Collection[int]) -> dict[int, list[str]]:
        """What some examinations checked: the names in the order of their findings."""
        found: dict[int, list[str]] = {number: [] for number in sorted(examination_ids)}
        numbers, columns = list(found), (_FINDING.examination_id, _FINDING.check)
        with collector_paused(), self._reading() as session:
            for first in range(0, len(numbers), IDS_A_QUERY):
                some = _FINDING.examination_id.in_(numbers[first : first + IDS_A_QUERY])
                checks = select(*columns).where(some).order_by(_FINDING.examination_id, _FINDING.position)
                for number, check in TypedColumns(session).rows(checks):
                    found[number].append(check)
        return found

    def _weights(
        self,
        session: Session,
        rows: TypedColumns,
        wanted: set[int],
        names: dict[int, str],
        *,
        examined: bool = True,
    ) -> tuple[dict[int, list[CheckpointStanding]], dict[int, list[CheckpointStanding]]]:
        """The checkpoints of these runs, and of all models; if not ``examined``, without their examinations."""
        columns = (_CHECKPOINT.id, _CHECKPOINT.run_id, _CHECKPOINT.model_id, _CHECKPOINT.name)
        every = select(*columns, _CHECKPOINT.epoch, _CHECKPOINT.sha256)
        every = every.order_by(_CHECKPOINT.run_id, _CHECKPOINT.epoch, _CHECKPOINT.name)
        there = [row for row in rows.rows(every) if row[2] is not None or row[1] in wanted]
        owners = {number: names.get(model, "") if run is None else str(run) for number, run, model, *_ in there}
        evaluations = _outcomes(session, rows, owners)
        examinations = _examinations(session, rows, owners) if examined else {}
        of_runs: dict[int, list[CheckpointStanding]] = defaultdict(list)
        of_models: dict[int, list[CheckpointStanding]] = defaultdict(list)
        for number, run, model, name, epoch, sha256 in there:
            outcomes, flags = tuple(evaluations.get(number, ())), tuple(examinations.get(number, ()))
            held = CheckpointStanding(number, name, epoch, sha256, outcomes, flags, self.checks_of)
            (of_models[model] if run is None else of_runs[run]).append(held)
        return of_runs, of_models


def _dataset_of(datasets: dict[int, DatasetRecord], dataset_id: int, table: str, number: int) -> DatasetRecord:
    """The data set of a row; an error if the database lacks it."""
    if dataset_id not in datasets:
        raise lost_part(table, number, "data set")
    return datasets[dataset_id]


def _is_unsound(examples: int, correct: int, verdicts: bytes, bits: int) -> bool:
    """Whether ``count_problems`` finds a problem; there may be a hundred thousand blocks, and this is a fast way.

    Args:
        bits: the verdicts, as a whole number.
    """
    return (
        examples < 1
        or len(verdicts) != (examples + 7) // 8
        or verdicts[-1] & ((1 << (-examples % 8)) - 1) != 0
        or bits.bit_count() != correct
    )


_Counts = tuple[int, int, int, bool, int]
"""Of an evaluation: images done, images right, where its blocks end, whether one is unsound, and its verdicts' bits."""

_NO_BLOCK: _Counts = (0, 0, 0, False, 0)


def _counts(rows: TypedColumns) -> dict[int, _Counts]:
    """Of each evaluation that has a block, what its blocks come to."""
    found: dict[int, _Counts] = {}
    columns = (_BLOCK.evaluation_id, _BLOCK.start, _BLOCK.examples, _BLOCK.correct, _BLOCK.verdicts)
    blocks = select(*columns).order_by(_BLOCK.evaluation_id, _BLOCK.start)
    for number, start, examples, correct, verdicts in rows.rows(blocks):
        done, right, end, unsound, held = found.get(number, _NO_BLOCK)
        bits = int.from_bytes(verdicts, "big")
        unsound = unsound or start < end or _is_unsound(examples, correct, verdicts, bits)
        held = 0 if unsound else held << examples | bits >> (-examples % 8)
        found[number] = done + examples, right + correct, max(end, start + examples), unsound, held
    return found


def _outcomes(session: Session, rows: TypedColumns, owners: dict[int, str]) -> dict[int, list[EvaluationStanding]]:
    """For each of these checkpoints its evaluations, of each repeated one the attempt that counts alone.

    Args:
        owners: checkpoint -> how ``harness rm`` names what it belongs to.
    """
    counts, counting = _counts(rows), dict[tuple[Any, ...], tuple[Rank, EvaluationStanding]]()
    columns = [_EVALUATION.id, _EVALUATION.checkpoint_id, _EVALUATION.attack, _EVALUATION.settings]
    columns += [_EVALUATION.settings_sha256, _EVALUATION.seed, _EVALUATION.examples, _EVALUATION.sample]
    every = select(*columns, _EVALUATION.attempt).order_by(_EVALUATION.id)
    for number, checkpoint, attack, settings, sha256, seed, examples, sample, attempt in rows.rows(every):
        if checkpoint not in owners:
            continue
        key = (checkpoint, attack, sha256, seed, examples, sample)
        done, correct, end, unsound, bits = counts.get(number, _NO_BLOCK)
        damaged, damage = unsound or end > examples, None
        own_rank = rank(attempt, whole=done == examples, damaged=damaged)
        if key in counting and counting[key][0] > own_rank:
            continue
        if damaged:
            row = session.get_one(EvaluationRow, number)
            damage = evaluation_record(row, owners[checkpoint]).damage
            assert damage is not None, "soundness finds no problem where the counts are refused"
        own = (number, attack, settings, sha256, seed, examples, sample, done, correct, damage, bits)
        counting[key] = own_rank, EvaluationStanding(*own)
    found: dict[int, list[EvaluationStanding]] = defaultdict(list)
    for (checkpoint, *_), (_, outcome) in counting.items():
        found[checkpoint].append(outcome)
    for outcomes in found.values():
        outcomes.sort(key=attrgetter("id"))
    return found


def _examinations(session: Session, rows: TypedColumns, owners: Container[int]) -> dict[int, list[ExaminationStanding]]:
    """For each of these checkpoints its examinations."""
    columns = (_FINDING.examination_id, _FINDING.check, _FINDING.mark, _FINDING.reason)
    flagged = select(*columns).where(_FINDING.status == "flagged").where(_FINDING.check != attack_gaps.CHECK)
    raised: dict[int, list[RaisedFlag]] = defaultdict(list)
    for number, check, mark, reason in rows.rows(flagged.order_by(_FINDING.examination_id, _FINDING.position)):
        raised[number].append(RaisedFlag(check, mark, reason))
    kept = select(_FINDING.examination_id, _FINDING.reason, _FINDING.details).where(_FINDING.check == attack_gaps.CHECK)
    kept = kept.order_by(_FINDING.position.desc())  # of several of an examination the first, as in its record
    gaps = {number: (reason, details) for number, reason, details in rows.rows(kept)}
    named = select(_FINDING.examination_id, func.aggregate_strings(_FINDING.check, _APART))
    named = named.group_by(_FINDING.examination_id)
    texts = {int(number): str(text) for number, text in session.execute(named)}
    checks = {text: frozenset(text.split(_APART)) for text in {*texts.values()}}  # a few, of thousands of networks
    every = select(_EXAMINATION.id, _EXAMINATION.checkpoint_id, _EXAMINATION.settings, _EXAMINATION.created_utc)
    found: dict[int, list[ExaminationStanding]] = defaultdict(list)
    for number, checkpoint, settings, created_utc in rows.rows(every.order_by(_EXAMINATION.id)):
        if checkpoint in owners:
            made = checks[texts[number]] if number in texts else frozenset()
            flags = tuple(raised.get(number, ())) if made else None
            own = (number, settings, created_utc, flags, made, gaps.get(number))
            found[checkpoint].append(ExaminationStanding(*own))
    return found
