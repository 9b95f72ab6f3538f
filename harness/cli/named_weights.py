"""The trained networks that a run's settings name, such as its teacher: which run's they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.store.records import RunRecord
from harness.store.store import Store

_WHOLE = re.compile(r"[0-9a-f]{64}")


def named_weights(run: RunRecord, store: Store) -> dict[str, str]:
    """For each setting whose value is the SHA-256 of weights: the run and the checkpoint that have them."""
    found = {}
    for name, sha256 in _hashes(run):
        known = [one for one in store.stored_weights(sha256) if one.status == "done"]
        places = [f"run {one.id}, {one.name} ({store.run(one.id).spec.label})" for one in known]
        found[name] = f"{' or '.join(places) or 'weights of no run of this database'}; SHA-256 {sha256[:8]}"
    return found


def _hashes(run: RunRecord) -> Iterator[tuple[str, str]]:
    settings: list[Mapping[str, Any]] = [run.method_settings, *(wrapper["settings"] for wrapper in run.wrappers)]
    for its in settings:
        for name, value in its.items():
            if isinstance(value, str) and _WHOLE.fullmatch(value):
                yield name, value
