"""Deterministic algorithms are for CUDA, for the training alone, and where torch has none that is said in one line."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch

from harness.errors import PluginFault, SettingError
from harness.runtime.determinism import WORKSPACE, deterministic, prepare_determinism
from harness.runtime.provenance import resume_of

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)  # a device that is only named needs not be there


def put() -> None:
    """Torch has no deterministic algorithm for this on any device."""
    torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


@pytest.fixture(autouse=True)
def no_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, "")  # so that what the tests set is taken back
    monkeypatch.delenv(WORKSPACE)


def test_on_cuda_they_are_used_in_the_body_alone() -> None:
    with deterministic(CUDA, wanted=True):
        assert torch.are_deterministic_algorithms_enabled()
        assert os.environ[WORKSPACE] == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize(("device", "wanted"), [(CPU, True), (CPU, False), (CUDA, False)])
def test_else_nothing_changes(device: torch.device, wanted: bool) -> None:
    with deterministic(device, wanted=wanted):
        assert not torch.are_deterministic_algorithms_enabled()
        put()
    prepare_determinism(CPU)
    assert WORKSPACE not in os.environ


def put_in_a_plugin() -> None:
    try:
        put()
    except RuntimeError as error:
        raise PluginFault("method 'mine' raised") from error


@pytest.mark.parametrize("operation", [put, put_in_a_plugin])
def test_an_operation_without_such_an_algorithm_is_refused_in_one_line(operation: Callable[[], None]) -> None:
    with pytest.raises(SettingError) as told, deterministic(CUDA, wanted=True):
        operation()
    assert str(told.value).startswith("--deterministic is refused: RuntimeError: put_ does not have a deterministic")
    assert "\n" not in str(told.value)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), PluginFault("broken"), SettingError("no")])
def test_any_other_error_passes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as told, deterministic(CUDA, wanted=True):
        raise error
    assert told.value is error


@pytest.mark.parametrize("value", [":4096:8", ":16:8"])
def test_a_workspace_of_the_user_s_stays(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, value)
    prepare_determinism(CUDA)
    assert os.environ[WORKSPACE] == value


def test_a_workspace_that_is_not_deterministic_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":0:0")
    with pytest.raises(SettingError, match="refused with CUBLAS_WORKSPACE_CONFIG=:0:0"):
        prepare_determinism(CUDA)
    prepare_determinism(CPU)


def test_which_of_both_holds() -> None:
    assert resume_of("cpu", deterministic=False) == resume_of("cpu", deterministic=True) == "exact"
    assert resume_of("cuda", deterministic=True) == "exact"
    assert resume_of("cuda", deterministic=False) == "same up to rounding"
