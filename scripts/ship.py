"""Write harness/shipped.json: the plugins that ship, each with its version and the digest of its source.

Versions are kept. If a plugin computes something else, tests/test_golden.py fails: then raise its version by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.registry.catalogue import KINDS, discover
from harness.registry.shipped import manifest
from harness.registry.source import source_of

FILE = Path(__file__).resolve().parent.parent / "harness" / "shipped.json"


def document() -> dict[str, dict[str, object]]:
    """The up-to-date content of shipped.json."""
    known = manifest()
    kinds: dict[str, dict[str, object]] = {"engine": dict(known["engine"])}
    for kind in KINDS:
        versions = known.get(kind, {})
        kinds[kind] = {
            name: {"version": versions.get(name, {"version": 1})["version"], "source": source_of(found.cls).digest}
            for name, found in sorted(discover(kind).found.items())
            if "entry point" not in found.where
        }
    return kinds


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(), indent=1) + "\n", encoding="utf-8")
