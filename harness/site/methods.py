"""What a method says of itself: formula, source, settings. Its networks and figures are in other documents."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any

from harness.errors import HarnessError, legible


def method_documents(names: Iterable[str]) -> list[dict[str, Any]]:
    """One document for each method, in the order of the names."""
    return [method_document(name) for name in dict.fromkeys(names)]


@cache
def method_document(name: str) -> dict[str, Any]:
    """A method's own words; without them where no plugin of that name is here, or it is broken."""
    from harness.plugin.publication import formula_of, publications_of
    from harness.registry.catalogue import discover

    try:
        cls = discover("methods").get(name)
        publications, formula = publications_of(cls), formula_of(cls)
    except HarnessError as error:
        return {"name": legible(name), "here": False, "why": str(error).split(";")[0]}
    text = inspect.cleandoc(cls.__doc__ or "")
    return {
        "name": legible(name),
        "here": True,
        "about": [" ".join(part.split()) for part in text.split("\n\n") if part.strip()],
        "formula": formula,
        "settings": [
            [info.name, info.type, "" if info.required else str(info.default), info.meaning] for info in cls.describe()
        ],
        "publications": [{"title": p.title, "bibtex": p.bibtex} for p in publications],
    }
