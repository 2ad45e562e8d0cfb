"""The moving average of a model."""

import torch
from torch import nn

from mvit_nas.training.checkpoint import Average


def test_the_moving_average_is_that_of_its_definition():
    model = nn.Linear(2, 1)
    first = model.weight.detach().clone()
    average = Average(model, 0.25)
    with torch.no_grad():
        model.weight += 4
        average.update(1000)
        model.weight += 4
        average.update(1001)
    average.swap()
    # 0.75 x (0.75 x first + 0.25 x (first + 4)) + 0.25 x (first + 8)
    torch.testing.assert_close(model.weight.detach(), first + 0.75 * 0.25 * 4 + 0.25 * 8)


def test_nothing_of_the_beginning_is_left_in_the_moving_average_of_a_short_training():
    model = nn.Linear(2, 1)
    average = Average(model, 0.0005)
    with torch.no_grad():
        model.weight += 1000
        for step in range(50):
            average.update(step)
    trained = model.weight.detach().clone()
    average.swap()
    torch.testing.assert_close(model.weight.detach(), trained, rtol=1e-6, atol=1e-3)
