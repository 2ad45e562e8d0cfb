"""What earlier searches tell of a candidate: their guess of its accuracy, where that ranks like what is trained now."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import kendalltau

from mvit_nas.maths.pareto import Floats
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.surrogate import Surrogate

# Kendall's tau, between the guesses and what the first networks of this search reached, from which on the earlier
# searches are believed. Data that are not alike give about 0.
_ALIKE = 0.5


class Earlier:
    """The trainings of earlier searches, whose images and schedule may be others."""

    def __init__(self, designs: Designs, studies: Sequence[Sequence[tuple[Design, float]]]) -> None:
        """Learn from the ``studies``, each of designs with their accuracies."""
        self._designs = designs
        self._guesses: dict[str, float] = {}
        # Each study's accuracies lie where they lie; what counts is which of its networks are better.
        centred = [(one, accuracy - np.mean([a for _, a in study])) for study in studies for one, accuracy in study]
        features = np.array([designs.features(one) for one, _ in centred], dtype=float)
        accuracies = np.array([accuracy for _, accuracy in centred])
        self._surrogate = Surrogate(features, accuracies, np.zeros(len(centred)), groups_F=designs.groups)

    def guesses(self, designs: Sequence[Design]) -> Floats:
        """[C]: the accuracy of each beyond the mean of the earlier ones."""
        new = {one.arch_id: one for one in designs if one.arch_id not in self._guesses}
        if new:
            features = np.array([self._designs.features(one) for one in new.values()], dtype=float)
            self._guesses |= dict(zip(new, self._surrogate.predict(features)[0].tolist(), strict=True))
        return np.array([self._guesses[one.arch_id] for one in designs])

    def agreement(self, designs: Sequence[Design], accuracies: Sequence[float]) -> float:
        """Kendall's tau between the guesses and what was reached; 0 where it is not defined."""
        if len(designs) < 2:
            return 0.0
        tau = float(kendalltau(self.guesses(designs), accuracies).statistic)
        return 0.0 if np.isnan(tau) else tau

    @staticmethod
    def believes(tau: float) -> bool:
        """Whether that agreement is enough to believe the earlier searches."""
        return tau >= _ALIKE
