"""Whether rows are what their hashes name: runs, models from elsewhere, protocols, and settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.errors import HarnessError
from harness.identity import digest
from harness.protocols.protocol import Protocol
from harness.protocols.run_spec import RunSpec
from harness.store import plausible
from harness.store.models import model_identity
from harness.store.records import SPEC_FIELDS
from harness.store.typed_rows import Row

_MOST_FUNCTIONS = 1000  # of equal weights, among which the identity of a model is looked for


def run_faults(row: Row, dataset: Row) -> Iterator[str | None]:
    """What is wrong with a run by itself."""
    keys = {"name", "settings", "departures"}
    shaped = all(isinstance(wrapper, dict) and wrapper.keys() == keys for wrapper in row["wrappers"])
    if not (shaped and all(isinstance(wrapper["name"], str) for wrapper in row["wrappers"])):
        yield "its wrappers are not names with settings"
        return
    spec = RunSpec(
        **{name: row[name] for name in SPEC_FIELDS},
        dataset=dataset["name"],
        dataset_fingerprint=dataset["fingerprint"],
        wrappers=tuple(row["wrappers"]),
    )
    yield None if spec.identity == row["identity"] else "its identity is not that of its settings"
    yield None if digest(row["training"]) == row["training_sha256"] else "its training is not that of its hash"
    yield plausible.folder_fault(row["folder"], row["identity"])
    yield plausible.dates_fault(row["created_utc"], row["finished_utc"])
    yield None if texts(row["tags"]) else "its tags are no texts"
    yield None if row["parameters"] >= 0 else f"it has {row['parameters']} parameters"
    yield "it is done, and has no end" if row["status"] == "done" and row["finished_utc"] is None else None


def model_faults(row: Row, dataset: Row, weights: Sequence[str]) -> Iterator[str | None]:
    """What is wrong with a model from elsewhere by itself.

    Args:
        weights: the hashes of its checkpoints.
    """
    if len(weights) != 1:
        yield f"it has {len(weights)} sets of weights"
    numbers = range(1, _MOST_FUNCTIONS + 1)
    identities = (model_identity(weights[0], dataset["fingerprint"], number) for number in numbers if weights)
    yield None if row["identity"] in identities else "its identity is not that of its weights and data set"
    yield None if texts(row["tags"]) else "its tags are no texts"
    yield plausible.dates_fault(row["created_utc"])


def protocol_faults(row: Row, code: Mapping[tuple[str, str], dict[str, str]]) -> Iterator[str | None]:
    """What is wrong with a protocol.

    Args:
        code: attack and hash of its settings -> the attack's code, as evaluations tell it.
    """
    yield plausible.hash_fault(row["fingerprint"])
    yield None if digest(row["training"]) == row["training_sha256"] else "its training is not that of its hash"
    if not texts(row["attacks"].values()):
        yield "the hashes of its attacks are no texts"
        return
    try:
        protocol = Protocol.from_document(row["name"], row["document"])
    except (HarnessError, TypeError, ValueError, AttributeError, KeyError) as error:
        yield f"its document is no protocol: {error}"
        return
    if protocol.training_document != row["training"]:
        yield "its document has another training than its hash"
    if set(protocol.evaluation.attacks) != set(row["attacks"]):
        yield "its document has other attacks than its hashes"
    # the code of attacks that do not ship is part of the fingerprint, and stands in their evaluations alone
    found = [code.get(item) for item in row["attacks"].items()]
    known = {name: part for name, part in zip(row["attacks"], found, strict=True) if part}
    fingerprint = dataclasses.replace(protocol, attack_code=known).fingerprint
    if fingerprint != row["fingerprint"] and None not in found:
        yield "its document is not that of its fingerprint"


def settings_fault(row: Row) -> str | None:
    """What is wrong with the settings of an evaluation, an examination, or a curve."""
    return None if digest(row["settings"]) == row["settings_sha256"] else "its settings are not those of their hash"


def texts(values: Iterable[Any]) -> bool:
    """Whether all of them are texts."""
    return all(isinstance(value, str) for value in values)
