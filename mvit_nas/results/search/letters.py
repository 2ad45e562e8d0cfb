"""What a person calls a network: a letter along the front, which holds within one page, and a few telling choices."""

from collections.abc import Mapping, Sequence

from mvit_nas.results.page import title
from mvit_nas.results.view import StudyView
from mvit_nas.study.record import Record

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_TELLING = 3  # choices in a description
# Choices of the shipped spaces as people say them; a factor of another space is said by its name.
_SAID = {
    "width": "{}",
    "dim": "transformers {}",
    "depth": "{} layers",
    "patch_size": "patch {}",
    "placement": "attention in stage {}",
    "heads": "{} heads",
    "mlp_ratio": "MLP ratio {}",
    "expand_ratio": "expansion {}",
    "kernel": "kernel {}",
    "fusion": "fusion {}",
}


def letters(count: int) -> tuple[str, ...]:
    """So many letters: "A" to "Z", then "AA", "AB"."""
    found = []
    for number in range(count):
        text, left = "", number
        while left >= 0:
            text, left = _ALPHABET[left % 26] + text, left // 26 - 1
        found.append(text)
    return tuple(found)


def names(view: StudyView) -> Mapping[int, str]:
    """What each record is called on a page: its letter on the front, the preset that it is, or its trial.

    A preset on the front has both, "B (mobilevit_xs)". They hold within one page: commands are given trials.
    """
    of_front = dict(zip(view.front, letters(len(view.front)), strict=True))
    return {index: name(record, of_front.get(index, "")) for index, record in enumerate(view.records)}


def name(record: Record, letter: str) -> str:
    """What ``record`` is called that has this ``letter``, "" where it has none."""
    preset = record.candidate.name
    if letter:
        return f"{letter} ({preset})" if preset else letter
    return preset or (record.label if record.trial is None else f"trial {record.trial}")


def descriptor(record: Record, factors: Sequence[str]) -> str:
    """The first three of ``factors`` with an effect in ``record``, in words: "xs, 2 layers in stage 4, patch 2"."""
    labels = record.candidate.labels
    told = [choice_words(factor, labels[factor]) for factor in factors if factor in labels and _acts(record, factor)]
    return ", ".join(told[:_TELLING])


def _acts(record: Record, factor: str) -> bool:
    """Whether the depth of a stage is that of a block which is there: tables of before have it of every stage."""
    kind, _, place = factor.partition(".stages.")
    arch = record.candidate.arch
    if arch is None or kind != "depth" or not place.isdigit() or int(place) >= len(arch.stages):
        return True
    return arch.stages[int(place)].mobilevit is not None


def choice_words(factor: str, label: object) -> str:
    """One choice as people say it: "2 layers in stage 4" for "depth.stages.3", whose stages are counted from 0."""
    kind, _, place = factor.partition(".")
    words = _SAID.get(kind, f"{title(kind)} {{}}").format(label)
    if str(label) == "1" and kind in ("depth", "heads"):
        words = words.removesuffix("s")
    if kind == "placement" and "," in str(label):
        words = words.replace("stage ", "stages ")
    return f"{words} in {title(place)}" if place else words
