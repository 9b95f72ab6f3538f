"""Reports of models as text: a table of attacks, the worst case, the flags; and the curve of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from harness.plugin.ball import radius_text
from harness.statistics.figures import plus_minus

if TYPE_CHECKING:
    from harness.planning.report import ModelReport
    from harness.statistics.figures import Interval

BARS = 4  # the column of a sweep's bars
BAR = 40  # characters for 100 %
LEGEND = (
    "% of test images classified rightly: median ± standard deviation over n attack seeds; in brackets Wilson's 95 %"
    " interval over the images"
)


def report_lines(report: ModelReport) -> Iterator[str]:
    """One model, line by line."""
    yield f"{report.label}, checkpoint {report.checkpoint}: epsilon {_ball(report)}, {report.images}"
    rows = [("attack", "robust %", "95 %", "n")]
    for result in report.results:
        figure = result.figure
        shown = plus_minus(figure.median, figure.std)
        name = result.attack + "".join(f" {key}={value}" for key, value in result.settings.items())
        rows.append((name, shown, _interval(result.interval), str(figure.n)))
    if report.worst_case is not None and len(report.results) > 1:
        rows.append(("worst case", f"{report.worst_case:.2f}", _interval(report.worst_case_interval), ""))
    yield from _aligned(rows)
    yield LEGEND
    flagged = [finding for finding in report.findings if finding.status == "flagged"]
    if report.findings:
        made = sum(finding.status != "not-applicable" for finding in report.findings)
        yield f"checks of rigour: {made} made, {len(flagged)} flagged" + (":" if flagged else "")
    for finding in flagged:
        yield f"  {finding.mark} {finding.check}: {finding.reason}"


def sweep_lines(reports: Sequence[ModelReport]) -> Iterator[str]:
    """The accuracy under each attack against the radius."""
    first = reports[0]
    for attack in dict.fromkeys(result.attack for report in reports for result in report.results):
        yield f"{first.label}, checkpoint {first.checkpoint}: {attack} on {first.images}"
        rows = [("epsilon", "robust %", "95 %", "n", "")]
        for report in reports:
            for result in (result for result in report.results if result.attack == attack):
                bar = "█" * round(BAR * result.figure.median / 100)
                percent = f"{result.figure.median:.2f}"
                rows.append((_ball(report), percent, _interval(result.interval), str(result.figure.n), bar))
        yield from _aligned(rows)
    yield LEGEND


def _ball(report: ModelReport) -> str:
    return radius_text(report.epsilon, report.norm)


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Columns below each other: names and bars to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        places = enumerate(zip(row, widths, strict=True))
        cells = [cell.ljust(width) if column in (0, BARS) else cell.rjust(width) for column, (cell, width) in places]
        yield "  ".join(["", *cells]).rstrip()
