"""Networks that the tests of the checks train, on the digits."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from harness.data.digits import Digits
from harness.networks.smallcnn import SmallCNN
from harness.plugin.adversary import CrossEntropy, Margin, Objective, ascend
from harness.plugin.dataset import Dataset
from harness.plugin.method import Method
from harness.plugin.threat import Threat
from harness.protocols.protocol import load_protocol
from harness.protocols.run_spec import RunSpec
from harness.rigour.trajectory import right
from harness.training.loop import Trainer
from tests.tiny import draws

THREAT = Threat(epsilon=0.2, steps=20, step_size=0.05, start="uniform")
NETWORK = SmallCNN(width=8)


def digits() -> Dataset:
    return Digits().load(Path())


def trained(
    method: Method, name: str, data: Dataset, directory: Path, epochs: int = 5, epsilon: float = THREAT.epsilon
) -> nn.Module:
    spec = RunSpec(
        method=name,
        method_settings=method.resolved(),
        network="smallcnn",
        network_settings=NETWORK.resolved(),
        dataset=data.name,
        dataset_fingerprint=data.fingerprint,
        training=load_protocol("digits").with_values({"train.epochs": epochs, "epsilon": epsilon}).training_document,
        train_seed=0,
    )
    trainer = Trainer(spec, 1, method, NETWORK, data, directory)
    trainer.fit(lambda _event: None)
    return trainer.model.eval().requires_grad_(False)


def margin_breaks_more(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """What PGD on the logit margin breaks, minus what PGD does from the same start, of the images that PGD leaves.

    No scale of the logits changes the margin's direction: an attack that is of no such flaw tells whether PGD has it.
    """

    def holds(objective: Objective, seed: int) -> Tensor:
        (variant,) = ascend(model, x, y, [objective], THREAT, draws(seed))
        with torch.no_grad():
            return right(model(variant.x), y)

    left = holds(CrossEntropy(), 1)
    margin, again = (holds(objective, 2)[left] for objective in (Margin(torch.inf), CrossEntropy()))
    return (int(again.sum()) - int(margin.sum())) / int(left.sum())
