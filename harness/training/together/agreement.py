"""Checks that a shared pass is the pass of the whole batch, and that all processes hold the same weights."""

from __future__ import annotations

import contextlib
from hashlib import sha256

import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.runtime.device import arithmetic
from harness.runtime.process import process_kept
from harness.runtime.seeds import global_seed, global_states
from harness.training.rebuilt import left_as_it_was, own_generators_kept
from harness.training.together.network import SharedNetwork
from harness.training.together.peers import Peers

SAME = 1e-3  # tolerance of the logits, relative to their spread; other statistics, or other draws, change far more
ALIKE = 0.05  # tolerance of each gradient, relative to its norm: a ReLU at zero may open or shut
_NO_GRADIENT = 1e-3  # of all gradients' norm: below it lies what is zero but for rounding, as a bias before batch-norm


def least_images(peers: Peers) -> int:
    """How many images the comparison takes: an uneven share for each process."""
    return 4 * peers.count + 1


def refuse_another_pass(network: SharedNetwork, images: Tensor) -> None:
    """Compare a shared pass, in the modules' present modes, with a pass of the whole batch in this process.

    A network may mix the images of a batch in a way of its own, or draw random numbers that no share can repeat. The
    network, and all generators, are left as they were.

    Raises:
        SettingError: logits or gradients differ.
    """
    whole, shared = _answers(network, images, shared=False), _answers(network, images, shared=True)
    apart = torch.tensor([_differ(whole, shared)], device=images.device)
    if any(bool(found) for found in network.peers.gathered(apart)):  # in every process, or in none
        raise SettingError(
            f"--devices-per-run {network.peers.count} is refused for this network: its pass of a batch in shares is not"
            " its pass of the whole batch, since it mixes images or draws random numbers in a way of its own; train it"
            " on one device"
        )


Answers = tuple[Tensor, list[Tensor | None]]


def _answers(network: SharedNetwork, images: Tensor, *, shared: bool) -> Answers:
    """Logits, and the weights' gradients of a sum of the logits in which each has its own factor."""
    model, device = network.model, images.device
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with contextlib.ExitStack() as stack:
        for context in (own_generators_kept(model), left_as_it_was(model), process_kept(), torch.enable_grad()):
            stack.enter_context(context)
        stack.enter_context(global_seed(device, 0))
        stack.enter_context(arithmetic(device, "float32"))
        stack.enter_context(network.shared() if shared else contextlib.nullcontext())
        logits: Tensor = model(images.clone())
        factors = torch.arange(logits.numel(), device=device, dtype=logits.dtype).cos().view(logits.shape)
        value = (logits * factors).sum()
        gradients = torch.autograd.grad(value, weights, allow_unused=True) if value.requires_grad else ()
    return logits.detach(), list(gradients)


def _differ(whole: Answers, shared: Answers) -> bool:
    (logits, gradients), (others, other_gradients) = whole, shared
    if logits.shape != others.shape or not bool(logits.isfinite().all()):
        return logits.shape != others.shape or not _equal(logits, others)
    spread = (logits - logits.mean(1, keepdim=True)).abs().max() if logits.dim() > 1 else logits.abs().max()
    if bool((logits - others).abs().max() > SAME * spread + 1e-6):
        return True
    everything = sum(float(gradient.norm() ** 2) for gradient in gradients if gradient is not None) ** 0.5
    for one, other in zip(gradients, other_gradients, strict=True):
        if one is None or other is None:
            if one is not other:
                return True
        elif not bool((one - other).norm() <= ALIKE * one.norm() + _NO_GRADIENT * everything):
            return True
    return False


def _equal(one: Tensor, other: Tensor) -> bool:
    return bool(torch.isclose(one, other, rtol=SAME, atol=1e-6, equal_nan=True).all())


def refuse_other_weights(model: nn.Module, peers: Peers) -> None:
    """Compare weights, buffers, and the global generators over the processes.

    Raises:
        SettingError: they differ. All processes compute the same but for their shares, so something here does not.
    """
    found = sha256()
    for name, tensor in model.state_dict().items():
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    device = next(model.parameters()).device
    found.update(repr(_states(device)).encode())
    digest = torch.frombuffer(bytearray(found.digest()), dtype=torch.uint8)
    if any(not torch.equal(digest, other) for other in peers.gathered(digest)):
        raise SettingError(
            f"--devices-per-run {peers.count} is refused: the processes that train this network hold other weights, or"
            " drew other random numbers, than each other, since a plugin computes something else in each; train it on"
            " one device"
        )


def _states(device: torch.device) -> list[object]:
    states = global_states(device)
    torchs = {name: sha256(state.cpu().numpy().tobytes()).hexdigest() for name, state in states["torch"].items()}
    return [torchs, states["numpy"], states["python"]]
