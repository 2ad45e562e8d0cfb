"""The operators that blocks are made of, with what each of them computes and moves: no model is built.

The rules of counting are fvcore's, so that both agree to the last digit: a multiply-add is one, batch norm in
evaluation costs 2 for each element, layer norm 5, bilinear resizing 4 for each element that comes out; activations,
sums, softmax and pooling by a mean are free. Attention's two products are counted.
"""

from dataclasses import dataclass

# Processors compute this many numbers at once, and runtimes fill narrower widths up.
_LANES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """``times`` equal operators one after the other, with what one of them costs for one image.

    ``kind`` is "stem", "pointwise", "depthwise", "dense" (a 3x3 convolution among all channels), "activation", "add",
    "concatenate", "resize", "fold" (a map into patches or back: a copy, and none at patch size 1), "layer_norm",
    "linear", "attention" (both products, with the copies that bring heads together), "softmax" or "classifier" (with
    the mean over the map). A new kind needs no entry anywhere: predictors learn a price for each that they meet.

    ``padded_macs`` are the multiply-adds if the widths that do not divide by 16 were filled up, ``values`` the numbers
    that it reads and writes, and ``products`` the separate matrix products that attention falls into. ``alive`` are
    the activations that must be held while it runs: what comes in, what goes out, what a later operator still needs.
    """

    kind: str
    params: int = 0
    macs: int = 0
    padded_macs: int = 0
    values: int = 0
    products: int = 0
    alive: int = 0
    times: int = 1


def padded(width: int) -> int:
    """``width`` filled up to the numbers that processors compute at once."""
    return -(-width // _LANES) * _LANES


def conv(
    kind: str,
    in_channels: int,
    out_channels: int,
    *,
    kernel: int,
    side: int,
    side_before: int | None = None,
    kept: int = 0,
) -> Operator:
    """A convolution without bias and its batch norm; a depthwise one has one input channel for each output.

    ``kept``, here and below, are the activations that it does not touch and a later operator needs.
    """
    fan = 1 if kind == "depthwise" else in_channels
    padded_fan = fan if kind in ("depthwise", "stem") else padded(fan)
    weights, area = fan * out_channels * kernel * kernel, side * side
    touched = in_channels * (side_before or side) ** 2 + out_channels * area
    return Operator(
        kind=kind,
        params=weights + 2 * out_channels,
        macs=(weights + 2 * out_channels) * area,
        padded_macs=padded_fan * padded(out_channels) * kernel * kernel * area,
        values=weights + touched,
        alive=touched + kept,
    )


def linear(
    kind: str,
    in_features: int,
    out_features: int,
    *,
    tokens: int,
    times: int = 1,
    more_values: int = 0,
    kept: int = 0,
) -> Operator:
    """A linear layer with bias for each of ``tokens``; ``more_values`` are read besides."""
    weights = in_features * out_features
    touched = (in_features + out_features) * tokens + more_values
    return Operator(
        kind=kind,
        params=weights + out_features,
        macs=weights * tokens,
        padded_macs=in_features * padded(out_features) * tokens,
        values=weights + touched,
        alive=touched + kept,
        times=times,
    )


def activation(values: int, *, times: int = 1) -> Operator:
    """In place: it holds what the operator before it wrote."""
    return Operator(kind="activation", values=2 * values, alive=values, times=times)


def resize(dim: int, before: int, after: int, *, kept: int) -> Operator:
    """Bilinear, of a map of ``dim`` channels, between two sides."""
    touched = dim * (before * before + after * after)
    return Operator(kind="resize", macs=4 * dim * after * after, values=touched, alive=touched + kept)
