"""Names of class folders: a character that acts or hides is refused, and words and emoji keep their joiners."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data._listing import list_parts
from harness.errors import DataError, quoted


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\x85", "a\u2028b", "\u202ea", "a\u3164", "a\ufe0f"], ids=ascii)
def test_a_class_whose_name_has_a_character_that_acts_is_refused(tmp_path: Path, name: str) -> None:
    for part in ("train", "test"):
        for folder in ("plain", name):
            (tmp_path / part / folder).mkdir(parents=True)
    with pytest.raises(DataError, match="or an invisible character is in its name; rename it") as refused:
        list_parts(tmp_path, ("train", "test"), "auto")
    assert f"the folder {quoted(name)} in {tmp_path / 'train'}" in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", ["\u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645", "\U0001f468\u200d\U0001f33e"])
def test_a_class_may_have_the_joiners_of_words_and_emoji(tmp_path: Path, name: str) -> None:
    for folder in ("plain", name):
        (tmp_path / "test" / folder).mkdir(parents=True)
        (tmp_path / "test" / folder / "0.png").write_bytes(b"")
    assert set(list_parts(tmp_path, ("test",), "auto")["test"]) == {"plain", name}
