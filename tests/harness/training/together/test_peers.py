"""How processes meet: by NCCL where they have CUDA devices, by gloo where not; shown with a library that is no such."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from harness.runtime.stopping import ask_to_stop, take_back_stop
from harness.training.together.peers import ALONE, Peers, peers_met


@pytest.mark.parametrize(
    ("device", "backend", "chosen"),
    [(torch.device("cuda", 3), "cpu:gloo,cuda:nccl", [torch.device("cuda", 3)]), (torch.device("cpu"), "gloo", [])],
)
def test_each_device_has_its_library(
    device: torch.device, backend: str, chosen: list[torch.device], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, Any]] = []
    devices: list[torch.device] = []
    ended: list[str] = []
    monkeypatch.setattr(dist, "init_process_group", lambda name, **how: begun.append({"backend": name, **how}))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: ended.append("ended"))
    monkeypatch.setattr(torch.cuda, "set_device", devices.append)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "mine")
    with peers_met(tmp_path / "meeting", 1, 4, device) as peers:
        assert peers == Peers(1, 4)
        assert not peers.first
        assert not ended
    (how,) = begun
    assert (how["backend"], how["rank"], how["world_size"]) == (backend, 1, 4)
    assert devices == chosen
    assert ended == ["ended"]
    assert os.environ["GLOO_SOCKET_IFNAME"] == "mine"


def test_one_process_alone_hears_its_own_request_to_stop() -> None:
    assert ALONE.alone
    assert ALONE.first
    assert not ALONE.asked_to_stop()
    ask_to_stop()
    try:
        assert ALONE.asked_to_stop()
    finally:
        take_back_stop()
