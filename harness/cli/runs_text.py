"""The list of runs and models as tables that fit 80 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.cli.console import print_line
from harness.errors import did_you_mean, legible, listed, near_misses, visible
from harness.plugin.ball import radius_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from harness.runtime.worker import Worker
    from harness.store.leases import Held

Documents = Sequence[Mapping[str, Any]]
FOLDED = ("model", "method", "network", "dataset", "protocol", "tags")  # these may be folded; numbers may not
FLAGS = {"network": "arch"}
WHEREOF = ("protocol", "checkpoint")  # of figures: told where they differ in it
IMAGES = "; images: how many, where not all test images"


def print_runs(chosen: Documents, everything: Documents, wanted: Mapping[str, Any]) -> None:
    """Print the chosen runs and models; a line that says what to do where there are none."""
    if chosen:
        from harness.api.terminal import Terminal

        console = Terminal()
        for part in _parts(chosen, console):
            console.print(part)
    elif everything:
        print_line(_no_match(everything, wanted))
    else:
        print_line("No run yet; `harness run sat --dataset digits --arch smallcnn` makes one")


def at_work_lines(held: Sequence[Held]) -> list[str]:
    """A line for each process that is at work, on this machine or another: who it is, and what it does."""
    found: dict[Worker, list[Held]] = {}
    for one in held:
        found.setdefault(one.worker, []).append(one)
    return [
        visible(
            f"at work: {worker.title}{worker.user and f' ({worker.user})'}, since {items[0].since_utc:%H:%M} UTC:"
            f" {listed([one.item for one in items])}"
        )
        for worker, items in found.items()
    ]


def _parts(chosen: Documents, console: Console) -> Iterator[RenderableType]:
    from rich.text import Text

    from harness.leaderboard.columns import title_of

    figures = [document["figure"] for document in chosen if document["figure"]]
    attacks = list(dict.fromkeys(str(figure["attack"]) for figure in figures))
    head = title_of(attacks[0]) if len(attacks) == 1 else "figure"
    titles = _protocols(figures)
    for kind in ("run", "model"):
        if rows := [document for document in chosen if kind in document]:
            yield from _table(rows, head, titles, console)
    if attacks:
        yield Text(f"{head}: % of test images classified rightly, the median over attack seeds;")
        yield Text("  under the last attack of the protocol" + (IMAGES if any(map(_images, chosen)) else ""))
        balls = {titles[f["fingerprint"]]: f"epsilon {radius_text(f['epsilon'], f['norm'])}" for f in figures}
        yield Text("; ".join(f"{visible(name)}: {ball}" for name, ball in balls.items()))
        if len(titles) > 1:
            yield Text("figures of different protocols do not compare; harness leaderboard ranks those that do")
    for document in chosen:
        if document["note"]:
            name = f"run {document['run']}" if "run" in document else legible(document["model"])
            yield Text(visible(f"{name}: {document['note']}"))


def _protocols(figures: Documents) -> dict[str, str]:
    """Fingerprint of each protocol of the figures -> what tells it from the others: its name, if need be with both."""
    names = {str(figure["fingerprint"]): legible(figure["protocol"]) for figure in figures}
    held = Counter(names.values())
    return {key: name if held[name] == 1 else f"{name} [{key[:8]}]" for key, name in names.items()}


def _table(rows: Documents, head: str, titles: Mapping[str, str], console: Console) -> Iterator[RenderableType]:
    """One table; if it is too wide, what all rows share stands above it, once.

    Args:
        head: of the figures: an attack, or ``figure`` if it is not the same for all.
        titles: of the protocols of all figures.
    """
    from rich.measure import Measurement
    from rich.text import Text

    from harness.api.terminal import WIDEST

    cells = [_cells(row, head, titles) for row in rows]
    held = {name: {row[name] for row in cells} - {""} for name in cells[0]}
    shown = [name for name, texts in held.items() if len(texts) > (name in WHEREOF)]
    shown = [name for name in cells[0] if name in shown or (name == "protocol" and len(titles) > 1 and held[name])]
    table = _of(cells, shown)
    if len(cells) > 1 and Measurement.get(console, console.options.update(width=WIDEST), table).maximum > console.width:
        may = [name for name in shown if name not in ("run", "model", "method", head)]
        shared = [name for name in may if len({row[name] for row in cells}) == 1]
        if shared:
            yield Text("; ".join(f"{name} {visible(cells[0][name])}" for name in shared))
            table = _of(cells, [name for name in shown if name not in shared])
    yield table


def _of(cells: Sequence[Mapping[str, str]], shown: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in shown:
        table.add_column(name, no_wrap=name not in FOLDED, overflow="fold")
    for row in cells:
        table.add_row(*(Text(visible(row[name])) for name in shown))
    return table


def _cells(document: Mapping[str, Any], head: str, titles: Mapping[str, str]) -> dict[str, str]:
    """A row's texts by the heads of their columns; a column without any text is left out.

    Args:
        head, titles: as of ``_table``.
    """
    figure = document["figure"]
    shown = "" if figure is None else f"{figure['median']:.2f}"
    last = {
        head: f"{shown} {legible(figure['attack'])}" if head == "figure" and figure else shown,
        "images": _images(document),
        "protocol": titles[figure["fingerprint"]] if figure else "",
        "checkpoint": legible(figure["checkpoint"]) if figure else "",
        "date": document["created_utc"][:10],
        "tags": " ".join(document["tags"]),
    }
    place = {"network": legible(document["network_label"]), "dataset": legible(document["dataset"])}
    if "model" in document:
        return {"model": legible(document["model"]), **place, **last}
    state = document["status"] if document["status"] == "done" else f"{document['status']} {document['epochs']}"
    return {
        "run": str(document["run"]),
        "method": legible(document["label"]),
        **place,
        "seed": str(document["train_seed"]),
        "try": str(document["attempt"]) if document["attempt"] > 1 else "",
        "state": state,
        **last,
    }


def _images(document: Mapping[str, Any]) -> str:
    """How many test images the figure is of; empty if they are all."""
    figure = document["figure"]
    if not figure or figure["examples"] == figure["of"]:
        return ""
    return str(figure["examples"]) if figure["sample"] == "balanced" else f"first {figure['examples']}"


def _no_match(everything: Documents, wanted: Mapping[str, Any]) -> str:
    """Say which option matches nothing, and what it could have been."""
    known = {
        "dataset": {d["dataset"] for d in everything},
        "network": {d["network"] for d in everything},
        "method": {d.get("model", d.get("method", "").split(" ")[0]) for d in everything},
        "protocol": {p["name"] for d in everything for p in d["protocols"]},
        "tag": {tag for d in everything for tag in d["tags"]},
    }
    for key, names in known.items():
        asked = wanted[key]
        fingerprints = {p["fingerprint"] for d in everything for p in d["protocols"]} if key == "protocol" else set()
        if asked is not None and asked not in names and not any(f.startswith(asked) for f in fingerprints):
            flag = f"--{FLAGS.get(key, key)}"
            near = did_you_mean(f"{flag} {name}" for name in near_misses(asked, names, most=1))
            return f"No run matches {flag} {asked}; {near or 'there are ' + (', '.join(sorted(names)) or 'none')}"
    return f"None of {len(everything)} runs and models matches all these options; leave one out"
