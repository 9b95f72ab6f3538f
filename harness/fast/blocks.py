"""The input gradient of a convolution as a convolution that gives a block of pixels at once.

The gradient of a block of 2x2 pixels is 4 ``in`` numbers, which depend on a window of the outputs' gradient: of 4x4 for
a stride of 1, of 2x2 for a stride of 2. So one ordinary convolution with 4 ``in`` channels gives all blocks, and a copy
puts their pixels in place. oneDNN's own gradient computes as for 8 or 16 channels, however few there are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 2  # of a block
FEW, MANY_PIXELS = 3, 16 * 16  # with a stride of 1: channels that fill a vector of 16 with their blocks, and pixels
CHANNELS, PIXELS = 16, 8 * 8  # with a stride of 2, at most; beyond them oneDNN's own gradient is as fast


def pays(convolution: nn.Conv2d, height: int, width: int) -> bool:
    """Whether this module computes the input gradient faster on a CPU, for images of this size."""
    geometry = convolution.kernel_size, convolution.padding, convolution.dilation, convolution.groups
    whole = height % SIDE == 0 and width % SIDE == 0
    if geometry != ((3, 3), (1, 1), (1, 1), 1) or not whole:
        return False
    if convolution.stride == (1, 1):
        return convolution.in_channels == FEW and height * width >= MANY_PIXELS
    return convolution.stride == (2, 2) and convolution.in_channels <= CHANNELS and height * width <= PIXELS


def kernels(weight: Tensor, stride: int) -> Tensor:
    """The weights ``(out, in, 3, 3)`` as those of the blocks' convolution: ``(4 in, out, size, size)``, channels last.

    Pixel a of block i reads the output at ``(SIDE i + a + 1 - k) / stride`` by weight k, where that is whole. The other
    entries are zero.
    """
    first = -1 if stride == 1 else 0  # of the outputs that block 0 reads
    chosen = weight.new_zeros(SIDE, 4 // stride, 3)
    for pixel in range(SIDE):
        for k in range(3):
            if (pixel + 1 - k) % stride == 0:
                chosen[pixel, (pixel + 1 - k) // stride - first, k] = 1
    blocks = torch.einsum("adk,bel,ockl->abcode", chosen, chosen, weight)
    return blocks.flatten(0, 2).contiguous(memory_format=torch.channels_last)


def input_gradient(gradient: Tensor, blocks: Tensor, stride: int) -> Tensor:
    """The images' gradient, block by block, as a view ``(n, down, SIDE, across, SIDE, in)`` for a copy.

    Args:
        gradient: ``(n, out, height, width)`` of the outputs, with channels last.
        blocks: from ``kernels``.
    """
    if stride == 1:
        found = F.conv2d(gradient, blocks, stride=2, padding=1)
    else:
        found = F.conv2d(F.pad(gradient.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1)).permute(0, 3, 1, 2), blocks)
    n, channels, down, across = found.shape
    apart = found.permute(0, 2, 3, 1).reshape(n, down, across, SIDE, SIDE, channels // SIDE**2)
    return apart.permute(0, 1, 3, 2, 4, 5)
