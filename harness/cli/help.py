"""How the help of a command looks: flags have no type, and ``--help`` stands in the box of the output."""

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
                # without this, --help has its own box above all others, and Typer prints a type for it
                parameter.rich_help_panel, parameter.metavar = OUTPUT, ""
        return parameters


class Group(TyperGroup):
    """A command that has subcommands."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters
