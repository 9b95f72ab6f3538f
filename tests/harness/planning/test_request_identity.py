"""What a request asks for and what identifies it: for every field a decision that is kept."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from harness.identity import canonical_json
from harness.planning.grid_jobs import resolve_grid
from harness.planning.request import FATE, RunRequest
from harness.planning.run_job import RunJob, resolve_run
from harness.protocols.run_spec import RunSpec
from harness.runtime.seeds import derive_seed


@pytest.fixture(scope="module")
def flowers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders: two images a class, in grey levels of their own."""
    root = tmp_path_factory.mktemp("images") / "flowers"
    for index, name in enumerate(
        f"{part}/{kind}/{i}.png" for part in ("train", "test") for kind in "abcd" for i in "12"
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 12), 12 * index).save(root / name)
    return root


@pytest.fixture
def base(flowers: Path, tmp_path: Path) -> RunRequest:
    return RunRequest(
        methods=("standard", "lrat"),
        network="smallcnn",
        dataset=f"folder:{flowers}",
        image_size=8,
        protocol="digits",
        train_seeds=2,
        device="cpu",
        data_dir=tmp_path / "data",
    )


def plugin(folder: Path) -> Path:
    file = folder / "another.py"
    file.write_text(
        "from dataclasses import dataclass\nfrom harness.methods.sat import SAT\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Another(SAT):\n    '''Another.'''\n"
    )
    return file


def other_values(tmp_path: Path) -> dict[str, list[Any]]:
    """For each field of a request other values than the base's."""
    return {
        "methods": [("sat",), ("standard", "sat")],
        "wrap": [("awp",), ("ema",), ("awp", "ema"), ("ema", "awp")],
        "network": ["resnet18"],
        "dataset": ["digits"],
        "image_size": [10],
        "class_order": ["d,c,b,a"],
        "channels": [3],
        "protocol": ["paper"],
        "epsilon": ["0.1", "1/9"],
        "norm": ["L2"],
        "attacks": [("natural", "pgd"), ("natural", "cw")],
        "epochs": [3],
        "precision": ["bfloat16"],
        "grid": [("alpha_pgd=1,4",), ("lr=1/3,1/5",)],
        "values": [("lrat.floor=pgd",), ("width=8",), ("lr=1/3",), ("epsilon=0.1",), ("pgd.keep=worst",)],
        "seeds": [1, 7],
        "train_seeds": [1, 4],
        "until_separated": [3, 4],
        "limit": [3],
        "checks": [False],
        "eval_every": [0, 1],
        "state_every": [0.0, 2.5],
        "deterministic": [True],
        "devices_per_run": [2, 4],
        "elsewhere": [True],
        "device": [None],
        "plain": [True],
        "data_dir": [tmp_path / "other"],
        "db": [str(tmp_path / "other.db")],
        "runs_dir": [tmp_path / "others"],
        "plugins": [(plugin(tmp_path),)],
    }


def names(jobs: list[RunJob]) -> dict[tuple[str, int], str]:
    """What a run is called by a user, and its identity."""
    return {(spec.method, spec.train_seed): spec.identity for job in jobs for spec in job.specs}


def test_the_fate_of_every_field_of_a_request_is_decided_and_shown_below(tmp_path: Path) -> None:
    fields = {field.name for field in dataclasses.fields(RunRequest)}
    assert set(FATE) == fields
    assert set(other_values(tmp_path)) == fields
    assert set(FATE.values()) == {"identity", "selection", "provenance"}


@pytest.mark.parametrize("field", [name for name, fate in FATE.items() if fate == "identity"])
def test_a_field_of_identity_changes_an_identity_or_the_fingerprint(
    field: str, base: RunRequest, tmp_path: Path
) -> None:
    base = dataclasses.replace(base, image_size=16)  # fits every network, so that one field alone changes
    base = dataclasses.replace(base, epsilon="0.2") if field == "norm" else base  # said, though it is the protocol's
    seen = [resolve_grid(base)]
    for value in other_values(tmp_path)[field]:
        size: dict[str, Any] = {"image_size": None} if value == "digits" else {}  # digits have a size of their own
        after = resolve_grid(dataclasses.replace(base, **{field: value}, **size))
        for before in seen:
            runs = set(names(after).values()) != set(names(before).values())
            assert runs or after[0].protocol.fingerprint != before[0].protocol.fingerprint
        seen.append(after)


@pytest.mark.parametrize("field", [name for name, fate in FATE.items() if fate != "identity"])
def test_any_other_field_leaves_the_identities_of_the_runs_in_common(
    field: str, base: RunRequest, tmp_path: Path
) -> None:
    before = resolve_run(base)
    for value in other_values(tmp_path)[field]:
        after = resolve_run(dataclasses.replace(base, **{field: value}))
        common = names(before).keys() & names(after).keys()
        assert {method for method, _ in common} == {"standard", "lrat"}
        assert {name: names(after)[name] for name in common} == {name: names(before)[name] for name in common}
        assert after[0].protocol.fingerprint == before[0].protocol.fingerprint
        if FATE[field] == "provenance":
            assert names(before) == names(after)


def test_a_cuda_device_changes_no_identity(base: RunRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    before = resolve_run(base)
    monkeypatch.setattr("harness.planning.run_job.resolve_device", lambda *_, **__: torch.device("cuda", 0))
    after = resolve_run(base)
    assert (before[0].device.type, after[0].device.type) == ("cpu", "cuda")
    assert names(before) == names(after)
    assert before[0].protocol.fingerprint == after[0].protocol.fingerprint


def test_the_name_of_a_protocol_and_of_a_folder_play_no_part(base: RunRequest, flowers: Path, tmp_path: Path) -> None:
    import harness

    copy = tmp_path / "renamed.toml"
    copy.write_text((Path(harness.__file__).parent / "protocols" / "digits.toml").read_text())
    moved = shutil.copytree(flowers, tmp_path / "moved" / "blumen")
    before = resolve_run(base)
    after = resolve_run(dataclasses.replace(base, protocol=str(copy), dataset=f"folder:{moved}"))
    assert (before[0].dataset.name, after[0].dataset.name) == ("folder:flowers", "folder:blumen")
    assert names(before) == names(after)
    assert before[0].protocol.fingerprint == after[0].protocol.fingerprint


def test_methods_and_seeds_of_one_request_are_runs_apart(base: RunRequest) -> None:
    identities = names(resolve_run(base))
    assert set(identities) == {("standard", 0), ("standard", 1), ("lrat", 0), ("lrat", 1)}
    assert len(set(identities.values())) == 4


def test_a_run_crosses_json_unchanged(base: RunRequest) -> None:
    for job in resolve_run(base):
        for spec in job.specs:
            again = RunSpec(**json.loads(json.dumps(spec.document())))
            assert canonical_json(again.document()) == canonical_json(spec.document())
            assert again.identity == spec.identity


FRESH = """
import json
from harness.planning.run_job import RunRequest, resolve_run
from harness.runtime.seeds import derive_seed
request = RunRequest(methods=("lrat",), network="smallcnn", dataset="digits", values=("floor=pgd",), train_seeds=2)
(job,) = resolve_run(request)
print(json.dumps([
    [spec.identity for spec in job.specs], job.protocol.fingerprint, job.dataset.fingerprint, derive_seed(5, "a", 1)
]))
"""


def test_a_fresh_process_finds_the_same_identities() -> None:
    request = RunRequest(
        methods=("lrat",), network="smallcnn", dataset="digits", values=("floor=pgd",), train_seeds=2, device="cpu"
    )
    (job,) = resolve_run(request)
    here = [[s.identity for s in job.specs], job.protocol.fingerprint, job.dataset.fingerprint, derive_seed(5, "a", 1)]
    environment = os.environ | {"PYTHONHASHSEED": "4242"}
    found = subprocess.run([sys.executable, "-c", FRESH], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == here
