"""The sizes of images that a network takes, and the refusal of others."""

from __future__ import annotations

from harness.errors import SettingError
from harness.plugin.network import Shape

SMALL = (8, 32)  # smallest and largest side that smallcnn takes
LARGE = (16, 96)  # of the residual networks: from a downscaled photograph to STL-10


def require_size(name: str, shape: Shape, sides: tuple[int, int], why: str = "") -> None:
    """Refuse images with a side outside a range; the refusal names a network that takes them, if one ships.

    Args:
        sides: smallest and largest.
        why: the network has this range, in words.
    Raises:
        SettingError: height or width is outside the range.
    """
    height, width = shape.height, shape.width
    if not _within(sides, height, width):
        smallest, largest = sides
        reason = f": {why}" if why else ""
        raise SettingError(
            f"{name} takes images of {smallest}x{smallest} to {largest}x{largest}, not {height}x{width}{reason}; "
            f"choose another --arch, {_advice(height, width)}"
        )


def _advice(height: int, width: int) -> str:
    if _within(SMALL, height, width):
        return f"such as smallcnn ({_range(SMALL)})"
    if _within(LARGE, height, width):
        return f"such as resnet18 ({_range(LARGE)})"
    return "one of your own with --plugin FILE.py, or resize the images (those of a folder with --image-size N)"


def _within(sides: tuple[int, int], height: int, width: int) -> bool:
    return all(sides[0] <= side <= sides[1] for side in (height, width))


def _range(sides: tuple[int, int]) -> str:
    return f"{sides[0]}x{sides[0]} to {sides[1]}x{sides[1]}"
