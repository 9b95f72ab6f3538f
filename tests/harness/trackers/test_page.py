"""``docs/trackers.md``: its example runs, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.trackers.named import NAMED

PAGE = (Path(__file__).parents[3] / "docs" / "trackers.md").read_text(encoding="utf-8")


def test_the_example_hears_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_DB", raising=False)
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/trackers.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "run 1 standard-smallcnn-digits-s0 digits"
    assert [line[:13] for line in lines[1:3]] == ["run 1 epoch 1", "run 1 epoch 2"]
    assert any(line.startswith("run 1 last pgd 0 ") for line in lines)
    assert lines[-1] == "run 1 done "


@pytest.mark.parametrize("name", NAMED)
def test_every_name_is_in_the_table_with_its_extra(name: str) -> None:
    assert f"| `{name}` | `pip install 'robustness-harness[{name}]'` |" in PAGE
