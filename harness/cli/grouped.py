"""Options in groups: a group is declared once, as a dataclass, and any command takes it whole.

Typer reads the options of a command off the parameters of its function. ``grouped`` writes every group of a function
out as its fields, for Typer, and gives the function the group again. ``request_of`` makes a request of groups: an
option and the field of a request that it fills have one name.
"""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable
from dataclasses import Field, fields, is_dataclass
from inspect import Parameter, Signature
from typing import Annotated, Any, TypeVar, get_type_hints

from harness.errors import HarnessError

R = TypeVar("R")
Function = Callable[..., None]


def grouped(function: Function) -> Function:
    """The function as Typer is to see it: with one parameter for each option, in the order of groups and fields.

    Where a group says ``verbose``, a refusal is printed with its traceback before it is passed on.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            parameters.append(_parameter(name, hints[name], parameter.default))

    @functools.wraps(function)
    def call(**values: Any) -> None:
        made = {
            name: group(**{field.name: values.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        try:
            function(**values, **made)
        except HarnessError:
            if any(getattr(group, "verbose", False) for group in made.values()):
                traceback.print_exc()
            raise

    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def _parameters(group: Any) -> list[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [_parameter(field.name, hints[field.name], field) for field in fields(group)]


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    """A parameter as Typer reads it; its default may be what ``option`` returned."""
    if isinstance(default, Field):
        hint, default = Annotated[hint, default.metadata["typer"]], default.default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def request_of(cls: type[R], *groups: object, **own: object) -> R:
    """A request, each field from the option of its name: in a group, or the command's own.

    An option that was not given is None, or an empty list; then the request's own default holds.
    """
    wanted = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    assert own.keys() <= wanted, f"{cls.__name__} has no field {', '.join(own.keys() - wanted)}"
    given = {name: value for group in groups for name, value in vars(group).items() if name in wanted} | own
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return cls(**{name: value for name, value in values.items() if value is not None})
