"""What a search takes from earlier ones with ``--learn-from``."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.count import count
from mvit_nas.errors import InputError
from mvit_nas.metrics import Metric, metrics_of, score_of
from mvit_nas.optimize.designs import Design, Designs
from mvit_nas.optimize.earlier import Earlier
from mvit_nas.reporter import Reporter
from mvit_nas.results.page import counted
from mvit_nas.results.reading import report_folder
from mvit_nas.results.report import read_study
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.study.record import Record


def learned(settings: SearchSettings, designs: Designs, reporter: Reporter) -> tuple[Earlier | None, Mapping[str, str]]:
    """The earlier searches that are learned from, and the digest of each one's table; says how many networks they had.

    Raises InputError for a search that is not there, has another score, or has nothing trained.
    """
    score = score_of(metrics_of(settings.objectives))
    studies, digests = [], {}
    for text in settings.learn_from:
        folder = report_folder(text, settings.out)
        view = read_study(folder, text).view
        known = [(one.candidate.arch, one.value(score)) for one in view.trained]
        trained = [(_design(designs, arch), value) for arch, value in known if arch is not None and value is not None]
        if not trained:
            raise InputError(f"--learn-from {text}: has no trained network with {score.noun}")
        reporter.say(f"learns from {text}: {counted(len(trained), 'network')} on {view.origin.images.name}")
        studies.append(trained)
        digests[text] = _digest(folder)
    return (Earlier(designs, studies) if studies else None), digests


def agreement_words(earlier: Earlier, designs: Designs, records: Sequence[Record], score: Metric) -> str:
    """How well the earlier searches foresaw this one, by the networks of its space, which alone the sampler sees."""
    found = [(one.candidate.arch, one.value(score)) for one in records if one.is_complete and one.candidate.labels]
    known = [(_design(designs, arch), value) for arch, value in found if arch is not None and value is not None]
    tau = earlier.agreement([design for design, _ in known], [value for _, value in known])
    believed = "believed" if earlier.believes(tau) else "not believed"
    return (
        f"the earlier searches rank the {counted(len(known), 'network')} of this one with a Kendall's tau of "
        f"{tau:.2f}: they were {believed} at the end"
    )


def _design(designs: Designs, arch: ArchConfig) -> Design:
    """``arch``, which may lie beside the space: its choices are then the nearest ones, its sizes its own."""
    cost = count(arch, classes=designs.classes)
    return Design(labels=designs.space.nearest_labels(arch), arch=arch, arch_id=arch_id(arch), cost=cost)


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "results.csv").read_bytes()).hexdigest()[:12]
