"""The loader that ``harness export robustbench`` writes, run as it is."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.robustbench.entry import read_entry
from tests.cli.conftest import Harness
from tests.cli.exported import Results


@pytest.fixture
def results(elsewhere: Path) -> Results:
    return Results(elsewhere)


class TestTheLoader:
    @pytest.fixture(autouse=True)
    def measured(self, results: Results) -> None:
        results.natural()
        results.attacked(20)

    def load(self, code: str) -> Any:
        names: dict[str, Any] = {}
        exec(compile(code, "loader.py", "exec"), names)
        return names

    def test_it_gives_the_runs_model(self, results: Results, harness: Harness) -> None:
        code = self.load(harness("export robustbench 1 --loader"))
        model = code["load_model"]()
        x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        assert not model.training
        torch.testing.assert_close(model(x), results.model(x), rtol=0, atol=0)

    def test_it_refuses_other_weights(self, results: Results, harness: Harness) -> None:
        code = self.load(harness("export robustbench 1 --loader"))
        file = code["WEIGHTS"]
        file.write_bytes(file.read_bytes() + b"x")
        with pytest.raises(ValueError, match="is not the checkpoint of this entry"):
            code["load_model"]()

    def test_both_files_are_written(self, harness: Harness, elsewhere: Path) -> None:
        assert harness("export robustbench 1 --out entry.json") == ""
        assert read_entry(elsewhere / "entry.json").number("clean_acc") == 85.0
        assert "def load_model(" in (elsewhere / "entry.py").read_text()

    def test_it_works_from_any_folder(
        self, results: Results, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (elsewhere / "entries").mkdir()
        harness("export robustbench 1 --out entries/entry.json")
        printed = self.load(harness("export robustbench 1 --loader"))
        monkeypatch.chdir("/")
        x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        assert torch.equal(printed["load_model"]()(x), results.model(x))
        written = runpy.run_path(str(elsewhere / "entries" / "entry.py"))
        assert torch.equal(written["load_model"]()(x), results.model(x))

    def test_its_file_moves_with_the_weights_and_names_no_path_of_this_machine(
        self, results: Results, harness: Harness, elsewhere: Path
    ) -> None:
        harness("export robustbench 1 --out entry.json")
        assert str(elsewhere) not in (elsewhere / "entry.py").read_text()
        moved = elsewhere / "moved"
        moved.mkdir()
        for name in ("entry.py", "runs"):
            (elsewhere / name).rename(moved / name)
        model = runpy.run_path(str(moved / "entry.py"))["load_model"]()
        x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        assert torch.equal(model(x), results.model(x))

    def test_what_a_person_filled_in_stays(self, harness: Harness, elsewhere: Path, results: Results) -> None:
        harness("export robustbench 1 --out entry.json --link https://x.org")
        entry = json.loads((elsewhere / "entry.json").read_text())
        filled = entry | {"authors": "A. B", "unreliable": False, "clean_acc": "1.00"}
        (elsewhere / "entry.json").write_text(json.dumps(filled))
        harness("export robustbench 1 --out entry.json --venue 'ICML 2021'")
        again = json.loads((elsewhere / "entry.json").read_text())
        assert again == entry | {"authors": "A. B", "unreliable": False, "venue": "ICML 2021"}
