"""A target that is the user's own code: ``module:factory``, or ``path/to/file.py:factory``."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from torch import nn

from harness.network import Shape
from harness.targets.errors import TargetError, told
from harness.targets.preprocessing import Preprocessing
from harness.targets.target import Target, quiet, seeded


@dataclass(frozen=True, kw_only=True)
class FactoryTarget(Target):
    """What a callable gives, a module class makes, or a module instance is.

    Attributes:
        module: its dotted name, or the path of its file, absolute.
        factory: the name in it, dotted where it is within a class.
        directory: from where it is imported, as the working directory was when it was opened.
        source_sha256: of the source files of the factory and of every class in the model.
    """

    module: str
    factory: str
    directory: Path
    source_sha256: str = ""

    def network(self, shape: Shape, plugins: tuple[Path, ...]) -> nn.Module:
        with _importing(self.directory), quiet():
            made = self._made()
        if not isinstance(made, nn.Module):
            raise TargetError(
                f"{self.label} gave a {type(made).__name__}; it must give a torch.nn.Module that takes images in [0, 1]"
            )
        if self.source_sha256 and self.source_sha256 != self._source(made):
            raise TargetError(f"the source of {self.label} changed since it was opened; run the command again")
        return made

    def architecture(self, network: nn.Module) -> tuple[str, dict[str, Any]]:
        """Of a plain ``nn.Sequential`` and its like the factory's name says more than the class's."""
        torchs = type(network).__module__.startswith("torch.")
        return (self.factory.rpartition(".")[2] if torchs else type(network).__name__), {}

    def seen(self, network: nn.Module) -> Self:
        """The target with the SHA-256 of its source."""
        return replace(self, source_sha256=self._source(network))

    def context(self) -> dict[str, Any]:
        return {"factory": self._qualified(), "source": self.source_sha256}

    def _made(self) -> object:
        found = self._found()
        if isinstance(found, nn.Module) or not callable(found):
            return found
        try:
            return found()
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            raise TargetError(
                f"{self.label}: calling it raised {told(error)}; it is called without arguments and must return a"
                " torch.nn.Module"
            ) from error

    def _found(self) -> object:
        module = self._imported()
        value: object = module
        for part in self.factory.split("."):
            try:
                value = getattr(value, part)
            except AttributeError:
                known = [name for name in vars(module) if not name.startswith("_")]
                near = difflib.get_close_matches(part, known, n=2, cutoff=0.5)
                hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "check its name"
                where = getattr(module, "__file__", None) or self.module
                raise TargetError(f"{self.label}: {where} has no {part!r}; {hint}") from None
        return value

    def _imported(self) -> ModuleType:
        try:
            with seeded():  # of its own: what an import draws must not depend on whether it happened before
                if self.module.endswith(".py"):
                    return _import_file(Path(self.module))
                return importlib.import_module(self.module)
        except (Exception, SystemExit) as error:
            raise TargetError(self._import_refusal(error)) from error

    def _import_refusal(self, error: BaseException) -> str:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and self.module.split(".")[0] == missing:
            stems = [file.stem for file in self.directory.glob("*.py")]
            near = difflib.get_close_matches(missing, stems, n=2, cutoff=0.5)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else "name an installed module, or a file: FILE.py:factory"
            )
            return f"{self.label}: there is no module {missing!r} in {self.directory} or installed; {hint}"
        clash = (missing or "").split(".")[0]
        own = f" (harness has a package {clash!r} of its own; rename yours)" if clash in ("attacks", "methods") else ""
        return f"{self.label}: importing {self.module} raised {told(error)}{own}; mend it, or check the name"

    def _qualified(self) -> str:
        module = Path(self.module).name if self.module.endswith(".py") else self.module
        return f"{module}:{self.factory}"

    def _source(self, made: nn.Module) -> str:
        """SHA-256 of the files that define the factory and the model's classes, torch's own left out."""
        with _importing(self.directory):
            found = self._found()
        definers = {found if callable(found) and not isinstance(found, nn.Module) else type(made)}
        definers |= {type(module) for module in made.modules()}
        files = {file for definer in definers if (file := _file_of(definer)) is not None}
        contents = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
        return hashlib.sha256("".join(contents).encode()).hexdigest()


def open_factory(text: str, preprocessing: Preprocessing) -> tuple[FactoryTarget, dict[str, Any]]:
    """Read ``module:factory``; the target and its provenance. Nothing is imported yet.

    Raises:
        TargetError: it is not written so, or the file is not there.
    """
    module, _, factory = text.rpartition(":")
    parts = factory.split(".")
    if not module or not all(part.isidentifier() for part in parts):
        raise TargetError(f"{text} is refused: write module:factory or FILE.py:factory, such as mynet:make")
    if module.endswith(".py"):
        file = Path(module).expanduser().absolute()
        if not file.is_file():
            raise TargetError(f"{text}: there is no file {file}; check the path")
        module = str(file)
    target = FactoryTarget(
        label=text, preprocessing=preprocessing, module=module, factory=factory, directory=Path.cwd()
    )
    return target, {"kind": "module:factory", "target": text}


def _file_of(definer: object) -> Path | None:
    """The source file of a class or a function; None for torch's, for built-in ones, and for those without a file."""
    if getattr(definer, "__module__", "").split(".")[0] == "torch":
        return None
    try:
        file = inspect.getsourcefile(definer)  # type: ignore[arg-type]  # what it cannot tell raises TypeError
    except TypeError:
        return None
    return Path(file) if file and Path(file).is_file() else None


@contextlib.contextmanager
def _importing(directory: Path) -> Iterator[None]:
    """Import from a directory first, as ``python -m`` does from the working directory; then no more.

    harness's own top-level packages are imported before, lest a folder ``attacks`` of the user's take their place.
    """
    importlib.import_module("attacks")
    importlib.import_module("methods")
    importlib.invalidate_caches()
    with _on_path(directory):
        yield


@contextlib.contextmanager
def _on_path(directory: Path) -> Iterator[None]:
    """Put a directory first on the search path; what the user's code puts there itself stays."""
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's code took it away
            sys.path.remove(str(directory))


def _import_file(file: Path) -> ModuleType:
    """Run a file as a module of its own name; its neighbours can be imported, as from a script."""
    name = f"harness_target_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _on_path(file.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
