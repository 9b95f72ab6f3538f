"""Figure 1(a): its bars and the share of low weights against the counts, and against weights that are computed here."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.errors import HarnessError
from harness.events import EpochRecord, Histogram
from harness.figures.marks import number
from harness.figures.weights import BAR, NETWORK, SHARE, WEIGHTS, bins_below
from harness.store.store import Store
from tests import stores
from tests.harness.figures import made
from tests.methods.slow import geometry

EPOCHS, STEPS = 3, 10
TRAINING = {"epsilon": 0.2, "epochs": EPOCHS, "steps": STEPS}
DISTANCES = ([10] * 16 + [0, 1, 3, 4], [10] * 10 + [5] * 5 + [0] * 5)  # of two networks


def histogram(name: str, values: Sequence[float], low: float, high: float, bins: int) -> Histogram:
    counts = [0] * bins
    for value in values:
        counts[min(max(int((value - low) / (high - low) * bins + 1e-9), 0), bins - 1)] += 1
    return Histogram(name, low, high, tuple(counts))


def weights(distances: Sequence[int]) -> list[float]:
    return [geometry(distance, STEPS, -1.0, "tanh") for distance in distances]


def add(
    store: Store, method: str, seed: int, distances: Sequence[int] | None, *, epochs: int = EPOCHS, most: float = 5.0
) -> None:
    """A run whose instances have these distances in every epoch; a distance of 0 alone in all epochs but the last."""
    stores.see_protocol(store, {"natural": {}}, TRAINING)
    run = stores.start(store, stores.make_spec(method=method, training=TRAINING, train_seed=seed))
    for epoch in range(1, epochs + 1):
        kept: tuple[Histogram, ...] = ()
        if distances is not None:
            raw = weights(distances if epoch == EPOCHS else [0] * len(distances))
            scaled = [len(raw) * weight / sum(raw) for weight in raw]
            kept = (histogram("weight", raw, 0.0, 1.0, 50), histogram("normalised_weight", scaled, 0.0, most, 50))
        store.add_epoch(run.id, EpochRecord(epoch, 1.0, 0.1, 20, 1.0, histograms=kept))
    stores.add_checkpoint(store, run)
    store.end_run(run.id)


@pytest.fixture
def store() -> Store:
    filled = Store.in_memory()
    for seed, distances in enumerate(DISTANCES):
        add(filled, "gairat", seed, distances)
    return filled


def test_the_share_below_a_fifth_is_that_of_the_weights(store: Store) -> None:
    marks = WEIGHTS.data(made.material(store))
    each = [weights(distances) for distances in DISTANCES]
    scaled = [[len(raw) * weight / sum(raw) for weight in raw] for raw in each]
    for name, values in (("weight", each), ("normalised_weight", scaled)):
        (share,) = marks.where(weight=name, mark=SHARE)
        together = [value for of_network in values for value in of_network]
        assert share["percent"] == pytest.approx(100 * sum(v < 0.2 for v in together) / len(together))
        of_one = [mark["percent"] for mark in marks.where(weight=name, mark=NETWORK)]
        assert of_one == pytest.approx([100 * sum(v < 0.2 for v in own) / len(own) for own in values])
    assert marks.only("epoch") == EPOCHS
    assert marks.only("networks") == 2


def test_bars_are_the_counts_of_all_networks(store: Store) -> None:
    marks = WEIGHTS.data(made.material(store))
    together = [value for distances in DISTANCES for value in weights(distances)]
    bars = marks.where(weight="weight", mark=BAR)
    assert [bar["count"] for bar in bars] == list(histogram("weight", together, 0.0, 1.0, 50).counts)
    assert sum(number(bar, "percent") for bar in bars) == pytest.approx(100)
    assert [number(bar, "low") for bar in bars] == pytest.approx([i / 50 for i in range(50)])


def test_the_drawing_shows_the_bars_and_says_the_share(store: Store) -> None:
    marks = WEIGHTS.data(made.material(store))
    with made.drawn(WEIGHTS, marks) as canvas:
        for axes, name in zip(canvas.axes, ("weight", "normalised_weight"), strict=True):
            bars = marks.where(weight=name, mark=BAR)
            drawn = [(patch.get_x(), patch.get_height()) for patch in axes.patches]
            assert made.rounded(drawn) == made.rounded((bar["low"], bar["percent"]) for bar in bars)
            (share,) = marks.where(weight=name, mark=SHARE)
            (text,) = (text.get_text() for text in axes.texts)
            assert text.startswith(f"{number(share, 'percent'):.1f} % are\nbelow 0.2")


def test_a_run_without_histograms_is_refused_with_the_command(store: Store) -> None:
    old = Store.in_memory()
    add(old, "gairat", 0, None)
    with pytest.raises(HarnessError, match="harness run gairat --dataset digits --arch smallcnn --fresh"):
        WEIGHTS.data(made.material(old))
    add(store, "sat", 0, None)
    with pytest.raises(HarnessError, match="gairat and gair-trades record both"):
        WEIGHTS.data(made.material(store, methods=("sat",)))


def test_an_epoch_before_the_last_is_not_shown_for_it() -> None:
    store = Store.in_memory()
    add(store, "gairat", 0, DISTANCES[0], epochs=EPOCHS - 1)
    with pytest.raises(HarnessError, match="recorded no weights in its last epoch, 3"):
        WEIGHTS.data(made.material(store))


def test_another_checkpoint_is_not_shown_as_the_last(store: Store) -> None:
    with pytest.raises(HarnessError, match="--checkpoint early is refused: weights shows the last epoch"):
        WEIGHTS.data(made.material(store, checkpoint="early"))


def test_rows_in_other_bins_share_no_axis(store: Store) -> None:
    add(store, "gair-trades", 0, DISTANCES[0], most=10.0)
    with pytest.raises(HarnessError, match="gairat, gair-trades count normalised_weight in different bins"):
        WEIGHTS.data(made.material(store, methods=("gairat", "gair-trades")))


def test_a_border_inside_a_bin_is_no_border() -> None:
    assert bins_below(Histogram("weight", 0.0, 1.0, (0,) * 50), 0.2) == 10
    assert bins_below(Histogram("normalised_weight", 0.0, 5.0, (0,) * 50), 0.2) == 2
    with pytest.raises(HarnessError, match="inside a bin"):
        bins_below(Histogram("weight", 0.0, 1.0, (0,) * 3), 0.2)
