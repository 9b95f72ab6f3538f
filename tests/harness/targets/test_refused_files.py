"""Files that are refused: code in a pickle, damage, other things; and the weights of other networks."""

from __future__ import annotations

import io
import json
import pickle
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from harness.networks.resnet18 import ResNet18
from harness.plugin.network import Shape
from harness.targets.content import StateDict
from harness.targets.preprocessing import Asked, Preprocessing
from harness.targets.recognise import Recognised, Search, recognise
from tests.harness.targets.conftest import DIGITS, Opens, Refusal, trained

CIFAR = Shape(3, 32, 32, 10)
ASSETS = Path(__file__).parents[2] / "assets"


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.trace), "w"))


def zipped(file: Path, content: object) -> None:
    torch.save(content, file)


def legacy(file: Path, content: object) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=False)


def raw(file: Path, content: object) -> None:
    file.write_bytes(pickle.dumps(content))


def old_tar(file: Path, content: object) -> None:
    """The form of torch before 0.1.10: a tar archive of pickles."""
    with tarfile.open(file, "w") as archive:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            member = tarfile.TarInfo(name)
            data = pickle.dumps(content)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


class TestCodeInAPickle:
    @pytest.mark.parametrize(
        ("write", "told"),
        [
            (zipped, f"its pickle asks for {open.__module__}.open"),
            (legacy, f"its pickle asks for {open.__module__}.open"),
            (raw, "is a plain pickle"),
            (old_tar, "is a tar archive"),
        ],
    )
    @pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".bin", ".tar"])
    @pytest.mark.parametrize("nested", [False, True], ids=["alone", "beside-weights"])
    def test_is_refused_and_never_run(
        self,
        write: Callable[[Path, object], None],
        told: str,
        suffix: str,
        nested: bool,
        refusal: Refusal,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")  # not even so
        trace, file = tmp_path / "trace", tmp_path / f"net{suffix}"
        payload = Payload(trace)
        write(file, {"state_dict": dict(trained().state_dict()), "note": payload} if nested else payload)
        line = refusal(str(file))
        assert not trace.exists()
        assert "save the state dict alone" in line
        assert told in line
        assert "code" in line

    def test_the_payload_works_where_it_is_let(self, tmp_path: Path) -> None:
        raw(tmp_path / "net.pt", Payload(tmp_path / "trace"))
        pickle.loads((tmp_path / "net.pt").read_bytes()).close()
        assert (tmp_path / "trace").exists()

    def test_a_raw_pickle_by_its_own_name_is_not_opened(self, refusal: Refusal, tmp_path: Path) -> None:
        raw(tmp_path / "net.pkl", Payload(tmp_path / "trace"))
        assert "is not known to be a weights file by its ending" in refusal("net.pkl")
        assert not (tmp_path / "trace").exists()

    def test_a_whole_model_is_refused_naming_its_class(self, refusal: Refusal) -> None:
        torch.save(trained(), "net.pt")
        line = refusal("net.pt")
        assert "its pickle asks for torch.nn.modules.container.Sequential" in line
        assert "torch.save(model.state_dict(), FILE)" in line
        assert "module:factory" in line

    @pytest.mark.skipif(sys.version_info >= (3, 14), reason="torch.jit is gone there")
    @pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated
    def test_a_torchscript_program_is_refused(self, refusal: Refusal) -> None:
        program: Any = torch.jit.script(nn.Linear(2, 2))
        program.save("net.pt")
        assert "is a TorchScript program, which is code and is not run" in refusal("net.pt")


def state_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save(trained().state_dict(), buffer)
    return buffer.getvalue()


DAMAGED = {
    "empty.pt": b"",
    "empty.safetensors": b"",
    "text.pt": b"these are no weights\n" * 40,
    "text.safetensors": b"these are no weights\n" * 40,
    "zeros.pth": bytes(4096),
    "truncated.pt": state_bytes()[:2000],
    "half.pt": state_bytes()[: len(state_bytes()) // 2],
    "truncated.safetensors": safetensors.torch.save({"a": torch.zeros(100)})[:-7],
    "header.safetensors": safetensors.torch.save({"a": torch.zeros(100)})[:20],
    "html.bin": b"<!DOCTYPE html><html>Google Drive - Virus scan warning</html>",
}


class TestDamage:
    @pytest.mark.parametrize("name", DAMAGED)
    def test_is_told_with_what_to_do(self, name: str, refusal: Refusal, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(DAMAGED[name])
        line = refusal(name)
        assert name in line
        assert "copy it again" in line

    def test_a_directory(self, refusal: Refusal, tmp_path: Path) -> None:
        (tmp_path / "nets.pt").mkdir()
        assert "nets.pt is a directory; name a weights file" in refusal("nets.pt")
        (tmp_path / "nets").mkdir()
        (tmp_path / "nets" / "one.pth").write_bytes(b"x")
        assert refusal("nets").endswith("nets is a directory; name a weights file, such as nets/one.pth")

    def test_a_missing_file_has_near_misses_of_its_folder(self, refusal: Refusal, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "trades_best.pt").write_bytes(b"x")
        assert refusal("sub/trade_best.pt").endswith("did you mean sub/trades_best.pt?")
        assert refusal("sub/trades_best").partition(";")[2].startswith(" did you mean sub/trades_best.pt?")
        assert "there is no folder nowhere" in refusal("nowhere/net.pt")

    def test_an_address(self, refusal: Refusal) -> None:
        assert "download it, and name the file" in refusal("https://example.org/net.pt")

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            ([1, 2], "holds a list, and no state dict"),
            (torch.zeros(3), "holds a Tensor, and no state dict"),
            ({"epoch": 3, "acc": 0.5}, "holds no state dict, only the keys epoch, acc"),
            ({}, "holds no state dict, only an empty mapping"),
        ],
        ids=["list", "tensor", "numbers", "nothing"],
    )
    def test_what_is_no_state_dict(self, content: object, told: str, refusal: Refusal) -> None:
        torch.save(content, "net.pt")
        line = refusal("net.pt")
        assert told in line
        assert "torch.save(model.state_dict(), FILE)" in line

    def test_nothing_like_a_target(self, refusal: Refusal) -> None:
        line = refusal("whatever")
        for kind in ("a run's number", "*.safetensors", "module:factory", "robustbench:NAME"):
            assert kind in line


class TestAnotherNetwork:
    def test_missing_and_unexpected_keys_are_named_with_shapes(self, refusal: Refusal) -> None:
        weights = dict(trained().state_dict())
        weights["fc.weight"] = weights.pop("11.weight")
        torch.save(weights, "net.pt")
        line = refusal("net.pt", network_name="smallcnn")
        assert line == (
            "net.pt is not a state dict of smallcnn: missing 11.weight (10, 8); unexpected fc.weight (10, 8):"
            " choose another --arch, or bring the model as module:factory"
        )

    def test_a_shape_is_named_with_both(self, refusal: Refusal) -> None:
        weights = dict(trained().state_dict())
        weights["3.weight"] = torch.zeros(8, 4, 5, 5)
        torch.save(weights, "net.pt")
        line = refusal("net.pt")
        assert "fits no registered network; nearest smallcnn:" in line
        assert "shape of 3.weight (8, 4, 3, 3) expected, (8, 4, 5, 5) found" in line
        assert "--arch" in line
        assert "--plugin" in line

    def test_of_many_the_first_are_named_and_the_rest_counted(self, refusal: Refusal) -> None:
        torch.save({f"layer{i}.weight": torch.zeros(3) for i in range(9)}, "net.pt")
        # 20 keys of smallcnn but for 3 counters, and 9 of the file; two of each kind are named
        line = refusal("net.pt", network_name="smallcnn")
        assert line.count("missing") == line.count("unexpected") == 2
        assert "and 22 more" in line

    def test_the_number_of_classes_is_told(self, refusal: Refusal) -> None:
        torch.save(trained(shape=DIGITS._replace(classes=7)).state_dict(), "net.pt")
        for arch in (None, "smallcnn"):
            line = refusal("net.pt", network_name=arch)
            assert "net.pt tells 7 classes apart, and the data set has 10" in line
            assert "--dataset" in line

    def test_the_number_of_channels_is_told(self, refusal: Refusal) -> None:
        torch.save(trained(shape=DIGITS._replace(channels=3)).state_dict(), "net.pt")
        assert "takes images of 3 channel(s), and the data set's have 1" in refusal("net.pt")

    def test_images_of_a_size_that_the_network_does_not_take(self, refusal: Refusal) -> None:
        with torch.device("meta"):
            skeleton = ResNet18().build(Shape(1, 32, 32, 10))
        torch.save({k: torch.zeros(t.shape, dtype=t.dtype) for k, t in skeleton.state_dict().items()}, "net.pt")
        for arch in (None, "resnet18"):
            assert "resnet18 takes images of 16x16 to 96x96, not 8x8" in refusal("net.pt", network_name=arch)

    def test_two_networks_that_fit_are_both_named(self, refusal: Refusal, tmp_path: Path) -> None:
        plugin = tmp_path / "twin.py"
        plugin.write_text(
            "from dataclasses import dataclass\nfrom harness.networks import smallcnn\n"
            "@dataclass(frozen=True, kw_only=True)\nclass Twin(smallcnn.SmallCNN):\n    'The same again.'\n"
        )
        torch.save(trained().state_dict(), "net.pt")
        assert refusal("net.pt", plugins=(plugin,)).endswith(
            "net.pt fits the networks smallcnn and twin; say which one with --arch"
        )

    def test_a_broken_plugin_is_named(self, refusal: Refusal, tmp_path: Path) -> None:
        plugin = tmp_path / "broken.py"
        plugin.write_text("import nothing_of_that_name\n")
        torch.save(trained().state_dict(), "net.pt")
        assert "nothing_of_that_name" in refusal("net.pt", plugins=(plugin,))


def shapes_of(asset: str) -> dict[str, Tensor]:
    shapes = json.loads((ASSETS / asset).read_text())
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def only_fit(tensors: dict[str, Tensor]) -> Recognised:
    search = Search([StateDict((), tensors)], [], (), CIFAR)
    (found,) = recognise(search, "net.pt", "net.pt", Asked(None, {}, Preprocessing(), False), ())
    return found


class TestPublishedNames:
    """RobustBench's state dicts, by names and shapes alone: the files are large."""

    @pytest.mark.parametrize(
        ("asset", "network"),
        [("robustbench_resnet18.json", "resnet18"), ("robustbench_wrn_34_10.json", "wrn-32-10")],
    )
    def test_are_recognised(self, asset: str, network: str) -> None:
        assert only_fit(shapes_of(asset)).network.name == network

    def test_the_unused_block_of_wide_resnets_is_left_out(self) -> None:
        tensors = shapes_of("robustbench_wrn_34_10.json")
        unused = {f"sub_{name}": tensor for name, tensor in tensors.items() if name.startswith("block1.")}
        found = only_fit({f"module.{k}": t for k, t in (tensors | unused).items()})
        assert found.network.name == "wrn-32-10"
        assert set(found.unused) == {f"module.{name}" for name in unused}
        assert found.place.prefix == "module."

    def test_for_a_hundred_classes(self) -> None:
        tensors = shapes_of("robustbench_resnet18.json")
        tensors["linear.weight"] = torch.empty(100, 512, device="meta")
        tensors["linear.bias"] = torch.empty(100, device="meta")
        with pytest.raises(Exception, match="tells 100 classes apart, and the data set has 10"):
            only_fit(tensors)

    def test_the_checkpoint_that_ships_with_autoattack(self, opens: Opens) -> None:
        import importlib.util

        spec = importlib.util.find_spec("pyautoattack")
        assert spec is not None
        assert spec.origin is not None
        file = Path(spec.origin).parent / "examples" / "model_test.pt"
        opened = opens(str(file), dataset="cifar10", shape=CIFAR)
        assert (opened.network, opened.parameters) == ("resnet18", 11_173_962)
