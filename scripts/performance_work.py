"""The tables of docs/performance.md about the work around the work: queueing, worker processes, a database server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import middle
from harness.leaderboard.render_markdown import markdown_table
from scripts.performance_cells import RESULTS, megabytes, met, place, ratio, results

MOST_S, MOST_MB = 10.0, 500.0
LEAST = {"two processes": 1.8}  # side -> how many times as fast as one process, at least
BESIDE = {"a Ray cluster of two cores": "two processes"}  # side -> the one that it takes as long as
MOST_TIMES = 1.05


def queueing() -> str:
    """What a command takes until its first item is handed over, and what of it is due to the number of items."""
    cases, rows = results("queueing-cpu")["cases"], []
    for title, entry in cases.items():
        case, database = title.split(": ")
        sides, least = entry["sides"], cases[f"one training: {database}"]["sides"]["now"]
        now, before = sides["now"], sides.get("before")
        wall, peak = now["wall_s"]["median"], megabytes(now["peak_bytes"]["median"])
        more, seconds, memory = peak - megabytes(least["peak_bytes"]["median"]), f"{wall:.1f}", ""
        if case != "one training":
            seconds += f"; at most {MOST_S:.0f}: {met(wall <= MOST_S)}"
            memory = f"{more:.0f}; at most {MOST_MB:.0f}: {met(more <= MOST_MB)}"
        old = "" if before is None else f"{before['wall_s']['median']:.0f}"
        processor = f"{now['processor_s']['median']:.1f}"
        rows.append([case, database, str(entry["rounds"]), seconds, processor, f"{peak:.0f}", memory, old])
    head = ["items", "database", "rounds", "seconds", "of a processor", "peak, MB", "more than one training, MB"]
    return f"{markdown_table([*head, 'before, s'], rows)}\n\n{place(list(cases.values()))}"


def workers() -> str:
    """How many times as fast each way to place the work is as one process."""
    if not (RESULTS / "workers-cpu.json").exists():
        return "Not measured yet on a machine that does little else."
    cases, rows = results("workers-cpu")["cases"], []
    longest = max(entry["seconds"][entry["base"]]["median"] for entry in cases.values())
    for title, entry in cases.items():
        whole = entry["seconds"][entry["base"]]["median"] == longest  # the others show what it takes to begin
        base = entry["seconds"][entry["base"]]["each"]
        for side, found in entry["seconds"].items():
            faster = middle([one / other for one, other in zip(base, found["each"], strict=True)])
            beside = entry["seconds"].get(BESIDE.get(side, ""))
            judged = (
                f"; at least {LEAST[side]}: {met(faster['median'] >= LEAST[side])}" if whole and side in LEAST else ""
            )
            shown = "" if side == entry["base"] else f"{ratio(faster)}{judged}"
            spent = f"{entry['processor_s'][side]['median']:.1f}" if side in entry["processor_s"] else ""
            more = ""
            if beside is not None:
                more = ratio(middle([one / other for one, other in zip(found["each"], beside["each"], strict=True)]))
            rows.append([title, side, str(entry["rounds"]), ratio(found, 1), spent, shown, more])
    head = ["work", "side", "rounds", "seconds", "of processors", "times as fast", "of two processes' seconds"]
    return f"{markdown_table(head, rows)}\n{_once_started(cases)}\n{place(list(cases.values()))}"


def _once_started(cases: Mapping[str, Any]) -> str:
    """What each side takes for the runs that the largest case has more than the smallest: no time to begin is in it."""
    sized = sorted(cases.values(), key=lambda entry: entry["seconds"][entry["base"]]["median"])
    if len(sized) < 2:
        return ""
    few, many = sized[0]["seconds"], sized[-1]["seconds"]
    texts = []
    for side, other in BESIDE.items():
        pairs = zip(many[side]["each"], many[other]["each"], strict=True)
        each = [(one - few[side]["median"]) / (two - few[other]["median"]) for one, two in pairs]
        times = middle(each)["median"]
        texts.append(
            f"{side} takes {times:.2f} times as long as {other} (rounds from {min(each):.2f} to {max(each):.2f});"
            f" at most {MOST_TIMES}: {met(times <= MOST_TIMES)}"
        )
    return f"\nOnce started, by the rounds of the larger case without the medians of the smaller: {'; '.join(texts)}.\n"


def items() -> str:
    """What an item of work costs beside its own work."""
    if not (RESULTS / "item_cost-cpu.json").exists():
        return "Not measured yet on a machine that does little else."
    cases = results("item_cost-cpu")["cases"]
    rows = [[way, str(entry["rounds"]), ratio(entry["ms"], 1)] for way, entry in cases.items()]
    return f"{markdown_table(['where', 'rounds', 'ms an item'], rows)}\n\n{place(list(cases.values()))}"


def server() -> str:
    """The leaderboard from a PostgreSQL server beside that from a file."""
    cases, rows = results("server_board-cpu")["cases"], []
    for title, entry in cases.items():
        command, _, store = title.partition(": ")
        seconds = [ratio(entry["seconds"][side]) for side in ("SQLite", "PostgreSQL")]
        rows.append([f"`{command}`", store, str(entry["rounds"]), *seconds, ratio(entry["ratios"]["PostgreSQL"])])
    head = ["command", "store", "rounds", "SQLite, s", "PostgreSQL, s", "PostgreSQL / SQLite"]
    return f"{markdown_table(head, rows)}\n\n{place(list(cases.values()))}"
