"""Why a preset was not compared, and whether the paper's networks are quite the paper's in this space."""

from mvit_nas.arch.config import ArchConfig
from mvit_nas.arch.count import count
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import adapt_preset, fix_image_size
from mvit_nas.errors import ArchError
from mvit_nas.metrics import MACS, METRICS, PARAMS
from mvit_nas.results.view import StudyView
from mvit_nas.study.record import Record, State

_CLASSES = 1000  # of ImageNet-1K, where the study does not say its own


def why_not_compared(view: StudyView, name: str, words: str) -> str:
    """Why the preset ``name`` has no accuracy here: what it would cost, or how it ended, which ``words`` say."""
    ended: Record | None = next((one for one in reversed(view.records) if one.candidate.name == name), None)
    if ended is not None:
        return f"{words}: {ended.reason}" if ended.reason and ended.state is State.OVER_BUDGET else words
    arch = _adapted(view, name)
    if arch is None:
        return "not tried"
    cost = count(arch, classes=len(view.origin.images.classes) or _CLASSES)
    known = {PARAMS.name: float(cost.params), MACS.name: float(cost.macs)}
    for budget in view.origin.experiment.budgets:
        if budget.metric in known and budget.violation(known[budget.metric]) > 0:
            return f"{METRICS[budget.metric].format(known[budget.metric])}, the budget is {budget}"
    return "not tried"


def has_other_strides(view: StudyView) -> bool:
    """Whether the presets halve the map elsewhere in this space than in the paper."""
    presets = [PRESETS[name] for name in view.origin.presets if name in PRESETS]
    if view.space is None or not presets:
        return False
    return any(_strides(preset) != _strides(view.space.base) for preset in presets)


def _strides(arch: ArchConfig) -> list[int]:
    return [arch.stem.stride, *(stage.stride for stage in arch.stages)]


def _adapted(view: StudyView, name: str) -> ArchConfig | None:
    if view.space is None or name not in PRESETS:
        return None
    side = view.origin.experiment.image_size
    try:
        return adapt_preset(PRESETS[name], view.space if side is None else fix_image_size(view.space, side))
    except ArchError:
        return None
