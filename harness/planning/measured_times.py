"""The times that ``harness bench`` measured on this machine, kept in a file of the user's cache folder.

They are no results: whoever deletes the file loses nothing but estimates. So the file is not part of the store, whose
place differs from project to project, while the machine is the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import SettingError
from harness.files import atomic_write_bytes, cache_folder, writable_directory
from harness.identity import digest
from harness.plugin.attack import Passes

EDITION = 1  # of the file: raised when its content means something else


@dataclass(frozen=True, kw_only=True)
class Timed:
    """What one image takes in a method's training step, or under an attack.

    Attributes:
        seconds: of one worker.
        passes: of this image; for an attack, with the evaluator's own forward pass.
        measured: whether it was measured; else it was computed from its passes and the times of others.
    """

    seconds: float
    passes: Passes
    measured: bool


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One bench: where and on what it was measured, and its times.

    Attributes:
        host, device: the machine's and the device's name, as in a result's provenance.
        image: channels, height, width.
        precision: of the trainings; attacks compute in float32, whatever it is.
        plain: whether each network was computed with its own layers alone.
        training, attacks: by the name of the method, and of the attack.
        measured_utc: when, in ISO 8601.
        beside: versions, threads, batch sizes: what a reader may want to know, and nothing is looked up by.
    """

    host: str
    device: str
    network: str
    network_settings: Mapping[str, Any]
    image: tuple[int, int, int]
    precision: str
    plain: bool
    training: Mapping[str, Timed]
    attacks: Mapping[str, Timed]
    measured_utc: str
    beside: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Equal for benches of which the newer replaces the older."""
        named = ("host", "device", "network", "network_settings", "image", "precision", "plain")
        return digest({name: getattr(self, name) for name in named})

    @property
    def date(self) -> str:
        """The day on which it was measured."""
        return self.measured_utc[:10]


def times_file() -> Path:
    """``times.json`` in the cache folder.

    Raises:
        SettingError: the user has no home directory.
    """
    return cache_folder() / "times.json"


def read_benches(file: Path | None = None) -> list[Bench]:
    """Every bench of this user, the newest last; none where the file is missing, damaged, or of another edition."""
    try:
        document = json.loads((file or times_file()).read_text(encoding="utf-8"))
        return [_bench(entry) for entry in document["benches"]] if document["edition"] == EDITION else []
    except (
        OSError,
        SettingError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):  # a cache may hold anything
        return []


def keep_bench(bench: Bench, file: Path | None = None) -> Path:
    """Add a bench to the file, in place of an older one of the same place; give the file.

    Raises:
        OSError: the file cannot be written.
    """
    place = file or times_file()
    others = [known for known in read_benches(place) if known.place != bench.place]
    document = {"edition": EDITION, "benches": [asdict(known) for known in (*others, bench)]}
    with writable_directory(place.parent):
        atomic_write_bytes(place, json.dumps(document, indent=1).encode())
    return place


def matching(
    benches: Sequence[Bench],
    *,
    host: str,
    device: str,
    network: tuple[str, Mapping[str, Any]],
    image: Sequence[int],
    plain: bool,
    precision: str | None = None,
) -> Bench | None:
    """The newest bench of this machine, network, and image; None if there is none.

    Args:
        precision: of the trainings; None: any, since attacks compute in float32.
    """
    wanted = (host, device, *network, tuple(image), plain)
    alike = [b for b in benches if (b.host, b.device, b.network, b.network_settings, b.image, b.plain) == wanted]
    return next((bench for bench in reversed(alike) if precision in (None, bench.precision)), None)


def _bench(entry: Mapping[str, Any]) -> Bench:
    channels, height, width = entry["image"]
    parts = {name: {key: _timed(value) for key, value in entry[name].items()} for name in ("training", "attacks")}
    return Bench(**{**entry, **parts, "image": (channels, height, width)})


def _timed(entry: Mapping[str, Any]) -> Timed:
    seconds, passes = float(entry["seconds"]), Passes(**entry["passes"])
    if not (0 <= seconds < math.inf and 0 < passes.total < math.inf):
        raise ValueError("no time, or of no pass")
    return Timed(seconds=seconds, passes=passes, measured=bool(entry["measured"]))
