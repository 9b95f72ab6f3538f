"""``harness bench``: measure this machine, and keep its times for the estimates of ``--dry-run``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli import completion
from harness.cli.console import print_json, print_parts
from harness.cli.grouped import grouped, request_of
from harness.cli.options import DATA_DIR, PLUGINS, ImageFolder, Output, Rules, of_protocol, place, what
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.planning.bench_job import BenchJob
    from harness.planning.measured_times import Bench


@grouped
def bench(
    *,
    network: str = what(
        "--arch NAME", "The network: see `harness list networks`.", "resnet18", complete=completion.networks
    ),
    dataset: str | None = what(
        "--dataset NAME",
        "The data set whose shape and protocol count; it need not be there, since the images are random.",
        shown="digits for smallcnn, else cifar10",
        complete=completion.datasets,
    ),
    folder: ImageFolder,
    rules: Rules,
    precision: str | None = of_protocol(
        "--precision TYPE",
        "Train in float32, tf32, or bfloat16; attacks compute in float32. Short for --set train.precision=TYPE.",
        complete=completion.words("float32", "tf32", "bfloat16"),
    ),
    device: str | None = place(
        "--device DEVICE",
        "The device to measure: cpu, cuda, or cuda:N.",
        shown="cuda if there is one",
        complete=completion.words("cpu", "cuda"),
    ),
    plain: bool = place(
        "--plain", "Compute each network with its own layers alone, as `--plain` of a run does.", False
    ),
    data_dir: Path = DATA_DIR,
    plugins: list[Path] | None = PLUGINS,
    output: Output,
) -> None:
    """Measure this machine in about a minute: each method's training step, and each attack, on random images.

    The times are kept in your cache folder: `--dry-run` tells hours before anything was trained here.
    """
    from harness.cli.bench_text import bench_document, bench_parts
    from harness.execution import bench as engine
    from harness.planning.bench_job import resolve_bench
    from harness.planning.request import RunRequest
    from harness.reproduction.recipes import STAND_IN_NETWORKS
    from harness.targets.target import quiet

    name = dataset or next((data for data, own in STAND_IN_NETWORKS.items() if own == network), "cifar10")
    own = {"methods": (), "network": network, "dataset": name, "precision": precision, "device": device}
    more = {"plain": plain, "data_dir": data_dir, "plugins": tuple(plugins or ())}
    with quiet():
        job = resolve_bench(request_of(RunRequest, folder, rules, **own, **more))
        with _told(output) as tell:
            found = engine.measure(job, tell, seconds=engine.BUDGET_S)
    record = engine.record_of_bench(job, found)
    if output.as_json:
        print_json(bench_document(job, found, record))
    else:
        print_parts(bench_parts(job, found, record))
    _keep(record, job, output)


def _keep(record: Bench, job: BenchJob, output: Output) -> None:
    from harness.planning.measured_times import keep_bench, times_file

    try:
        kept = keep_bench(record)
    except OSError as error:
        raise HarnessError(
            f"the times cannot be kept in {times_file()}: {error}; set XDG_CACHE_HOME to a folder that can be written"
        ) from None
    output.note(f"kept in {kept}: --dry-run uses them for {job.network.name} where this machine has timed no runs")


@contextlib.contextmanager
def _told(output: Output) -> Iterator[Callable[[str], None]]:
    """Says on a terminal what is being measured."""
    from harness.api.terminal import Terminal

    console = Terminal(stderr=True, file=sys.__stderr__)
    if output.quiet or not console.is_terminal:
        yield lambda _text: None
        return
    with console.status("measuring") as status:
        yield lambda text: status.update(f"measuring {text}")
