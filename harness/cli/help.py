"""How the help of a command looks: flags without a type, and the option for help among those of the output."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from harness.cli.options import OUTPUT


def _without_types(parameters: list[Any]) -> list[Any]:
    """The parameters, the flags among them with no word for a type, which Typer would print."""
    for parameter in parameters:
        if parameter.metavar is None and getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


class Command(TyperCommand):
    """A command of harness."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters = _without_types(super().get_params(ctx))
        for parameter in parameters:
            if parameter.name == "help":
                parameter.rich_help_panel = OUTPUT  # else it is in a box of its own, above all others
        return parameters


class Group(TyperGroup):
    """A command of harness that has others below it."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))
