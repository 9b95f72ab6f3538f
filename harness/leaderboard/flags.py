"""The flags of a row: what the checks of rigour found on its networks, and what could not be judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.leaderboard.contestants import Contestant
from harness.leaderboard.gap_judge import GapJudge
from harness.statistics.attack_gaps import CHECK, MARK
from harness.store.scope import Scope
from harness.store.standing import RaisedFlag, checks_under

NOT_JUDGED = f"{MARK}?"


@dataclass(frozen=True)
class Flag:
    """A flag that one check raised on ``networks`` of the ``of`` networks of a row on which the check was made.

    The mark is one character; ``A?`` stands where the check ``autoattack-gap`` had no baseline to judge by.
    """

    mark: str
    check: str
    networks: int
    of: int
    reason: str  # for the first flagged network


class RowFlags(NamedTuple):
    """The flags of one row.

    Attributes:
        raised: in the order of the checks. None where no network was examined in this scope, or where no flag was
            raised but a network is still to be examined.
        not_judged: where ``autoattack-gap`` had no baseline; at most one.
        unchecked: the checks that were made on other networks of the board, and not on each examined network of the
            row, so that a missing flag says nothing. An older version of harness made fewer checks. By name.
    """

    raised: tuple[Flag, ...] | None
    not_judged: tuple[Flag, ...]
    unchecked: tuple[str, ...]


def flags(
    alike: Sequence[Sequence[Contestant]], scope: Scope, board: Iterable[Contestant] | None = None
) -> Iterator[RowFlags]:
    """The flags of each row.

    Args:
        alike: the networks of each row; all are of one store.
        board: all networks of the board, with which ``autoattack-gap`` compares; None: those of these rows.
    """
    own = [n for row in alike for n in row]
    everyone = own if board is None else list(board)
    judge = GapJudge(everyone, scope)
    known = {i: n.checkpoint.examined(scope) for i, n in {id(n): n for n in (*everyone, *own)}.items()}
    checked = {i: found[1] for i, found in known.items() if found is not None}
    somewhere = _names({*checked.values()})
    examined = [[(n, found[0]) for n in row if (found := known[id(n)]) is not None] for row in alike]
    verdicts = [[judge.verdict(n) for n, _ in row] for row in examined]
    examined = [
        [
            (n, (*found, RaisedFlag(CHECK, v.mark, v.reason)) if v is not None and v.status == "flagged" else found)
            for (n, found), v in zip(row, judged, strict=True)
        ]
        for row, judged in zip(examined, verdicts, strict=True)
    ]
    names = [dict.fromkeys(finding.check for _, findings in row for finding in findings) for row in examined]
    several = [n for row, raised in zip(examined, names, strict=True) if len(raised) > 1 for n, _ in row]
    made = iter(checks_under([n.checkpoint for n in several], scope))  # one check alone has no order
    for networks, row, raised, judged in zip(alike, examined, names, verdicts, strict=True):
        order = dict.fromkeys(check for _ in row for check in next(made)) if len(raised) > 1 else raised
        shown = []
        for check in order:
            hits = [finding for _, findings in row for finding in findings if finding.check == check]
            if hits:
                of = sum(any(check in names for names in checked[id(n)]) for n, _ in row)
                shown.append(Flag(hits[0].mark, check, len(hits), of, hits[0].reason))
        open_ones = [v.reason for v in judged if v is not None and v.status == "not-applicable"]
        not_judged = (Flag(NOT_JUDGED, CHECK, len(open_ones), len(row), open_ones[0]),) if open_ones else ()
        raised_flags = tuple(shown) if shown or (row and len(row) == len(networks)) else None
        everywhere = somewhere.intersection(*(_names([names]) for names in {checked[id(n)] for n, _ in row}))
        yield RowFlags(raised_flags, not_judged, tuple(sorted(somewhere - everywhere)))


def _names(checked: Iterable[tuple[frozenset[str], ...]]) -> frozenset[str]:
    """The checks of some networks; of each, those of each of its examinations."""
    return frozenset(name for of_one in checked for names in of_one for name in names)
