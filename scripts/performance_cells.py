"""What the tables of docs/performance.md have in common: the files of results, and how a cell shows a value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "performance.md", ROOT / "benchmarks" / "results"
Entry = Mapping[str, Any]


def results(name: str) -> Any:
    """The content of a file of results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def ratio(found: Entry, digits: int = 2) -> str:
    """``1.31 [1.29, 1.34]``: median and quartiles."""
    low, high = found["quartiles"]
    return f"{found['median']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def percent(found: Entry) -> str:
    """``12.0 %``: the median of shares."""
    return f"{100 * found['median']:.1f} %"


def place(entries: Iterable[Entry]) -> str:
    """Where and when it was measured: device, threads, versions, clock, the load of the machine.

    Where that differs, each place says which networks, or cases, were measured there.
    """
    held: dict[str, dict[str, None]] = {}
    loads = []
    for e in entries:
        text = f"{e['device']}, {e['threads']} thread{'s' if e['threads'] != 1 else ''} of {e['cores']} cores, "
        text += ", ".join(f"{name} {version}" for name, version in e["versions"].items()) + f"; {e['date']}"
        held.setdefault(text, {})[e.get("network") or e.get("case") or "the rest"] = None
        loads.append(e["load"])
    texts = [text if len(held) == 1 else f"{text} ({', '.join(names)})" for text, names in sorted(held.items())]
    load = f"load {min(loads):.1f} to {max(loads):.1f}" if min(loads) < max(loads) else f"load {loads[0]:.1f}"
    return f"Measured on {'; '.join(texts)}; {load}."


def megabytes(value: float | list[float]) -> Any:
    """Bytes, or a list of them, in megabytes."""
    return [v / 1e6 for v in value] if isinstance(value, list) else value / 1e6


def met(reached: bool) -> str:
    """Whether a goal was met, in a word."""
    return "met" if reached else "missed"
