"""Make a store of networks that are trained and not attacked: each has the first weights of one network."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.execution.conduct import known_of
from harness.planning.request import RunRequest
from harness.planning.run_job import resolve_run
from harness.runtime.worker import this_worker
from harness.store.folders import run_folder
from harness.store.opening import WantedRun
from harness.store.store import Store
from harness.training.checkpoints import save_weights
from harness.training.loop import initial_model
from harness.training.schedule import checkpoint_epochs
from harness.training.weights_place import weights_file

CHECKPOINT = "last"


def make_trained(location: str, runs_dir: Path, runs: int) -> None:
    """Write a database of so many runs of sat on the digits, each with weights; it may be a server's.

    Args:
        location: a path, or the URL of an empty database.
        runs_dir: gets a folder for each run.
    """
    store = Store.write(location)
    runs_dir.mkdir(parents=True, exist_ok=True)
    if runs:
        request = RunRequest(methods=("sat",), network="smallcnn", dataset="digits", device="cpu", train_seeds=runs)
        (job,) = resolve_run(request)
        store.see_protocol(job.protocol_record(), job.protocol.training_document)
        records = store.start_runs([WantedRun(spec=spec, **known_of(job)) for spec in job.specs])
        epoch = checkpoint_epochs(job.protocol.train)[CHECKPOINT]
        weights = initial_model(job.network, job.dataset.shape, 0).state_dict()
        sha256 = save_weights(runs_dir, CHECKPOINT, weights, job.specs[0], epoch)
        store.queue([record.id for record in records], this_worker())
        for record in records:
            folder = run_folder(runs_dir, record)
            folder.mkdir(parents=True)
            shutil.copy(weights_file(runs_dir, CHECKPOINT), folder)
            store.add_checkpoint(record.id, CHECKPOINT, epoch, sha256)
            store.end_run(record.id)
    store.close()
