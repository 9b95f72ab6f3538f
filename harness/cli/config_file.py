"""What a project's configuration says of a command: defaults of its options, by table, and where things are.

The keys of a table are the names of the command's options, without the dashes in front. click looks at the command
line first, then at an option's environment variable, then at these defaults, then at the option's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.cli.config_values import read_value
from harness.errors import SettingError, UnknownName
from harness.locations import without_secrets_in
from harness.planning.configuration import Configuration, read_configuration
from harness.planning.places import PLACES, ConfiguredPlaces, overruled, read_places

NO_DEFAULTS = ("config", "db", "new", "note", "rm", "tag", "upgrade")
"""Commands that write or remove by themselves: nothing but the command line says what they do."""

TYPED_EACH_TIME = ("detach", "dry-run", "fresh", "grid", "until-separated")
"""Options that as a default would repeat all work, or do none; and a limit that is named for one question."""

_SHORT_FOR = re.compile(r"Short for --set ([\w.]+)=")  # in the help of an option

Table = Mapping[str, tuple[str, Any]]
"""What a table says: parameter -> the key, and the value as the option takes it."""


@dataclass(frozen=True)
class Option:
    """An option that a table may set: its key, its parameter of click, and the type of its value."""

    key: str
    parameter: Any
    hint: Any


@dataclass(frozen=True)
class FileDefaults:
    """What the configuration says of one command, checked.

    Attributes:
        tables: the words of a command -> its table.
        own: the table of this command.
        of_places: parameter -> path.
    """

    configuration: Configuration = field(default_factory=Configuration)
    places: ConfiguredPlaces = field(default_factory=lambda: ConfiguredPlaces({}))
    tables: Mapping[tuple[str, ...], Table] = field(default_factory=dict)
    own: Table = field(default_factory=dict)
    of_places: Mapping[str, str] = field(default_factory=dict)

    def get(self, parameter: str) -> Any:
        """The default of a parameter; None if there is none."""
        return self.own[parameter][1] if parameter in self.own else self.of_places.get(parameter)


def options_of(command: Any) -> Iterator[Option]:
    """The options of a command that are no places, and are no deeds."""
    hints = command.callback.__annotations__
    for parameter in command.params:
        long = next((name for name in parameter.opts if name.startswith("--")), None)
        key = (long or "").removeprefix("--")
        if long is not None and key != "help" and key not in TYPED_EACH_TIME and place_key(parameter) is None:
            yield Option(key, parameter, hints[parameter.name])


def place_key(parameter: Any) -> str | None:
    """The place that a parameter names: the one with the same variable; None if it is another option."""
    if parameter.name == "plugins":
        return "plugins"
    return next((place.key for place in PLACES if parameter.envvar == place.variable), None)


def read_defaults(command: Any, words: Sequence[str], group: Any) -> FileDefaults:
    """Read the configuration, check all of it, and take what it says of one command.

    Args:
        words: the command's name, such as ``["run"]`` or ``["export", "verdicts"]``.
        group: the program, whose commands the tables may name; None: only this command's table is checked.
    Raises:
        SettingError: a file cannot be read; or a table, a key, or a value is refused. One line that names the file.
    """
    configuration = read_configuration()
    places = read_places(configuration)
    tables = {key: value for key, value in configuration.content.items() if isinstance(value, Mapping)}
    checked = dict(_tables(tables, group, configuration, ())) if group is not None else {}
    of_places = {
        parameter.name: places.paths[key]
        for parameter in command.params
        if (key := place_key(parameter)) is not None and key in places.paths
    }
    return FileDefaults(configuration, places, checked, checked.get(tuple(words), {}), of_places)


def _tables(
    tables: Mapping[str, Any], group: Any, configuration: Configuration, above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Table]]:
    """Every table, checked, by the words of its command."""
    known = {name: command for name, command in group.commands.items() if name not in NO_DEFAULTS}
    for name, table in tables.items():
        words = (*above, name)
        title = f"{configuration.name}: [{'.'.join(words)}]"
        if name in NO_DEFAULTS and not above:
            raise SettingError(f"{title} is refused: `harness {name}` takes no defaults; give its options with it")
        if name not in known:
            raise SettingError(f"{configuration.name}: {UnknownName('table', '.'.join(words), known)}")
        if not isinstance(table, Mapping):
            raise SettingError(f"{title} = {table!r} is refused: it must be a table of options")
        if hasattr(known[name], "commands"):
            yield from _tables(table, known[name], configuration, words)
        else:
            yield words, _table(table, known[name], configuration, title)


def _table(table: Mapping[str, Any], command: Any, configuration: Configuration, title: str) -> Table:
    options = {option.key: option for option in options_of(command)}
    at_the_top = {"plugin": "plugins"} | {place.key: place.key for place in PLACES}
    found = {}
    for key, value in table.items():
        if key not in options and key in at_the_top:
            raise SettingError(
                f"{title}: {key} is refused: it is a place, the same for all commands; write {at_the_top[key]} at the"
                " top of the file, above the tables"
            )
        if key in TYPED_EACH_TIME:
            raise SettingError(f"{title}: {key} is refused: it is no default; give --{key} when you want it")
        if key not in options:
            raise SettingError(f"{title}: {UnknownName('key', key, options)}")
        option, place = options[key], (configuration, title)
        found[option.parameter.name] = (
            key,
            read_value(key, value, option.parameter, option.hint, *place),
        )
    return found


@dataclass
class Given:
    """Where the values of a command came from.

    Attributes:
        typed: what the command line gave, by parameter.
        counted: keys of the command's table whose values count, with these.
        notes: more lines for the user.
    """

    defaults: FileDefaults
    typed: Mapping[str, Any]
    counted: dict[str, Any]
    notes: list[str]

    @property
    def lines(self) -> list[str]:
        """What to tell the user: which values came from the file, and which of two sources holds."""
        counted = ", ".join(f"{key} = {said_of(value)}" for key, value in self.counted.items())
        return [*([f"{self.defaults.configuration.name}: {counted}"] if counted else []), *self.notes]

    @property
    def refusal(self) -> str:
        """What a refusal ends with: the user may not have typed what is refused."""
        if not self.counted:
            return ""
        return f" ({self.defaults.configuration.name} gives {', '.join(self.counted)})"


def _refuse_wrapped_twice(typed: Mapping[str, Any]) -> None:
    """Refuse a wrapper that is typed twice: it would count once, without a word. Of two ``--set`` the last holds."""
    wrappers = typed.get("wrap") or ()
    for name in wrappers:
        if wrappers.count(name) > 1:
            raise SettingError(f"--wrap {name} is given twice, and a wrapper counts once; leave one out")


def merge_defaults(context: Any, defaults: FileDefaults) -> Given:
    """Put what adds up into a parsed command: settings and plugins. Say which values of the file count.

    ``--set`` of the command line comes after the file's, so that it holds for the same key. A short form of the file,
    such as ``epochs``, gives way to ``--set train.epochs=N`` of the command line.
    """
    sources = {name: context.get_parameter_source(name) for name in context.params}
    from_line = {name for name, source in sources.items() if getattr(source, "name", "") == "COMMANDLINE"}
    typed = {name: context.params[name] for name in from_line}
    _refuse_wrapped_twice(typed)
    counted = {key: value for name, (key, value) in defaults.own.items() if name not in from_line}
    parameters = {parameter.name: parameter for parameter in context.command.params}
    if "values" in typed and "values" in defaults.own:
        context.params["values"] = [*defaults.own["values"][1], *typed["values"]]
        counted["set"] = defaults.own["values"][1]
    said = {text.partition("=")[0] for text in typed.get("values") or ()}
    for name in defaults.own.keys() - from_line:
        if said & _also_said_by(parameters[name]):
            context.params[name] = parameters[name].default
            del counted[defaults.own[name][0]]
    if defaults.places.plugins and "plugins" in context.params:
        context.params["plugins"] = [*defaults.places.plugins, *(context.params["plugins"] or ())]
    asked = [key for name in context.params if name not in from_line and (key := place_key(parameters[name]))]
    notes = [*filter(None, [defaults.configuration.note]), *overruled(defaults.places, defaults.configuration, asked)]
    return Given(defaults, typed, counted, notes)


def _also_said_by(parameter: Any) -> set[str]:
    """The keys of ``--set`` that mean the same as an option; it says so in its help."""
    short = _SHORT_FOR.search(parameter.help)
    return {short[1], short[1].rpartition(".")[2]} if short else set()


def said_of(value: Any) -> str:
    """A value for a note."""
    if isinstance(value, bool):
        return str(value).lower()
    value = without_secrets(value)
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def without_secrets(value: Any) -> Any:
    """A value without passwords: the address of a tracker may have one."""
    if isinstance(value, list):
        return [without_secrets(part) for part in value]
    return without_secrets_in(value) if isinstance(value, str) else value


class LazyDefaults(dict[str, Any]):
    """click's ``default_map`` of one command: the file is read when the first option is looked up.

    So ``--help`` reads no file, and shows the options' own defaults. A shell that completes gets what can be read.
    """

    def __init__(self, context: Any, read: Callable[[], FileDefaults]) -> None:
        super().__init__()
        self._context, self._read, self._completing = context, read, context.resilient_parsing
        self._known: FileDefaults | None = None

    @property
    def defaults(self) -> FileDefaults:
        """What the file says.

        Raises:
            SettingError: it is refused.
        """
        if self._known is None:
            try:
                self._known = self._read()
            except SettingError:
                if not self._completing:
                    raise
                self._known = FileDefaults()
        return self._known

    def get(self, name: str, default: Any = None) -> Any:
        if self._context.resilient_parsing and not self._completing:
            return default  # the help asks
        value = self.defaults.get(name)
        return default if value is None else value
