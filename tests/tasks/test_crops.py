"""Crops of whole batches: what of the originals they show."""

import pytest
import torch

from mvit_nas.tasks.crops import centre_crops, random_crops


def gradient_image(height, width, side=64):
    """Red rises from left to right, green from top to bottom, over an image squashed to a square."""
    ramp = torch.linspace(0, 255, side)
    image = torch.zeros(side, side, 3)
    image[..., 0] = ramp[None, :]
    image[..., 1] = ramp[:, None]
    return image.round().to(torch.uint8)[None], torch.tensor([width / height])


@pytest.mark.parametrize(("height", "width"), [(100, 100), (100, 200), (150, 100)])
def test_a_centre_crop_is_the_largest_square_in_the_middle(height, width):
    images, aspects = gradient_image(height, width)
    crop = centre_crops(images, aspects, side=32)[0]
    red, green = (float(crop[c].max() - crop[c].min()) for c in (0, 1))
    # What the crop spans of each axis of the original: all of the shorter one.
    assert red == pytest.approx(min(1, height / width), abs=0.05)
    assert green == pytest.approx(min(1, width / height), abs=0.05)
    assert float(crop[0].mean()) == pytest.approx(0.5, abs=0.02)
    assert float(crop[1].mean()) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("height", "width"), [(100, 200), (200, 100)])
def test_random_crops_keep_proportions_and_stay_inside(height, width):
    images, aspects = gradient_image(height, width)
    images, aspects = images.expand(500, -1, -1, -1), aspects.expand(500)
    generator = torch.Generator().manual_seed(0)
    crops = random_crops(
        images, aspects, side=24, min_crop=0.2, flips=True, uniform_B5=torch.rand(500, 5, generator=generator)
    )
    assert crops.shape == (500, 3, 24, 24)
    across = (crops[:, 0, 12, -1] - crops[:, 0, 12, 0]) * 24 / 23  # signed: negative is mirrored
    down = (crops[:, 1, -1, 12] - crops[:, 1, 0, 12]) * 24 / 23
    ratio = across.abs() * width / (down * height)  # in pixels of the original
    area = across.abs() * down
    assert 0.7 < float(ratio.min()) < 0.8
    assert 1.28 < float(ratio.max()) < 1.4
    assert 0.18 < float(area.min()) < 0.25
    # The ratio bounds a crop where one side is twice the other: 4/3 over 2 of the area.
    assert 0.6 < float(area.max()) < 0.72
    assert 200 < int((across < 0).sum()) < 300
    for channel in (0, 1):  # a crop lies anywhere, to the left and right, up and down
        centres = crops[:, channel].mean((1, 2))
        assert float(centres.min()) < 0.4
        assert float(centres.max()) > 0.6
    assert float(down.min()) > 0


def test_without_flips_nothing_is_mirrored():
    images, aspects = gradient_image(100, 100)
    generator = torch.Generator().manual_seed(0)
    crops = random_crops(images.expand(200, -1, -1, -1), aspects.expand(200), side=8, min_crop=0.35, flips=False, uniform_B5=torch.rand(200, 5, generator=generator))  # fmt: skip
    assert bool((crops[:, 0, 4, -1] > crops[:, 0, 4, 0]).all())


def test_what_is_drawn_for_a_crop_is_drawn_apart():
    images, aspects = gradient_image(100, 100)
    B, generator = 4000, torch.Generator().manual_seed(0)
    crops = random_crops(
        images.expand(B, -1, -1, -1),
        aspects.expand(B),
        side=24,
        min_crop=0.1,
        flips=True,
        uniform_B5=torch.rand(B, 5, generator=generator),
    )
    width = (crops[:, 0, 12, -1] - crops[:, 0, 12, 0]) * 24 / 23
    height = (crops[:, 1, -1, 12] - crops[:, 1, 0, 12]) * 24 / 23
    # The centre, as a share of the way that a crop of this size can be moved.
    x, y = ((crops[:, c].mean((1, 2)) - 0.5) / (1.02 - size.abs()) for c, size in ((0, width), (1, height)))
    drawn = torch.stack([width.abs() * height, (width.abs() / height).log(), x, y, width.sign()])
    assert float((torch.corrcoef(drawn) - torch.eye(5)).abs().max()) < 0.06
    # Nor does an image draw what its neighbour draws.
    assert float(torch.corrcoef(torch.stack([x[1:], x[:-1]]))[0, 1].abs()) < 0.06
