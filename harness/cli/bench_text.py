"""What ``harness bench`` prints: tables for people, one JSON document for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.execution.bench import BenchFigures
    from harness.execution.bench_items import Item
    from harness.execution.peak import Peak
    from harness.planning.bench_job import BenchJob
    from harness.planning.measured_times import Bench

PARTS = ("crafting", "update", "data", "other")
LEGEND = (
    "measured, N: the median of N repeats. computed: it would have taken too long, so its time follows from its"
    " passes and from what was measured. Each attack has a radius so small that no image breaks, so the figure is what"
    " a robust image costs; AutoAttack and its parts take less for an image that breaks early. FLOP/s count the"
    " network's own layers, whatever computes them."
)


def bench_document(job: BenchJob, found: BenchFigures, record: Bench) -> dict[str, Any]:
    """The bench as JSON types. Times are seconds of one worker; peaks are FLOP a second."""
    return {
        "host": record.host,
        "device": record.device,
        "arch": record.network,
        "network_settings": dict(record.network_settings),
        "dataset": job.likeness.name,
        "image": list(record.image),
        "precision": record.precision,
        "plain": record.plain,
        "measured_utc": record.measured_utc,
        **record.beside,
        "flop_an_image": {
            "forward": found.arithmetic.forward,
            "backward_to_the_image": found.arithmetic.input_backward,
            "backward_to_the_weights": found.arithmetic.update_backward,
        },
        "peak_flop_per_s": {"training": vars(found.training_peak), "attacks": vars(found.attack_peak)},
        "training": [_entry("method", item, found.training_peak) for item in found.training],
        "attacks": [_entry("attack", item, found.attack_peak) for item in found.attacks],
        "peak_memory_bytes": found.peak_memory,
        "took_s": found.took_s,
    }


def _entry(kind: str, item: Item, peak: Peak) -> dict[str, Any]:
    seconds = item.timed.seconds
    return {
        kind: item.name,
        "how": _how(item),
        "images_per_s": 1 / seconds,
        "seconds_an_image": seconds,
        "repeats_s_an_image": list(item.each_s),
        "images_together": item.images,
        "passes": vars(item.timed.passes),
        "flop_per_s": item.operations / seconds,
        "of_peak": item.operations / seconds / peak.best,
        "device_peak_bytes": item.peak_bytes,
    } | ({"shares": item.shares or None} if kind == "method" else {})


def bench_parts(job: BenchJob, found: BenchFigures, record: Bench) -> Iterator[RenderableType]:
    """The bench as lines and tables."""
    from rich.text import Text

    channels, height, width = record.image
    path = "the network's own layers alone" if record.plain else "faster layers where they compute the same"
    threads = record.beside["threads"]
    yield Text(f"{record.network}, random images {channels}x{height}x{width} as in {job.likeness.name}; {path}")
    yield Text(
        f"{record.device} of {record.host}, torch {record.beside['versions']['torch']};"
        f" training in {record.precision} on {threads['training']} thread(s), an attack in float32 on 1"
    )
    yield _table("training step", ("batch", *PARTS), found.training, found.training_peak)
    yield _table("attack", ("together",), found.attacks, found.attack_peak)
    for name, peak in (("training", found.training_peak), ("attacks", found.attack_peak)):
        yield Text(
            f"peak, {name}: {_rate(peak.convolution)} in a large convolution, {_rate(peak.product)} in a large product"
        )
    memory = "the device's" if found.attacks[0].peak_bytes is not None else "the process's"
    yield Text(f"peak memory, {memory}: {found.peak_memory / 2**20:.0f} MiB; the bench took {found.took_s:.0f} s")
    yield Text(LEGEND)


def _table(title: str, columns: Sequence[str], items: Sequence[Item], peak: Peak) -> RenderableType:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(title)
    for column in ("images/s", "spread", *columns, "FLOP/s", "of peak"):
        table.add_column(column, justify="right")
    table.add_column("how")
    for item in items:
        rates = [1 / each for each in item.each_s]
        spread = f"{_figure(min(rates))}-{_figure(max(rates))}" if len(rates) > 1 else "-"
        shares = [f"{item.shares[part]:.0%}" if item.shares else "-" for part in PARTS if part in columns]
        speed = item.operations / item.timed.seconds
        cells = [_figure(1 / item.timed.seconds), spread, str(item.images or "-"), *shares, _rate(speed)]
        table.add_row(item.name, *cells, f"{speed / peak.best:.0%}", _how(item))
    return table


def _how(item: Item) -> str:
    return f"measured, {len(item.each_s)}" if item.timed.measured else "computed"


def _figure(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _rate(value: float) -> str:
    """Operations a second, in the unit that suits them."""
    unit, size = ("TFLOP/s", 1e12) if value >= 1e12 else ("GFLOP/s", 1e9)
    return f"{value / size:.3g} {unit}"
