"""The jobs behind a table: those of ordinary runs, under the paper's protocol."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.data.cifar10 import CIFAR10
from harness.data.svhn import SVHN
from harness.errors import SettingError
from harness.planning.run_job import resolve_run
from harness.plugin.dataset import Dataset, DataSource, Split
from harness.reproduction.measured import conditions
from harness.reproduction.recipes import parts, select
from tests.harness.reproduction.tables import BASE, PAPER, PLAIN, TRADES


def test_runs_on_digits_are_those_of_harness_run() -> None:
    base = dataclasses.replace(BASE, train_seeds=2, values=("width=4", "steps=3"), epochs=1, limit=9, seeds=3)
    with pytest.raises(SettingError, match="steps could be"):
        parts(select("table4", dataset="digits"), base)
    base = dataclasses.replace(base, values=("width=4", "train.steps=3"))
    (jobs,) = parts(select("all", dataset="digits"), base).values()
    identities = [spec.identity for job in jobs for spec in job.specs]
    assert len(identities) == len(set(identities)) == 2 * 10
    plain = dataclasses.replace(base, dataset="digits", network="smallcnn")
    by_hand = [
        *resolve_run(dataclasses.replace(plain, methods=(*PLAIN, *TRADES))),
        *resolve_run(dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=pgd"))),
        *resolve_run(dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none"))),
        *resolve_run(
            dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none", "lrat.attacks=cw"))
        ),
        *resolve_run(
            dataclasses.replace(plain, methods=("lrat",), values=(*base.values, "floor=none", "lrat.attacks=pgd"))
        ),
    ]
    assert set(identities) == {spec.identity for job in by_hand for spec in job.specs}
    assert {job.protocol.fingerprint for job in jobs} == {by_hand[0].protocol.fingerprint}
    for job in jobs:
        both = ("early", "last") if job.specs[0].method in TRADES else ("early",)
        assert job.protocol.evaluation.checkpoints == both
        assert (job.seeds, job.examples) == (3, 9)
        assert job.dataset is jobs[0].dataset


@pytest.mark.parametrize("text", ["lrat.minimum=0.2", "minimum=0.2", "lrat.floor=natural"])
def test_a_methods_own_settings_are_the_tables(text: str) -> None:
    with pytest.raises(SettingError, match="--set must not change lrat: the tables decide it"):
        parts(select("table4", dataset="digits"), dataclasses.replace(BASE, values=(text,)))


def noise(self: DataSource, data_dir: Path) -> Dataset:
    """A few images of noise in place of what would be downloaded."""
    images = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    split = Split(images, torch.arange(20) % 10)
    return Dataset(type(self).name, split, Split(images[:8], split.labels[:8]), tuple("0123456789"))


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in (CIFAR10, SVHN):
        monkeypatch.setattr(source, "load", noise)


@pytest.mark.usefixtures("images")
def test_the_papers_runs_are_under_its_protocol() -> None:
    found = parts(select("all"), BASE)
    assert {place: len(jobs) for place, jobs in found.items()} == {
        ("cifar10", "resnet18"): 3 + 3 + 5 - 1,
        ("cifar10", "wrn-32-10"): 3 + 3,
        ("svhn", "resnet18"): 3,
    }
    jobs = [job for part in found.values() for job in part]
    assert {job.protocol.fingerprint for job in jobs} == {PAPER.fingerprint}
    assert {(job.seeds, len(job.specs)) for job in jobs} == {(5, 1)}
    assert all((job.place.source, job.specs[0].network) == place for place, part in found.items() for job in part)


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"epochs": 7},
        {"epsilon": "4/255"},
        {"attacks": ("natural", "autoattack")},
        {"precision": "bfloat16"},
        {"values": ("cw.kappa=40", "train.lr=1/8", "block_size=10")},
        {"protocol": "digits"},
        {"protocol": "digits", "epochs": 3, "values": ("evaluation.attacks=natural,pgd",)},
    ],
    ids=str,
)
def test_a_report_knows_the_protocol_without_the_images(changes: dict[str, Any]) -> None:
    base = dataclasses.replace(BASE, **changes)
    cells = select("all")
    jobs = parts(cells, base)
    told = conditions(cells, base)
    assert set(told) == set(jobs)
    for place, standard in told.items():
        assert standard.protocol.fingerprint == jobs[place][0].protocol.fingerprint
        assert standard.network == jobs[place][0].network
        assert (standard.dataset, standard.fingerprint) == (place[0], None)
        assert standard.of_the_paper == (not changes)
    limited = conditions(cells, dataclasses.replace(base, limit=5))
    assert not any(standard.of_the_paper for standard in limited.values())


def test_a_report_on_other_data_knows_the_images() -> None:
    base = dataclasses.replace(BASE, epochs=2, values=("width=4",))
    (told,) = conditions(select("table1", dataset="digits"), base).values()
    (job,) = resolve_run(dataclasses.replace(base, methods=("sat",), dataset="digits", network="smallcnn"))
    assert (told.dataset, told.fingerprint) == ("digits", job.dataset.fingerprint)
    assert told.protocol.fingerprint == job.protocol.fingerprint
    assert told.network.resolved() == {"width": 4}
    assert not told.of_the_paper
