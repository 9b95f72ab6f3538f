"""What a word on the command line can mean: a run, a model, a row of the leaderboard, a plugin, or a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, UnknownName, of_name

if TYPE_CHECKING:
    from harness.store.store import Store

PLUGINS_OF = {
    "method": "methods",
    "attack": "attacks",
    "network": "networks",
    "dataset": "datasets",
    "wrapper": "wrappers",
}
KINDS = ("run", "model", "row", *PLUGINS_OF, "protocol")
FEWEST = 4  # characters of a fingerprint that name a protocol


def meaning_of(word: str, store: Store, plugins: Sequence[Path], wanted: str | None) -> str:
    """The kind of thing that a word means: one of ``KINDS``.

    The label of a method's row with the default settings is the method's name; the method is meant then.

    Args:
        wanted: the kind that the user says is meant; None: any.
    Raises:
        HarnessError: the word means nothing, or several things; says what to do.
    """
    if wanted not in (None, *KINDS):
        raise UnknownName("kind", str(wanted), KINDS)
    known = known_words(store, plugins)
    found = [kind for kind in KINDS if of_name(word, known[kind], str)]
    if word.isdecimal() and "model" not in found:
        found = ["run"]  # the store says whether there is such a run
    if not found and len(word) >= FEWEST and any(p.fingerprint.startswith(word) for p in store.protocols()):
        found = ["protocol"]
    if wanted is None and "method" in found:
        found = [kind for kind in found if kind != "row"]
    chosen = [kind for kind in found if wanted in (None, kind)]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        ways = " or ".join(f"--as {kind}" for kind in chosen)
        raise HarnessError(f"{word!r} is the name of {_named(chosen)}; say which, by {ways}")
    if found:
        raise HarnessError(f"{word!r} is no {wanted}, but the name of {_named(found)}; leave out --as {wanted}")
    names = {name for kind in KINDS if wanted in (None, kind) and kind != "run" for name in known[kind]}
    raise UnknownName(wanted or "run or model, row, plugin, or protocol", word, names)


def _named(kinds: Sequence[str]) -> str:
    return " and of ".join(f"{'an' if kind == 'attack' else 'a'} {kind}" for kind in kinds)


def known_words(store: Store, plugins: Sequence[Path]) -> Mapping[str, set[str]]:
    """Every name that there is, by the kind of thing that it means; runs have numbers."""
    from harness.leaderboard.contestants import trained_by
    from harness.protocols.protocol import protocol_names
    from harness.registry.names import names

    return {
        "run": set(map(str, store.run_numbers())),
        "model": {model.name for model in store.named_models()},
        "row": {trained_by(run).label for run in store.called_runs(with_weights=True)},
        **{kind: set(names(several, tuple(plugins))) for kind, several in PLUGINS_OF.items()},
        "protocol": {*protocol_names(), *(p.name for p in store.protocols())},
    }
