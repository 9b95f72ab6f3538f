"""The model card, README.md: what was measured, what the checks found, how it was trained, and how to load it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.errors import legible, visible
from harness.events import Finding
from harness.hub.facts import CardFacts, CardFigure
from harness.hub.front_matter import front_matter
from harness.hub.markup import cells_table, code_span, fenced, settings_span
from harness.hub.names import LOADER, MAIN, SETTINGS, WEIGHTS
from harness.leaderboard.board import Board
from harness.leaderboard.cells import interval_text
from harness.leaderboard.columns import title_of
from harness.plugin.ball import radius_text
from harness.runtime.provenance import every_place
from harness.statistics.figures import plus_minus
from harness.store.records import ExaminationRecord
from harness.store.validated import chosen_by

_PRIVATE = ("host", "sources")  # of a provenance: the machine's name, and paths on it


def model_card(facts: CardFacts, repository: str | None = None, revision: str = MAIN) -> str:
    """The whole card.

    Args:
        repository: where the model will be on the Hub, ``OWNER/NAME``; None: the card does not say how to download it.
        revision: the branch of the repository. The card names it: another branch may have other weights.
    """
    run = facts.run
    title = f"# {code_span(run.method)}, {code_span(run.network)}, {code_span(run.dataset.name)}"
    parts = [
        f"---\n{front_matter(facts)}\n---",
        title,
        *_warnings(facts),
        f"One network, trained and attacked by harness (`robustness-harness`): run {run.id},"
        f" checkpoint {code_span(facts.checkpoint.name)}, training seed {run.train_seed}.",
        *([f"Note: {code_span(facts.note)}"] if facts.note else []),
        *_accuracy(facts),
        *_attacks(facts),
        *_checks(facts.examinations),
        *_training(facts),
        *_code(facts),
        *_loading(facts, repository, revision),
        "## Licence",
        f"{code_span(facts.licence)}, chosen by who published the model." if facts.licence else "None was chosen.",
        "## Citation",
        fenced(facts.bibtex or "% the method names no publication", "bibtex"),
    ]
    return "\n\n".join(parts) + "\n"


def _warnings(facts: CardFacts) -> Iterator[str]:
    """What a reader must see first: flags, or that nobody looked for any."""
    kinds = {str(examination.settings.get("kind")) for examination in facts.examinations}
    if facts.flags:
        lines = [f"> - {_finding(found)} ({_about(examination)})" for examination, found in facts.flags]
        head = (
            f"> **Warning: {len(lines)} finding{'s' * (len(lines) > 1)} of the checks of rigour"
            f" warn{'s' * (len(lines) == 1)}.** An accuracy below may not be what it seems. A flag is a reason to look,"
            " not a proof."
        )
        yield "\n".join([head, ">", *lines])
    missing = [name for name in ("model", "verdicts") if name not in kinds]
    if missing:
        yield (
            f"> **Warning: the checks of rigour of the {' and of the '.join(missing)} were not made.** Nobody looked"
            " for signs of gradient masking there."
        )


def _accuracy(facts: CardFacts) -> Iterator[str]:
    yield "## Accuracy"
    for board in (*facts.boards, None):
        figures = [figure for figure in facts.figures if figure.board is board]
        if figures:
            yield _under(board, facts)
            yield _figures(figures)
            yield from _unmeasured(board)
    yield (
        "Right: the share of test images that the network classifies rightly, median ± standard deviation over attack"
        " seeds. The interval is Wilson's, 95 %, over the test images. Worst case: right under every attack of the"
        " protocol with every attack seed; it falls with more seeds. The figures are of this one network: they say"
        " nothing of networks that are trained from other seeds."
    )
    for e in facts.unfinished:
        attack = code_span(legible(e.attack))
        yield f"Left out as not complete: {attack}, seed {e.seed}, {e.done} of {e.examples} images."


def _under(board: Board | None, facts: CardFacts) -> str:
    if board is None:
        return "**Under no protocol that the network was trained under:**"
    images = board.images.described(facts.run.dataset.test_examples) if board.images is not None else ""
    others = "".join(f", also {code_span(alias[:8])}" for alias in board.aliases)
    return f"**Protocol {code_span(board.protocol)}, fingerprint {code_span(board.fingerprint)}{others}; {images}:**"


def _unmeasured(board: Board | None) -> Iterator[str]:
    """The attacks of a protocol that have no figure: without them the network seems more robust."""
    missing = [] if board is None else [name for name in board.attacks if board.rows[0].metrics[name] is None]
    if missing:
        names = ", ".join(code_span(legible(name)) for name in missing)
        yield f"Not measured, so that there is no worst case: {names}."


def _figures(figures: Sequence[CardFigure]) -> str:
    rows = [
        [
            code_span(title_of(figure.column)),
            plus_minus(figure.figure.median, figure.figure.std),
            interval_text(figure.interval),
            " ".join(f"{code_span(legible(name))} {n}" for name, n in figure.seeds.items())
            if len(figure.seeds) > 1
            else str(*figure.seeds.values()),
            str(figure.images.count),
            _ball(figure),
        ]
        for figure in figures
    ]
    return cells_table(["attack", "right, %", "95 % interval", "attack seeds", "test images", "ball"], rows)


def _ball(figure: CardFigure) -> str:
    return "-" if figure.epsilon is None else code_span(f"{radius_text(figure.epsilon)} {figure.norm}")


def _attacks(facts: CardFacts) -> Iterator[str]:
    yield "## Attacks"
    yield "harness projects an attack's images onto the ball, and classifies them anew: no attack scores itself."
    lines = [f"- {code_span(legible(e.attack))}: {settings_span(e.settings)}" for e in facts.evaluations]
    yield "\n".join(dict.fromkeys(lines))
    warned = [f"- {code_span(legible(e.attack))}: {code_span(text)}" for e in facts.evaluations for text in e.warnings]
    if warned:
        yield "Warnings of the attacks:\n\n" + "\n".join(dict.fromkeys(warned))


def _checks(examinations: Sequence[ExaminationRecord]) -> Iterator[str]:
    yield "## Checks of rigour"
    if not examinations:
        yield "None was made."
    for examination in examinations:
        lines = [f"- {_finding(found)}" for found in examination.findings]
        yield "\n".join([f"{_about(examination).capitalize()}:", "", *lines])


def _about(examination: ExaminationRecord) -> str:
    settings = examination.settings
    norm = f", norm {code_span(str(settings['norm']))}" if "norm" in settings else ""
    where = f"epsilon {radius_text(settings['epsilon'])}{norm}, " if "epsilon" in settings else ""
    return f"checks of the {code_span(str(settings.get('kind')))}, {where}{settings.get('examples', '?')} images"


def _finding(found: Finding) -> str:
    beyond = "" if found.threshold is None else f" (flagged beyond {found.threshold:g})"
    marked = f"**{code_span(found.mark)} {code_span(found.check)}: flagged**" if found.mark else code_span(found.check)
    status = "" if found.mark else f": {visible(found.status).replace('-', ' ')}"
    return f"{marked}{status}, {code_span(found.reason)}{beyond}"


def _training(facts: CardFacts) -> Iterator[str]:
    run, data = facts.run, facts.run.dataset
    wrappers = "; ".join(f"{code_span(w['name'])} {settings_span(w['settings'])}" for w in run.wrappers)
    seconds = sum(epoch.duration_s for epoch in run.epochs)
    epoch = facts.checkpoint.epoch
    rows = {
        "method": f"{code_span(run.method)}, settings: {settings_span(run.method_settings)}",
        "departs from the method's defaults": settings_span(run.method_departures),
        "wrappers of the update": wrappers or "none",
        "network": f"{code_span(run.network)}, settings: {settings_span(run.network_settings)},"
        f" {run.parameters:,} parameters",
        "departs from the network's defaults": settings_span(run.network_departures),
        "data set": f"{code_span(data.name)}, fingerprint {code_span(data.fingerprint)},"
        f" {data.train_examples:,} training and {data.test_examples:,} test images",
        "images": f"{data.channels} x {data.height} x {data.width}, pixels in [0, 1]; {data.classes} classes",
        "classes": ", ".join(map(code_span, data.class_names)) if data.class_names else "by their numbers",
        "training": settings_span(run.training),
        "checkpoint": f"{code_span(facts.checkpoint.name)}, after epoch {epoch}{_choice(facts)}",
        "training seed": str(run.train_seed),
        "time": f"{seconds:,.0f} s of training" if run.epochs else "not recorded",
    }
    yield "## Training"
    yield cells_table(["what", "value"], list(rows.items()))


def _choice(facts: CardFacts) -> str:
    """What chose the checkpoint ``best``; nothing for another."""
    chosen = chosen_by(facts.run) if facts.checkpoint.name == "best" else None
    if chosen is None:
        return ""
    return f", chosen by {chosen.robust_percent:.2f} % robust accuracy on {chosen.images:,} training images held out"


def _code(facts: CardFacts) -> Iterator[str]:
    run = facts.run
    yield "## Code, versions, and device"
    if run.code:
        lines = [f"- {code_span(part)}: {code_span(code)}" for part, code in run.code.items()]
        yield (
            "Parts whose code does not ship with harness, by the SHA-256 of their source, or ships in a later"
            " version:\n\n" + "\n".join(lines)
        )
    else:
        yield "Method, network, data set, and wrappers are as shipped with harness."
    places = [f"- training: {_place(place)}" for place in every_place(run.provenance)]
    for e in facts.evaluations:
        places += [f"- {code_span(legible(e.attack))}: {_place(place)}" for place in every_place(e.provenance)]
    yield "\n".join(dict.fromkeys(places))


def _place(place: Mapping[str, Any]) -> str:
    return settings_span({key: value for key, value in place.items() if key not in _PRIVATE})


def _loading(facts: CardFacts, repository: str | None, revision: str) -> Iterator[str]:
    yield "## How to load it"
    code = ["import sys", ""]
    if repository is not None:
        branch = f", revision={revision!r}" if revision != MAIN else ""
        code += ["from huggingface_hub import snapshot_download", ""]
        code += [f"folder = snapshot_download({repository!r}{branch})"]
    else:
        code += ['folder = "."  # where these files are']
    code += ["sys.path.insert(0, folder)", "from load_model import load_model", ""]
    code += ["model = load_model()  # images in [0, 1] to logits, in evaluation mode"]
    yield fenced("\n".join(code), "python")
    own = "network" in facts.run.code and not facts.run.code["network"].startswith("version ")
    plugin = (
        f" The network {code_span(facts.run.network)} is no part of harness: put its file into a folder, and name the"
        " folder in the variable `HARNESS_PLUGINS`."
        if own
        else ""
    )
    yield (
        f"It needs harness, the Python package `robustness-harness`. `{LOADER}` refuses weights other than these, and"
        f" a network whose code has changed since.{plugin}"
    )
    yield (
        f"`{WEIGHTS}` has the SHA-256 {code_span(facts.checkpoint.sha256)}; `{SETTINGS}` has everything that decides"
        " the weights, and the figures above, as data."
    )
