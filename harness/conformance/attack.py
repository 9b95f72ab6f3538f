"""What every evaluation attack must do."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor, nn

from harness.conformance import ContractCheck, Violation, require
from harness.conformance.probe import CPU, THREAT, global_generator_untouched, probe_batch, probe_model
from harness.errors import SettingError
from harness.plugin.attack import Attack, Passes
from harness.plugin.ball import BALLS, LINF, radius_text
from harness.plugin.threat import Threat
from harness.runtime.seeds import generator, global_seed
from harness.runtime.untouched import Untouched

CLASSES = 10
IMAGES = 3
RADII = (0.0, 1 / 255, 1.0)  # a ball of one point, a small ball, a ball that contains every image


def _perturb(attack: Attack, model: nn.Module, seed: int = 0, threat: Threat = THREAT) -> Tensor:
    x, _ = probe_batch(IMAGES, CLASSES)
    y = model.eval()(x).argmax(1)
    return attack.perturb(model, x, y, threat, generator(CPU, seed, "check"))


@cache
def _result(attack: Attack, seed: int = 0, threat: Threat = THREAT) -> Tensor:
    """The attack's result; cached, since AutoAttack takes seconds even on the tiny network."""
    return _perturb(attack, probe_model(CLASSES).requires_grad_(False), seed, threat)


def images(attack: Attack) -> None:
    x, _ = probe_batch(IMAGES, CLASSES)
    x_adv = _result(attack)
    require(isinstance(x_adv, Tensor), f"perturb returned a {type(x_adv).__name__}; return a tensor of images")
    require(x_adv.shape == x.shape, f"it returned shape {tuple(x_adv.shape)} for images of {tuple(x.shape)}; keep it")
    require(x_adv.dtype == x.dtype, f"it returned {x_adv.dtype} for images of {x.dtype}; keep the type")
    require(not bool(x_adv.isnan().any()), "it returned NaN; adversarial images must be numbers")


def inside(attack: Attack) -> None:
    """Inside the L-infinity ball; inside every ball that it does not refuse, if its budget names the norm.

    In every norm the radius is the same share of the radius within which every image can become any other.
    """
    x, _ = probe_batch(IMAGES, CLASSES)
    for norm, ball in BALLS.items() if "norm" in attack.budget else [(LINF, BALLS[LINF])]:
        whole = ball.whole(x.shape[1:])
        threat = replace(THREAT, norm=norm, epsilon=whole * THREAT.epsilon, step_size=whole * THREAT.step_size)
        try:
            attack.refuse_other_balls(threat)
            attack.refuse_shape(threat, x.shape[1:])
        except SettingError:
            continue
        _require_inside(_result(attack, threat=threat), threat)


def any_radius(attack: Attack) -> None:
    for epsilon in RADII:
        threat = replace(THREAT, epsilon=epsilon, step_size=epsilon / 4)
        with warnings.catch_warnings(record=True, action="always") as caught:
            x_adv = _result(attack, threat=threat)
        require(
            bool(x_adv.isfinite().all()),
            f"with an epsilon of {radius_text(epsilon)} it returns values that are not finite",
        )
        _require_inside(x_adv, threat)
        messages = "; ".join(str(warning.message) for warning in caught)
        require(not caught, f"with an epsilon of {radius_text(epsilon)} it warns: {messages}")


def _require_inside(x_adv: Tensor, threat: Threat) -> None:
    x, _ = probe_batch(IMAGES, CLASSES)
    distance = float(threat.ball(x).distance(x_adv).max())
    require(
        distance <= threat.epsilon + 1e-5,
        f"it returns a point {distance:.4g} from the image, outside the {threat.norm} ball of"
        f" {radius_text(threat.epsilon)}: the evaluator would project it, and judge a point that the attack did not"
        " choose",
    )
    lowest, highest = float(x_adv.min()), float(x_adv.max())
    require(lowest >= 0 and highest <= 1, f"its pixels reach from {lowest:.4g} to {highest:.4g}; stay in [0, 1]")


def generator_alone(attack: Attack) -> None:
    with global_generator_untouched():
        again = _perturb(attack, probe_model(CLASSES).requires_grad_(False))
    same = torch.equal(again, _result(attack))
    require(same, "equal generators gave different images: draw from the given one alone")


def repeatable(attack: Attack) -> None:
    """Equal generators (the given one and the global ones) give equal images at every call; figures rely on this."""
    model = probe_model(CLASSES).requires_grad_(False)

    def crafted(seed: int) -> Tensor:
        with global_seed(CPU, seed):
            return _perturb(attack, model, seed)

    first, again, other = crafted(0), crafted(0), crafted(1)
    require(
        torch.equal(again, first),
        "a second call with an equal generator gave different images: keep nothing from call to call, and draw from the"
        " given generator alone",
    )
    if not attack.seeded:
        require(torch.equal(other, first), "another seed changes the images; say seeded = True")


def seeded(attack: Attack) -> None:
    same = torch.equal(_result(attack, seed=1), _result(attack))
    if attack.seeded:
        require(not same, "another seed changes nothing; say seeded = False, so that it is evaluated once")
    else:
        require(same, "another seed changes the images; say seeded = True, so that it is evaluated with every seed")


def network_as_it_was(attack: Attack) -> None:
    model = probe_model(CLASSES).eval()
    before = Untouched(model)
    _perturb(attack, model)
    require(not any(m.training for m in model.modules()), "it left the network in training mode")
    changed = sorted(before.changed(model))
    require(not changed, f"it changed {', '.join(changed)} of the network: put back weights, layers, and hooks")
    left = [name for name, parameter in model.named_parameters() if parameter.grad is not None]
    require(not left, f"it left a gradient in {', '.join(left)}: take the images' gradient with torch.autograd.grad")


def budget(attack: Attack) -> None:
    others = {"epsilon": 0.05, "steps": 8, "step_size": 0.01, "start": "none"}
    for name, value in others.items():
        if name not in attack.budget:
            same = torch.equal(_result(attack, threat=replace(THREAT, **{name: value})), _result(attack))  # type: ignore[arg-type]
            require(same, f"another {name} of the threat changes its images: name {name!r} in budget")


@cache
def _passed(attack: Attack) -> Passes:
    """The passes that the attack makes for one image, counted."""
    model = probe_model(CLASSES)
    x, _ = probe_batch(IMAGES, CLASSES)
    y = model.eval()(x).argmax(1)
    forward: list[int] = []
    backward: list[int] = []

    def count(_model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        seen = inputs[0].view_as(inputs[0])
        forward.append(len(seen))
        if seen.requires_grad:
            seen.register_hook(lambda gradient: backward.append(len(gradient)))  # type: ignore[no-untyped-call]
        return (seen,)

    model.register_forward_pre_hook(count)
    attack.perturb(model, x, y, THREAT, generator(CPU, 0, "check"))
    return Passes(sum(forward), sum(backward)).times(1 / IMAGES)


def cost(attack: Attack) -> None:
    passed, declared = _passed(attack).forward, attack.passes(THREAT).forward
    within = passed <= declared + 1e-9
    require(within, f"it took {passed:g} forward passes an image, but passes() says at most {declared:g}")


def kind(attack: Attack) -> None:
    """The declared kind fits the gradients that the attack takes; a wrong kind would raise or hide flags wrongly."""
    gradients = _passed(attack).backward
    fitting = ("white-box", "ensemble") if gradients > 1 else ("single-step",) if gradients else ("black-box", "random")
    taken = f"{gradients:g} gradient{'s' if gradients != 1 else ''}"
    advice = f"it takes {taken} an image: say kind = {' or '.join(map(repr, fitting))}"
    if attack.kind is None:
        raise Violation(f"it declares no kind, so the checks of rigour leave it out; {advice}")
    if attack.kind == "clean":
        x, _ = probe_batch(IMAGES, CLASSES)
        return require(torch.equal(_result(attack), x), "its kind is 'clean', but it changes the images")
    known = attack.kind in fitting or attack.kind == "ensemble" or (attack.kind == "white-box" and gradients > 0)
    require(known, f"its kind is {attack.kind!r}, but {advice}")


def few_classes(attack: Attack) -> None:
    classes = attack.fewest_classes
    try:
        x_adv = _perturb(attack, probe_model(classes).requires_grad_(False))
    except Exception as error:  # a plugin may raise anything
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise Violation(f"with {classes} classes it raised {text}; say in fewest_classes how many it needs") from error
    finite = bool(x_adv.isfinite().all())
    require(finite, f"with {classes} classes it returns values that are not finite; see fewest_classes")
    _require_inside(x_adv, THREAT)


CHECKS: dict[str, ContractCheck] = {
    "it returns images": images,
    "they are inside the ball and [0, 1]": inside,
    "it respects any radius from 0 to 1": any_radius,
    "the given generator alone decides": generator_alone,
    "it says whether the seed matters": seeded,
    "the network is left as it was": network_as_it_was,
    "it names what it reads of the threat": budget,
    "it takes as few classes as it says": few_classes,
    "it is of the kind that it declares": kind,
    "it costs no more passes than it says": cost,
}
