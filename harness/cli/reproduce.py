"""``harness reproduce``: run the cells of the paper's tables, and show reported and measured side by side."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from harness.cli import completion
from harness.cli.common import end, followers, workplace
from harness.cli.console import print_json, print_parts
from harness.cli.grouped import grouped, request_of
from harness.cli.options import Extent, ImageFolder, Output, Rules, Training, argument, comma_separated, what
from harness.cli.places import Places
from harness.cli.signals import stoppable
from harness.errors import SettingError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.execution.summary import Summary
    from harness.planning.run_job import RunJob
    from harness.reproduction.measured import ComparedCell, Ordering

TABLES = ("table1", "table2", "table4", "table5")
LEGEND = (
    "reported: median ± standard deviation over 5 attack seeds, one network, in % of test images classified rightly.",
    "measured: likewise; for several networks, the median of their medians ± their deviation over training seeds.",
    "within: |difference| <= 2 sqrt(reported deviation² + measured deviation²). For one network the deviations are over"
    " attack seeds, and understate how far two trainings lie apart. No deviation of natural accuracy is reported, so it"
    " has no verdict.",
    "tau: Kendall's tau-b between the two orders of the medians, 1 where they agree; it ignores their uncertainty. By"
    " chance 3 rows agree once in 6 times, 5 rows once in 120. The columns of a table share their networks, and so may"
    " tables on other data or another network: they are not independent evidence.",
)


@grouped
def reproduce(
    table: Annotated[
        str, argument("TABLE", f"{', '.join(TABLES)}, or all.", complete=completion.words(*TABLES, "all"))
    ],
    *,
    network: str | None = what(
        "--arch NAME",
        "Only the cells of this network; a network that the tables lack replaces theirs.",
        complete=completion.networks,
    ),
    dataset: str | None = what(
        "--dataset NAME",
        "Only the cells of this data set; a data set that the tables lack, such as digits, replaces theirs.",
        complete=completion.datasets,
    ),
    folder: ImageFolder,
    rules: Rules,
    training: Training,
    extent: Extent,
    report: bool = what("--report", "Run nothing; show what is measured so far.", False),
    places: Places,
    output: Output,
) -> None:
    """Train and attack the networks of the LRAT paper's tables, and show reported beside measured figures.

    Work that this command or `harness run` has stored is not repeated.
    """
    from harness.reproduction.recipes import parts, select
    from harness.store.store import Store

    cells = select(table, dataset, network)
    place = workplace(places)
    place.check(writing=not (extent.dry_run or report))
    followers(places)  # a wrong name is refused now; each part has its own
    if extent.dry_run and report:
        raise SettingError("--dry-run and --report exclude each other: one shows the work to do, the other its results")

    from harness.api.running import missing_of, note_dataset
    from harness.cli.plan_text import print_plans
    from harness.planning.request import RunRequest
    from harness.reproduction.measured import compare_cells, orderings

    attacks = comma_separated("--attacks", training.attacks)
    where: dict[str, Any] = {"device": place.planned_on, "elsewhere": place.elsewhere}
    base = request_of(RunRequest, folder, rules, training, extent, places, methods=(), attacks=attacks, **where)
    summaries: list[Summary] = []
    if not report:
        wanted = list(parts(cells, base, count_only=extent.dry_run).values())
        for data in {jobs[0].dataset.name: jobs[0].dataset for jobs in wanted}.values():
            note_dataset(data, output.note)
        if extent.dry_run:
            missing = [missing_of(jobs, place, fresh=extent.fresh) for jobs in wanted]
            for text in (text for one in missing for text in one.notes):
                output.note(text)
            print_plans(missing, place, output.as_json)
            return
        summaries = [_conduct(jobs, places, extent, output) for jobs in wanted]
    store = Store.read(places.db)
    comparisons = compare_cells(cells, base, store)
    store.close()
    _print_report(comparisons, orderings(comparisons), output.as_json)
    end(summaries)


def _conduct(jobs: Sequence[RunJob], places: Places, extent: Extent, output: Output) -> Summary:
    from harness.api.progress import Watch
    from harness.api.running import conduct, missing_of, note_cpu, note_times
    from harness.api.tracked import tracked

    place = workplace(places)
    started, missing = time.perf_counter(), missing_of(jobs, place, fresh=extent.fresh)
    for text in missing.notes:
        output.note(text)
    if missing.idle:
        output.note(f"{jobs[0].specs[0].dataset}, {jobs[0].specs[0].network}: nothing to do")
    note_cpu(missing, place, places.device, output.note)
    watch = Watch(quiet=output.quiet, verbose=output.verbose)
    with stoppable(), watch, tracked(watch, followers(places)) as listen:
        summary = conduct(missing, place, listen)
    note_times(summary, time.perf_counter() - started, output.note)
    return summary


def _print_report(comparisons: Sequence[ComparedCell], orders: Sequence[Ordering], as_json: bool) -> None:
    if as_json:
        columns = [_panel_document(order.panel) | asdict(order) for order in orders]
        for column in columns:
            del column["panel"]  # its parts are there, by name
        print_json({"cells": list(map(_cell_document, comparisons)), "orderings": columns, "legend": LEGEND})
    else:
        print_parts(_render(comparisons, orders))


def _panel_document(panel: tuple[str, str, str, str]) -> dict[str, Any]:
    return dict(zip(("table", "dataset", "arch", "checkpoint"), panel, strict=True))


def _cell_document(c: ComparedCell) -> dict[str, Any]:
    """One cell in JSON types: percentages, and null if there is no figure."""
    figure, recipe, measured = c.cell.figure, c.cell.recipe, c.measured
    run = {"method": recipe.method, "settings": dict(recipe.settings)}
    return {
        **_panel_document(c.cell.panel),
        "method": figure.method,
        "metric": figure.metric,
        "run": run | {"dataset": c.cell.dataset, "arch": c.cell.network},
        "reported": {"median": figure.median_percent, "std": figure.std_percent},
        "measured": measured
        and {"median": measured.median, "std": c.spread, "n": measured.n, "train_seeds": c.networks},
        "difference": c.difference,
        "bound": c.bound,
        "verdict": c.verdict,
        "note": figure.note,
    }


def _render(comparisons: Sequence[ComparedCell], orders: Sequence[Ordering]) -> Iterator[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    panels: dict[tuple[str, str, str, str], list[ComparedCell]] = {}
    for comparison in comparisons:
        panels.setdefault(comparison.cell.panel, []).append(comparison)
    for panel, rows in panels.items():
        place = "" if rows[0].cell.at_home else f"; measured on {rows[0].cell.dataset} with {rows[0].cell.network}"
        title = Text(f"Table {panel[0]}: {panel[1]}, {panel[2]}, {panel[3]}{place}", style="bold")
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
        for name in _texts(rows[0]):
            table.add_column(name, justify="left" if name in ("method", "attack", "verdict") else "right")
        for row in rows:
            table.add_row(*map(Text, _texts(row).values()), style="dim" if row.measured is None else "")
        yield table
        yield from map(Text, _order_lines([order for order in orders if order.panel == panel]))
    counts = Counter(comparison.verdict for comparison in comparisons)
    verdicts = ", ".join(f"{verdict} {number}" for verdict, number in counts.items())
    yield Text(f"{len(comparisons)} cells: {verdicts}", style="bold")
    yield from map(Text, LEGEND)
    figures = [comparison.cell.figure for comparison in comparisons]
    yield from (Text(f"{f.method} {f.network} {f.metric}: {f.note}", style="dim") for f in figures if f.note)


def _texts(c: ComparedCell) -> dict[str, str]:
    """One row by its columns; on other data or another network there is no difference to show."""
    from harness.statistics.figures import plus_minus

    figure, measured = c.cell.figure, c.measured
    texts = {"method": figure.method, "attack": figure.metric}
    texts["reported"] = plus_minus(figure.median_percent, figure.std_percent)
    texts["measured"] = "-" if measured is None else plus_minus(measured.median, c.spread)
    texts |= {"n": str(measured.n) if measured else "-", "networks": str(c.networks) if measured else "-"}
    if c.cell.at_home:
        texts["difference"] = "-" if c.difference is None else f"{c.difference:+.2f}"
        texts["bound"] = "-" if c.bound is None else f"{c.bound:.2f}"
    return texts | {"verdict": c.verdict}


def _order_lines(orders: Sequence[Ordering]) -> Iterator[str]:
    """For each column of a table, the reported and the measured order of its rows; incomplete columns on one line."""
    for order in orders:
        if order.measured is not None:
            tau = "no tau, since all rows are equal" if order.tau is None else f"tau {order.tau:+.2f}"
            yield f"  order by {order.metric}: {tau}, n = {order.n}"
            for name, levels in (("reported", order.reported), ("measured", order.measured)):
                yield f"    {name}  {' > '.join(' = '.join(level) for level in levels)}"
    open_columns = [f"{order.metric} ({order.missing} of {order.n})" for order in orders if order.measured is None]
    if open_columns:
        yield f"  no claim on the order where cells are missing: {', '.join(open_columns)}"
    yield ""
