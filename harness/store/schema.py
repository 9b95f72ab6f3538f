"""The schema. Counts rather than percentages; the verdict of every example; constraints in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from harness.store.schema_base import NUMBERED_ONCE, OWNS, Base
from harness.store.schema_records import AdversarialImageRow, CurveRow, HistogramRow
from harness.store.schema_work import LeaseRow, RunStateRow
from harness.store.typed import MAY_BE_INFINITE, type_columns


class ProtocolRow(Base):
    """A protocol that was used."""

    __tablename__ = "protocols"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    training: Mapped[dict[str, Any]]  # the part that a run's identity contains
    training_sha256: Mapped[str] = mapped_column(index=True)
    attacks: Mapped[dict[str, Any]]  # attack -> SHA-256 of its resolved settings, in the protocol's order
    document: Mapped[dict[str, Any]]


class DatasetRow(Base):
    """A data set that was used."""

    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    train_examples: Mapped[int]
    test_examples: Mapped[int]
    channels: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    classes: Mapped[int]
    class_names: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))  # None in older rows


class RunRow(Base):
    """One trained network, or an attempt to train it."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("identity", "attempt"),
        CheckConstraint("status IN ('running', 'done', 'failed')", name="status_known"),
        CheckConstraint("(status = 'failed') = (failure IS NOT NULL)", name="failure_explained"),
        CheckConstraint("attempt >= 1", name="attempt_counted"),
        NUMBERED_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str]
    attempt: Mapped[int]  # --fresh makes another one; the newest counts
    method: Mapped[str]
    method_settings: Mapped[dict[str, Any]]
    method_departures: Mapped[dict[str, Any]]  # settings that differed from the defaults when the run began
    wrappers: Mapped[list[dict[str, Any]]] = mapped_column(JSON)  # of the update: name, settings, departures
    network: Mapped[str]
    network_settings: Mapped[dict[str, Any]]
    network_departures: Mapped[dict[str, Any]]
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    training: Mapped[dict[str, Any]]
    training_sha256: Mapped[str] = mapped_column(index=True)
    train_seed: Mapped[int]
    status: Mapped[str]
    failure: Mapped[str | None]
    folder: Mapped[str]  # below --runs-dir
    parameters: Mapped[int]
    created_utc: Mapped[datetime]
    finished_utc: Mapped[datetime | None]
    provenance: Mapped[dict[str, Any]]
    code: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  # see RunSpec.code; empty: all as first shipped
    note: Mapped[str | None]  # a person's remark; of no identity, as are the tags
    tags: Mapped[list[str]] = mapped_column(JSON, server_default="[]")

    dataset: Mapped[DatasetRow] = relationship()
    epochs: Mapped[list[EpochRow]] = relationship(order_by="EpochRow.epoch", cascade=OWNS)
    curves: Mapped[list[CurveRow]] = relationship(order_by="CurveRow.id", cascade=OWNS)
    checkpoints: Mapped[list[CheckpointRow]] = relationship(
        order_by="CheckpointRow.epoch, CheckpointRow.name", cascade=OWNS
    )


class RemovedAttemptRow(Base):
    """The last attempt of a run that was removed: later attempts count on, so none finds the files of a removed one."""

    __tablename__ = "removed_attempts"
    __table_args__ = (CheckConstraint("attempt >= 1", name="attempt_counted"),)

    identity: Mapped[str] = mapped_column(primary_key=True)
    attempt: Mapped[int]


class EpochRow(Base):
    """One epoch of a training."""

    __tablename__ = "epochs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    loss: Mapped[float]
    lr: Mapped[float]
    images: Mapped[int]
    duration_s: Mapped[float]
    diagnostics: Mapped[dict[str, Any]]

    histograms: Mapped[list[HistogramRow]] = relationship(order_by="HistogramRow.name", cascade=OWNS)


class ModelRow(Base):
    """A model that harness did not train, on one data set."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("dataset_id", "name"), NUMBERED_ONCE)

    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(unique=True)  # of its weights and the data set
    name: Mapped[str]  # what the board calls it
    network: Mapped[str]
    network_settings: Mapped[dict[str, Any]]
    network_departures: Mapped[dict[str, Any]]
    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"))
    parameters: Mapped[int]
    created_utc: Mapped[datetime]
    provenance: Mapped[dict[str, Any]]  # where it came from, and the layers that were put around it
    code: Mapped[dict[str, Any]] = mapped_column(server_default="{}")  # digests of the user's source files, by name
    probe: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # see ModelRecord.probe
    note: Mapped[str | None]
    tags: Mapped[list[str]] = mapped_column(JSON, server_default="[]")

    dataset: Mapped[DatasetRow] = relationship()
    checkpoint: Mapped[CheckpointRow] = relationship(cascade=OWNS)


class CheckpointRow(Base):
    """Weights to attack: of a run after some epoch (a file in the run's folder), or of a model from elsewhere."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        UniqueConstraint("run_id", "name"),
        UniqueConstraint("model_id"),
        CheckConstraint("(run_id IS NULL) != (model_id IS NULL)", name="one_owner"),
        CheckConstraint("(run_id IS NULL) = (epoch IS NULL)", name="epoch_of_a_run"),
        NUMBERED_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    name: Mapped[str]
    epoch: Mapped[int | None]
    sha256: Mapped[str]
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"))

    evaluations: Mapped[list[EvaluationRow]] = relationship(order_by="EvaluationRow.id", cascade=OWNS)
    examinations: Mapped[list[ExaminationRow]] = relationship(order_by="ExaminationRow.id", cascade=OWNS)


class EvaluationRow(Base):
    """One attack with one seed on ``examples`` test images; complete when its blocks cover all of them."""

    __tablename__ = "evaluations"
    __table_args__ = (
        UniqueConstraint("checkpoint_id", "attack", "settings_sha256", "seed", "examples", "sample", "attempt"),
        CheckConstraint("examples > 0", name="examples_positive"),
        CheckConstraint("sample IN ('first', 'balanced')", name="sample_known"),
        CheckConstraint("attempt >= 1", name="attempt_counted"),
        NUMBERED_ONCE,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    checkpoint_id: Mapped[int] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"))
    attack: Mapped[str]
    settings: Mapped[dict[str, Any]]
    settings_sha256: Mapped[str]
    seed: Mapped[int]
    examples: Mapped[int]
    created_utc: Mapped[datetime]
    provenance: Mapped[dict[str, Any]]
    sample: Mapped[str] = mapped_column(server_default="first")  # which test images: the first, or a balanced sample
    attempt: Mapped[int] = mapped_column(server_default="1")  # --fresh makes another one; the newest counts

    blocks: Mapped[list[BlockRow]] = relationship(order_by="BlockRow.start", cascade=OWNS)
    adversarial: Mapped[list[AdversarialImageRow]] = relationship(order_by="AdversarialImageRow.place", cascade=OWNS)


class BlockRow(Base):
    """The verdicts on the examples start ... start + examples - 1 of an evaluation, packed to bits."""

    __tablename__ = "blocks"
    __table_args__ = (
        CheckConstraint("correct BETWEEN 0 AND examples", name="correct_in_range"),
        CheckConstraint("start >= 0", name="start_counted"),
    )

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    examples: Mapped[int]
    correct: Mapped[int]
    verdicts: Mapped[bytes] = mapped_column(LargeBinary)  # bit i, most significant first: 1 is right
    duration_s: Mapped[float]
    warnings: Mapped[list[str]] = mapped_column(JSON)
    margins: Mapped[bytes | None] = mapped_column(LargeBinary)  # float16, little-endian; None in older blocks
    predicted: Mapped[bytes | None] = mapped_column(LargeBinary)  # uint16, little-endian, 65535: none; None: older


class ExaminationRow(Base):
    """The checks of rigour on a checkpoint, one row for each of their settings; a new examination replaces the old."""

    __tablename__ = "examinations"
    __table_args__ = (UniqueConstraint("checkpoint_id", "settings_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    checkpoint_id: Mapped[int] = mapped_column(ForeignKey("checkpoints.id", ondelete="CASCADE"))
    settings: Mapped[dict[str, Any]]  # what was examined, at which radius, on how many images
    settings_sha256: Mapped[str]
    created_utc: Mapped[datetime]
    duration_s: Mapped[float]
    provenance: Mapped[dict[str, Any]]

    findings: Mapped[list[FindingRow]] = relationship(order_by="FindingRow.position", cascade=OWNS)


class FindingRow(Base):
    """What one check found."""

    __tablename__ = "findings"
    __table_args__ = (CheckConstraint("status IN ('passed', 'flagged', 'not-applicable')", name="status_known"),)

    examination_id: Mapped[int] = mapped_column(ForeignKey("examinations.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    check: Mapped[str]
    status: Mapped[str]
    mark: Mapped[str]  # one character, shown on the leaderboard
    value: Mapped[float | None] = mapped_column(info=MAY_BE_INFINITE)
    threshold: Mapped[float | None] = mapped_column(info=MAY_BE_INFINITE)
    reason: Mapped[str]
    details: Mapped[dict[str, Any]]


class ReportedRow(Base):
    """One figure that a paper reports."""

    __tablename__ = "reported"
    __table_args__ = (UniqueConstraint("paper", "paper_table", "dataset", "network", "method", "checkpoint", "metric"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    paper: Mapped[str]
    paper_table: Mapped[str]
    dataset: Mapped[str]
    network: Mapped[str]
    method: Mapped[str]
    checkpoint: Mapped[str]
    metric: Mapped[str]
    median_percent: Mapped[float]
    std_percent: Mapped[float | None]
    note: Mapped[str]
    statistic: Mapped[str] = mapped_column(server_default="median")  # over attack seeds; "mean": over training seeds
    n: Mapped[int | None]  # seeds behind the statistic


ALL = (LeaseRow, RunStateRow)  # of other modules, which nothing here refers to
type_columns(Base)
METADATA = Base.metadata
"""Every table, those of ``schema_records`` and ``schema_work``, too."""
