"""AutoAttack's parts: each is what the authors' package gives for that part alone, on any number of classes."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn

from harness.attacks._autoattack import PARTS, Package
from harness.attacks.autoattack import AutoAttack
from harness.attacks.square import Square
from harness.errors import HarnessError, SettingError
from harness.evaluator import evaluate
from harness.plugin.ball import BALLS, L2
from harness.plugin.threat import Threat
from harness.registry.catalogue import discover
from tests.attacks.package import EPSILON, Net, block, plain
from tests.tiny import draws, make_threat

NAMES = tuple(PARTS)


def part(name: str) -> Package:
    made: Any = discover("attacks").get(name)()
    assert isinstance(made, Package)
    return made


def test_the_parts_are_those_of_the_packages_standard_version_in_its_order() -> None:
    package = plain(Net(), *block(Net(), n=2), draws())
    assert package.attacks_to_run == list(NAMES)
    assert AutoAttack.parts == NAMES


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("name", NAMES)
def test_a_part_is_the_packages_own_run_of_it_alone(name: str) -> None:
    model = Net().eval()
    x, y = block(model)
    y[:3] = (y[:3] + 1) % 10  # wrong from the beginning: left as they are
    with torch.random.fork_rng(devices=[]):
        individual = plain(model, x, y, draws(5)).run_standard_evaluation_individual(x, y, batch_size=len(x))
    expected = individual[name][0]
    ours = part(name).perturb(model, x, y, make_threat(epsilon=EPSILON), draws(5))
    assert torch.equal(ours, expected)
    assert torch.equal(ours[:3], x[:3])
    wrong = (model(ours).argmax(1) != y)[3:].float().mean()
    assert 0 < float(wrong) < 1


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("name", NAMES)
def test_a_part_alone_has_the_settings_of_the_standard_version(name: str) -> None:
    """By another road: version "custom", each setting that the standard version states written out."""
    import pyautoattack

    model = Net().eval()
    x, y = block(model)
    seed = int(torch.randint(2**31 - 1, (), generator=draws(6)))
    with torch.random.fork_rng(devices=[]):
        custom = pyautoattack.AutoAttack(model, norm="Linf", eps=EPSILON, seed=seed, version="custom", attacks=[name])
        custom.apgd.n_restarts = custom.apgd_targeted.n_restarts = custom.fab.n_restarts = 1
        custom.apgd_targeted.n_target_classes = custom.fab.n_target_classes = 9
        custom.apgd.n_iter = custom.apgd_targeted.n_iter = custom.fab.n_iter = 5
        custom.square.n_queries = 20
        expected = custom.run_standard_evaluation(x, y, batch_size=len(x))[0]
    assert torch.equal(part(name).perturb(model, x, y, make_threat(epsilon=EPSILON), draws(6)), expected)


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("name", [*NAMES, "autoattack"])
def test_in_the_l2_ball_a_part_is_the_packages_own_in_that_norm(name: str) -> None:
    model = nn.Sequential(nn.AvgPool2d(2), Net()).eval()
    x = torch.rand(24, 3, 8, 8, generator=draws(1))
    y = model(x).argmax(1)
    threat = Threat(epsilon=4.0, steps=1, step_size=0.1, start="none", norm="L2")
    with torch.random.fork_rng(devices=[]):
        package = plain(model, x, y, draws(5), epsilon=4.0, norm="L2")
        if name != "autoattack":
            package.attacks_to_run = [name]
        expected = package.run_standard_evaluation(x, y, batch_size=len(x))[0]
    ours = part(name).perturb(model, x, y, threat, draws(5))
    assert torch.equal(ours, expected)
    distance = threat.ball(x).distance(ours)
    assert 0.5 < float(distance.max()) <= 4 + 1e-5


@pytest.mark.parametrize("name", [*NAMES, "autoattack"])
def test_a_norm_that_the_package_has_no_standard_version_of_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BALLS, "L1", L2)  # whatever it is: the package has an L1, of another version
    threat = Threat(epsilon=0.5, steps=1, step_size=0.1, start="none", norm="L1")
    model = Net().eval()
    for refused in (
        lambda: part(name).settings_under(threat),
        lambda: part(name).perturb(model, *block(model), threat, draws()),
        lambda: evaluate(model, part(name), *block(model), threat, draws()),
    ):
        with pytest.raises(SettingError, match=f"attack '{name}' is refused in the L1 ball: its authors' package"):
            refused()


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize(
    ("height", "width"), [(3, 8), (7, 7), (8, 8), (12, 12), (13, 14), (16, 13), (18, 2), (24, 30), (28, 28)]
)
def test_squares_first_tiles_in_l2_are_refused_where_the_package_raises(height: int, width: int) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(height * width, 5)).eval()
    x = torch.rand(2, 1, height, width, generator=draws(1))
    y, threat = model(x).argmax(1), Threat(epsilon=1e-4, steps=1, step_size=0.1, start="none", norm="L2")
    package = plain(model, x, y, draws(5), epsilon=1e-4, norm="L2")
    package.attacks_to_run = ["square"]
    try:
        package.run_standard_evaluation(x, y, batch_size=len(x))
    except (ZeroDivisionError, RuntimeError):
        for name in ("square", "autoattack"):
            with pytest.raises(
                SettingError, match=f"^attack '{name}' is refused in the L2 ball on images of {height}x"
            ):
                evaluate(model, part(name), x, y, threat, draws())
    else:
        assert evaluate(model, part("square"), x, y, threat, draws()).correct.all()
    part("fab-t").refuse_shape(threat, (1, height, width))


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 12])
@pytest.mark.parametrize("name", NAMES)
def test_few_classes_are_attacked_without_a_warning(name: str, classes: int) -> None:
    model = Net(classes).eval()
    x, y = block(model)
    threat = make_threat(epsilon=1.0)
    if name == "apgd-t" and classes < 4:
        with pytest.raises(HarnessError, match=rf"apgd-t needs 4 classes or more, and the model has {classes}"):
            evaluate(model, part(name), x, y, threat, draws())
        return
    verdicts = evaluate(model, part(name), x, y, threat, draws())
    assert verdicts.warnings == ()
    assert not bool(verdicts.correct.all())


def test_square_of_two_classes_is_the_packages_own() -> None:
    model = Net(2).eval()
    x, y = block(model, n=6)
    with torch.random.fork_rng(devices=[]):
        package = plain(model, x, y, draws(3), epsilon=0.02)
        package.attacks_to_run = ["square"]
        expected = package.run_standard_evaluation(x, y, batch_size=len(x))[0]
    assert torch.equal(Square().perturb(model, x, y, make_threat(epsilon=0.02), draws(3)), expected)


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("name", [*NAMES, "autoattack"])
def test_at_radius_zero_the_package_gives_the_images_too(name: str) -> None:
    """So that leaving it out there, which saves every query, changes no result."""
    model = Net().eval()
    x, y = block(model)
    package = plain(model, x, y, draws(), epsilon=0.0)
    if name != "autoattack":
        package.attacks_to_run = [name]
    assert torch.equal(package.run_standard_evaluation(x, y, batch_size=len(x))[0], x)
    assert torch.equal(part(name).perturb(model, x, y, make_threat(epsilon=0.0), draws()), x)
    assert part(name).passes(make_threat(epsilon=0.0)).total == 1


@pytest.mark.usefixtures("few_iterations")
def test_the_ensemble_costs_what_its_parts_do_but_for_the_checks_they_share() -> None:
    threat = make_threat(epsilon=EPSILON)
    parts = [part(name).passes(threat) for name in NAMES]
    whole = AutoAttack().passes(threat)
    assert whole.forward == sum(p.forward for p in parts) - 3 * 9
    assert whole.backward == sum(p.backward for p in parts) == 101 + 9 * 101 + 9 * 100


@pytest.mark.parametrize("name", NAMES)
def test_passes_are_those_of_an_example_that_no_part_breaks(name: str) -> None:
    """Counted, at the standard version's full length, on a network whose answer does not move far enough."""
    model = Net().eval()
    x, y = block(model, n=1)
    seen: list[int] = []
    model.register_forward_pre_hook(lambda _model, inputs: seen.append(len(inputs[0])))
    threat = make_threat(epsilon=1e-6)
    part(name).perturb(model, x, y, threat, draws())
    assert sum(seen) == part(name).passes(threat).forward


@pytest.mark.usefixtures("few_iterations")
def test_a_parts_log_goes_to_the_runs_log(caplog: pytest.LogCaptureFixture) -> None:
    model = Net().eval()
    x, y = block(model, n=6)
    with caplog.at_level(logging.INFO, logger="harness.attack"):
        part("square").perturb(model, x, y, make_threat(epsilon=EPSILON), draws())
    assert any("robust accuracy after SQUARE" in message for message in caplog.messages)
    assert not any("APGD" in message for message in caplog.messages)
