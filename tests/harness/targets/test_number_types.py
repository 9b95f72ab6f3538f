"""The types of numbers in a weights file: other floating types are read, quantised weights are refused."""

from __future__ import annotations

import pytest
import torch

from tests.harness.targets.conftest import Opens, Refusal, logits, pixels, trained
from tests.harness.targets.given import expected, state


class TestPrecision:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
    def test_other_floats_become_float32_and_it_is_told(self, dtype: torch.dtype, opens: Opens) -> None:
        lower = {k: t.to(dtype) if t.is_floating_point() else t for k, t in state().items()}
        torch.save(lower, "net.pt")
        opened = opens("net.pt")
        assert opened.provenance["converted_to_float32"] == [str(dtype).removeprefix("torch.")]
        reference = trained()
        reference.load_state_dict({k: t.float() if t.is_floating_point() else t for k, t in lower.items()})
        with torch.no_grad():
            torch.testing.assert_close(logits(opened, pixels()), reference(pixels()), rtol=0, atol=0)

    def test_float32_is_not_told(self, opens: Opens) -> None:
        torch.save(state(), "net.pt")
        assert "converted_to_float32" not in opens("net.pt").provenance

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_not_finite(self, value: float, refusal: Refusal) -> None:
        weights = state()
        weights["3.weight"][0, 0, 0, 0] = value
        torch.save(weights, "net.pt")
        assert "3.weight has NaN or infinity in it; take another checkpoint" in refusal("net.pt")


QUANTISED = [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool, torch.float8_e4m3fn]


class TestOtherNumbers:
    """``load_state_dict`` copies and casts: weights times 100 as int8 would be other weights, without a word."""

    @pytest.mark.parametrize("dtype", QUANTISED, ids=str)
    def test_quantised_weights_are_refused_naming_the_first(self, dtype: torch.dtype, refusal: Refusal) -> None:
        torch.save({k: (t * 100).to(dtype) if t.is_floating_point() else t for k, t in state().items()}, "net.pt")
        for key in ("", ":."):
            line = refusal(f"net.pt{key}")
            kind = str(dtype).removeprefix("torch.")
            assert f"net.pt{key}: 0.weight is {kind}, and the network computes in floating point" in line

    @pytest.mark.parametrize("name", ["3.weight", "11.bias", "4.running_var"])
    def test_so_is_one_among_others(self, name: str, refusal: Refusal) -> None:
        torch.save({"model": {**state("module."), f"module.{name}": state()[name].int()}}, "net.pt")
        assert f"module.{name} is int32, and the network" in refusal("net.pt")

    def test_complex_ones_are_refused(self, refusal: Refusal) -> None:
        torch.save({**state(), "11.bias": state()["11.bias"].to(torch.complex64)}, "net.pt")
        assert "11.bias is torch.complex64" in refusal("net.pt")

    @pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float32, torch.float64], ids=str)
    def test_a_counter_of_batches_may_have_any(self, dtype: torch.dtype, opens: Opens) -> None:
        torch.save({k: t if t.is_floating_point() else t.to(dtype) for k, t in state().items()}, "net.pt")
        torch.testing.assert_close(logits(opens("net.pt"), pixels()), expected(), rtol=0, atol=0)

    def test_a_quantised_copy_is_no_equal_one(self, opens: Opens, refusal: Refusal) -> None:
        whole = {k: t.round() if t.is_floating_point() else t for k, t in state().items()}
        torch.save({"model": whole, "ema": {k: t.to(torch.int8) for k, t in whole.items()}}, "net.pt")
        assert refusal("net.pt").endswith("say which one: net.pt:model or net.pt:ema")
        assert "0.weight is int8" in refusal("net.pt:ema")
        opens("net.pt:model")
