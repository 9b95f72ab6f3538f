"""RobustBench's zoo, by a stand-in of its package in the shape of release 1.1.1, and by the package where it is there.

The stand-in has what harness touches: ``robustbench.model_zoo.model_dicts``, ``robustbench.model_zoo.enums``,
``robustbench.utils.load_model``, the imports of ``robustbench.eval`` (``autoattack``, ``autoattack.state``), and the
place where weights are kept.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from harness.errors import HarnessError
from harness.plugin.network import Shape
from harness.targets.preprocessing import Preprocessing
from harness.targets.zoo import is_here, open_zoo
from tests.harness.targets.conftest import RGB, Opens, Refusal, logits, pixels, trained

REAL = importlib.util.find_spec("robustbench") is not None

STAND_IN = Path(__file__).parents[2] / "assets" / "standin"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The stand-in on the search path, in place of any other robustbench: the folder of its package."""

    def forget() -> dict[str, ModuleType]:
        roots = ("robustbench", "autoattack")
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in roots}

    shutil.copytree(STAND_IN, tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    before = forget()
    yield tmp_path / "site" / "robustbench"
    forget()
    sys.modules.update(before)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.trace), "w"))


class TestStandIn:
    def test_a_model_is_downloaded_once_and_opened(
        self, site: Path, opens: Opens, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        opened = opens("robustbench:Carmon2019Unlabeled", dataset="cifar10", shape=RGB)
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("Downloading") == 1
        assert (tmp_path / "data" / "robustbench" / "cifar10" / "Linf" / "Carmon2019Unlabeled.pt").is_file()
        assert opened.provenance["kind"] == "RobustBench zoo"
        assert opened.provenance["threat_model"] == "Linf"
        assert opened.target.label == "robustbench:Carmon2019Unlabeled"
        with torch.no_grad():
            torch.testing.assert_close(logits(opened, pixels(RGB), RGB), trained(shape=RGB)(pixels(RGB)))
        assert "Downloading" not in capsys.readouterr().err

    def test_an_l2_model_is_named_with_its_norm(
        self, site: Path, opens: Opens, refusal: Refusal, tmp_path: Path
    ) -> None:
        """Both leaderboards have models of one name: each has a file, and an identity, of its own."""
        text = "robustbench:L2/Carmon2019Unlabeled"
        opened = opens(text, dataset="cifar10", shape=RGB)
        assert (tmp_path / "data" / "robustbench" / "cifar10" / "L2" / "Carmon2019Unlabeled.pt").is_file()
        assert not (tmp_path / "data" / "robustbench" / "cifar10" / "Linf").exists()
        assert (opened.provenance["threat_model"], opened.target.label) == ("L2", text)
        other = opens("robustbench:Carmon2019Unlabeled", dataset="cifar10", shape=RGB)
        assert opened.target.context() == other.target.context() | {"threat_model": "L2"}
        assert is_here(text, "cifar10", tmp_path / "data")
        assert not is_here("robustbench:L2/Standard", "cifar10", tmp_path / "data")
        line = refusal("robustbench:L2/OnlyL2x", dataset="cifar10", shape=RGB)
        assert "has no 'OnlyL2x' for cifar10, L2; did you mean robustbench:L2/OnlyL2?" in line
        line = refusal("robustbench:OnlyL2", dataset="cifar10", shape=RGB)
        assert "has no 'OnlyL2' for cifar10, Linf; did you mean robustbench:L2/OnlyL2?" in line
        line = refusal("robustbench:L1/Standard", dataset="cifar10", shape=RGB)
        assert "write robustbench:NAME, or robustbench:Linf/NAME or robustbench:L2/NAME" in line

    def test_an_unknown_name_has_near_misses(self, site: Path, refusal: Refusal) -> None:
        line = refusal("robustbench:Carmon2019", dataset="cifar10", shape=RGB)
        assert "has no 'Carmon2019' for cifar10, Linf; did you mean robustbench:Carmon2019Unlabeled?" in line
        assert "https://robustbench.github.io" in line

    @pytest.mark.parametrize("dataset", ["digits", "cifar100"])  # of cifar100 the stand-in has an L2 model alone
    def test_a_data_set_without_networks(self, dataset: str, site: Path, refusal: Refusal) -> None:
        line = refusal("robustbench:Standard", dataset=dataset, shape=RGB)
        assert f"RobustBench has no networks for the data set {dataset}; it has some for cifar10" in line
        assert "--dataset cifar10" in line

    def test_offline(self, site: Path, refusal: Refusal, tmp_path: Path) -> None:
        (site / "utils.py").write_text((site / "utils.py").read_text().replace("OFFLINE = False", "OFFLINE = True"))
        line = refusal("robustbench:Standard", dataset="cifar10", shape=RGB)
        assert "robustbench:Standard could not be downloaded (ConnectionError: Max retries exceeded with url" in line
        assert "try again with a connection" in line
        assert str(tmp_path / "data" / "robustbench" / "cifar10" / "Linf" / "Standard.pt") in line
        assert not (tmp_path / "data").exists()

    def test_a_damaged_download(self, site: Path, refusal: Refusal, tmp_path: Path) -> None:
        file = tmp_path / "data" / "robustbench" / "cifar10" / "Linf" / "Standard.pt"
        file.parent.mkdir(parents=True)
        file.write_text("<html>quota exceeded</html>")
        line = refusal("robustbench:Standard", dataset="cifar10", shape=RGB)
        assert f"could not be loaded from {file}" in line
        assert "delete that file to download it again" in line

    @pytest.mark.parametrize("loading", ["", ", weights_only=False", ", weights_only=False, pickle_module=pickle"])
    @pytest.mark.parametrize("switch", ["", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
    def test_code_in_a_pickle_is_refused_and_never_run(
        self, loading: str, switch: str, site: Path, refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if switch:
            monkeypatch.setenv(switch, "1")
        before = dict(os.environ)
        code = (site / "utils.py").read_text()
        changed = "import pickle\n" + code.replace('map_location="cpu")', f'map_location="cpu"{loading})')
        assert (changed.count(loading) == 1) is bool(loading)
        (site / "utils.py").write_text(changed)
        file = tmp_path / "data" / "robustbench" / "cifar10" / "Linf" / "Standard.pt"
        file.parent.mkdir(parents=True)
        torch.save({"state_dict": trained(shape=RGB).state_dict(), "epoch": Payload(tmp_path / "trace")}, file)
        line = refusal("robustbench:Standard", dataset="cifar10", shape=RGB)
        assert not (tmp_path / "trace").exists()
        assert line.startswith("robustbench:Standard could not be loaded")
        if "pickle_module" not in loading:  # torch itself refuses that with another word
            assert (
                f"asks for {open.__module__}.open, which is not a tensor, and no code from a file is ever run" in line
            )
        assert dict(os.environ) == before

    def test_the_payload_works_where_it_is_let(self, tmp_path: Path) -> None:
        torch.save(Payload(tmp_path / "trace"), tmp_path / "net.pt")
        torch.load(tmp_path / "net.pt", weights_only=False, pickle_module=pickle).close()
        assert (tmp_path / "trace").exists()

    def test_a_normalisation_an_arch_a_network_for_other_images(self, site: Path, refusal: Refusal) -> None:
        given = Preprocessing(mean=(0.5,), std=(0.2,))
        assert "takes images in [0, 1]" in refusal("robustbench:Standard", dataset="cifar10", preprocessing=given)
        assert "--arch resnet18 is refused" in refusal(
            "robustbench:Standard", dataset="cifar10", network_name="resnet18"
        )
        assert "does not take the data set's images, 1x8x8" in refusal("robustbench:Standard", dataset="cifar10")

    def test_the_alias_of_autoattack_is_the_registrys_package(self, site: Path, opens: Opens) -> None:
        opens("robustbench:Standard", dataset="cifar10", shape=RGB)
        import pyautoattack
        import pyautoattack.state

        assert sys.modules["robustbench.eval"].AutoAttack is pyautoattack.AutoAttack
        assert sys.modules["robustbench.eval"].EvaluationState is pyautoattack.state.EvaluationState


class TestMissing:
    @pytest.mark.skipif(REAL, reason="robustbench is installed")
    def test_the_package(self, refusal: Refusal) -> None:
        line = refusal("robustbench:Standard", dataset="cifar10", shape=RGB)
        assert line.endswith("which is not installed: pip install 'robustness-harness[robustbench]'")

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("import pkg_resources_of_old", "since pkg_resources_of_old is missing: pip install"),
            ("raise ModuleNotFoundError('No', name='pkg_resources')", "pip install 'setuptools<81'"),
            ("raise ImportError('timm is too new')", "cannot be imported (ImportError: timm is too new): pip install"),
        ],
    )
    def test_something_that_it_needs(self, body: str, told: str, site: Path, refusal: Refusal) -> None:
        (site / "eval.py").write_text(body)
        assert told in refusal("robustbench:Standard", dataset="cifar10", shape=RGB)

    def test_opening_other_targets_does_not_import_it(self, tmp_path: Path) -> None:
        program = (
            "import harness.targets.open, sys; print([m for m in sys.modules if 'robustbench' in m or m == 'timm'])"
        )
        ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert ended.stdout.strip() == "[]"


@pytest.mark.skipif(not REAL, reason="needs the optional dependency robustbench")
class TestRealPackage:
    def test_names_are_found_and_near_misses_told(self, tmp_path: Path) -> None:
        target, provenance = open_zoo("robustbench:Standard", "cifar10", tmp_path, Preprocessing())
        assert target.name == "Standard"
        assert provenance["robustbench"] == "1.1.1"
        with pytest.raises(HarnessError, match="did you mean robustbench:Carmon2019Unlabeled"):
            open_zoo("robustbench:Carmon2019Unlabelled", "cifar10", tmp_path, Preprocessing())
        with pytest.raises(HarnessError, match="it has some for cifar10, cifar100, imagenet"):
            open_zoo("robustbench:Standard", "svhn", tmp_path, Preprocessing())

    def test_weights_in_its_folder_are_loaded_without_a_download(self, opens: Opens, tmp_path: Path) -> None:
        open_zoo("robustbench:Wong2020Fast", "cifar10", tmp_path, Preprocessing())  # imports it as it must be
        utils = sys.modules["robustbench.utils"]
        model = utils.all_models[utils.BenchmarkDataset("cifar10")][utils.ThreatModel("Linf")]["Wong2020Fast"][
            "model"
        ]()
        file = tmp_path / "data" / "robustbench" / "cifar10" / "Linf" / "Wong2020Fast.pt"
        file.parent.mkdir(parents=True)
        torch.save(model.state_dict(), file)
        shape = Shape(3, 32, 32, 10)
        opened = opens("robustbench:Wong2020Fast", dataset="cifar10", shape=shape)
        assert opened.network == "Wong2020FastNet"
        with torch.no_grad():
            torch.testing.assert_close(logits(opened, pixels(shape), shape), model.eval()(pixels(shape)))
