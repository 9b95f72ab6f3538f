"""Which code made a result, and whether it has changed since. The files are read, and never imported."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.store.records import ModelRecord, RunRecord


def code_of_run(run: RunRecord) -> Iterator[str]:
    """One line for all parts that ship with harness, one for each other part, and one for each changed part."""
    from harness.registry.shipped import manifest, version_text

    names = {"method": run.method, "network": run.network}
    sources = run.provenance.get("sources", {})
    shipped = [f"{part} {name}" for part, name in names.items() if part not in run.code]
    if shipped:
        yield f"{', '.join(shipped)}: as shipped with harness {run.provenance.get('harness', '(unknown)')}"
    for part, code in run.code.items():
        head = f"{part} {names[part]}" if part in names else part
        files = sources.get(part)
        yield f"{head}: {code[:12]}; {_today(files)}" if files else f"{head}: {code}"
    for part, name in names.items():
        known = manifest()[f"{part}s"].get(name)
        now = version_text(known["version"]) if known is not None else ""
        if known is not None and run.code.get(part, "") != now and not sources.get(part):
            yield f"today's {part} {name} differs: it is {now or 'version 1'}"


def code_of_model(model: ModelRecord) -> Iterator[str]:
    """The user's code that made a model from elsewhere; nothing for a weights file."""
    if model.code:
        yield f"{model.provenance.get('source_sha256', '')[:12]}; {_today(model.code)}"


def _today(files: Mapping[str, str]) -> str:
    """Compare the files that made a result with those on this disk."""
    gone = [file for file in files if not Path(file).is_file()]
    edited = [file for file, sha256 in files.items() if file not in gone and _sha256(file) != sha256]
    if gone:
        return f"not on this disk: {', '.join(gone)}"
    if edited:
        return f"today's differs in {', '.join(edited)}"
    return f"today's is the same: {', '.join(files)}"


def _sha256(file: str) -> str:
    from harness.registry.source import content

    return hashlib.sha256(content(Path(file))).hexdigest()
