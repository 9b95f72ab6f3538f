"""``harness bench``, and what ``--dry-run`` tells afterwards on a machine that has run nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.execution import bench as engine
from harness.registry.catalogue import discover
from tests.cli.conftest import Ends, Harness, Refused

RUN = "run sat --dataset digits --arch smallcnn --device cpu --eval-every 0 --dry-run"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bench of a second, whose times are kept in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(engine, "BUDGET_S", 1.0)
    monkeypatch.setattr(engine, "_PEAK_S", 0.01)
    return folder / "harness" / "times.json"


def test_json_and_then_a_dry_run_tells_the_time(soon: Path, ends: Ends, harness: Harness, elsewhere: Path) -> None:
    assert "time: unknown; this machine has not timed smallcnn" in harness(RUN)
    assert "`harness bench --arch smallcnn` measures it in a minute" in harness(RUN)
    code, out, err = ends("bench --arch smallcnn --device cpu --json")
    assert code == 0
    assert f"kept in {soon}" in err
    document = json.loads(out)
    assert (document["arch"], document["dataset"], document["image"]) == ("smallcnn", "digits", [1, 8, 8])
    assert (document["precision"], document["plain"], document["threads"]["attacks"]) == ("float32", False, 1)
    steps: dict[str, Any] = {entry["method"]: entry for entry in document["training"]}
    assert set(discover("methods").found) == set(steps)
    attacks = {entry["attack"]: entry for entry in document["attacks"]}
    assert {"natural", "pgd", "cw", "autoattack", "apgd-ce", "apgd-t", "fab-t", "square"} < set(attacks)
    assert attacks["autoattack"]["how"] == "computed"
    assert document["flop_an_image"]["forward"] == 240_256
    for entry in (*steps.values(), *attacks.values()):
        assert entry["seconds_an_image"] == pytest.approx(1 / entry["images_per_s"])
    assert list(elsewhere.iterdir()) == []

    plan = json.loads(harness(f"{RUN} --json --seeds 2 --workers 2 --attacks natural,pgd --no-checks"))
    training = 20 * 1437 * steps["sat"]["seconds_an_image"]
    attacked = 360 * attacks["natural"]["seconds_an_image"] + 2 * 360 * attacks["pgd"]["seconds_an_image"]
    assert plan["estimated_s"] == pytest.approx((training + attacked) / 2)
    assert set(plan["estimated_from"]) == {"training", "natural", "pgd"}
    text = harness(RUN)
    assert "time: about " in text
    assert f"from passes, and harness bench (of {document['measured_utc'][:10]})" in text
    assert "time: about " in harness("reproduce table4 --dataset digits --device cpu --dry-run")
    (elsewhere / "net.py").write_text(
        "from harness.networks.smallcnn import SmallCNN\nfrom harness.plugin.network import Shape\n\n\n"
        "def make():\n    return SmallCNN().build(Shape(1, 8, 8, 10))\n"
    )
    assert "time: unknown" in harness("evaluate net.py:make --dataset digits --device cpu --dry-run")
    for other in ("--plain", "--set width=8", "--precision bfloat16"):
        assert "time: unknown" in harness(f"{RUN} {other}"), other


def test_tables(harness: Harness) -> None:
    text = harness("bench --arch smallcnn --device cpu --set width=2 --plain")
    for part in ("training step", "crafting", "update", "lrat-trades", "autoattack", "computed", "peak memory"):
        assert part in text
    assert "smallcnn, random images 1x8x8 as in digits; the network's own layers alone" in text


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("--arch resnet81", "unknown network 'resnet81'; did you mean 'resnet18'"),
        ("--dataset cifar01", "unknown dataset 'cifar01'; did you mean 'cifar10'"),
        ("--arch resnet18 --dataset digits", "resnet18 takes images of 16x16 to 96x96, not 8x8"),
        ("--device cpu --precision tf32", "precision=tf32 needs a CUDA device"),
        ("--device tpu", "--device tpu is not a device"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(options: str, reason: str, refusal: Refused) -> None:
    assert reason in refusal(f"bench {options}")


def test_a_cache_that_cannot_be_written_is_told_after_the_figures(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    (elsewhere / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(elsewhere / "file"))
    code, out, err = ends("bench --arch smallcnn --device cpu --set width=2 --json")
    assert code == 2
    assert json.loads(out)["arch"] == "smallcnn"
    assert err.splitlines()[-1].startswith("harness: the times cannot be kept in")
    assert "Traceback" not in err


@pytest.mark.parametrize(("name", "images"), [("cifar10", 50_000), ("svhn", 73_257)])
def test_a_run_is_planned_without_its_images(name: str, images: int, ends: Ends, elsewhere: Path) -> None:
    asked = f"run standard --dataset {name} --arch smallcnn --epochs 2 --eval-every 0"
    code, out, err = ends(f"{asked} --device cpu --dry-run --json")
    assert code == 0
    assert f"{name}: its images are not here" in err
    assert json.loads(out)["training_passes"] == {"forward": 2 * images, "backward": 2 * images}
    assert list(elsewhere.iterdir()) == []
