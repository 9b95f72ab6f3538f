"""What targeted FAB found for the images of a network: it draws nothing, so it finds the same with every seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor, nn

COMPANY = 16  # images that hold, beside new ones: torch multiplies a few rows by other routines, with other last bits
_SETTINGS = ("norm", "eps", "n_iter", "alpha_max", "eta", "beta", "n_target_classes")


class Findings:
    """The findings for one network's images, as long as this process attacks that network with the same settings.

    The standard version of AutoAttack runs FAB once for each target class, from the image itself. So its seed decides
    nothing but which images the attacks before left over. An image that was attacked with one seed need not be attacked
    again with the next.

    A finding is taken over only if the network, with the same weights, gives the image the same logits and the same
    gradient now, to the last bit, in a batch of the present size. So the verdicts are those of an attack on all images
    of the batch, whatever was found before: a command that was stopped, and goes on, comes to the same ones. Where the
    last bit depends on the number of images, as it may on a GPU, all are attacked.
    """

    def __init__(self) -> None:
        self._of = b""  # the network and the settings
        self._found: dict[bytes, Tensor | None] = {}  # look -> the adversarial image, on the CPU, or None

    def perturb(self, attack: Any, x: Tensor, y: Tensor) -> Tensor:
        """What the package's ``FABAttack_PT.perturb`` gives for a pure model, without attacking an image twice.

        The package itself runs where restarts begin at random points, and where a look is not finite.

        Args:
            attack: the package's ``FABAttack_PT``; its ``predict`` is the model.
            x: ``(batch, channels, height, width)`` images in [0, 1].
            y: ``(batch,)`` labels.
        """
        looks = _looks(attack.predict, x, y) if attack.targeted and attack.n_restarts == 1 else None
        if looks is None:
            return _attacked(attack, x, y)
        self._begin(attack)
        places = self._to_attack(attack, x, y, looks)
        if places:
            for place, adversarial in zip(places, _attacked(attack, x[places], y[places]), strict=True):
                changed = not torch.equal(adversarial, x[place])
                self._found[looks[place]] = adversarial.cpu().clone() if changed else None
        found = [self._found[look] for look in looks]
        return torch.stack([x[n] if one is None else one.to(x.device) for n, one in enumerate(found)])

    def forget(self) -> None:
        """Attack every image again."""
        self._of, self._found = b"", {}

    def _to_attack(self, attack: Any, x: Tensor, y: Tensor, looks: Sequence[bytes]) -> list[int]:
        """The places of the new images, with company; of all images, if the last bit depends on the others there."""
        new = [place for place, look in enumerate(looks) if look not in self._found]
        if not new:
            return []
        holding = [place for place, look in enumerate(looks) if look in self._found and self._found[look] is None]
        some = [*new, *holding[:COMPANY]]
        if len(holding) >= COMPANY and _looks(attack.predict, x[some], y[some]) == [looks[place] for place in some]:
            return some
        return list(range(len(x)))

    def _begin(self, attack: Any) -> None:
        """Forget what was found for another network, or with other settings."""
        told = sha256(repr([(name, getattr(attack, name)) for name in _SETTINGS]).encode())
        for part in _parts(_computing(attack.predict)):
            told.update(part)
        if told.digest() != self._of:
            self._of, self._found = told.digest(), {}


findings = Findings()
"""Those of this process."""


def _attacked(attack: Any, x: Tensor, y: Tensor) -> Tensor:
    given: Tensor = type(attack).perturb(attack, x, y)
    return given


def _looks(model: nn.Module, x: Tensor, y: Tensor) -> list[bytes] | None:
    """For each image a digest of it, its label, its logits, and a gradient; None if any is not finite."""
    images = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = model(images)
        weights = torch.arange(logits.shape[1], device=x.device, dtype=logits.dtype).cos()
        (gradient,) = torch.autograd.grad((logits * weights).sum(), images)
    if not bool(logits.isfinite().all() & gradient.isfinite().all()):
        return None
    parts = [part.detach().flatten(1).cpu().numpy() for part in (x, y[:, None], logits, gradient)]
    return [sha256(b"".join(part[row].tobytes() for part in parts)).digest() for row in range(len(x))]


def _computing(model: nn.Module) -> Iterator[object]:
    """All that a network computes with: parameters, buffers, and what layers have besides, as faster ones do."""
    yield from (*model.named_parameters(), *model.named_buffers())
    for name, module in model.named_modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield name, module.get_extra_state()


def _parts(state: Any) -> Iterator[bytes]:
    if isinstance(state, Tensor):
        yield repr((state.dtype, tuple(state.shape))).encode()
        yield state.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(state, dict):
        yield from _parts(state.items())
    elif isinstance(state, Iterable) and not isinstance(state, (str, bytes)):
        for each in state:
            yield from _parts(each)
    else:
        yield repr(state).encode()
