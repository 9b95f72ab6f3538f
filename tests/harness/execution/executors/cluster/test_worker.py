"""A worker's process that serves one command after the other, as those of one Python session do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.events import Noted, Report
from harness.execution.executors.cluster import stop, unpacked
from harness.execution.executors.cluster.messages import ItemEnded
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


def test_the_next_command_gets_the_plugin_as_it_is_now_with_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(unpacked, "_kept", {})
    monkeypatch.setattr(stop, "_followed", [])
    monkeypatch.setattr(stop, "_wait_for", lambda *_: None)
    monkeypatch.delenv("HARNESS_PLUGINS", raising=False)
    unpacked._place.cache_clear()
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
