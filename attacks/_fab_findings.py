"""What targeted FAB found for the images of a network: it draws nothing, so it finds the same with every seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

COMPANY = 16  # images whose bits are compared, at least
_MORE = 32  # images in a batch from which on harness's own convolutions, too, compute as for many
_MOST_BYTES = 256 * 2**20  # of what is kept
_ENTRY_BYTES = 300  # of a finding without an image
_SETTINGS = ("norm", "eps", "n_iter", "alpha_max", "eta", "beta")

Run = Callable[..., Tensor]
"""The package's ``FABAttack_PT.attack_single_run``, or what gives the same."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a run towards one target class found for an image.

    Attributes:
        bits: a digest of the image's logits and gradient, as the network gave them in that run's batch.
        image: the adversarial image; None: no image in the ball.
    """

    bits: bytes
    image: Tensor | None

    @property
    def bytes(self) -> int:
        """The memory that it takes."""
        return _ENTRY_BYTES + (self.image.nbytes if self.image is not None else 0)


class Findings:
    """The findings for one network's images, as long as this process attacks that network with the same settings.

    The standard version of AutoAttack runs FAB once for each target class, from the image itself. So its seed decides
    nothing but which images the attacks before left over. An image that was attacked with one seed need not be attacked
    again with the next.

    A network may compute an image's last bit differently with other images beside it, and the batch is another one with
    each seed and each target class. So findings are taken over in a batch only if 16 images or more in it were attacked
    before, and the network gives each of these the same logits and the same gradient now, to the last bit. It computes
    by the same routines then, so the findings are those of an attack on all images of the batch, and verdicts do not
    depend on what was found before. Else all images are attacked.

    Nothing is kept on a GPU: none has shown that FAB's own steps give an image the same bits among fewer others.

    The network counts as the same if it is the same object, with the same layers, weights, and plain attributes.
    """

    def __init__(self) -> None:
        self._attack: Callable[[], object] = _nothing  # whose network's content was looked at
        self._network: Callable[[], object] = _nothing
        self._of = b""  # the network's content, and the settings
        self._found: dict[tuple[int, bytes], _Found] = {}  # by target class, and by a digest of image and label
        self._bytes = 0

    def run(
        self,
        run: Run,
        attack: Any,
        x: Tensor,
        y: Tensor,
        use_rand_start: bool = False,
        is_targeted: bool = False,
    ) -> Tensor:  # the package calls it by these names
        """What ``run`` gives for one target class of a pure model, where it decides FAB's outcome.

        Where it found nothing in the ball, the image itself is given, and not an image farther away, which FAB refuses.

        Args:
            run: attacks images.
            attack: the package's ``FABAttack_PT`` in L-infinity; its ``predict`` is the model.
            x: ``(batch, channels, height, width)`` images in [0, 1].
            y: ``(batch,)`` labels.
        """
        on_cpu = x.device.type == "cpu"
        bits = _bits(attack.predict, x, y) if on_cpu and is_targeted and not use_rand_start else None
        if bits is None or not self._begin(attack, x):
            return run(x, y, use_rand_start=use_rand_start, is_targeted=is_targeted)
        names = [(attack.target_class, name) for name in _names(x, y)]
        places = self._to_attack(attack, x, y, names, bits)
        given = x.clone()
        for place in set(range(len(x))).difference(places):
            known = self._found[names[place]].image
            if known is not None:
                given[place] = known
        if places:
            adversarial = run(x[places], y[places], is_targeted=True)
            distances = (x[places] - adversarial).flatten(1).abs().amax(1)
            far = (distances > attack.eps).tolist()  # as the package compares, in the precision of the images
            for row, place in enumerate(places):
                image = None if far[row] else adversarial[row].clone()
                if image is not None:
                    given[place] = image
                self._keep(names[place], _Found(bits[place], image if distances[row] != 0 else None))
        return given

    def forget(self) -> None:
        """Attack every image again."""
        self._attack, self._of, self._found, self._bytes = _nothing, b"", {}, 0

    def _to_attack(
        self, attack: Any, x: Tensor, y: Tensor, names: Sequence[tuple[int, bytes]], bits: Sequence[bytes]
    ) -> list[int]:
        """The places of the new images, with company; of all images, if the last bit depends on the others there."""
        known = [place for place, name in enumerate(names) if name in self._found]
        everything = list(range(len(x)))
        if len(known) < COMPANY or any(self._found[names[place]].bits != bits[place] for place in known):
            return everything
        new = sorted(set(everything).difference(known))
        if not new:
            return []
        for company in dict.fromkeys((COMPANY, max(COMPANY, _MORE - len(new)))):
            some = [*new, *known[:company]]
            if len(some) < len(x) and _bits(attack.predict, x[some], y[some]) == [bits[place] for place in some]:
                return some
        return everything

    def _begin(self, attack: Any, x: Tensor) -> bool:
        """Forget what was found for another network, or with other settings; whether anything can be kept.

        The content is looked at once for each attack, and not for each target class: a pure model stays what it is.
        """
        if self._attack() is attack:
            return True
        told = sha256(repr([x.shape[1:], *((name, getattr(attack, name)) for name in _SETTINGS)]).encode())
        for part in _parts(_content(attack.predict)):
            if part is None:
                return False
            told.update(part)
        if self._network() is not attack.predict or told.digest() != self._of:
            self.forget()
            self._network, self._of = ref(attack.predict, lambda _gone: self.forget()), told.digest()
        self._attack = ref(attack)
        return True

    def _keep(self, name: tuple[int, bytes], found: _Found) -> None:
        """Keep a finding; the oldest go where there is no room."""
        before = self._found.pop(name, None)
        self._found[name] = found
        self._bytes += found.bytes - (before.bytes if before is not None else 0)
        while self._bytes > _MOST_BYTES:
            self._bytes -= self._found.pop(next(iter(self._found))).bytes


def _nothing() -> None:
    """Stands for a reference to what is gone."""


findings = Findings()
"""Those of this process."""


def _names(x: Tensor, y: Tensor) -> list[bytes]:
    """A digest of each image and its label."""
    return [sha256(row).digest() for row in _rows(x, y[:, None])]


def _bits(model: nn.Module, x: Tensor, y: Tensor) -> list[bytes] | None:
    """For each image a digest of its logits and of a gradient; None if any is not finite, or an image is not right."""
    images = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        logits = model(images)
        weights = torch.arange(logits.shape[1], device=x.device, dtype=logits.dtype).cos()
        (gradient,) = torch.autograd.grad((logits * weights).sum(), images)
    if not bool(logits.isfinite().all() & gradient.isfinite().all() & (logits.max(1)[1] == y).all()):
        return None
    return [sha256(row).digest() for row in _rows(logits, gradient)]


def _rows(*tensors: Tensor) -> Iterator[bytes]:
    """The bytes of each row of the tensors together."""
    parts = [tensor.detach().flatten(1).contiguous().view(torch.uint8).cpu().numpy() for tensor in tensors]
    for row in range(len(tensors[0])):
        yield b"".join(part[row].tobytes() for part in parts)


def _content(model: nn.Module) -> Iterator[object]:
    """All that a network computes with: its tensors, and for each layer its kind and what it has besides.

    Besides are numbers and texts, and the extra state, such as faster layers have.
    """
    yield from (*model.named_parameters(), *model.named_buffers())
    for name, module in model.named_modules():
        yield name, type(module), [(key, value) for key, value in vars(module).items() if _is_plain(value)]
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            yield name, module.get_extra_state()


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, complex, str, bytes))


def _parts(state: Any) -> Iterator[bytes | None]:
    """The bytes of some state; None for a tensor that has no plain bytes, such as a sparse one."""
    if isinstance(state, Tensor):
        yield repr((state.dtype, tuple(state.shape))).encode()
        plain = state.layout == torch.strided and not state.is_quantized
        yield state.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() if plain else None
    elif isinstance(state, np.ndarray):
        yield from (repr((state.dtype, state.shape)).encode(), state.tobytes())
    elif isinstance(state, dict):
        yield from _parts(state.items())
    elif isinstance(state, Iterable) and not isinstance(state, (str, bytes, type)):
        for each in state:
            yield from _parts(each)
    else:
        yield repr(state).encode()
