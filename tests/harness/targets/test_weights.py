"""Weights files: every form that the field saves them in gives the network that was saved."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from harness.errors import UnknownName
from harness.networks.smallcnn import SmallCNN
from harness.protocols.run_spec import RunSpec
from harness.training.checkpoints import save_weights
from tests.harness.targets.conftest import DIGITS, Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import expected, state
from tests.stores import make_spec


def parallel() -> dict[str, Tensor]:
    return dict(nn.DataParallel(trained()).state_dict())


def compiled() -> dict[str, Tensor]:
    wrapped: Any = torch.compile(trained())
    return dict(wrapped.state_dict())


def averaged() -> dict[str, Tensor]:
    return dict(torch.optim.swa_utils.AveragedModel(trained()).state_dict())


@pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt", "bin", "tar", "pth.tar"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before-1.6"])
def test_a_state_dict_is_recognised_with_its_width(suffix: str, legacy: bool, opens: Opens) -> None:
    torch.save(state(), f"net.{suffix}", _use_new_zipfile_serialization=not legacy)
    opened = opens(f"net.{suffix}")
    assert (opened.network, opened.network_settings) == ("smallcnn", {"width": 4})
    assert opened.parameters == sum(p.numel() for p in trained().parameters())
    torch.testing.assert_close(logits(opened, pixels()), expected(), rtol=0, atol=0)


LISTED = """
from dataclasses import dataclass, field

from torch import nn

from harness.plugin.network import Network


@dataclass(frozen=True, kw_only=True)
class Listed(Network):
    \"\"\"A network with a list among its settings, which has no hash.\"\"\"

    widths: list[int] = field(default_factory=lambda: [7])

    def build(self, shape):
        (width,) = self.widths
        return nn.Sequential(nn.Flatten(), nn.Linear(shape.height * shape.width, width), nn.Linear(width, 10))
"""


def test_a_network_whose_settings_have_no_hash(opens: Opens, tmp_path: Path) -> None:
    (file := tmp_path / "listed.py").write_text(LISTED)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 7), nn.Linear(7, 10))
    torch.save(net.state_dict(), "net.pt")
    assert opens("net.pt", plugins=(file,)).network == "listed"


def test_safetensors_of_a_stranger(opens: Opens) -> None:
    safetensors.torch.save_file(state(), "net.safetensors")
    opened = opens("net.safetensors")
    assert opened.network_settings == {"width": 4}
    assert opened.provenance["kind"] == "weights file"
    torch.testing.assert_close(logits(opened, pixels()), expected(), rtol=0, atol=0)


def spec(**changes: Any) -> RunSpec:
    fields: dict[str, Any] = {"network_settings": {"width": 4}, "training": {"epsilon": 0.2}, "train_seed": 3}
    return make_spec(**(fields | changes))


class TestOwnFiles:
    def test_they_say_what_they_hold(self, opens: Opens, elsewhere: Path) -> None:
        sha256 = save_weights(elsewhere, "last", state(), spec(), epoch=20)
        opened = opens("last.safetensors")
        assert (opened.network, opened.network_settings) == ("smallcnn", {"width": 4})
        assert opened.provenance["file_sha256"] == sha256
        assert "normalisation" not in opened.provenance  # harness trains on images in [0, 1]
        assert opened.provenance["trained_by_harness"]["run"]["train_seed"] == 3
        torch.testing.assert_close(logits(opened, pixels()), expected(), rtol=0, atol=0)

    def test_another_arch_contradicts_them(self, refusal: Refusal, elsewhere: Path) -> None:
        save_weights(elsewhere, "last", state(), spec(), epoch=20)
        line = refusal("last.safetensors", network_name="resnet18")
        assert "--arch resnet18 contradicts" in line
        assert "smallcnn" in line

    def test_a_network_of_a_plugin_that_is_not_given(self, refusal: Refusal, elsewhere: Path) -> None:
        save_weights(elsewhere, "last", state(), spec(network="mynet"), epoch=20)
        line = refusal("last.safetensors")
        assert "unknown network 'mynet'" in line
        assert "--plugin" in line

    def test_settings_that_the_tensors_belie(self, refusal: Refusal, elsewhere: Path) -> None:
        save_weights(elsewhere, "last", state(), spec(network_settings={"width": 8}), epoch=20)
        assert "shape of 0.weight (8, 1, 3, 3) expected, (4, 1, 3, 3) found" in refusal("last.safetensors")


NESTED = [
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "ema",
    "model_ema",
    "state_dict_ema",
    "generator",
]


class TestNested:
    @pytest.mark.parametrize("key", NESTED)
    def test_under_a_key_beside_other_things(self, key: str, opens: Opens) -> None:
        optimizer = torch.optim.SGD(trained().parameters(), lr=0.1, momentum=0.9).state_dict()
        torch.save({key: state(), "epoch": 7, "best_acc": torch.tensor(0.5), "optimizer": optimizer}, "net.pt")
        opened = opens("net.pt")
        assert opened.provenance["nested_under"] == key
        torch.testing.assert_close(logits(opened, pixels()), expected(), rtol=0, atol=0)

    def test_two_levels_down(self, opens: Opens) -> None:
        torch.save({"net": {"state_dict": state()}}, "net.pt")
        assert opens("net.pt").provenance["nested_under"] == "net.state_dict"

    def test_of_several_the_user_says_which(self, opens: Opens, refusal: Refusal) -> None:
        other = dict(trained(seed=1).state_dict())
        torch.save({"model": other, "ema": state()}, "net.pt")
        line = refusal("net.pt")
        assert line.endswith("holds 2 networks that differ; say which one: net.pt:model or net.pt:ema")
        torch.testing.assert_close(logits(opens("net.pt:ema"), pixels()), expected(), rtol=0, atol=0)
        assert opens("net.pt:model").sha256 != opens("net.pt:ema").sha256

    def test_a_key_that_is_not_there(self, refusal: Refusal) -> None:
        torch.save({"model": state()}, "net.pt")
        assert "has no state dict under the key 'emma'; it has: model" in refusal("net.pt:emma")

    def test_a_dictionary_of_settings_named_model_is_passed_over(self, opens: Opens) -> None:
        torch.save({"model": {"name": "x", "width": 4}, "weights": state()}, "net.pt")
        assert opens("net.pt").provenance["nested_under"] == "weights"


class TestPrefixes:
    @pytest.mark.parametrize("prefix", ["module.", "model.", "_orig_mod.", "module.model.", "net.module.", "encoder."])
    def test_what_all_names_share_is_stripped(self, prefix: str, opens: Opens) -> None:
        torch.save(state(prefix), "net.pt")
        opened = opens("net.pt")
        if prefix != "_orig_mod.":
            assert opened.provenance["prefix_stripped"] == prefix
        torch.testing.assert_close(logits(opened, pixels()), expected(), rtol=0, atol=0)

    @pytest.mark.parametrize("wrap", [parallel, compiled, averaged])
    def test_what_torch_itself_writes(self, wrap: Any, opens: Opens) -> None:
        torch.save(wrap(), "net.pt")
        torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(), rtol=0, atol=0)

    def test_bookkeeping_is_dropped_and_told(self, opens: Opens) -> None:
        torch.save({**state(), "total_ops": torch.zeros(1), "0.total_params": torch.zeros(1)}, "net.pt")
        assert opens("net.pt").provenance["left_out"] == "total_ops, 0.total_params"

    def test_files_from_before_batch_norm_counted_batches(self, opens: Opens) -> None:
        torch.save({k: v for k, v in state().items() if not k.endswith("num_batches_tracked")}, "net.pt")
        torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(), rtol=0, atol=0)


class TestArch:
    def test_given_with_settings(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        opened = opens("net.pt", network_name="smallcnn", network_values={"width": "4"})
        assert opened.network_settings == {"width": 4}
        assert opened.sha256 == opens("net.pt").sha256

    def test_settings_alone(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        assert opens("net.pt", network_values={"width": 4}).network == "smallcnn"

    def test_unknown(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        with pytest.raises(UnknownName, match="did you mean 'smallcnn'"):
            opens("net.pt", network_name="smalcnn")

    def test_a_refused_value(self, refusal: Refusal) -> None:
        torch.save(state(), "net.pt")
        assert "smallcnn: width=0 is refused" in refusal("net.pt", network_name="smallcnn", network_values={"width": 0})

    @pytest.mark.parametrize(("hidden", "deep"), [(5, 1), (3, 3)], ids=["one departs", "both depart"])
    def test_a_plugins_network(self, hidden: int, deep: int, opens: Opens, elsewhere: Path) -> None:
        plugin = elsewhere / "flat_net.py"
        plugin.write_text(
            "from dataclasses import dataclass\nfrom torch import nn\n"
            "from harness.plugin.network import Network, Shape\n"
            "@dataclass(frozen=True, kw_only=True)\nclass Flat(Network):\n    'A linear network.'\n"
            "    hidden: int = 7\n    deep: int = 1\n"
            "    def build(self, shape: Shape) -> nn.Module:\n"
            "        size = shape.channels * shape.height * shape.width\n"
            "        middle = [nn.Linear(self.hidden, self.hidden) for _ in range(self.deep)]\n"
            "        first, last = nn.Linear(size, self.hidden), nn.Linear(self.hidden, shape.classes)\n"
            "        return nn.Sequential(nn.Flatten(), first, *middle, last)\n"
        )
        middle = [nn.Linear(hidden, hidden) for _ in range(deep)]
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), *middle, nn.Linear(hidden, 10))
        torch.save(model.state_dict(), "net.pt")
        opened = opens("net.pt", plugins=(plugin,))
        assert (opened.network, opened.network_settings) == ("flat-net", {"hidden": hidden, "deep": deep})
        rebuilt = opened.target.verified(DIGITS, (plugin,), opened.sha256)
        torch.testing.assert_close(rebuilt(pixels()), model(pixels()).detach())


class TestTheModel:
    def test_is_ready_to_be_attacked(self, opens: Opens) -> None:
        torch.save(OrderedDict(state()), "net.pt")
        model = opens("net.pt").target.model(DIGITS, ())
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert {t.device.type for t in model.parameters()} == {"cpu"}
        x = pixels().requires_grad_()
        model(x).sum().backward()
        assert x.grad is not None
        assert bool(x.grad.abs().sum() > 0)

    def test_a_file_that_changes_afterwards_is_noticed(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        opened = opens("net.pt")
        torch.save(dict(trained(seed=1).state_dict()), "net.pt")
        with pytest.raises(Exception, match="changed since it was opened"):
            opened.target.model(DIGITS, ())

    def test_provenance_is_json(self, opens: Opens) -> None:
        torch.save({"model": state("module.")}, "net.pt")
        opened = opens("net.pt")
        assert json.loads(json.dumps(opened.provenance)) == opened.provenance

    def test_the_same_weights_in_another_file_are_the_same_model(self, opens: Opens) -> None:
        torch.save(state(), "one.pt")
        torch.save({"state_dict": state("module.")}, "two.ckpt")
        safetensors.torch.save_file(state(), "three.safetensors")
        assert len({opens(text).sha256 for text in ("one.pt", "two.ckpt", "three.safetensors")}) == 1

    def test_smallcnn_is_not_taken_for_a_prefixed_network(self, opens: Opens) -> None:
        torch.save(SmallCNN(width=16).build(DIGITS).state_dict(), "net.pt")
        assert "prefix_stripped" not in opens("net.pt").provenance
