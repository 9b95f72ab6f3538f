"""Check the fast path on a GPU and measure what it brings, in one call that may be cut off at any time.

    PYTHONPATH=carried/site python3 -m scripts.gpu_check --out $OUT --seconds 520

The steps run in order, the most telling first, each in a process of its own with a time limit. After each step the file
``gpu_check.json`` is written anew: exit code, seconds, the end of the output, and the results that the step wrote. A
step that the time does not reach is named there, too. ``--toy`` runs the same steps at toy size, also on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files import atomic_write_bytes

ROOT = Path(__file__).resolve().parent.parent
LEAST_S, TAIL = 15, 4000  # no step begins with less time; characters of output that are kept


@dataclass(frozen=True)
class Check:
    """One step: a command after ``python``, the most seconds that it gets, and the file that it writes, if any."""

    name: str
    command: tuple[str, ...]
    limit_s: float
    writes: str | None = None


def checks(device: str, out: Path, *, toy: bool) -> list[Check]:
    """The steps, in order."""
    agreement = ("-m", "benchmarks.agreement", "--device", device, "--out")
    bench = ("-m", "harness", "bench", "--device", device, "--json", "--arch")
    peers = ("-m", "benchmarks.peers", "--device", device, "--out")
    if toy:
        return [
            Check(
                "agreement", (*agreement, str(out / "agreement.json"), "--networks", "smallcnn"), 60, "agreement.json"
            ),
            Check("tests", ("-m", "pytest", "-q", "-n", "0", "-m", "cuda", "tests/test_cuda.py"), 60),
        ]
    float32 = (*agreement, str(out / "agreement.json"), "--networks", "smallcnn", "resnet18")
    reduced = (*agreement, str(out / "agreement.json"), "--networks", "resnet18", "--precision", "bfloat16")
    resnet = ("resnet18", "--batch", "128", "--precision", "bfloat16", "--rounds", "5", "--minutes", "2")
    return [
        Check("agreement", float32, 60, "agreement.json"),
        Check("agreement in bfloat16", reduced, 60, "agreement.json"),
        Check("bench resnet18", (*bench, "resnet18", "--precision", "bfloat16"), 100),
        Check("peers", (*peers, str(out / "peers.json"), *resnet), 150, "peers.json"),
        Check("tests", ("-m", "pytest", "-q", "-n", "0", "-m", "cuda", "tests"), 90),
        Check("bench resnet18 in float32", (*bench, "resnet18"), 90),
        Check("bench wrn-32-10", (*bench, "wrn-32-10", "--precision", "bfloat16"), 100),
    ]


def perform(check: Check, left_s: float, out: Path) -> dict[str, Any]:
    """Run one step; what it printed before a time limit is kept."""
    began, limit = time.monotonic(), min(check.limit_s, left_s)
    log = out / f"{check.name.replace(' ', '-')}.log"
    with log.open("w") as file:
        try:
            command = [sys.executable, *check.command]
            code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, timeout=limit, check=False)
            ended: str | int = code.returncode
        except subprocess.TimeoutExpired:
            ended = f"cut off after {limit:.0f} s"
    results = out / check.writes if check.writes else None
    return {
        "exit": ended,
        "seconds": round(time.monotonic() - began, 1),
        "command": list(check.command),
        "output": log.read_text(errors="replace")[-TAIL:],
        "results": _json(results) if results is not None and results.exists() else None,
    }


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except ValueError:  # it was cut off while it was written
        return None


def run(steps: Sequence[Check], seconds: float, out: Path) -> Mapping[str, Any]:
    """Run the steps within the time; gives what the file holds at the end."""
    out.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + seconds
    document: dict[str, Any] = {"steps": {}, "left out": [check.name for check in steps]}
    for check in steps:
        left = ends - time.monotonic()
        if left >= LEAST_S:
            document["steps"][check.name] = perform(check, left, out)
            document["left out"].remove(check.name)
            print(f"{check.name}: exit {document['steps'][check.name]['exit']}", flush=True)
        atomic_write_bytes(out / "gpu_check.json", json.dumps(document, indent=1).encode())
    return document


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-check")))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=520)
    parser.add_argument("--toy", action="store_true", help="the same steps at toy size")
    chosen = parser.parse_args()
    out = chosen.out.resolve()
    document = run(checks(chosen.device, out, toy=chosen.toy), chosen.seconds, out)
    if document["left out"]:
        print(f"left out for want of time: {', '.join(document['left out'])}")


if __name__ == "__main__":
    main()
