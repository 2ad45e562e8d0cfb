"""How the fronts of two searches differ: which networks are new, lost, moved and kept, as data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mvit_nas.metrics import Metric
from mvit_nas.results.comparison.methods import Study
from mvit_nas.results.page import Json
from mvit_nas.results.view import front
from mvit_nas.study.record import Record


class Change(StrEnum):
    """What became of a network that is on one of two fronts; moved is one with other numbers than before."""

    NEW = "new"
    LOST = "lost"
    MOVED = "moved"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A network on the front of ``old``, of ``new`` or of both: its trial in each, None where it was not trained.

    ``why`` says in words why it is not on the other search's front; empty for what is on both.
    """

    change: Change
    old: Record | None
    new: Record | None
    why: str

    @property
    def record(self) -> Record:
        """The newest that is known of it."""
        record = self.new or self.old
        assert record is not None, "a member was trained in one of the two"
        return record


@dataclass(frozen=True, slots=True, kw_only=True)
class Fronts:
    """The fronts of two searches by ``objectives``: their ``members`` by change, the best of each first."""

    old: str
    new: str
    objectives: tuple[Metric, ...]
    members: tuple[Member, ...]

    def count(self, change: Change) -> int:
        """How many members changed so."""
        return sum(member.change is change for member in self.members)


def compare_fronts(old: Study, new: Study, *, objectives: tuple[Metric, ...]) -> Fronts:
    """How the front of ``new`` differs from that of ``old``, by ``objectives`` that both measured alike.

    A network is the same where its ``arch_id`` is; one without is never found in the other search.
    """
    before, after = (_Networks.of(study, objectives) for study in (old, new))
    found = [
        *(_member(key, before, after, objectives) for key in after.on_front),
        *(_member(key, before, after, objectives) for key in before.on_front if key not in after.on_front),
    ]
    order = list(Change)
    found.sort(key=lambda member: order.index(member.change))
    return Fronts(old=old.name, new=new.name, objectives=objectives, members=tuple(found))


def fronts_document(fronts: Fronts) -> dict[str, Json]:
    """The fronts as plain values, documented in docs/json.md."""
    members: list[Json] = [
        {
            "change": str(member.change),
            "arch_id": member.record.candidate.arch_id,
            "name": member.record.candidate.name,
            "why": member.why or None,
            "old": _numbers(member.old, fronts.objectives),
            "new": _numbers(member.new, fronts.objectives),
        }
        for member in fronts.members
    ]
    return {"old": fronts.old, "new": fronts.new, "members": members}


def _numbers(record: Record | None, objectives: Sequence[Metric]) -> Json:
    if record is None:
        return None
    return {"trial": record.trial, **{metric.name: record.value(metric) for metric in objectives}}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Networks:
    """What a search trained to the end, by network, and which of them are on its front, the best first."""

    study: Study
    trained: Mapping[object, Record]
    on_front: Mapping[object, Record]

    @classmethod
    def of(cls, study: Study, objectives: Sequence[Metric]) -> "_Networks":
        records = study.view.records
        keys: list[object] = [record.candidate.arch_id or (study.name, index) for index, record in enumerate(records)]
        trained = {key: record for key, record in zip(keys, records, strict=True) if record.is_complete}
        on_front = {keys[index]: records[index] for index in front(records, objectives, first=study.view.score)}
        # Where a network was trained more than once, the front's own trial speaks for it.
        return cls(study=study, trained={**trained, **on_front}, on_front=on_front)


def _member(key: object, before: _Networks, after: _Networks, objectives: Sequence[Metric]) -> Member:
    old, new = before.trained.get(key), after.trained.get(key)
    if key not in before.on_front:
        change, why = Change.NEW, _why_absent(after.on_front[key], old, before, objectives)
    elif key not in after.on_front:
        change, why = Change.LOST, _why_absent(before.on_front[key], new, after, objectives)
    else:
        moved = any(changed(before.on_front[key], after.on_front[key], objectives))
        change, why = (Change.MOVED if moved else Change.KEPT), ""
    return Member(change=change, old=old, new=new, why=why)


def changed(old: Record, new: Record, objectives: Sequence[Metric]) -> Iterator[Metric]:
    """Those of ``objectives`` whose value reads otherwise in ``new`` than in ``old``."""
    for metric in objectives:
        one, other = (None if value is None else metric.cell(value) for value in (old.value(metric), new.value(metric)))
        if one != other:
            yield metric


def _why_absent(member: Record, there: Record | None, other: _Networks, objectives: Sequence[Metric]) -> str:
    """Why ``member`` of one front is not on the ``other``, where its trial is ``there``."""
    ahead = _ahead(there or member, other, objectives)
    if there is None:
        return "not trained there" + (f"; {ahead} would beat it" if ahead else "")
    return f"beaten there by {ahead}" if ahead else "trained there"


def _ahead(record: Record, other: _Networks, objectives: Sequence[Metric]) -> str:
    """The best on the ``other`` front that is at least as good as ``record`` in all ``objectives``; empty for none."""
    for rival in other.on_front.values():
        pairs = [(metric.maximise, rival.value(metric), record.value(metric)) for metric in objectives]
        if all(a is not None and b is not None and (a >= b if more else a <= b) for more, a, b in pairs):
            return rival.label
    return ""
