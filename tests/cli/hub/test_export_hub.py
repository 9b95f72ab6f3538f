"""``harness export hub``: the folder, or the card alone."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Ends, Harness, Refused
from tests.hub_store import OneRun


def test_a_folder_is_written_as_a_whole(one_run: OneRun, elsewhere: Path, ends: Ends) -> None:
    code, out, err = ends("export hub 1 --license mit --out model")
    assert (code, out) == (0, "")
    assert err == "wrote model: README.md, model.safetensors, config.json, load_model.py\n"
    assert {path.name for path in (elsewhere / "model").iterdir()} == {
        *("README.md", "model.safetensors", "config.json", "load_model.py")
    }
    made = elsewhere / "model"
    assert (made / "load_model.py").read_text().startswith('"""Load run 1, checkpoint last; written by')
    assert (made / "model.safetensors").read_bytes() == (one_run.weights / "last.safetensors").read_bytes()


def test_without_a_folder_the_card_is_printed(one_run: OneRun, elsewhere: Path, harness: Harness) -> None:
    before = sorted(elsewhere.rglob("*"))
    card = harness("export hub 1")
    assert card.startswith("---\n")
    assert "# `trades`, `smallcnn`, `cifar10`" in card
    assert "snapshot_download" not in card
    assert sorted(elsewhere.rglob("*")) == before


def test_what_is_refused_leaves_nothing(one_run: OneRun, elsewhere: Path, refusal: Refused) -> None:
    assert "there is no run 9" in refusal("export hub 9 --out model")
    assert "unknown licence 'apache'" in refusal("export hub 1 --license apache --out model")
    (one_run.weights / "last.safetensors").unlink()
    assert "cannot be read" in refusal("export hub 1 --out model")
    assert not (elsewhere / "model").exists()
