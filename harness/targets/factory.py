"""A target that is the user's own code: ``module:factory``, or ``path/to/file.py:factory``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from torch import nn

from harness.errors import did_you_mean, near_misses, one_line
from harness.files import expanded
from harness.plugin.network import Shape
from harness.registry.importing import forget, import_file, import_module, on_path
from harness.registry.source import Source, source_of
from harness.targets.preprocessing import Preprocessing
from harness.targets.target import Target, TargetError, quiet, seeded


@dataclass(frozen=True, kw_only=True)
class FactoryTarget(Target):
    """The model that a callable returns or a module class makes; or a module instance itself.

    Attributes:
        module: its dotted name, or the absolute path of its file.
        factory: the name in the module; dotted if it is inside a class.
        directory: the working directory when the target was opened; the module is imported from there.
        source: the user's source of the factory and of every class in the model; None until the target is opened.
    """

    module: str
    factory: str
    directory: Path
    source: Source | None = None

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        with on_path(self.directory), quiet():
            made = self._found()
            if callable(made) and not isinstance(made, nn.Module):
                try:
                    made = made()
                except (Exception, SystemExit) as error:  # whatever the user's code raises
                    raise TargetError(
                        f"{self.label}: calling it raised {one_line(error)}; it is called without arguments and must"
                        " return a torch.nn.Module"
                    ) from error
        if not isinstance(made, nn.Module):
            raise TargetError(
                f"{self.label} gave a {type(made).__name__}; it must give a torch.nn.Module that takes images in [0, 1]"
            )
        if self.source is not None and self.source != self._source(made):
            raise TargetError(f"the source of {self.label} changed since it was opened; run the command again")
        return made

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        """The class's name; for a class of torch, such as ``nn.Sequential``, the factory's name, which says more."""
        torchs = type(network).__module__.startswith("torch.")
        return (self.factory.rpartition(".")[2] if torchs else type(network).__name__), {}

    def seen(self, network: nn.Module) -> Self:
        """The target with its source."""
        return replace(self, source=self._source(network))

    def code(self) -> dict[str, str]:
        return self.source.document() if self.source is not None else {}

    def context(self) -> dict[str, Any]:
        module = Path(self.module).name if self.module.endswith(".py") else self.module
        return {"factory": f"{module}:{self.factory}", "source": self.source.digest if self.source is not None else ""}

    def _found(self) -> object:
        module = self._imported()
        value: object = module
        for part in self.factory.split("."):
            try:
                value = getattr(value, part)
            except AttributeError:
                known = [name for name in vars(module) if not name.startswith("_")]
                hint = did_you_mean(map(repr, near_misses(part, known))) or "check its name"
                where = getattr(module, "__file__", None) or self.module
                raise TargetError(f"{self.label}: {where} has no {part!r}; {hint}") from None
        return value

    def _imported(self) -> ModuleType:
        try:
            with seeded():  # an import may draw numbers; calling the factory must draw the same with or without it
                if self.module.endswith(".py"):
                    return import_file(Path(self.module))
                return import_module(self.module, self.directory)
        except (Exception, SystemExit) as error:
            raise TargetError(self._import_refusal(error)) from error

    def _import_refusal(self, error: BaseException) -> str:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and self.module.split(".")[0] == missing:
            stems = [file.stem for file in self.directory.glob("*.py")]
            hint = did_you_mean(near_misses(missing, stems)) or "name an installed module, or a file: FILE.py:factory"
            return f"{self.label}: there is no module {missing!r} in {self.directory} or installed; {hint}"
        return f"{self.label}: importing {self.module} raised {one_line(error)}; mend it, or check the name"

    def _source(self, made: nn.Module) -> Source:
        """The files that define the factory and the model's classes, and the user's files that these import."""
        with on_path(self.directory):
            found = self._found()
        definers = [found if callable(found) and not isinstance(found, nn.Module) else type(made)]
        return source_of(*definers, *{type(module) for module in made.modules()}, directory=self.directory)


def open_factory(text: str, preprocessing: Preprocessing) -> tuple[FactoryTarget, dict[str, Any]]:
    """Read ``module:factory``; the target and its provenance. Nothing is imported yet.

    Raises:
        TargetError: the text has another form, or the file does not exist.
    """
    module, _, factory = text.rpartition(":")
    parts = factory.split(".")
    if not module or not all(part.isidentifier() for part in parts):
        raise TargetError(f"{text} is refused: write module:factory or FILE.py:factory, such as mynet:make")
    if module.endswith(".py"):
        file = expanded(module).absolute()
        if not file.is_file():
            raise TargetError(f"{text}: there is no file {file}; check the path")
        module = str(file)
    forget()
    target = FactoryTarget(
        label=text, preprocessing=preprocessing, module=module, factory=factory, directory=Path.cwd()
    )
    return target, {"kind": "module:factory", "target": text}
