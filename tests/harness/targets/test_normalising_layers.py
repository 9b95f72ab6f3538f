"""A normalising layer in a weights file goes in front of the network, and is not contradicted without a word."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.plugin.network import Shape
from harness.targets.preprocessing import Preprocessing
from tests.harness.targets.conftest import Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import state


class Normalised(nn.Module):
    """A user's normalising layer: the reference that the file's network is compared with."""

    def __init__(self, first: str, second: str, mean: float, std: float, dimensions: int) -> None:
        super().__init__()
        self.names = (first, second)
        for name, value in ((first, mean), (second, std)):
            self.register_buffer(name, torch.full((1, 1, 1, 1) if dimensions == 4 else (1,) * dimensions, value))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = (getattr(self, name) for name in self.names)
        result: Tensor = (x - mean) / std
        return result


class TestNormalisation:
    @pytest.mark.parametrize(("first", "second"), [("mean", "std"), ("mu", "sigma"), ("new_mean", "new_std")])
    @pytest.mark.parametrize("dimensions", [1, 4])
    def test_a_layer_before_the_network_is_put_inside(
        self, first: str, second: str, dimensions: int, opens: Opens
    ) -> None:
        model = nn.Sequential(Normalised(first, second, 0.3, 0.25, dimensions), trained()).eval()
        torch.save(model.state_dict(), "net.pt")
        opened = opens("net.pt")
        assert opened.provenance["preprocessing"] == {"mean": [0.3], "std": [0.25], "outputs": "logits"}
        assert opened.provenance["prefix_stripped"] == "1."
        assert opened.provenance["normalisation"] == (f"(x - 0.3) / 0.25, from 0.{first} and 0.{second} in net.pt")
        with torch.no_grad():
            torch.testing.assert_close(logits(opened, pixels()), model(pixels()))

    @pytest.mark.parametrize("place", ["", "normalize.", "0."])
    def test_three_channels_at_the_top_or_in_a_layer(self, place: str, opens: Opens) -> None:
        shape = Shape(3, 8, 8, 10)
        net = trained(shape=shape)
        mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2471, 0.2435, 0.2616])
        inner = {f"model.{name}": tensor for name, tensor in net.state_dict().items()}
        torch.save({f"{place}mean": mean.view(1, 3, 1, 1), f"{place}std": std.view(1, 3, 1, 1), **inner}, "net.pt")
        opened = opens("net.pt", shape=shape)
        assert opened.provenance["preprocessing"]["mean"] == [0.4914, 0.4822, 0.4465]
        with torch.no_grad():
            right = net((pixels(shape) - mean[:, None, None]) / std[:, None, None])
        torch.testing.assert_close(logits(opened, pixels(shape), shape), right)

    def test_the_users_own_is_put_inside(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        opened = opens("net.pt", preprocessing=Preprocessing(mean=(0.5,), std=(0.25,)))
        with torch.no_grad():
            torch.testing.assert_close(logits(opened, pixels()), trained()((pixels() - 0.5) / 0.25))
        assert opened.sha256 != opens("net.pt").sha256

    def test_the_users_own_may_agree_with_the_files_but_not_contradict_it(self, opens: Opens, refusal: Refusal) -> None:
        torch.save({**state("1."), "0.mean": torch.tensor([0.3]), "0.std": torch.tensor([0.25])}, "net.pt")
        agreeing = opens("net.pt", preprocessing=Preprocessing(mean=(0.3,), std=(0.25,)))
        assert agreeing.sha256 == opens("net.pt").sha256
        line = refusal("net.pt", preprocessing=Preprocessing(mean=(0.5,), std=(0.25,)))
        assert "--mean 0.5 contradicts the normalisation in the file, mean = (0.3)" in line
        assert "leave --mean and --std out" in line

    def test_one_on_the_scale_of_bytes_is_refused(self, refusal: Refusal) -> None:
        torch.save({**state("1."), "0.mean": torch.tensor([125.3]), "0.std": torch.tensor([63.0])}, "net.pt")
        line = refusal("net.pt")
        assert "(125.3) and (63), which is not on the scale of images in [0, 1]" in line
        assert "such as 125.3/255, or --no-normalisation" in line

    def test_two_that_differ_are_refused(self, refusal: Refusal) -> None:
        layers = {"0.mean": torch.tensor([0.3]), "0.std": torch.tensor([0.25])}
        layers |= {"norm.mu": torch.tensor([0.5]), "norm.sigma": torch.tensor([0.25])}
        torch.save({**state("1."), **layers}, "net.pt")
        assert "normalisations that differ, 0.mean and 0.std; norm.mu and norm.sigma" in refusal("net.pt")
