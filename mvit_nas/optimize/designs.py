"""The networks of a search space: what each is, what it costs without being run, what a surrogate sees of it."""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import StaticCost, count, features
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, Parameter, SearchSpace, adapt_preset
from mvit_nas.cost.predict import Features
from mvit_nas.errors import InvalidArchError
from mvit_nas.evaluate.static import static_values
from mvit_nas.study.record import Candidate, Measured

# Sums over the blocks that tell more of the accuracy than parameters and multiply-adds do. The number of activations is
# what NWOT (Mellor et al., arXiv 2006.04647) tells of an untrained network: experiments/schedule_fidelity.
_TELLING = ("activation.values", "pointwise.macs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """A setting of a space, the network that it means, and what that costs. Two with the same ``arch_id`` are one.

    ``arch`` is None in a space whose networks are not this project's. A preset has its ``name``; where it
    ``is_outside`` the space, its labels are only the nearest to it.
    """

    labels: Mapping[str, Label]
    arch: ArchConfig | None
    arch_id: str
    cost: StaticCost
    name: str = ""
    is_outside: bool = False

    @property
    def candidate(self) -> Candidate:
        """What a trial of it is about."""
        labels = {} if self.is_outside else dict(self.labels)
        return Candidate(arch=self.arch, arch_id=self.arch_id, name=self.name, labels=labels)


class Designs:
    """All designs of ``space``, whose networks tell so many ``classes`` apart."""

    def __init__(self, space: SearchSpace, *, classes: int) -> None:
        self.space = space
        self.classes = classes
        self._asked: dict[str, Features] = {}

    def describe(self, labels: Mapping[str, Label]) -> Design:
        """The network of ``labels`` with its cost. Raises InvalidArchError where the values do not fit together."""
        arch = self.space.arch(labels)
        return Design(labels=labels, arch=arch, arch_id=arch_id(arch), cost=count(arch, classes=self.classes))

    @functools.cached_property
    def presets(self) -> dict[str, Design]:
        """The published networks at the image size and strides of the space, by name; those with other stages not."""
        adapted = {name: adapt_preset(preset, self.space) for name, preset in PRESETS.items()}
        return {name: self._preset(name, arch) for name, arch in adapted.items() if arch is not None}

    def effective(self, labels: Mapping[str, Label]) -> Mapping[str, Label]:
        """Those of ``labels`` that have an effect beside the others."""
        return self.space.effective(labels)

    def values(self, design: Design) -> dict[str, Measured]:
        """What is counted of ``design``, by metric."""
        assert design.arch is not None
        return static_values(design.arch, classes=self.classes)

    def asked(self, arch: ArchConfig, identity: str) -> Features:
        """How much ``arch``, whose arch_id is ``identity``, asks of a machine, by kind of block."""
        if identity not in self._asked:
            self._asked[identity] = features(arch, classes=self.classes)
        return self._asked[identity]

    def features(self, design: Design) -> tuple[float, ...]:
        """What a surrogate sees of ``design``: its choices and its sizes, as many numbers for all."""
        encoded = [value for one in self.space.parameters for value in _encoded(one, design.labels[one.name])]
        assert design.arch is not None
        sums = self.asked(design.arch, design.arch_id)
        sizes = (design.cost.params, design.cost.macs, *(sums[name] for name in _TELLING))
        return (*encoded, *map(math.log, sizes))

    @property
    def groups(self) -> tuple[int, ...]:
        """To which group each feature belongs: the columns of one choice are one, each size is one."""
        columns = [len(_encoded(one, next(iter(one.choices)))) for one in self.space.parameters]
        columns += [1] * (2 + len(_TELLING))
        return tuple(group for group, number in enumerate(columns) for _ in range(number))

    def _preset(self, name: str, arch: ArchConfig) -> Design:
        labels = self.space.nearest_labels(arch)
        try:
            # Dropout is no factor, and the presets differ in it.
            nearest = arch_id(with_values(self.space.arch(labels), {"dropout": arch.dropout}))
        except InvalidArchError:
            nearest = ""
        identity = arch_id(arch)
        cost = count(arch, classes=self.classes)
        return Design(labels=labels, arch=arch, arch_id=identity, cost=cost, name=name, is_outside=nearest != identity)


def _encoded(parameter: Parameter, label: Label) -> list[float]:
    """Numbers by their rank, names each by itself."""
    labels = list(parameter.choices)
    if all(isinstance(known, int | float) for known in labels):
        return [sorted(labels).index(label) / max(1, len(labels) - 1)]
    return [float(label == known) for known in labels]
