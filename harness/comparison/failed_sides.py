"""The training seeds of an entrant that failed, as the board of its newest protocol shows them, and what to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.comparison.naming import Entrant
from harness.leaderboard.columns import WORST_CASE, Column
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.failed_seeds import FailedSeeds, FailedTrainings, failed_seeds, with_figures
from harness.leaderboard.failed_text import failed_text
from harness.leaderboard.places import places
from harness.statistics.seed_sides import SeedTest
from harness.store.scope import Scope
from harness.store.store import Store

BothFailed = tuple[FailedSeeds | None, FailedSeeds | None]
"""Of the first and the second entrant."""


def failed_sides(store: Store, entrants: tuple[Entrant, Entrant], column: Column) -> BothFailed:
    """The training seeds of two entrants that failed, with every seed's figure in the column.

    Args:
        column: in which they are compared; the worst case has no figures here.
    """
    trainings = FailedTrainings(store.failed_trainings())
    first, second = (_failed(store, entrant, column, trainings) for entrant in entrants)
    return first, second


def _failed(store: Store, entrant: Entrant, column: Column, trainings: FailedTrainings) -> FailedSeeds | None:
    one, images = entrant.networks[0], column.images
    alike = [
        protocol
        for protocol in store.protocols()
        if protocol.trains(one.training_sha256, one.wrapped) and column.attacks.items() <= protocol.attacks.items()
    ]
    whole, scope = column, None
    networks: Sequence[Contestant] = []
    if alike:
        protocol = alike[-1]
        whole = Column(WORST_CASE, protocol.attacks, images)
        scope = Scope.of_document(protocol.document, protocol.attacks, images.count, images.sample)
        board = (protocol.fingerprint, one.dataset.fingerprint, images)
        networks = places(entrant.networks, [protocol]).get(board, [])
    # without a board: those that the comparison can be about
    networks = networks or [network for network in entrant.networks if any(column.evaluations(network).values())]
    examined = [] if scope is None else [network.checkpoint.raised(scope) or () for network in networks]
    checks = {flag.check for flags in examined for flag in flags}
    beside = FailedTrainings() if entrant.one_run else trainings
    failed = failed_seeds(networks, whole, checks, scope, beside)
    return failed if column.name == WORST_CASE else with_figures(failed, networks, column, {})


def failed_notes_of(names: Sequence[str], failed: BothFailed, test: SeedTest | None) -> Iterator[str]:
    """What to read before the figures: which seeds failed, and that no mean describes them.

    Args:
        names: of both entrants.
    """
    for name, of_side in zip(names, failed, strict=True):
        if of_side is not None and of_side.count:
            yield f"{name} {failed_text(of_side)}"
            if of_side.spoils_means and test is not None:
                yield f"so mean and deviation over the seeds of {name} describe no network: do not read the t-test"
