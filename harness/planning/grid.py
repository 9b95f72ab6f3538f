"""A grid of settings: every combination of some values, as the requests that a user would type one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.errors import SettingError
from harness.planning.named import NamedPlugins, named_plugins
from harness.planning.overrides import Place, short_forms
from harness.planning.request import MOST_NETWORKS_AND_SEEDS, RunRequest
from harness.plugin.settings import Plugin

MOST_POINTS = 1_000  # combinations: more is a typing error, and would take minutes to plan
SEVERAL = ", ..."  # how the type of a setting ends that takes several values


@dataclass(frozen=True)
class Axis:
    """One setting of a grid and its values, as typed."""

    key: str
    values: tuple[str, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The values as ``--set`` takes them."""
        return tuple(f"{self.key}={value}" for value in self.values)


def read_axis(text: str) -> Axis:
    """``key=1,2,4``. Where a semicolon stands in the values it separates them, and a value may hold commas.

    Raises:
        SettingError: there is no key, an empty value, or a value that is named twice.
    """
    refused = f"--grid {text} is refused: "
    key, equals, rest = text.partition("=")
    if not equals or not key.strip():
        raise SettingError(f"{refused}write --grid key=value,value")
    values = tuple(part.strip() for part in rest.removesuffix(";").split(";" if ";" in rest else ","))
    if not all(values):
        raise SettingError(f"{refused}it has an empty value; write --grid key=value,value")
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise SettingError(f"{refused}it names {twice} twice; leave one out")
    return Axis(key.strip(), values)


def grid_requests(request: RunRequest) -> list[RunRequest]:
    """The requests of a grid, in the order of its combinations; without a grid, the request alone.

    A method stands in a request once for each combination of the settings that it has: a setting of another method
    makes no second run of it.

    Raises:
        SettingError, UnknownName: a setting is unknown, is named twice, or takes several values and no semicolon
            separates them; or there are too many combinations.
    """
    if not request.grid:
        return [request]
    axes = [read_axis(text) for text in request.grid]
    count = math.prod(len(axis.values) for axis in axes)
    if count > MOST_POINTS:
        raise SettingError(f"--grid is refused: {count:,} combinations, and {MOST_POINTS:,} are the most")
    evaluations = count * request.train_seeds * request.seeds
    if evaluations > MOST_NETWORKS_AND_SEEDS:
        raise SettingError(
            f"--grid is refused: with --train-seeds {request.train_seeds} and --seeds {request.seeds} that is"
            f" {evaluations:,} evaluations of each attack, and {MOST_NETWORKS_AND_SEEDS:,} are the most"
        )
    if request.until_separated is not None:
        raise SettingError("--grid is refused beside --until-separated, which separates methods; leave one out")
    found = named_plugins(request)
    options = tuple(short_forms(request))
    names = found.setting_names((*request.values, *options))
    own = [names.place(axis.key, f"--grid {text}") for axis, text in zip(axes, request.grid, strict=True)]
    for text, place in zip(request.grid, own, strict=True):
        _refuse_commas(text, place, found)
    given, short = ([names.read(text)[0] for text in texts] for texts in (request.values, options))
    for number, (axis, place) in enumerate(zip(axes, own, strict=True)):
        if place in (*given, *short):
            option = "--set" if place in given else f"--{place[1].rpartition('.')[2]}"
            raise SettingError(f"--grid {axis.key} is refused: {option} sets it, too; leave one out")
        if place in own[:number]:
            raise SettingError(f"--grid {axis.key} is refused: it is named twice; give all of its values at once")
    return list(_points(request, axes, own, given))


def owned_values(request: RunRequest) -> list[tuple[str, Place]]:
    """Each of the request's values, and whose setting it is."""
    names = named_plugins(request).setting_names((*request.values, *short_forms(request)))
    return [(text, names.read(text)[0]) for text in request.values]


def _points(
    request: RunRequest, axes: Sequence[Axis], own: Sequence[Place], given: Sequence[Place]
) -> Iterator[RunRequest]:
    """The request of each combination, with the methods for which it is a new one.

    Args:
        own: the place of each axis.
        given: that of each of the request's values.
    """
    methods = tuple(dict.fromkeys(request.methods))
    for point in itertools.product(*(enumerate(axis.texts) for axis in axes)):
        moved = {place[0] for place, (number, _) in zip(own, point, strict=True) if number and place[0] in methods}
        here = tuple(method for method in methods if moved <= {method})
        absent = {*methods} - {*here}
        values = [text for text, place in zip(request.values, given, strict=True) if place[0] not in absent]
        values += [text for (_, text), place in zip(point, own, strict=True) if place[0] not in absent]
        if here:
            yield replace(request, methods=here, values=tuple(values), grid=())


def _refuse_commas(text: str, place: Place, found: NamedPlugins) -> None:
    """Refuse commas alone where a value may hold commas: ``1/2,3/4`` could be one value, or two."""
    owner, name = place
    table, _, leaf = name.rpartition(".")
    of_protocol = found.protocol.document().get(table) if not owner else None
    if of_protocol is not None:
        several = isinstance(of_protocol.get(leaf), list)
    else:
        cls = found.owners[owner] if owner else _of_table(table, found)
        several = cls is not None and any(one.name == leaf and one.type.endswith(SEVERAL) for one in cls.describe())
    if several and ";" not in text:
        raise SettingError(
            f"--grid {text} is refused: a value of {leaf} may hold commas; separate the values by semicolons, such as"
            f" '{leaf}=A,B;C,D'"
        )


def _of_table(table: str, found: NamedPlugins) -> type[Plugin] | None:
    """The attack, or the protocol's wrapper, whose settings the protocol has in this table; None: its own settings."""
    if not table:
        return None
    return found.wrappers[table] if table in found.protocol.wrapper_settings else found.attacks.get(table)
