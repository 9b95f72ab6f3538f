"""Write the tables of docs/performance.md from benchmarks/results/*.json; a test compares them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from harness.leaderboard.render_markdown import markdown_table
from scripts.performance_cells import PAGE, Entry, megabytes, met, percent, place, ratio, results
from scripts.performance_work import items, queueing, server, workers

MARKED = re.compile(r"(<!-- table ([\w-]+): begin -->\n)(.*?)(<!-- table \2: end -->)", re.DOTALL)


def _peers(chosen: Callable[[Entry], bool], sides: tuple[str, ...]) -> str:
    """A row a case: batch, milliseconds of the base, and the ratio of each side with its goal."""
    entries = [entry for entry in results("peers-cpu")["cases"].values() if chosen(entry)]
    rows = []
    for entry in entries:
        cells = [_judged(entry, side) for side in sides]
        base = 1e3 * entry["seconds"][entry["base"]]["median"]
        rows.append(
            [entry["network"], entry["case"], str(entry["batch"]), str(entry["rounds"]), f"{base:,.0f}", *cells]
        )
    base = entries[0]["base"] if entries else "fast"
    head = ["network", "case", "batch", "rounds", f"{base}, ms", *(f"{side} / {base}" for side in sides)]
    return f"{markdown_table(head, rows)}\n\n{place(entries)}"


def _judged(entry: Entry, side: str) -> str:
    """The ratio, and whether its median meets its goal, if it has one."""
    if side not in entry["ratios"]:
        return "-"
    found = entry["ratios"][side]
    least, most = entry.get("at_least", {}).get(side), entry.get("at_most", {}).get(side)
    if least is None and most is None:
        return ratio(found)
    reached = found["median"] >= least if most is None else found["median"] <= most
    goal = f"at least {least:g}" if most is None else f"at most {most:g}"
    return f"{ratio(found)}; {goal}: {met(reached)}"


def training() -> str:
    """One training step of each method, against the textbook loop and torchattacks."""
    sides = ("textbook", "torchattacks", "plain", "textbook, weights")
    return _peers(lambda e: e["case"] in ("sat", "gairat", "trades", "lrat"), sides)


def evaluation() -> str:
    """PGD-20 and its verdicts, against torchattacks, foolbox, and the textbook loop."""
    sides = ("torchattacks", "foolbox", "foolbox, frozen", "textbook", "plain")
    return _peers(lambda e: e["case"].startswith("pgd"), sides)


def methods() -> str:
    """A step of each method, relative to one of SAT."""
    return _peers(lambda e: e["case"] == "methods", ("gairat", "trades", "lrat"))


def user() -> str:
    """A step of SAT against loops in a process with the C library's own allocator."""
    return _peers(lambda e: e["case"] == "user", ("textbook", "torchattacks"))


def parts() -> str:
    """Shares of a training step."""
    entries = list(results("parts-cpu")["cases"].values())
    names = ("forward", "backward", "faster layers' refresh", "attack's steps", "optimiser", "rest")
    rows = []
    for entry in entries:
        shares, most = entry["shares"], entry["at_most"]
        outside, data = shares["outside"]["median"], entry["data_share"]
        rows.append(
            [
                entry["network"],
                entry["method"],
                *(percent(shares[name]) if name in shares else "-" for name in names),
                f"{100 * outside:.1f} %; at most {100 * most:.0f}: {'met' if outside <= most else 'missed'}",
                f"{100 * data:.2f} %; at most {100 * entry['data_at_most']:.0f}:"
                f" {'met' if data <= entry['data_at_most'] else 'missed'}",
            ]
        )
    head = ["network", "method", *names, "outside passes", "getting a batch"]
    return f"{markdown_table(head, rows)}\n\n{place(entries)}"


def recording() -> str:
    """What recording accuracies over the epochs costs, as a share of the training."""
    entries = list(results("recording-cpu")["cases"].values())
    rows = []
    for entry in entries:
        low, high = (100 * value for value in entry["share"]["quartiles"])
        share = f"{percent(entry['share'])} [{low:.1f}, {high:.1f}]"
        most = entry["at_most"]
        judged = "" if most is None else f"; at most {100 * most:g}: {met(entry['share']['median'] <= most)}"
        point, update, counted = (entry["seconds"][side]["median"] for side in ("point", "update", "counted"))
        rows.append(
            [
                entry["network"],
                f"{entry['epoch_images']:,}",
                str(entry["every"]),
                str(entry["rounds"]),
                f"{point * entry['scale']:,.2f}",
                f"{1e3 * update / entry['batch']:,.2f}",
                share + judged,
                f"{100 * counted / update:.2f} %",
            ]
        )
    head = ["network", "training images", "every", "rounds", "a point, s", "an update, ms an image"]
    return f"{markdown_table([*head, 'share of the training', 'counting'], rows)}\n\n{place(entries)}"


def scale() -> str:
    """What commands take on large databases."""
    cases = results("scale-cpu")["cases"]
    rows = []
    for title, entry in cases.items():
        command, _, store = title.partition(": ")
        now = entry["sides"]["now"]
        before = entry["ratios"].get("before")
        rows.append(
            [
                f"`{command}`",
                store,
                str(entry["rounds"]),
                *(f"{now[key]['median']:.2f}" for key in ("wall_s", "processor_s")),
                f"{megabytes(now['peak_bytes']['median']):.0f}",
                "" if before is None else ratio(before, 1),
            ]
        )
    head = ["command", "store", "rounds", "seconds", "of a processor", "peak, MB", "before / now"]
    return f"{markdown_table(head, rows)}\n\n{place(list(cases.values()))}"


def growth() -> str:
    """Exponents, and peak memory."""
    found = results("growth-cpu")
    expected, rows = found["expected"], []
    for what, fit in found["growth"].items():
        low, high = fit["interval95"]
        within = abs(fit["exponent"] - expected["exponent"]) <= expected["within"]
        sizes = [f"{int(size):,}" for size in fit["seconds"]]
        text = f"{fit['exponent']:.3f} [{low:.3f}, {high:.3f}]"
        rows.append([what, f"{sizes[0]} to {sizes[-1]}", str(fit["rounds"]), text, "met" if within else "missed"])
    goal = f"{expected['exponent']:.2f} ± {expected['within']:.2f}"
    exponents = markdown_table(["grows", "sizes", "rounds", "exponent [95 %]", f"goal {goal}"], rows)
    peaks = [
        [f"{int(images):,}", ratio({k: megabytes(v) for k, v in p.items()}, 1)]
        for images, p in found["memory_bytes"].items()
    ]
    memory = markdown_table(["images", "peak memory beyond model and images, MB"], peaks)
    medians = [each["median"] for each in found["memory_bytes"].values()]
    more, most = medians[-1] / medians[0], 1 + expected["memory_within"]
    judged = f"The last beside the first: {more:.2f}; at most {most:.2f}: {'met' if more <= most else 'missed'}."
    return f"{exponents}\n\n{memory}\n\n{judged}\n\n{place([found])}"


def profiles() -> str:
    """Operators of an LRAT step and of AutoAttack, before and after."""
    parts = []
    cases = results("profile_step-cpu")["cases"]
    for name, entry in cases.items():
        rows = [
            [row["operator"], *(f"{1e3 * row[w]['seconds']:,.1f} ({row[w]['calls']:,})" for w in ("before", "after"))]
            for row in entry["operators"]
        ]
        before, after = (1e3 * entry["seconds"][way] for way in ("before", "after"))
        sums = [1e3 * sum(row[way]["seconds"] for row in entry["operators"]) for way in ("before", "after")]
        rows.append(["all operators", *(f"{value:,.1f}" for value in sums)])
        rows.append(["**whole, without timers**", f"{before:,.1f}", f"{after:,.1f}"])
        block = f", {entry['images']} images, {entry['robust']} not broken" if "images" in entry else ""
        parts.append(
            f"**{name}{block}**\n\n{markdown_table(['operator', 'before, ms (calls)', 'after, ms (calls)'], rows)}"
        )
    return "\n\n".join([*parts, place(list(cases.values()))])


TABLES: dict[str, Callable[[], str]] = {
    "training": training,
    "evaluation": evaluation,
    "methods": methods,
    "user": user,
    "parts": parts,
    "recording": recording,
    "scale": scale,
    "queueing": queueing,
    "workers": workers,
    "items": items,
    "server": server,
    "growth": growth,
    "profiles": profiles,
}


def tables_of(text: str) -> dict[str, str]:
    """Name -> the text between its markers."""
    return {name: body.strip() for _, name, body, _ in MARKED.findall(text)}


def main() -> None:
    """Replace the text between the markers of each table."""
    text = PAGE.read_text(encoding="utf-8")
    missing = TABLES.keys() - tables_of(text).keys()
    if missing:
        sys.exit(f"{PAGE.name} lacks the markers of {', '.join(sorted(missing))}")
    PAGE.write_text(MARKED.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}\n{m[4]}", text), encoding="utf-8")


if __name__ == "__main__":
    main()
