"""Stored verdicts as rows: one for each attack, attack seed, and test image. One run is read at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.leaderboard.contestants import Contestant, contestants
from harness.plugin.images import Images
from harness.store.records import DatasetRecord, ProtocolRecord
from harness.store.standing import Evaluated
from harness.store.store import Store
from harness.store.verdicts import NOT_KEPT, Judgements

OF_EVALUATION = (
    *("run", "method", "network", "dataset", "dataset_fingerprint", "training_sha256", "train_seed", "checkpoint"),
    *("evaluation", "attack", "settings_sha256", "seed", "sample", "examples"),
)
"""The columns that are the same in all rows of an evaluation."""

OF_IMAGE = ("position", "image", "correct", "margin", "predicted")
"""The columns of one test image."""

COLUMNS = (*OF_EVALUATION, *OF_IMAGE)

Places = Callable[[DatasetRecord, Images], Sequence[int] | None]
"""Gives the test images of an evaluation set, as positions in the data set; None where they cannot be told."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which evaluations to read. None: all.

    Attributes:
        method: a method's name, which takes every variant of it, or a label such as ``lrat floor=pgd``.
        protocol: a name, or the beginning of a fingerprint. An evaluation belongs to each protocol that has its attack
            with the same settings and, if harness trained the network, the same training.
        runs: these runs and no models from elsewhere, in any state and attempt. None: of every run the newest attempt
            that is done, as on the leaderboard, and every model from elsewhere.
    """

    dataset: str | None = None
    network: str | None = None
    method: str | None = None
    protocol: str | None = None
    checkpoint: str | None = None
    attack: str | None = None
    runs: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """The verdicts of one evaluation.

    Attributes:
        kept: of each test image, in the order of the evaluation set.
        images: positions of the test images in the data set; None where they cannot be told.
    """

    network: Contestant
    evaluation: Evaluated
    kept: Judgements
    images: Sequence[int] | None

    def __len__(self) -> int:
        return self.evaluation.examples

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The values of the columns ``OF_EVALUATION``."""
        network, evaluation = self.network, self.evaluation
        values = (
            *(network.number, network.label, network.arch_label, network.dataset.name, network.dataset.fingerprint),
            *(network.training_sha256, network.train_seed, network.checkpoint.name),
            *(evaluation.id, evaluation.attack, evaluation.settings_sha256, evaluation.seed),
            *(evaluation.sample, evaluation.examples),
        )
        return dict(zip(OF_EVALUATION, values, strict=True))

    def of_images(self) -> Iterator[tuple[int, int | None, bool, float | None, int | None]]:
        """The values of the columns ``OF_IMAGE``, for each test image."""
        images = self.images if self.images is not None else [None] * len(self)
        kept = zip(self.kept.correct.tolist(), self.kept.margins.tolist(), self.kept.predicted.tolist(), strict=True)
        for position, (image, (right, margin, predicted)) in enumerate(zip(images, kept, strict=True)):
            known = None if predicted == NOT_KEPT else predicted
            yield position, image, right, margin if margin == margin else None, known


def wanted_evaluations(store: Store, wanted: Wanted) -> Iterator[tuple[Contestant, Evaluated]]:
    """The evaluations that are wanted, complete or not; of each repeated evaluation, the attempt that counts.

    Raises:
        StoreError: there is no run of a number in ``wanted.runs``.
    """
    protocols = [p for p in store.protocols() if wanted.protocol is None or _called(p, wanted.protocol)]
    for network in _networks(store, wanted):
        if _takes(wanted, network):
            for evaluation in network.checkpoint.evaluations:
                of_protocol = wanted.protocol is None or any(_has(p, network, evaluation) for p in protocols)
                if of_protocol and wanted.attack in (None, evaluation.attack):
                    yield network, evaluation


def first_places(_: DatasetRecord, images: Images) -> Sequence[int] | None:
    """The places of test images that are the first of the data set; a balanced sample needs the data set's labels."""
    return range(images.count) if images.sample == "first" else None


def read_judged(store: Store, network: Contestant, evaluation: Evaluated, places: Places = first_places) -> Judged:
    """The verdicts of a complete evaluation."""
    assert evaluation.complete  # else an image without a verdict would pass for a wrong one
    kept = store.judgements({evaluation.id: evaluation.examples})
    return Judged(network, evaluation, kept, places(network.dataset, evaluation.images))


def verdict_rows(store: Store, wanted: Wanted, places: Places = first_places) -> Iterator[dict[str, Any]]:
    """Each verdict of the complete evaluations that are wanted, as a mapping with the keys ``COLUMNS``."""
    for network, evaluation in wanted_evaluations(store, wanted):
        if evaluation.complete:
            one = read_judged(store, network, evaluation, places)
            for values in one.of_images():
                yield one.facts | dict(zip(OF_IMAGE, values, strict=True))


def _networks(store: Store, wanted: Wanted) -> Iterator[Contestant]:
    for number in store.newest_runs() if wanted.runs is None else dict.fromkeys(wanted.runs):
        yield from contestants([store.run(number)], with_trials=wanted.runs is not None)
    if wanted.runs is None:
        yield from contestants([], store.models())


def _takes(wanted: Wanted, network: Contestant) -> bool:
    return (
        wanted.dataset in (None, network.dataset.name)
        and wanted.network in (None, network.network, network.arch_label)
        and wanted.method in (None, network.method, network.label, network.short_label)
        and wanted.checkpoint in (None, network.checkpoint.name)
    )


def _called(protocol: ProtocolRecord, name: str) -> bool:
    return protocol.name == name or protocol.fingerprint.startswith(name)


def _has(protocol: ProtocolRecord, network: Contestant, evaluation: Evaluated) -> bool:
    return network.stands_under(protocol) and protocol.attacks.get(evaluation.attack) == evaluation.settings_sha256
