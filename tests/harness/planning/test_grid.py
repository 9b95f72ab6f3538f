"""A grid gives the identities of the requests that a user would type one by one, and refuses mistakes."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.planning.experiment import read_experiment
from harness.planning.experiment_jobs import resolve_experiment
from harness.planning.grid import owned_values
from harness.planning.grid_jobs import resolve_grid
from tests.harness.planning.asked import DIGITS, jobs

LRAT = dataclasses.replace(DIGITS, methods=("sat", "lrat"))


def test_the_product_has_the_identities_of_the_requests_one_by_one_and_no_method_is_run_twice() -> None:
    asked = dataclasses.replace(
        LRAT,
        wrap=("ema",),
        values=("lrat.floor=pgd", "width=4"),
        grid=("alpha_pgd=1,2", "lr_drops=1/2,3/4;1/2", "decay=0.9,0.99"),
    )
    found = [(job.specs[0].method, job.specs[0].identity) for job in resolve_grid(asked, count_only=True)]
    shared = [
        (f"lr_drops={drops}", f"decay={decay}")
        for drops, decay in itertools.product(("1/2,3/4", "1/2"), ("0.9", "0.99"))
    ]
    expected = [
        jobs(methods=("sat",), wrap=("ema",), values=("width=4", *more))[0].specs[0].identity for more in shared
    ]
    assert [identity for method, identity in found if method == "sat"] == expected
    both = [
        jobs(methods=("lrat",), wrap=("ema",), values=("floor=pgd", "width=4", f"alpha_pgd={alpha}", *more))
        for alpha, more in itertools.product((1, 2), shared)
    ]
    assert [identity for method, identity in found if method == "lrat"] == [job.specs[0].identity for (job,) in both]
    assert [method for method, _ in found] == ["sat"] * 4 + ["lrat"] * 8
    assert len(set(found)) == 12


def test_a_setting_of_the_protocols_wrapper_is_an_axis_and_makes_a_protocol_for_each_value(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "digits"\n[wrappers.ema]\n')
    asked = dataclasses.replace(DIGITS, methods=("sat",), protocol=str(file))
    found = resolve_grid(dataclasses.replace(asked, grid=("ema.decay=0.9,0.99",)), count_only=True)
    alone = [jobs(methods=("sat",), protocol=str(file), values=(f"ema.decay={decay}",))[0] for decay in (0.9, 0.99)]
    for job, expected in zip(found, alone, strict=True):
        assert (job.specs, job.protocol) == (expected.specs, expected.protocol)


@pytest.mark.parametrize("of_file", [False, True])
def test_each_combination_has_the_generated_images_that_its_identity_names(of_file: bool, tmp_path: Path) -> None:
    for level in (1, 2):
        images = np.full((4, 8, 8, 1), level, dtype=np.uint8)
        np.savez(tmp_path / f"{level}.npz", image=images, label=np.arange(4))
    files = [str(tmp_path / f"{level}.npz") for level in (1, 2)]
    if of_file:
        experiment = tmp_path / "e.toml"
        experiment.write_text(
            'methods = ["sat", "lrat"]\nnetworks = ["smallcnn"]\ndatasets = ["digits"]\n'
            f"[grid]\ntrain.extra = {json.dumps(files)}\n"
        )
        found = resolve_experiment(read_experiment(experiment), DIGITS)
    else:
        found = resolve_grid(dataclasses.replace(LRAT, grid=(f"train.extra={','.join(files)}",)))
    assert len(found) == 4
    assert len({job.dataset.extra_sha256 for job in found}) == 2
    for job in found:
        assert job.dataset.extra_sha256 == job.specs[0].training["extra"]


def test_the_settings_of_an_attack_that_an_option_asks_for_are_known() -> None:
    asked = dataclasses.replace(DIGITS, attacks=("natural", "noise"), values=("noise.draws=2",))
    found = resolve_grid(dataclasses.replace(asked, grid=("train.lr=0.1,0.2",)), count_only=True)
    alone = [jobs(attacks=asked.attacks, values=(*asked.values, f"train.lr={lr}"))[0] for lr in (0.1, 0.2)]
    assert [job.protocol for job in found] == [job.protocol for job in alone]
    assert found[0].attacks["noise"].resolved()["draws"] == 2
    assert ("noise.draws=2", ("", "noise.draws")) in owned_values(asked)


@pytest.mark.parametrize(
    ("grid", "changes", "said"),
    [
        (("alpha_pgd=1,,2",), {}, "it has an empty value"),
        (("alpha_pgd=",), {}, "it has an empty value"),
        (("alpha_pgd",), {}, "write --grid key=value,value"),
        (("alpha_pgd=1,1",), {}, "it names 1 twice"),
        (("alpha_pgd=1,1.0",), {}, "two of its values are the same for lrat alpha_pgd=1.0"),
        (("alpha_pgd=1,2", "lrat.alpha_pgd=3,4"), {}, "--grid lrat.alpha_pgd is refused: it is named twice"),
        (("alpha_pgd=1,2",), {"values": ("lrat.alpha_pgd=3",)}, "--set sets it, too"),
        (("train.epochs=1,2",), {"epochs": 3}, "--epochs sets it, too"),
        (("epsilon=0.1,0.2",), {"epsilon": "0.1"}, "--epsilon sets it, too"),
        (("alphapgd=1,2",), {}, "unknown setting 'alphapgd'; did you mean 'alpha_pgd'"),
        (("kappa=1,2",), {"wrap": ("awp",)}, "--grid kappa=1,2 is refused: kappa could be"),
        (("lr_drops=1/2,3/4",), {}, "separate the values by semicolons"),
        (("evaluation.steps=5,6",), {}, "it changes the attacks alone"),
        (("alpha_pgd=1,2",), {"until_separated": 5}, "beside --until-separated"),
        (("alpha_pgd=" + ",".join(map(str, range(1, 1002))),), {}, "1,001 combinations, and 1,000 are the most"),
        (("alpha_pgd=1,2",), {"train_seeds": 20_000, "seeds": 5}, "200,000 evaluations of each attack"),
        (("alpha_pgd=1,none",), {}, "alpha_pgd=none is refused"),
    ],
)
def test_a_mistake_is_one_line(grid: tuple[str, ...], changes: dict[str, object], said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        resolve_grid(dataclasses.replace(LRAT, grid=grid, **changes), count_only=True)  # type: ignore[arg-type]
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
