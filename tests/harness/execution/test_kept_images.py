"""What an evaluation keeps to look at: classes that agree with the verdicts, and the images that were judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.execution.conduct import Conductor
from harness.execution.executors.placement import Placement
from harness.execution.work import KEPT
from harness.networks.smallcnn import SmallCNN
from harness.planning.missing import find_missing
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.store.store import Store
from harness.training.checkpoints import load_weights
from harness.training.weights_place import weights_file

VALUES = ("epochs=1", "train.steps=1", "width=2", "evaluation.steps=2", "block_size=7", "checkpoints=last")


@pytest.mark.parametrize("limit", [3, 16])
def test_classes_and_images_are_those_of_the_verdicts(limit: int, tmp_path: Path) -> None:
    request = RunRequest(
        methods=("sat",),
        network="smallcnn",
        dataset="digits",
        device="cpu",
        seeds=2,
        limit=limit,
        checks=False,
        values=(*VALUES, "evaluation.attacks=natural,pgd"),
    )
    (job,) = resolve_run(request)
    store = Store.write(str(tmp_path / "board.db"))
    Conductor(find_missing([job], store), store, tmp_path, lambda _event: None, Placement()).conduct()
    (run,) = store.runs()
    checkpoint = run.checkpoint("last")
    assert checkpoint is not None
    model = SmallCNN(width=2).build(job.dataset.shape).eval()
    model.load_state_dict(load_weights(weights_file(tmp_path / run.folder, "last"), checkpoint.sha256))
    places = job.dataset.places(job.images)
    labels, clean = job.dataset.test.labels[places], job.dataset.pixels(job.dataset.test.images[places])
    assert [(e.attack, e.seed) for e in checkpoint.evaluations] == [("natural", 0), ("pgd", 0), ("pgd", 1)]
    for e in checkpoint.evaluations:
        predicted = store.predicted(e.id)
        assert predicted is not None
        assert bytes(int(p == y) for p, y in zip(predicted, labels.tolist(), strict=True)) == store.verdicts(e.id)
        kept = store.adversarial_images(e.id)
        assert [image.place for image in kept] == (list(range(min(KEPT, limit))) if e.seed == 0 else [])
        for image in kept:
            pixels = torch.from_numpy(np.frombuffer(image.pixels, "<f4").copy()).reshape(clean[0].shape)
            moved = (pixels - clean[image.place]).abs().max()
            assert moved <= (0.2 + 1e-6 if e.attack == "pgd" else 0.0)
            assert (moved > 0) == (e.attack == "pgd")
            with torch.no_grad():
                assert int(model(pixels[None]).argmax()) == predicted[image.place]
    store.close()
