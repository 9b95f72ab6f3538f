"""A worker's process that serves one command after the other, as those of one Python session do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError
from harness.events import Noted, Report
from harness.execution.executors.child import ItemEnded, mistake_of
from harness.execution.executors.cluster import stop, unpacked
from harness.execution.executors.cluster.parcel import Packer, Parcel
from harness.execution.executors.cluster.task import performed
from harness.execution.work import TrainWork
from harness.registry.catalogue import discover
from harness.registry.importing import forget
from tests.harness.execution.executors.cluster.sendable import Cluster, sent, training

PLUGIN = '''
"""A method with a package of its own."""
from dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F
from harness.plugin.method import Method, Step
from parts.scale import SCALE


@dataclass(frozen=True)
class Mine(Method):
    """Mine."""

    scale = SCALE

    def loss(self, step: Step) -> Tensor:
        return SCALE * F.cross_entropy(step.model(step.x), step.y)
'''


class Told(TrainWork):
    """Tells the scale of the method that this process has."""

    def perform(self, report: Report) -> None:
        found: Any = discover("methods", self.plugins).get("mine")
        report(Noted(str(found.scale)))


class Full(TrainWork):
    """Finds the disk of its machine full."""

    def perform(self, report: Report) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/state.pt")


@pytest.fixture(autouse=True)
def new_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(unpacked, "_kept", {})
    monkeypatch.setattr(stop, "_followed", [])
    monkeypatch.setattr(stop, "_wait_for", lambda *_: None)
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    unpacked._place.cache_clear()


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        (False, "the worker on .* cannot read or write /tmp/state.pt: No space left on device; see to that machine"),
        (True, "harness-workers-.* on .* is not this user's folder: remove it there"),
    ],
)
def test_what_is_wrong_with_a_machine_is_told_with_its_name(
    taken: bool, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    monkeypatch.setattr("ray.get", cluster.fetch)
    monkeypatch.setenv("HARNESS_HOST", "machine-7")
    if taken:
        (tmp_path / "temporary" / f"harness-workers-{os.getuid()}").write_text("mine")
    work = Full(**vars(training(tmp_path / "home")))
    (ended,) = [
        one for said in performed(sent(Packer("a", "sign", cluster.put, mixed=False).parcel(work))) for one in said
    ]
    assert isinstance(ended, ItemEnded)
    with pytest.raises(HarnessError, match=reason) as told:
        raise mistake_of(ended.error) or AssertionError
    assert "machine-7" in str(told.value)


def test_the_next_command_gets_the_plugin_as_it_is_now_with_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster()
    monkeypatch.setattr("ray.get", cluster.fetch)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "mine.py").write_text(PLUGIN)
    plain = training(tmp_path / "home", plugins=(tmp_path / "mine.py",))
    parcels: list[Parcel] = []
    for command, scale in (("first", 2), ("second", 3)):
        (tmp_path / "parts" / "scale.py").write_text(f"SCALE = {scale}\n")
        parcels.append(sent(Packer(command, "sign", cluster.put, mixed=False).parcel(Told(**vars(plain)))))
    forget()  # a worker has none of the command's modules
    told = [message for parcel in parcels for messages in performed(parcel) for message in messages]
    assert told == [Noted("2"), ItemEnded(None), Noted("3"), ItemEnded(None)]
