"""Names that modules had before: none is there, and each is told with one that is."""

from __future__ import annotations

import importlib

import pytest

from harness.registry.moved import NOW


@pytest.mark.parametrize("older", [name for name in NOW if name.startswith("harness.")])
def test_an_older_name_leads_to_the_new_one(older: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"^{older} is now {NOW[older]}: change the import$") as caught:
        importlib.import_module(older)
    assert caught.value.name == older
    for name in NOW[older].replace(", and", ",").split(", "):
        importlib.import_module(name)
