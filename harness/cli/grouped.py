"""Options in groups: a group is declared once, as a dataclass, and any command takes it whole.

Typer takes the options of a command from the parameters of its function. ``grouped`` shows Typer one parameter for
each field of a group, and calls the function with the group. ``request_of`` fills a request from groups: an option and
the field that it fills have the same name.
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
    """Wrap a function for Typer: one parameter for each option, in the order of groups and fields.

    With ``--verbose`` the traceback of a refusal is printed, too.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            of_group = get_type_hints(groups[name], include_extras=True)
            parameters += [_parameter(field.name, of_group[field.name], field) for field in fields(groups[name])]
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


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    """A parameter as Typer reads it; its default may be what ``option`` returned."""
    if isinstance(default, Field):
        hint, default = Annotated[hint, default.metadata["typer"]], default.default
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def request_of(cls: type[R], *groups: object, **own: object) -> R:
    """Make a request: each field takes the option of its name, from a group or from ``own``.

    An option that was not given is None, or an empty list; the field then keeps its default.
    """
    wanted = {field.name for field in fields(cls)}  # type: ignore[arg-type]
    assert own.keys() <= wanted, f"{cls.__name__} has no field {', '.join(own.keys() - wanted)}"
    given = {name: value for group in groups for name, value in vars(group).items() if name in wanted} | own
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return cls(**{name: value for name, value in values.items() if value is not None})
