"""``harness.evaluate``: attack a live module, or any other model, and report its accuracy under each attack."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.given import Names, Paths, attacks_of, counts_of, paths_of, settings_of, text_of, workplace_of
from harness.api.workplace import Workplace
from harness.errors import ModelFault, SettingError
from harness.planning.places import place_arguments
from harness.trackers.named import Trackers, trackers_of

if TYPE_CHECKING:
    import numpy as np
    import torch

    from harness.api.evaluation_report import EvaluationReport
    from harness.planning.evaluate_job import EvaluateJob
    from harness.planning.request import EvaluateRequest
    from harness.store.store import Store
    from harness.trackers.tracker import Tracker


def evaluate(
    model: torch.nn.Module | str | Path,
    dataset: str | None = None,
    *,
    x: torch.Tensor | np.ndarray[Any, Any] | None = None,
    y: torch.Tensor | np.ndarray[Any, Any] | None = None,
    attacks: Names | None = None,
    epsilon: float | str | None = None,
    norm: str | None = None,
    seeds: int = 5,
    protocol: str | Path | None = None,
    set: Mapping[str, object] | None = None,
    limit: int | None = None,
    checks: bool = True,
    fresh: bool = False,
    name: str | None = None,
    arch: str | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    no_normalisation: bool = False,
    outputs: str = "logits",
    image_size: int | None = None,
    class_order: str | None = None,
    channels: int | None = None,
    device: str | torch.device | None = None,
    devices: Names | None = None,
    per_device: int = 1,
    workers: int | None = None,
    time_limit: float | None = None,
    executor: str = "local",
    ray_address: str | None = None,
    allow_mixed: bool = False,
    plain: bool = False,
    db: str | Path | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    plugins: Paths = (),
    progress: bool = False,
    trackers: Trackers = (),
) -> EvaluationReport:
    """Attack a model, and report its accuracy under each attack, with the verdict on every image.

    A live module is not changed: a copy of it is attacked, in evaluation mode and float32. Nothing is stored unless
    ``db`` is given. The verdicts are those that ``harness evaluate`` gives for the same model and images.

    Args:
        model: a ``torch.nn.Module`` that takes images in [0, 1]; or what ``harness evaluate`` takes: a weights file,
            ``FILE.py:factory``, ``robustbench:NAME``, or, with ``db``, the number of a run, such as "12:last".
        dataset: a name, or ``folder:PATH``, which ``image_size``, ``class_order``, and ``channels`` are for; None
            without ``x`` and ``y``: as for the command.
        x, y: in place of ``dataset``, for a live module: ``(n, channels, height, width)`` floating point in [0, 1], and
            ``(n,)`` integers from 0.
        attacks: the attacks, besides natural accuracy; None: the protocol's.
        epsilon: radius of the ball, such as 8 / 255 or "8/255"; None: the protocol's. ``x`` and ``y`` have no protocol,
            so they need it.
        norm: of the ball; None: the protocol's.
        seeds: attack seeds of each attack that draws random numbers.
        protocol: a name, or a TOML file; None: the data set's, or ``paper`` for ``x`` and ``y``.
        set: settings by their names: ``{"pgd.steps": 50}``.
        limit: attack only so many images, balanced over the classes.
        checks: whether to look for signs that a robust accuracy is too high.
        fresh: attack again, whatever the database has.
        name: what the leaderboard calls the model; None: its class.
        arch, no_normalisation: for weights files: the network, and that it takes pixels as they are.
        mean, std: one value a channel: the model gets (x - mean) / std.
        outputs: ``logits``, ``probabilities``, ``binary-logit``, or ``binary-probability``.
        device: None: that of the module; else CUDA if there is one, or the CPU.
        devices, per_device, time_limit, executor, ray_address, allow_mixed: as for ``harness.run``; not for a live
            module.
        workers: processes that work side by side. A live module is attacked in this process, by torch's threads.
        plain: compute a run's network with its own layers alone.
        db: the database that keeps the results; None: they are not kept.
        runs_dir, data_dir: where logs and runs are, with ``db``; where downloaded data sets are; None: as
            ``harness.run``.
        plugins: plugin files, and folders of them, besides those of the project's configuration.
        progress: show on standard error what the command line shows.
        trackers: what follows the attacks, as for ``harness.run``.
    Raises:
        HarnessError: the request cannot be met, or the model cannot be identified although ``db`` is given.
        ModelFault: the model raised an exception under attack; ``__cause__`` is that exception.
    """
    started = time.perf_counter()
    counts = counts_of({"seeds": seeds, "limit": limit, "image_size": image_size, "channels": channels})
    places = place_arguments(runs_dir=runs_dir, data_dir=data_dir, plugins=paths_of(plugins))
    place = workplace_of(
        db=None if db is None else str(db),
        runs_dir=places.runs_dir,
        workers=workers,
        device=device,
        devices=devices,
        per_device=per_device,
        time_limit=time_limit,
        executor=executor,
        ray_address=ray_address,
        allow_mixed=allow_mixed,
    )
    live = not isinstance(model, (str, Path))
    of_files = {"arch": arch, "no_normalisation": no_normalisation or None}
    _refuse_contradictions(model, dataset, x, y, of_files, stored=db is not None, elsewhere=place.elsewhere)
    place.check(writing=db is not None, connecting=True)
    following = trackers_of(trackers, place.runs_dir)

    from harness.planning.overrides import refuse_two_values
    from harness.planning.request import SHORT_FORMS_OF_EVALUATE, EvaluateRequest
    from harness.runtime.process import as_in_a_new_process
    from harness.targets.preprocessing import Preprocessing
    from harness.targets.target import seeded

    settings = settings_of(set or {}, {})
    layers = {"mean": mean, "std": std, "outputs": outputs}
    given = {
        **counts,
        "dataset": dataset,
        "attacks": attacks_of(attacks),
        "epsilon": None if epsilon is None else text_of("epsilon", epsilon),
        "norm": norm,
        "protocol": None if protocol is None else str(protocol),
        "class_order": class_order,
        "device": place.planned_on,
        "elsewhere": place.elsewhere,
        "name": name,
        "network": arch,
    }
    request = EvaluateRequest(
        target=type(model).__name__ if live else str(model),
        values=settings,
        checks=checks,
        fresh=fresh,
        plain=plain,
        no_normalisation=no_normalisation,
        preprocessing=Preprocessing.from_mapping({key: value for key, value in layers.items() if value is not None}),
        runs_dir=place.runs_dir,
        data_dir=places.data_dir,
        plugins=places.plugins,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]  # as checked
    )
    refuse_two_values(vars(request), SHORT_FORMS_OF_EVALUATE)
    keep = db is not None
    # the global generators are put back, too: a library that is imported here for the first time may draw
    with seeded(), as_in_a_new_process():
        job = _resolved(model, request, x, y, place, keep=keep)
        with _kept(place, keep=keep) as (store, folder):
            return _attacked(job, store, folder, place, following, live=live, progress=progress, started=started)


def _resolved(model: Any, request: EvaluateRequest, x: Any, y: Any, place: Workplace, *, keep: bool) -> EvaluateJob:
    """The job; nothing is written yet."""
    from harness.planning.evaluate_job import resolve_evaluate
    from harness.planning.given_images import checked_images
    from harness.planning.live_job import resolve_live
    from harness.store.store import Store
    from harness.targets.target import quiet

    with quiet():
        if not isinstance(model, (str, Path)):
            return resolve_live(request, model, None if x is None else checked_images(x, y), keep=keep)
        store = Store.read(place.db) if keep else Store.in_memory()
        try:
            job = resolve_evaluate(request, store)
        finally:
            store.close()
    if len(job.weights) > 1:
        names = ", ".join(f"{request.target}:{weights.checkpoint}" for weights in job.weights)
        raise SettingError(f"run {request.target} has several checkpoints; say which: {names}")
    return job


def _attacked(
    job: EvaluateJob,
    store: Store,
    folder: Path,
    place: Workplace,
    trackers: Sequence[Tracker],
    *,
    live: bool,
    progress: bool,
    started: float,
) -> EvaluationReport:
    import torch

    from harness.api.evaluating import evaluate_target
    from harness.api.evaluation_report import report_of
    from harness.api.progress import Watch
    from harness.api.tracked import tracked
    from harness.execution.executors.placement import Placement
    from harness.execution.loaded import forget_dataset, forget_model

    notes = [f"{job.assessment.dataset.name}: {text}" for text in job.assessment.dataset.notes]
    where = Placement() if live else place.placement(job.assessment)
    threads = torch.get_num_threads() if live else None
    forget_model()
    try:
        with Watch(quiet=not progress) as watch, tracked(watch, trackers, notes.append) as listen:
            done = evaluate_target(job, store, folder, listen, where, threads=threads, started=started)
    except ModelFault as fault:
        raise ModelFault(fault.what, "make it answer any images in [0, 1]") from _deepest(fault)
    finally:
        forget_model()  # they hold the caller's model and images
        forget_dataset()
    return report_of(job, done, store, notes)


@contextlib.contextmanager
def _kept(place: Workplace, *, keep: bool) -> Iterator[tuple[Store, Path]]:
    """The store, and the folder of logs; in memory, and gone afterwards, if nothing is to be kept."""
    from harness.store.store import Store

    with contextlib.ExitStack() as stack:
        store = Store.write(place.db) if keep else Store.in_memory()
        stack.callback(store.close)
        yield store, place.runs_dir if keep else Path(stack.enter_context(tempfile.TemporaryDirectory()))


def _refuse_contradictions(
    model: object, dataset: str | None, x: object, y: object, of_files: dict[str, Any], *, stored: bool, elsewhere: bool
) -> None:
    import torch

    given = [name for name, value in (("x", x), ("y", y)) if value is not None]
    if len(given) == 1:
        raise SettingError(f"{given[0]} is given alone; give x and y, the images and their labels")
    if given and dataset is not None:
        raise SettingError("dataset, and x with y, exclude each other; leave one out")
    if isinstance(model, (str, Path)):
        if given:
            raise SettingError("x and y are for a live module; build the model, or name a dataset")
        if not stored and str(model).partition(":")[0].isdecimal():
            raise SettingError(f"{model} is a run's number, and runs are in a database; give db='leaderboard.db'")
        return
    if not isinstance(model, torch.nn.Module):
        raise SettingError(f"model is a {type(model).__name__}; give a torch.nn.Module, or a text such as 'weights.pt'")
    if elsewhere:
        raise SettingError("executor='ray' is for weights files and runs; a live module is in this process alone")
    if not given and dataset is None:
        raise SettingError("the images are missing: give dataset, such as dataset='digits', or x and y")
    for name, value in of_files.items():
        if value is not None:
            raise SettingError(f"{name} is for weights files, and the model is a live module; leave it out")


def _deepest(error: BaseException) -> BaseException:
    """The exception at the beginning: the model's own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
