"""The latency predictor against costs that are known, and the blocks that it reads."""

import random
import time

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from sure import sure
from torch import nn

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import features, operators
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import load_space
from mvit_nas.cost.predict import LEAST, fit
from mvit_nas.errors import InvalidArchError
from mvit_nas.nn.backbone import build

XS = PRESETS["mobilevit_xs"]


def draw(number, *, seed, keep=lambda arch: True):
    space, generator = load_space("mobilevit_small"), random.Random(seed)
    found: list[ArchConfig] = []
    while len(found) < number:
        try:
            arch = space.arch(space.draw(generator))
        except InvalidArchError:
            continue
        if keep(arch):
            found.append(arch)
    return found


def true_ms(arch):
    """A machine of its own prices: products by kind, filled up to 16 lanes, memory, and a start of each block."""
    nanoseconds = {"dense": 0.02, "pointwise": 0.03, "linear": 0.022, "depthwise": 0.15, "attention": 0.05, "stem": 0.1}
    return sum(
        block.times
        * (3000 + nanoseconds.get(block.kind, 0.0) * block.padded_macs + 0.3 * block.values + 100 * block.products)
        for block in operators(arch)
    ) / 1e6  # fmt: skip


def measure(archs, *, noise, seed, cost=true_ms):
    generator = np.random.default_rng(seed)
    return [features(arch) for arch in archs], [cost(arch) * generator.lognormal(0, noise) for arch in archs]


def learned(some, milliseconds):
    return sure(fit(some, milliseconds))


def relative(predictor, archs, cost=true_ms):
    truth = np.array([cost(arch) for arch in archs])
    return np.abs(predictor.predict([features(arch) for arch in archs]) / truth - 1)


@pytest.mark.parametrize(("measurements", "most"), [(10, 0.025), (20, 0.015), (60, 0.006)])
def test_unseen_networks_are_foreseen_and_better_from_more_measurements(measurements, most):
    unseen = draw(80, seed="unseen")
    errors, ranks = [], []
    for seed in range(3):
        predictor = learned(*measure(draw(measurements, seed=seed), noise=0.01, seed=seed))
        errors.append(np.median(relative(predictor, unseen)))
        foreseen = predictor.predict([features(arch) for arch in unseen])
        ranks.append(kendalltau(foreseen, [true_ms(arch) for arch in unseen]).statistic)
    assert np.mean(errors) < most
    assert measurements < 60 or min(ranks) > 0.95


@pytest.mark.parametrize(("noise", "measurements"), [(0.01, 30), (0.01, 60), (0.10, 60)])
def test_the_error_that_it_states_is_the_one_on_unseen_networks(noise, measurements):
    stated, stated_90, found, covered = [], [], [], []
    for seed in range(8):
        predictor = learned(*measure(draw(measurements, seed=seed), noise=noise, seed=seed))
        unseen = draw(60, seed=f"unseen {seed}")
        generator = np.random.default_rng(seed + 100)
        errors = relative(predictor, unseen, lambda arch, g=generator: true_ms(arch) * g.lognormal(0, noise))
        stated.append(predictor.error)
        stated_90.append(predictor.error_90)
        found.append(np.median(errors))
        covered.append(np.mean(errors <= predictor.error_90))
    assert np.mean(stated) == pytest.approx(np.mean(found), rel=0.35)
    assert np.mean(covered) > 0.85
    assert all(error < error_90 for error, error_90 in zip(stated, stated_90, strict=True))


def test_too_few_measurements_teach_nothing():
    some, milliseconds = measure(draw(LEAST, seed=0), noise=0, seed=0)
    assert fit(some[:-1], milliseconds[:-1]) is None
    assert fit([], []) is None
    assert fit(some, milliseconds) is not None


def test_more_of_everything_never_takes_less():
    predictor = learned(*measure(draw(40, seed=1), noise=0.05, seed=1))
    assert all(price >= 0 for price in predictor.prices_ms.values())
    for path, values in {
        "stages.*.mobilevit.depth": (1, 2, 3, 5),
        "stages.*.mobilevit.dim": (48, 96, 144, 192),
        "image_size": (64, 96, 128, 256),
        "stages.1.blocks": (1, 2, 4),
        "stages.*.kernel_size": (3, 5),
    }.items():
        foreseen = predictor.predict([features(with_values(XS, {path: value})) for value in values])
        assert list(foreseen) == sorted(foreseen), path
    assert foreseen[0] < foreseen[-1]


def test_a_kind_of_block_that_was_never_measured_is_free_and_known_ones_stay_right():
    without = draw(
        40, seed=2, keep=lambda arch: all(not s.mobilevit or s.mobilevit.patch_size == 1 for s in arch.stages)
    )
    predictor = learned(*measure(without, noise=0.01, seed=2))
    assert not any(name.startswith(("fold", "resize")) for name in predictor.prices_ms)
    others = draw(30, seed=3)
    foreseen = predictor.predict([features(arch) for arch in others])
    assert np.isfinite(foreseen).all()
    assert foreseen.min() > 0
    folded = [arch for arch in others if "fold.values" in features(arch)]
    assert np.median(predictor.predict([features(a) for a in folded]) / [true_ms(a) for a in folded]) < 1.02


def test_measuring_the_same_again_and_again_says_only_that():
    predictor = learned([features(XS)] * 12, [5.0] * 12)
    assert predictor.predict([features(XS)])[0] == pytest.approx(5.0, rel=0.01)
    assert predictor.error < 0.01
    twice = learned([features(XS)] * 12, [4.0, 6.0] * 6)
    assert 4 < twice.predict([features(XS)])[0] < 6
    assert twice.error == pytest.approx(0.22, abs=0.08)


def test_steps_that_the_features_do_not_know_show_in_the_stated_error():
    def stepped(arch):
        return true_ms(arch) * (1.5 if arch.stages[1].channels % 3 == 0 else 1.0)

    plain = learned(*measure(draw(60, seed=4), noise=0.01, seed=4))
    predictor = learned(*measure(draw(60, seed=4), noise=0.01, seed=4, cost=stepped))
    assert predictor.error_90 > 3 * plain.error_90
    assert predictor.error_90 > 0.8 * np.quantile(relative(predictor, draw(60, seed=5), stepped), 0.9)


def test_the_same_measurements_give_the_same_predictor_and_the_unit_goes_through():
    some, milliseconds = measure(draw(20, seed=6), noise=0.02, seed=6)
    predictor = learned(some, milliseconds)
    assert fit(some, milliseconds) == predictor
    tenfold = learned(some, [10 * ms for ms in milliseconds])
    assert tenfold.error == pytest.approx(predictor.error)
    assert tenfold.predict(some) == pytest.approx(10 * predictor.predict(some))


def test_learning_and_predicting_are_fast_enough_to_do_between_two_trials():
    some, milliseconds = measure(draw(100, seed=7), noise=0.01, seed=7)
    start = time.process_time()
    predictor = learned(some, milliseconds)
    fitted = time.process_time()
    predictor.predict(some * 50)
    assert fitted - start < 0.3
    assert time.process_time() - fitted < 0.5


def test_nothing_to_predict_is_no_error():
    assert learned(*measure(draw(12, seed=8), noise=0, seed=8)).predict([]).shape == (0,)


def test_blocks_are_the_modules_of_the_built_model_with_the_values_that_pass_them():
    kinds: dict[type[nn.Module], tuple[str, ...]] = {
        nn.Conv2d: ("stem", "pointwise", "depthwise", "dense"),
        nn.Linear: ("linear", "classifier"),
        nn.LayerNorm: ("layer_norm",),
        nn.SiLU: ("activation",),
    }
    for arch in draw(6, seed="built"):
        passed: dict[type[nn.Module], list[int]] = {kind: [] for kind in kinds}

        def note(module, inputs, output, passed=passed):
            weights = module.weight.numel() if isinstance(module, nn.Conv2d | nn.Linear) else 0
            passed[type(module)].append(weights + inputs[0].shape.numel() + output.numel())

        model = build(arch, classes=13).eval()
        for module in model.modules():
            if type(module) in kinds:
                module.register_forward_hook(note)
        with torch.no_grad():
            model(torch.zeros(1, 3, arch.image_size, arch.image_size))
        counted = [block for block in operators(arch, classes=13) for _ in range(block.times)]
        for kind, names in kinds.items():
            of_kind = [block.values for block in counted if block.kind in names]
            assert len(of_kind) == len(passed[kind])
            # The classifier's block reads the map that its mean is taken of.
            pooled = arch.head_channels * arch.map_sides(arch.image_size)[-1] ** 2 if kind is nn.Linear else 0
            assert sum(of_kind) == sum(passed[kind]) + pooled


def test_blocks_follow_the_architecture():
    def of(kind, arch=XS):
        return [block for block in operators(arch) if block.kind == kind]

    assert sum(b.times for b in of("linear")) == 4 * (2 + 4 + 3)
    assert len(of("depthwise")) == sum(stage.blocks for stage in XS.stages)
    assert sum(b.times for b in of("fold")) == 3 * 2
    # The second and third residual of stage 2 alone keep side and channels; each transformer layer adds twice.
    assert sum(b.times for b in of("add")) == 2 + 2 * (2 + 4 + 3)
    assert of("fold", with_values(XS, {"stages.*.mobilevit.patch_size": 1})) == []
    # A map of 8 px is not tiled by patches of 3, nor is one of 16 or 32.
    assert len(of("resize", with_values(XS, {"stages.*.mobilevit.patch_size": 3}))) == 6
    assert of("resize") == []
    assert of("concatenate", with_values(XS, {"stages.*.mobilevit.fusion": "none"})) == []
    # More heads cost no multiply-adds; they cost scores.
    few, many = (with_values(XS, {"stages.*.mobilevit.heads": heads}) for heads in (1, 8))
    assert [b.macs for b in of("attention", few)] == [b.macs for b in of("attention", many)]
    assert [8 * b.values for b in of("softmax", few)] == [b.values for b in of("softmax", many)]


def test_a_block_that_fills_the_lanes_pays_for_no_more_than_it_needs():
    # 96 divides by 16, 88 does not: both pay for 96.
    sizes = [with_values(XS, {"stages.*.mobilevit.dim": dim, "stages.*.mobilevit.depth": 1}) for dim in (96, 88)]
    linear = [next(block for block in operators(arch) if block.kind == "linear") for arch in sizes]
    assert linear[0].padded_macs == linear[0].macs
    assert linear[1].padded_macs > linear[1].macs
