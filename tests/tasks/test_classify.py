"""Classification: crops, loss and score, as the training loop asks for them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mvit_nas.maths.share import Accuracy
from mvit_nas.tasks.classify import Classification
from mvit_nas.tasks.crops import centre_crops

TASK = Classification(classes=3)


@dataclass(frozen=True)
class Part:
    pixels_NHWC: np.ndarray
    aspects_N: np.ndarray
    labels_N: np.ndarray


@pytest.fixture
def batch():
    """Images that are red on the left and green on the right, so that a mirrored one is seen."""
    pixels = np.zeros((64, 16, 16, 3), np.uint8)
    pixels[:, :, :8, 0] = pixels[:, :, 8:, 1] = 255
    part = Part(pixels, np.linspace(0.5, 2, 64).astype(np.float32), np.arange(64) % 3)
    return TASK.take(part, np.arange(64), device=torch.device("cpu"))


def augmented(batch, augmentation):
    generator = torch.Generator().manual_seed(0)
    return TASK.augmented(
        batch, side=8, augmentation=augmentation, min_crop=0.8, uniform_B5=torch.rand(64, 5, generator=generator)
    )


def test_images_are_taken_with_their_own_aspects_and_labels():
    part = Part(
        np.arange(48).reshape(4, 2, 2, 3).astype(np.uint8), np.array([1.0, 2.0, 3.0, 4.0]), np.array([5, 6, 7, 8])
    )
    batch = TASK.take(part, np.array([1, 3]), device=torch.device("cpu"))
    assert batch.images_BHWC.flatten().tolist() == [*range(12, 24), *range(36, 48)]
    assert (batch.aspects_B.tolist(), batch.targets_B.tolist()) == ([2.0, 4.0], [6, 8])


def test_without_augmentation_training_sees_the_middle_of_an_image(batch):
    inputs, targets = augmented(batch, "none")
    assert torch.equal(inputs, centre_crops(batch.images_BHWC, batch.aspects_B, side=8))
    assert torch.equal(targets, batch.targets_B)


def test_scoring_sees_every_pixel_as_it_is_stored():
    pixels = np.random.default_rng(3).permutation(256 * 3).reshape(2, 16, 8, 3) % 256
    part = Part(pixels.astype(np.uint8), np.array([0.5, 3.0]), np.array([1, 2]))
    inputs = TASK.seen(TASK.take(part, np.array([1]), device=torch.device("cpu")))
    assert inputs.shape == (1, 3, 16, 8)
    # To the last bit what dividing a single-precision number gives, which is what other image processors give.
    assert np.array_equal(inputs[0].numpy(), pixels[1].transpose(2, 0, 1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("augmentation", "mirrored"), [("crop", {False}), ("crop+flip", {False, True})])
def test_only_where_it_is_asked_for_images_are_mirrored(batch, augmentation, mirrored):
    inputs, targets = augmented(batch, augmentation)
    assert set((inputs[:, 0, :, 0].mean(1) < inputs[:, 0, :, -1].mean(1)).tolist()) == mirrored
    assert torch.equal(targets, batch.targets_B)


def test_the_loss_is_smoothed_cross_entropy_in_full_precision():
    logits, targets = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]]), torch.tensor([0, 1])
    log_p = logits.log_softmax(1)
    own = -log_p[torch.arange(2), targets].mean()
    torch.testing.assert_close(TASK.loss(logits, targets, label_smoothing=0.0), own)
    torch.testing.assert_close(TASK.loss(logits, targets, label_smoothing=0.3), 0.7 * own - 0.3 * log_p.mean())
    half = TASK.loss(logits.bfloat16(), targets, label_smoothing=0.0)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, F.cross_entropy(logits, targets), rtol=1e-2, atol=1e-2)


def test_counts_of_batches_add_up_to_the_score():
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0], [0.0, 5.0, 1.0], [0.0, 5.0, 1.0], [9.0, 5.0, 1.0]])
    targets = torch.tensor([0, 1, 1, 1, 2])
    counts = TASK.counts(logits[:3], targets[:3]) + TASK.counts(logits[3:], targets[3:])
    assert TASK.score(counts) == Accuracy(correct_K=(1, 2, 0), images_K=(1, 3, 1))


def test_counts_are_by_the_class_that_an_image_is_of_and_not_by_what_it_is_taken_for():
    logits = F.one_hot(torch.tensor([1, 1, 1, 2, 0, 0])).float()
    counts = TASK.counts(logits, torch.tensor([1, 1, 0, 2, 2, 0]))
    assert TASK.score(counts) == Accuracy(correct_K=(1, 2, 1), images_K=(2, 2, 2))
    few = TASK.counts(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0]))
    assert few.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_an_image_of_a_rare_class_counts_more_in_the_loss():
    labels = np.array([0] * 6 + [1] * 3 + [2])
    weighing = TASK.weighing_classes(labels)
    assert weighing.weights_K == pytest.approx((10 / 18, 10 / 9, 10 / 3))
    assert TASK.weighing_classes(np.array([0, 0, 0, 2])).weights_K == pytest.approx((4 / 6, 0.0, 2.0))
    logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0], [1.0, 1.5, 0.0]])
    targets = torch.tensor([0, 1, 2])
    each = [float(TASK.loss(logits[i : i + 1], targets[i : i + 1], label_smoothing=0.1)) for i in range(3)]
    by_hand = sum(weight * loss for weight, loss in zip(weighing.weights_K, each, strict=True)) / 3
    assert float(weighing.loss(logits, targets, label_smoothing=0.1)) == pytest.approx(by_hand)
    # Over all images the weights are 1 in the mean, and in each class the same in sum.
    weights = np.array(weighing.weights_K)[labels]
    assert weights.mean() == pytest.approx(1)
    assert [weights[labels == k].sum() for k in range(3)] == pytest.approx([10 / 3] * 3)
