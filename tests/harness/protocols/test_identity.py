"""Identity: one text for one meaning, and for every field of a run and of a request a decision that is kept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.identity import canonical_json, digest
from harness.planning.run_request import FATE, RunJob, RunRequest, resolve_run
from harness.protocols.run_spec import RunSpec
from harness.runtime.seeds import derive_seed, generator, global_seed

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


# ---- canonical JSON


def test_canonical_json_by_hand() -> None:
    document = {"b": [1, 1.0, 0.1, 1e-7], "a": {"z": None, "y": True}, "é": "ü\n"}
    assert canonical_json(document) == ('{"a":{"y":true,"z":null},"b":[1,1.0,0.1,1e-07],"\\u00e9":"\\u00fc\\n"}')


def test_digest_is_the_published_sha_256() -> None:
    # of the two bytes {} and of the five bytes "abc", quotes included
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert digest("abc") == hashlib.sha256(b'"abc"').hexdigest()


def shuffled(document: Any, order: random.Random) -> Any:
    """The same document with the keys of every mapping in another order, and tuples for lists."""
    if isinstance(document, dict):
        keys = list(document)
        order.shuffle(keys)
        return {key: shuffled(document[key], order) for key in keys}
    return tuple(shuffled(item, order) for item in document) if isinstance(document, list) else document


@given(document=DOCUMENTS, seed=st.integers(0, 99))
def test_the_order_of_keys_plays_no_part(document: Any, seed: int) -> None:
    assert canonical_json(shuffled(document, random.Random(seed))) == canonical_json(document)


@given(document=DOCUMENTS)
def test_canonical_json_loses_nothing(document: Any) -> None:
    text = canonical_json(document)
    assert json.loads(text) == document
    assert canonical_json(json.loads(text)) == text


# ---- runs

SPEC = RunSpec(
    method="sat",
    method_settings={"a": 1.0},
    network="smallcnn",
    network_settings={"width": 16},
    dataset="folder:flowers",
    dataset_fingerprint="f" * 64,
    training={"epsilon": 0.1, "epochs": 3, "lr_drops": [0.6, 0.9]},
    train_seed=0,
    wrappers=({"name": "awp", "settings": {"gamma": 0.005}, "departures": {}},),
)
(AWP,) = SPEC.wrappers
EMA = {"name": "ema", "settings": {"decay": 0.9}, "departures": {}}
CHANGES: dict[str, list[Any]] = {
    "method": ["trades"],
    "method_settings": [{"a": 2.0}, {"a": 1.0, "b": 1.0}, {}],
    "network": ["resnet18"],
    "network_settings": [{"width": 8}, {}],
    "dataset_fingerprint": ["e" * 64],
    "training": [SPEC.training | {"epsilon": 0.2}, SPEC.training | {"lr_drops": [0.9, 0.6]}, {}],
    "train_seed": [1, -1],
    "wrappers": [(), (AWP | {"settings": {"gamma": 0.01}},), (AWP | {"name": "ema"},), (AWP, EMA), (EMA, AWP)],
    "code": [{"method": "a" * 64}, {"method": "b" * 64}, {"network": "a" * 64}],
}
LABELS = {"dataset"}  # names for a reader; what they name is identified by another field


def test_every_field_of_a_run_is_part_of_its_identity_or_a_label() -> None:
    assert {field.name for field in dataclasses.fields(RunSpec)} == set(CHANGES) | LABELS


def test_the_identity_of_a_run_changes_with_every_field() -> None:
    specs = [SPEC, *(dataclasses.replace(SPEC, **{name: v}) for name, values in CHANGES.items() for v in values)]
    assert len({spec.identity for spec in specs}) == len(specs)


def test_what_a_reader_is_told_beside_plays_no_part() -> None:
    assert dataclasses.replace(SPEC, dataset="folder:blumen").identity == SPEC.identity
    told = AWP | {"departures": {"gamma": 0.005}}  # from the defaults of another version
    assert dataclasses.replace(SPEC, wrappers=(told,)).identity == SPEC.identity


def test_swapping_two_fields_of_the_same_kind_changes_the_identity() -> None:
    mixed = dataclasses.replace(SPEC, method_settings=SPEC.network_settings, network_settings=SPEC.method_settings)
    assert mixed.identity != SPEC.identity


# ---- seeds


@given(st.lists(st.tuples(st.integers(0, 30), st.lists(st.sampled_from(["a", "b", "ab", "1", 1, 12, 2])))))
def test_seeds_of_different_purposes_are_different(purposes: list[tuple[int, list[str | int]]]) -> None:
    distinct = {(seed, tuple((type(part), part) for part in parts)) for seed, parts in purposes}
    seeds = {derive_seed(seed, *parts) for seed, parts in purposes}
    assert len(seeds) == len(distinct)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_arguments_of_a_seed_stay_apart() -> None:
    confusable: list[tuple[str | int, ...]] = [("a", 12), ("a1", 2), ("a12",), ("a", "12"), (12, "a"), ("a, 12",)]
    assert len({derive_seed(0, *purpose) for purpose in confusable}) == len(confusable)
    assert derive_seed(1, 2) != derive_seed(12)


def test_generators_of_one_purpose_agree_and_of_two_do_not() -> None:
    cpu = torch.device("cpu")
    first, again, other = (
        torch.rand(8, generator=generator(cpu, 3, *purpose))
        for purpose in (("attack", 1), ("attack", 1), ("attack", 2))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "draw",
    [lambda: torch.rand(()).item(), lambda: float(np.random.rand()), random.random],
    ids=["torch", "numpy", "Python"],
)
def test_the_global_seed_rules_inside_and_is_undone_outside(draw: Callable[[], float]) -> None:
    def states() -> tuple[object, ...]:
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()

    before, draws = states(), []
    for seed in (1, 1, 2):
        with global_seed(torch.device("cpu"), seed):
            draws.append([draw() for _ in range(8)])
    assert draws[0] == draws[1] != draws[2]
    assert states() == before


def test_the_global_seed_gives_torch_the_numbers_that_its_own_seeding_gives() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = torch.rand(8)
    with global_seed(torch.device("cpu"), 7):
        assert torch.equal(torch.rand(8), expected)


# ---- requests


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
        "channels": [1],
        "protocol": ["paper"],
        "epochs": [3],
        "precision": ["bfloat16"],
        "values": [("lrat.floor=pgd",), ("width=8",), ("lr=1/3",), ("epsilon=0.1",), ("pgd.keep=worst",)],
        "seeds": [1, 7],
        "train_seeds": [1, 4],
        "limit": [3],
        "checks": [False],
        "device": [None],
        "data_dir": [tmp_path / "other"],
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
    seen = [resolve_run(base)]
    for value in other_values(tmp_path)[field]:
        size: dict[str, Any] = {"image_size": None} if value == "digits" else {}  # digits have a size of their own
        after = resolve_run(dataclasses.replace(base, **{field: value}, **size))
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
    monkeypatch.setattr("harness.planning.run_request.resolve_device", lambda _: torch.device("cuda", 0))
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
from harness.planning.run_request import RunRequest, resolve_run
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
