"""The folder of a model: whole or not there, and only of weights that load."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path

import pytest
import torch

from harness.errors import HarnessError
from harness.hub import folder as folders
from harness.hub.facts import card_facts
from harness.hub.folder import hub_files, write_folder
from tests.harness.hub.cards import Card
from tests.hub_store import OneRun, passed

FILES = {"a.txt": b"a", "b.txt": b"b", "c.txt": b"c"}


@pytest.fixture(scope="module")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> OneRun:
    made = OneRun(tmp_path_factory.mktemp("one-run"))
    made.measure()
    made.examine(passed())
    made.end()
    return made


def files_of(one_run: OneRun) -> dict[str, bytes]:
    return hub_files(card_facts(one_run.store, 1, "last"), one_run.folder / "runs", command="harness export hub 1")


class TestFiles:
    def test_settings_and_figures_as_data(self, one_run: OneRun) -> None:
        files = files_of(one_run)
        document = json.loads(files["config.json"])
        assert document["run"] == json.loads(json.dumps(one_run.spec.document()))
        assert document["checkpoint"] == {"name": "last", "epoch": 2, "sha256": one_run.record.sha256}
        assert document["input"] == {"channels": 3, "height": 8, "width": 8, "range": [0, 1]}
        assert hashlib.sha256(files["model.safetensors"]).hexdigest() == one_run.record.sha256
        of_card = [metric["value"] for metric in Card(files["README.md"].decode()).metrics]
        assert [figure["median"] for figure in document["figures"]] == of_card == [85.0, 50.0, 47.5, 25.0]
        assert [found["check"] for found in document["findings"]] == ["zero-gradient"]

    def test_the_loader_gives_the_same_logits_to_the_bit_wherever_the_folder_is(
        self, one_run: OneRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_folder(tmp_path / "model", files_of(one_run))
        monkeypatch.chdir("/")
        model = runpy.run_path(str(tmp_path / "model" / "load_model.py"))["load_model"]()
        x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(2))
        assert torch.equal(model(x), one_run.model(x))

    def test_the_loader_names_the_folder_s_own_weights_whatever_is_in_the_working_directory(
        self, one_run: OneRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("model.safetensors").symlink_to("private/other.safetensors")
        text = files_of(one_run)["load_model.py"].decode()
        assert "WEIGHTS = Path(__file__).resolve().parent / 'model.safetensors'\n" in text

    def test_a_network_whose_code_has_changed_is_refused(self, tmp_path: Path) -> None:
        made = OneRun(tmp_path, code={"network": "0" * 64})
        made.measure()
        made.end()
        with pytest.raises(HarnessError, match="the code of the network 'smallcnn' changed"):
            files_of(made)


class TestWriting:
    def test_into_a_new_folder_an_empty_one_and_one_whose_parents_are_missing(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for name in ("new", "empty", "deep/er/new"):
            write_folder(tmp_path / name, FILES)
            assert {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} == FILES
        assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty", "new"]

    def test_the_working_directory_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(HarnessError, match="is refused: it is the working directory"):
            write_folder(Path(), FILES)

    def test_a_folder_with_files_or_a_file_is_refused_and_kept(self, tmp_path: Path) -> None:
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "mine.txt").write_text("mine")
        (tmp_path / "file").write_text("mine")
        with pytest.raises(HarnessError, match=r"is refused: it has mine\.txt; name a new folder"):
            write_folder(tmp_path / "full", FILES)
        with pytest.raises(HarnessError, match="is refused: it is a file"):
            write_folder(tmp_path / "file", FILES)
        with pytest.raises(HarnessError, match=r"cannot be written: .* is not a directory"):
            write_folder(tmp_path / "file" / "below", FILES)
        assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["file", "full", "full/mine.txt"]

    @pytest.mark.parametrize("fails_at", range(3))
    def test_a_failure_in_the_middle_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
    ) -> None:
        def write(path: Path, content: bytes) -> None:
            if path.name == list(FILES)[fails_at]:
                raise OSError(28, "No space left on device")
            path.write_bytes(content)

        monkeypatch.setattr(folders, "atomic_write_bytes", write)
        with pytest.raises(HarnessError, match="cannot be written: No space left on device; choose another place"):
            write_folder(tmp_path / "deep" / "model", FILES)
        assert list(tmp_path.iterdir()) == []
