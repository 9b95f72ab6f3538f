"""harness list: every plugin with its settings."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from harness.planning.assessment import with_attacks
from harness.protocols.protocol import load_protocol, protocol_names
from harness.registry.catalogue import discover
from tests.cli.conftest import Harness

KINDS = ("methods", "attacks", "datasets", "networks")


def shown(value: object) -> str:
    """A default as a person writes it."""
    if isinstance(value, (list, tuple)):
        return ",".join(shown(item) for item in value)
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


class TestList:
    @pytest.mark.parametrize("kind", KINDS)
    def test_json_is_the_registry(self, harness: Harness, kind: str) -> None:
        entries = json.loads(harness(f"list {kind} --json"))[kind]
        found = discover(kind).found
        assert [entry["name"] for entry in entries] == list(found)
        for entry in entries:
            cls = found[entry["name"]].cls
            assert entry["summary"] == cls.summary()
            assert entry.get("kind") == getattr(cls, "kind", None)
            fields = {field.name: field.default for field in dataclasses.fields(cls)}
            assert {setting["name"] for setting in entry["settings"]} == set(fields)
            for setting in entry["settings"]:
                default = fields[setting["name"]]
                assert ("default" in setting) == (default is not dataclasses.MISSING)
                assert default is dataclasses.MISSING or setting["default"] == default
                assert setting["meaning"]
                assert setting["type"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_text_tells_all_of_it(self, harness: Harness, kind: str) -> None:
        lines = [" ".join(line.split()) for line in harness(f"list {kind}").splitlines()]
        for name, found in discover(kind).found.items():
            start = next(i for i, line in enumerate(lines) if line.startswith(f"{name} {found.cls.summary()}"))
            settings = found.cls.describe()
            for info, line in zip(settings, lines[start + 1 :], strict=False):
                default = "(required)" if info.required else shown(info.default)
                words = f"{info.name} {default} {info.type} {info.meaning}".split()  # an empty default is no word
                assert line.split() == words

    @pytest.mark.parametrize("name", protocol_names())
    def test_a_protocol_with_every_setting(self, harness: Harness, name: str) -> None:
        protocol = load_protocol(name)
        whole, _ = with_attacks(protocol, discover("attacks"))
        (entry,) = [e for e in json.loads(harness("list protocols --json"))["protocols"] if e["name"] == name]
        assert (entry["summary"], entry["fingerprint"]) == (protocol.summary, whole.fingerprint)
        document = whole.document()
        tables = {"train": document["train"], "evaluation": document["evaluation"], **document["attacks"]}
        expected = {f"{table}.{key}": value for table, values in tables.items() for key, value in values.items()}
        wrapped = document.get("wrappers", {})
        expected |= {f"{wrapper}.{key}": value for wrapper, own in wrapped.items() for key, value in own.items()}
        later: dict[str, Any] = {
            "evaluation.epsilon": None,
            "evaluation.norm": None,
            "train.norm": "Linf",
            "train.schedule": "steps",
            "train.lr_rise": 0.4,
            "train.lr_warmup": 0.0,
            "train.momentum_low": None,
            "train.nesterov": False,
            "train.clip_norm": None,
            "train.epsilon_warmup": 0.0,
            "train.validation": 0,
            "train.validation_steps": 10,
            "train.augment": [],
            "train.cutout_length": 16,
            "train.cutmix_probability": 0.5,
            "train.extra": "",
            "train.extra_fraction": 0.7,
        }  # not in documents unless set
        expected = {"epsilon": document["epsilon"], **later, **expected}
        assert {setting["name"]: setting["default"] for setting in entry["settings"]} == expected
        assert all(setting["meaning"] for setting in entry["settings"])
        _, _, below = harness("list protocols").partition(f"{name}  {protocol.summary}")
        lines = [line.split() for line in below.splitlines()]
        for key, value in expected.items():
            levels = next((levels for levels in (2, 8, 128) if value == levels / 255), None)
            written = f"{levels}/255" if levels else shown(value)
            words = next(line for line in lines if line[:1] == [key])
            assert written in ("", words[1])  # no drops are written as nothing

    @pytest.mark.parametrize("kind", [*KINDS, "protocols"])
    def test_names_are_whole_at_80_columns(self, harness: Harness, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        output = harness(f"list {kind}")
        names = {s["name"] for e in json.loads(harness(f"list {kind} --json"))[kind] for s in e["settings"]}
        assert [name for name in sorted(names) if f"    {name} " not in output] == []
        assert "…" not in output
        assert max(len(line) for line in output.splitlines()) <= 80

    def test_every_method_and_attack_names_its_source(self, harness: Harness) -> None:
        for kind in ("methods", "attacks"):
            entries = json.loads(harness(f"list {kind} --json"))[kind]
            for entry in (entry for entry in entries if entry["name"] != "standard"):  # plain training has none
                sources = ("et al.", " & ", "paper", "Croce and Hein")
                assert any(word in entry["summary"] for word in sources), entry["name"]

    def test_a_broken_plugin_is_told_with_its_reason_and_breaks_nothing(
        self, harness: Harness, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (elsewhere / "mine").mkdir()
        (elsewhere / "mine" / "half_done.py").write_text("import nowhere_to_be_found\n")
        monkeypatch.setenv("HARNESS_PLUGINS", "mine")
        assert "mine/half_done.py: ModuleNotFoundError" in "".join(harness("list methods").split("\n"))
        document = json.loads(harness("list methods --json"))
        (broken,) = document["broken"]
        assert (broken["name"], "nowhere_to_be_found" in broken["reason"]) == ("half-done", True)
        assert "sat" in {entry["name"] for entry in document["methods"]}
