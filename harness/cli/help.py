"""How the help of a command looks: flags without a type, and the option for help among those of the output."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from harness.cli.options import OUTPUT


class Command(TyperCommand):
    """A command of harness."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if parameter.name == "help":
                # else it is in a box of its own, above all others, and Typer prints a word for its type
                parameter.rich_help_panel, parameter.metavar = OUTPUT, ""
        return parameters


class Group(TyperGroup):
    """A command of harness that has others below it."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters
