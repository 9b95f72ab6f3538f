"""The files of a model's folder, and the names that a Hub knows."""

from __future__ import annotations

import re

from harness.errors import HarnessError, did_you_mean, near_misses, quoted

CARD, WEIGHTS, SETTINGS, LOADER = "README.md", "model.safetensors", "config.json", "load_model.py"
MAIN = "main"  # the branch that a reader gets who names none

HUB_DATASETS = {
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "svhn": "ufldl-stanford/svhn",
    "mnist": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
}
"""The data sets that ship and that Hugging Face's Hub has, by the Hub's names for them."""

LICENCES = (
    *("afl-3.0", "apache-2.0", "artistic-2.0", "bsd-2-clause", "bsd-3-clause", "bsl-1.0", "cc", "cc0-1.0", "cc-by-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-4.0", "eupl-1.1", "eupl-1.2"),
    *("gpl-2.0", "gpl-3.0", "isc", "lgpl-2.1", "lgpl-3.0", "mit", "mpl-2.0", "openrail", "other", "unlicense", "wtfpl"),
)
"""Identifiers of licences that Hugging Face's Hub knows."""

_PART = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{))[A-Za-z0-9][\w./-]{0,98}[\w-]|[A-Za-z0-9]", re.ASCII)


def checked_repository(name: str) -> str:
    """The name of a repository, ``OWNER/NAME``.

    Raises:
        HarnessError: it is no such name.
    """
    parts = name.split("/")
    if len(parts) != 2 or not all(map(_PART.fullmatch, parts)) or name.endswith(".git"):
        raise HarnessError(
            f"--to {quoted(name)} is refused: write OWNER/NAME, two parts of letters, digits, and . _ - inside;"
            " OWNER is your name on the Hub, or your organisation's"
        )
    return name


def checked_branch(name: str) -> str:
    """The name of a branch of a repository.

    Raises:
        HarnessError: it is no such name.
    """
    if not _BRANCH.fullmatch(name):
        rule = "a branch's name has letters, digits, and . _ - / inside"
        raise HarnessError(f"--revision {quoted(name)} is refused: {rule}; write --revision main, or leave it out")
    return name


def checked_licence(name: str | None) -> str | None:
    """The identifier of a licence; None where none was chosen.

    Raises:
        HarnessError: the Hub does not know it.
    """
    if name is None or name in LICENCES:
        return name
    hint = did_you_mean(map(repr, near_misses(name.lower(), LICENCES)))
    raise HarnessError(f"unknown licence {quoted(name)}; {hint} known: {', '.join(LICENCES)}".replace(";  ", "; "))
