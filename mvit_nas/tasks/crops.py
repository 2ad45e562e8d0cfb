"""Inputs of networks from whole batches, on the training device: as they are stored, or crops of them.

For crops the images come squashed to a square, with their aspect ratios beside them. A crop is chosen in the
proportions of the original and read through one affine grid, so that it comes out undistorted, and cropping, resizing
and flipping are one operation for the batch.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Augmentation = Literal["none", "crop", "crop+flip"]


def as_stored(images_BHWC: Tensor) -> Tensor:
    """Each image as a network is given it: float [B, 3, H, W] in [0, 1], to the last bit the quotient by 255."""
    return images_BHWC.permute(0, 3, 1, 2).float().div_(255)


def random_crops(
    images_BHWC: Tensor, aspects_B: Tensor, *, side: int, min_crop: float, flips: bool, uniform_B5: Tensor
) -> Tensor:
    """Random resized crops and, with ``flips``, random mirror images: float [B, 3, side, side] in [0, 1].

    ``images_BHWC`` is uint8, ``aspects_B`` width over height of the originals. Area from ``min_crop`` to 1 of the
    original, aspect ratio 3/4 to 4/3 (Szegedy et al. 2015, the basic augmentation of the paper). The
    ``uniform_B5`` numbers in [0, 1) decide the crop of each.
    """
    uniform_B5 = uniform_B5.to(images_BHWC.device)
    area_B = aspects_B * (min_crop + (1 - min_crop) * uniform_B5[:, 0])
    ratio_B = torch.exp((2 * uniform_B5[:, 1] - 1) * math.log(4 / 3))
    # A crop of this ratio that would leave the image (of height 1 and width aspect) becomes the largest that does not.
    area_B = torch.minimum(area_B, torch.minimum(ratio_B, aspects_B**2 / ratio_B))
    width_B = (area_B * ratio_B).sqrt() / aspects_B
    height_B = (area_B / ratio_B).sqrt()
    shift_x_B = (2 * uniform_B5[:, 2] - 1) * (1 - width_B)
    shift_y_B = (2 * uniform_B5[:, 3] - 1) * (1 - height_B)
    if flips:
        width_B = torch.where(uniform_B5[:, 4] < 0.5, -width_B, width_B)
    return _crop(images_BHWC, width_B, height_B, shift_x_B, shift_y_B, side)


def centre_crops(images_BHWC: Tensor, aspects_B: Tensor, *, side: int) -> Tensor:
    """The largest centred square of each original: float [B, 3, side, side] in [0, 1]."""
    width_B = (1 / aspects_B).clamp(max=1)
    height_B = aspects_B.clamp(max=1)
    nowhere_B = torch.zeros_like(aspects_B)
    return _crop(images_BHWC, width_B, height_B, nowhere_B, nowhere_B, side)


def _crop(images_BHWC: Tensor, width_B: Tensor, height_B: Tensor, x_B: Tensor, y_B: Tensor, side: int) -> Tensor:
    images_BCHW = as_stored(images_BHWC)
    zero_B = torch.zeros_like(width_B)
    rows = (torch.stack((width_B, zero_B, x_B), 1), torch.stack((zero_B, height_B, y_B), 1))
    grid = F.affine_grid(torch.stack(rows, 1), [len(width_B), 3, side, side], align_corners=False)
    return F.grid_sample(images_BCHW, grid, mode="bilinear", padding_mode="border", align_corners=False)
