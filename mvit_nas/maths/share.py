"""The interval of a share. Needs no library, so that what starts quickly can say it."""

import math
from statistics import NormalDist

# Standard deviations on either side of an interval of 95 %.
_Z = NormalDist().inv_cdf(0.975)


def wilson(share: float, answers: float, *, quantile: float = _Z) -> tuple[float, float]:
    """The 95 % interval of a ``share`` of so many independent ``answers`` (Wilson 1927).

    ``answers`` need not be whole; ``quantile`` stands in for the normal one.
    """
    z = quantile
    centre = (share + z * z / (2 * answers)) / (1 + z * z / answers)
    half = z / (1 + z * z / answers) * math.sqrt(share * (1 - share) / answers + (z / (2 * answers)) ** 2)
    # At 0 and 1 rounding may leave the share itself just outside.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))
