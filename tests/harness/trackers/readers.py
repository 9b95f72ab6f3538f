"""Read what trackers have written, each by its library's own reader, as one form. Run it in a process of its own.

``python -m tests.harness.trackers.readers NAME PLACE`` prints JSON: name of the run -> what was read of it.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

Read = dict[str, dict[str, Any]]


def tensorboard(place: Path) -> Read:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Read = {}
    for folder in sorted(place.iterdir()):
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0, "histograms": 0})
        events.Reload()
        tags = events.Tags()
        found[folder.name] = {
            "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
            "texts": {
                tag.removesuffix("/text_summary"): events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
                for tag in tags["tensors"]
            },
            "histograms": {
                tag: [
                    [e.step, list(e.histogram_value.bucket_limit), list(e.histogram_value.bucket)]
                    for e in events.Histograms(tag)
                ]
                for tag in tags["histograms"]
            },
        }
    return found


def mlflow(place: Path) -> Read:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{place}")
    (experiment,) = [each for each in client.search_experiments() if each.name == "harness"]
    return {
        run.info.run_name: {
            "scalars": {
                name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            "settings": dict(run.data.params),
            "texts": dict(run.data.tags),
            "status": run.info.status,
        }
        for run in client.search_runs([experiment.experiment_id])
    }


def wandb(place: Path) -> Read:
    """The records of offline runs, which ``wandb sync`` sends: a log in LevelDB's format, of W&B's protobufs."""
    protobufs: Any = import_module("wandb.proto.wandb_internal_pb2")
    found: Read = {}
    for file in sorted(place.glob("wandb/offline-run-*/run-*.wandb")):
        read: dict[str, Any] = {"scalars": {}, "settings": {}, "texts": {}, "histograms": {}}
        for content in _records(file.read_bytes()):
            record = protobufs.Record()
            record.ParseFromString(content)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                found[record.run.display_name] = read
                read |= {"group": record.run.run_group, "tags": list(record.run.tags), "git": str(record.run.git)}
                read["settings"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                values = {_key(item): json.loads(item.value_json) for item in record.history.item}
                step = values["_step"]
                for name in [name.removesuffix("/_type") for name in values if name.endswith("/_type")]:
                    one = [step, values.pop(f"{name}/bins"), values.pop(f"{name}/values")]
                    read["histograms"].setdefault(name, []).append(one)
                for name, value in values.items():
                    if not name.startswith("_") and not name.endswith("/_type"):
                        read["scalars"].setdefault(name, []).append([step, value])
            elif kind == "summary":
                read["texts"] |= {_key(item): json.loads(item.value_json) for item in record.summary.update}
            elif kind == "exit":
                read["status"] = record.exit.exit_code
    return found


def _key(item: Any) -> str:
    return item.key or "/".join(item.nested_key)


def _records(log: bytes) -> Iterator[bytes]:
    """The records of a LevelDB log after W&B's header of 7 bytes; blocks have 32 KiB, and a record may be in parts."""
    at, block, content = 7, 32768, b""
    while at + 7 <= len(log):
        if block - at % block < 7:  # too little for a header: zeros
            at += block - at % block
            continue
        _, length, kind = struct.unpack("<IHB", log[at : at + 7])
        content += log[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last part
            yield content
            content = b""


if __name__ == "__main__":
    name, place = sys.argv[1:]
    print(json.dumps({"tensorboard": tensorboard, "mlflow": mlflow, "wandb": wandb}[name](Path(place))))
