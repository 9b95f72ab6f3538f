"""The folder of files that a model hub takes: made in memory, and written as a whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import HarnessError, listed
from harness.files import atomic_write_bytes, require_writable, resolved, writable_directory
from harness.hub.card import model_card
from harness.hub.facts import CardFacts
from harness.hub.names import CARD, LOADER, MAIN, SETTINGS, WEIGHTS
from harness.robustbench.loader import loader
from harness.unfinished import unfinished_folder


def hub_files(
    facts: CardFacts,
    runs_dir: Path,
    *,
    command: str,
    plugins: Sequence[Path] = (),
    repository: str | None = None,
    revision: str = MAIN,
) -> dict[str, bytes]:
    """The files by their names: the card, the weights as the training wrote them, the settings, and a loader.

    Args:
        command: the command that makes them, for the head of the loader.
        repository, revision: where the model will be on the Hub, and on which branch.
    Raises:
        HarnessError: the weights are gone or changed, or the network's code has changed since the training, so that
            the loader would refuse them; or huggingface_hub is not installed.
    """
    card = model_card(facts, repository, revision)
    text = loader(facts.run, facts.checkpoint, Path(WEIGHTS), Path(), command=command)
    return {
        CARD: card.encode(),
        WEIGHTS: _weights(facts, runs_dir, tuple(plugins)),
        SETTINGS: (json.dumps(settings_document(facts), indent=2, allow_nan=False) + "\n").encode(),
        LOADER: text.encode(),
    }


def settings_document(facts: CardFacts) -> dict[str, Any]:
    """What decides the weights, what they take and return, and the figures, in JSON types."""
    run, data = facts.run, facts.run.dataset
    return {
        "harness": __version__,
        "run": run.spec.document(),
        "identity": run.identity,
        "checkpoint": {name: getattr(facts.checkpoint, name) for name in ("name", "epoch", "sha256")},
        "input": {"channels": data.channels, "height": data.height, "width": data.width, "range": [0, 1]},
        "classes": data.classes,
        "class_names": None if data.class_names is None else list(data.class_names),
        "figures": [
            {
                "attack": figure.column,
                "median": figure.figure.median,
                "std": figure.figure.std,
                "attack_seeds": figure.seeds,
                "interval": asdict(figure.interval) | {"kind": "wilson", "level": 0.95},
                "examples": figure.images.count,
                "sample": figure.images.sample,
                "epsilon": figure.epsilon,
                "norm": figure.norm,
                "protocol": None if figure.board is None else figure.board.protocol,
                "protocol_fingerprint": None if figure.board is None else figure.board.fingerprint,
            }
            for figure in facts.figures
        ],
        "findings": [
            {"kind": e.settings.get("kind"), "epsilon": e.settings.get("epsilon")}
            | {name: getattr(found, name) for name in ("check", "status", "mark", "value", "threshold", "reason")}
            for e in facts.examinations
            for found in e.findings
        ],
    }


def _weights(facts: CardFacts, runs_dir: Path, plugins: tuple[Path, ...]) -> bytes:
    """The bytes of the weights' file, which were seen to load into the run's network."""
    from harness.plugin.network import Shape
    from harness.store.folders import run_folder
    from harness.targets.model import RunWeights
    from harness.training.weights_place import weights_file

    run, checkpoint = facts.run, facts.checkpoint
    file = weights_file(run_folder(runs_dir, run), checkpoint.name)
    known = {"label": run.spec.label, "checkpoint": checkpoint.name, "sha256": checkpoint.sha256}
    data = run.dataset
    shape = Shape(data.channels, data.height, data.width, data.classes)
    RunWeights(**known, spec=run.spec, file=file).model(shape, plugins)
    content = file.read_bytes()
    if hashlib.sha256(content).hexdigest() != checkpoint.sha256:
        raise HarnessError(f"the weights {file} changed while they were read; run the command again")
    return content


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files into a new folder, or an empty one.

    They are written beside the folder, and take its place when they are complete.

    Raises:
        HarnessError: the folder has files, is a file, or cannot be written. Nothing was changed.
    """
    check_folder(folder)
    folder = resolved(folder)
    try:
        with writable_directory(folder.parent), unfinished_folder(folder) as made:
            for name, content in files.items():
                atomic_write_bytes(made / name, content)
            if folder.exists():
                folder.rmdir()  # it is empty
            made.rename(folder)
    except OSError as error:
        raise HarnessError(f"--out {folder} cannot be written: {error.strerror}; choose another place") from None


def check_folder(folder: Path) -> None:
    """Raise HarnessError if a folder cannot take a model: before anything is made."""
    folder = resolved(folder)
    if folder == resolved(Path.cwd()):
        raise HarnessError(f"--out {folder} is refused: it is the working directory; name a folder for the model alone")
    if folder.exists() and not folder.is_dir():
        raise HarnessError(f"--out {folder} is refused: it is a file; name a folder for the model alone")
    try:
        require_writable(folder.parent)
        held = sorted(entry.name for entry in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise HarnessError(f"--out {folder} cannot be written: {error}; choose another place") from None
    if held:
        raise HarnessError(f"--out {folder} is refused: it has {listed(held)}; name a new folder, or an empty one")
