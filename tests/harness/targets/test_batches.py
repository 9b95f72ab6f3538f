"""Networks that take few images at once, or so many alone: the passes are split, and the function is the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.errors import ModelFault
from tests.harness.targets.conftest import pixels
from tests.harness.targets.models import Change, Linear, gradient, prepared
from tests.tiny import draws


class Pieces(Change):
    """Takes few images at once; counts what it was given."""

    def __init__(self, allowed: set[int]) -> None:
        super().__init__(Linear())
        self.allowed, self.seen = allowed, list[int]()

    def forward(self, x: Tensor) -> Tensor:
        if len(x) not in self.allowed:
            raise RuntimeError(f"not built for {len(x)} images")
        self.seen.append(len(x))
        logits: Tensor = self.net(x)
        return logits


class TestBatches:
    @pytest.mark.parametrize(
        "allowed", [set(range(1, 9)), {1}, {4}, {2}, {5, 20}], ids=["at most 8", "one", "four", "two", "as it happens"]
    )
    @pytest.mark.parametrize("images", [1, 3, 20, 37])
    def test_images_go_through_in_as_many_passes_as_it_takes(
        self, allowed: set[int], images: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        model, x = prepared(Pieces(allowed)), torch.rand(40, 1, 8, 8, generator=draws(1))
        first = model(x)  # finds a size that goes through
        torch.testing.assert_close(first, Linear()(x).detach())
        torch.testing.assert_close(model(x[:images]), first[:images])
        torch.testing.assert_close(gradient(model, x[:images]), gradient(Linear(), x[:images]))
        assert capsys.readouterr().err.count("passes are split into") == 1

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            *((size, "no") for size in (16, 32, 50, 64, 100, 128, 200, 256)),
            *((size, f"expected shape[0] == {size}, got") for size in (3, 5, 7, 11, 300)),
        ],
    )
    def test_a_network_of_one_size_is_found_from_few_images(
        self, size: int, text: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class One(Pieces):
            def forward(self, x: Tensor) -> Tensor:
                assert len(x) == size, text
                logits: Tensor = super().forward(x)
                return logits

        network = One({size})
        model, x = prepared(network), torch.rand(40, 1, 8, 8, generator=draws(1))
        for images in (8, 1, 40, 20, size, 2 * size + 1):
            part = x.repeat(16, 1, 1, 1)[:images]
            torch.testing.assert_close(model(part), Linear()(part).detach())
            torch.testing.assert_close(gradient(model, part), gradient(Linear(), part))
        assert set(network.seen) == {size}
        told = "passes are split into" if size < 8 else "each pass is filled up to"
        assert capsys.readouterr().err.count(f"; {told} {size}\n") == 1

    def test_an_image_is_never_given_the_row_of_another(self) -> None:
        class Folds(Change):  # a batch of 32 written into its code: twice as many images give half as many rows each
            def forward(self, x: Tensor) -> Tensor:
                if len(x) in (8, 40):
                    raise RuntimeError("not built for so many; 24, 30, 32, 64")
                logits: Tensor = self.net(x)
                return logits.reshape(32, -1, 10).mean(1) if len(x) % 32 == 0 else logits.repeat(2, 1)[:32]

        x = torch.rand(40, 1, 8, 8, generator=draws(1))
        for images in (8, 40):
            torch.testing.assert_close(prepared(Folds(Linear()))(x[:images]), Linear()(x[:images]).detach())

    def test_no_larger_batch_is_tried_where_memory_is_wanting(self) -> None:
        seen = list[int]()

        class Hungry(Change):
            def forward(self, x: Tensor) -> Tensor:
                seen.append(len(x))
                raise torch.OutOfMemoryError("tried to allocate 64 of 79 MiB")

        with pytest.raises(ModelFault, match="OutOfMemoryError"):
            prepared(Hungry(Linear()))(pixels(n=6))
        assert max(seen) == 6

    def test_a_genuine_error_is_the_models_fault_and_its_cause(self) -> None:
        network = Pieces(set())
        model = prepared(network)
        for n in (6, 6, 1, 1):  # and again: a pass that failed for another reason decides nothing
            with pytest.raises(ModelFault, match=f"not built for {n} images") as raised:
                model(pixels(n=n))
            assert isinstance(raised.value.__cause__, RuntimeError)
            assert str(raised.value.__cause__) == f"not built for {n} images"
        network.allowed = {6}
        model(pixels())
        assert network.seen == [6]

    @pytest.mark.parametrize("settings", [{}, {"mean": (0.5,), "std": (0.25,)}], ids=["as they are", "normalised"])
    def test_a_try_that_wrote_into_its_images_leaves_those_of_the_next_alone(self, settings: dict[str, object]) -> None:
        class Limited(Change):
            def forward(self, x: Tensor) -> Tensor:
                x -= 0.3
                if len(x) > 8:
                    raise RuntimeError("at most 8")
                logits: Tensor = self.net(x + 0.3)
                return logits

        x = torch.rand(20, 1, 8, 8, generator=draws(1))
        first, plain = prepared(Limited(Linear()), **settings)(x), prepared(Linear(), **settings)
        torch.testing.assert_close(first, plain(x))
        found = gradient(prepared(Limited(Linear()), **settings), x)
        torch.testing.assert_close(found, gradient(plain, x))

    @pytest.mark.parametrize("first", [11, 15, 20, 37, 40])
    def test_the_passes_do_not_depend_on_which_batch_was_the_first_that_was_too_large(self, first: int) -> None:
        network = Pieces(set(range(1, 11)))
        model, x = prepared(network), torch.rand(40, 1, 8, 8, generator=draws(1))
        model(x[:first])
        for images, passes in ((10, [10]), (9, [9]), (40, [8] * 5), (12, [8, 4])):
            network.seen.clear()
            model(x[:images])
            assert network.seen == passes

    def test_a_size_that_goes_through_no_more_is_made_smaller(self) -> None:  # as when CUDA has less memory left
        network = Pieces({*range(1, 9)})
        model, x = prepared(network), torch.rand(20, 1, 8, 8, generator=draws(1))
        before = model(x)
        network.allowed = {1, 2}
        torch.testing.assert_close(model(x), before)

    def test_nothing_is_split_where_all_goes_through(self) -> None:
        network = Pieces(set(range(100)))
        prepared(network)(torch.rand(50, 1, 8, 8))
        assert network.seen == [50]
