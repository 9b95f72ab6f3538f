"""What the looks at some methods came to, as text: below the boards of ``harness run --until-separated``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.api.separating import REMARK, Separated
from harness.comparison.lines import add_row, bold_line, table_of, text_line
from harness.comparison.text import p_text
from harness.leaderboard.columns import title_of
from harness.leaderboard.failed_text import seed_text
from harness.statistics.paired import ALPHA

if TYPE_CHECKING:
    from rich.console import RenderableType


def separated_parts(separated: Separated) -> Iterator[RenderableType]:
    """A table of all pairs, the methods that lack figures, the networks at chance, and what the p-values mean."""
    found = separated.found
    count, total = sum(pair.separated for pair in found.pairs), len(found.pairs)
    yield bold_line(
        f"\n{count} of {total} pairs of methods are separated, {title_of(separated.attack)}, {separated.checkpoint},"
        f" after {found.seeds} of at most {found.limit} training seeds"
    )
    table = table_of("first", "second", "n", "difference", "95 % at any look", "p", "separated")
    for pair in found.pairs:
        low_high = f"[{pair.interval.low:+.2f}, {pair.interval.high:+.2f}]" if pair.interval is not None else "-"
        difference = f"{pair.difference:+.2f}" if pair.difference is not None else "-"
        told = (str(pair.n), difference, low_high, p_text(pair.p_holm), "yes" if pair.separated else "no")
        add_row(table, pair.first, pair.second, *told)
    yield table
    for method, lacking in found.without.items():
        yield text_line(f"{method}: {lacking} of its networks have no figure, and their seeds are left out")
    for method, seeds in separated.collapsed.items():
        yield text_line(
            f"{method}: {'; '.join(map(seed_text, seeds))}; its figure counts in the looks, and a mean difference that"
            " takes it in describes no network"
        )
    for method, before in separated.trained_before.items():
        yield text_line(
            f"{method}: seeds {', '.join(map(str, before))} were trained without --until-separated; if their figures"
            " were seen before the limit was named, p does not keep its error"
        )
    yield text_line(
        "sequential paired t over training seeds, p after Holm over the pairs: even one wrong claim, at any look, has"
        f" chance {ALPHA:.0%} at most"
    )
    yield text_line(REMARK)
