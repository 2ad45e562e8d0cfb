"""Classification: crops, loss and score, as the training loop asks for them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from sklearn.metrics import balanced_accuracy_score

from mvit_nas.tasks.classify import Accuracy, Classification
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


def test_the_interval_is_wilsons():
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for (correct, images), (low, high) in {
        (81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0.0, 0.1611), (1, 29): (0.0061, 0.1718),
    }.items():  # fmt: skip
        score = Accuracy(correct_K=(correct,), images_K=(images,))
        assert score.interval == pytest.approx((low, high), abs=5e-5)
        assert score.accuracy == correct / images
    assert Accuracy(correct_K=(20,), images_K=(20,)).interval[1] == 1


def test_counts_are_by_the_class_that_an_image_is_of_and_not_by_what_it_is_taken_for():
    logits = F.one_hot(torch.tensor([1, 1, 1, 2, 0, 0])).float()
    counts = TASK.counts(logits, torch.tensor([1, 1, 0, 2, 2, 0]))
    assert TASK.score(counts) == Accuracy(correct_K=(1, 2, 1), images_K=(2, 2, 2))
    few = TASK.counts(torch.tensor([[3.0, 0.0, 0.0]]), torch.tensor([0]))
    assert few.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_balanced_accuracy_is_the_mean_over_the_classes_that_are_there():
    generator = np.random.default_rng(0)
    truth = generator.choice([0, 1, 3], 200, p=[0.7, 0.25, 0.05])  # none of class 2
    said = np.where(generator.random(200) < 0.6, truth, generator.choice([0, 1, 3], 200))
    correct, images = (tuple(np.bincount(one, minlength=4).tolist()) for one in (truth[said == truth], truth))
    found = Accuracy(correct_K=correct, images_K=images)
    assert found.balanced == pytest.approx(balanced_accuracy_score(truth, said))
    assert found.balanced != pytest.approx(found.accuracy, abs=0.01)
    low, high = found.balanced_interval
    assert low < found.balanced < high
    # The interval knows that the rare class says little: the wider of the two.
    assert high - low > 1.2 * (found.interval[1] - found.interval[0])
    without = Accuracy(correct_K=(correct[0], correct[1], correct[3]), images_K=(images[0], images[1], images[3]))
    assert (without.balanced, without.balanced_interval) == (found.balanced, found.balanced_interval)


# Clothing's validation part, about, and shares from bad to good.
UNEVEN = np.array([17, 119, 40, 8, 75, 26, 22, 60, 35, 18])


@pytest.mark.parametrize(("images", "lowest", "highest"), [(UNEVEN, 0.15, 0.7), (UNEVEN, 0.8, 0.98), (UNEVEN, 0.1, 0.97), (np.full(60, 10), 0.2, 0.95)])  # fmt: skip
def test_the_interval_of_balanced_accuracy_covers_what_it_says(images, lowest, highest):
    truth = np.linspace(lowest, highest, len(images))
    drawn = np.random.default_rng(0).binomial(images, truth, (2000, len(images)))
    scores = [Accuracy(correct_K=tuple(row.tolist()), images_K=tuple(images.tolist())) for row in drawn]
    ends = np.array([one.balanced_interval for one in scores])
    inside = (ends[:, 0] <= truth.mean()) & (truth.mean() <= ends[:, 1])
    assert 0.93 <= inside.mean() <= 0.97
    # Neither side is what misses.
    assert max((ends[:, 0] > truth.mean()).mean(), (ends[:, 1] < truth.mean()).mean()) < 0.04


def test_with_one_answer_for_all_and_with_nothing_wrong_there_is_still_an_interval():
    for correct, share in (((9, 0, 0), 1 / 3), ((9, 3, 5), 1.0), ((0, 0, 0), 0.0)):
        found = Accuracy(correct_K=correct, images_K=(9, 3, 5))
        low, high = found.balanced_interval
        assert found.balanced == pytest.approx(share)
        assert 0 <= low <= found.balanced <= high <= 1
        assert high - low > 0.1


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
