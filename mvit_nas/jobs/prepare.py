"""What a search needs before its first trial, and the search itself, whichever process works on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mvit_nas.arch.config import ArchConfig
from mvit_nas.cost.latency import Latency
from mvit_nas.errors import DeviceError
from mvit_nas.evaluate.cache import share
from mvit_nas.evaluate.estimator import Estimator
from mvit_nas.evaluate.inherit import Inheriting
from mvit_nas.evaluate.latency import LatencyMeter
from mvit_nas.evaluate.rungs import EarlyStopping
from mvit_nas.jobs.begun import with_start
from mvit_nas.jobs.cores import measuring
from mvit_nas.jobs.folders import Folders, folders_of, known_schedule, known_space
from mvit_nas.jobs.learned import learned
from mvit_nas.jobs.provenance import images_of
from mvit_nas.jobs.setup import COARSE, Setup, find_images, find_space, further_meters, set_up
from mvit_nas.metrics import LATENCY, MACS, PARAMS, SCORES, metrics_of
from mvit_nas.optimize.candidates import Candidates, Goal
from mvit_nas.optimize.designs import Designs
from mvit_nas.optimize.earlier import Earlier
from mvit_nas.optimize.loop import Limits, Search
from mvit_nas.optimize.within_budget import Feasible, presets_within, sample_feasible
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import SearchSettings
from mvit_nas.settings.parse import default_name
from mvit_nas.settings.study_file import Found
from mvit_nas.study.record import Record
from mvit_nas.study.store import Store

# The dearest candidate's latency times this is where the hypervolume's axis of latency begins.
_LATENCY_MARGIN = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything that a search needs before the first trial. ``further`` measure the front, by runtime."""

    settings: SearchSettings
    found: Found
    folders: Folders
    setup: Setup
    designs: Designs
    feasible: Feasible
    earlier: Earlier | None
    further: Mapping[str, LatencyMeter]

    @property
    def needs_latency(self) -> bool:
        """Whether candidates are measured."""
        return LATENCY.name in (*self.settings.objectives, *(budget.metric for budget in self.settings.budgets))

    def load(self) -> None:
        """Read the images now: those that cannot be read, or not be kept, are no candidate's failure."""
        training = self.setup.training
        side = training.schedule.side(self.setup.space.base.image_size)
        training.train_part(side)
        training.scored_part("validation", side)


def prepare(settings: SearchSettings, *, reporter: Reporter) -> Prepared:
    """Read data and space, choose what was left open, and find what meets the budget. Says what it chose."""
    if settings.shared is not None:
        share(settings.shared)
    images = find_images(settings.data, reporter=reporter)
    name = settings.name or default_name(images.name, settings.budgets)
    folders = folders_of(name, settings.out)
    known = known_space(folders) if settings.resume else None
    space = find_space(settings.space, images, image_size=settings.image_size, known=known, reporter=reporter)
    begun = known_schedule(folders) if settings.resume else None
    setup = set_up(settings, images, space, known=begun, precision=COARSE, reporter=reporter)
    if settings.jobs_per_gpu is not None and setup.training.device.type != "cuda":
        raise DeviceError("--jobs-per-gpu: there is no CUDA GPU here: use --jobs")
    reporter.say(f"budget: {' and '.join(map(str, settings.budgets)) or 'none'}")
    designs = Designs(space, classes=setup.classes)
    feasible = sample_feasible(designs, settings.budgets, seed=settings.seed)
    later = "; latency is measured" if any(b.metric == LATENCY.name for b in settings.budgets) else ""
    reporter.say(
        f"        {100 * feasible.share:.3g} % of {feasible.drawn} settings drawn from the space are within it{later}"
    )
    middle = feasible.designs[len(feasible.designs) // 2].arch
    assert middle is not None, "what is within a budget is a network"
    setup = with_start(setup, middle, settings, which="a network of middling cost", reporter=reporter)
    earlier, digests = learned(settings, designs, reporter)
    found = Found(
        data={"name": images.name, "fingerprint": images.fingerprint},
        space_name=space.name,
        space=space.text,
        schedule=setup.training.schedule.to_dict(),
        more={
            "image_size": space.base.image_size,
            "init": setup.training.start,
            "learn_from": dict(digests) or None,
        },
    )
    settings = replace(settings, name=name, runtime=setup.meter.runtime.name)
    return Prepared(
        settings=settings,
        found=found,
        folders=folders,
        setup=setup,
        designs=designs,
        feasible=feasible,
        earlier=earlier,
        further=further_meters(settings, reporter),
    )


def candidates_of(prepared: Prepared) -> Candidates:
    """What the search may propose, and what it is for."""
    return Candidates(prepared.designs, prepared.feasible, _goal(prepared), earlier=prepared.earlier)


def limits_of(settings: SearchSettings) -> Limits:
    """When the search for new candidates ends."""
    return Limits(
        trials=settings.most_trials - settings.repeats,
        timeout_seconds=settings.searching_seconds,
        seed=settings.seed,
        sampler=settings.sampler,
        baseline=settings.baseline,
    )


def search_of(
    prepared: Prepared,
    store: Store,
    candidates: Candidates,
    limits: Limits,
    *,
    reporter: Reporter,
    on_record: Callable[[Record], None],
    should_stop: Callable[[], bool],
    is_done: Callable[[Sequence[Record]], bool],
) -> Search:
    """The search, which asks ``store`` for what is known."""
    setup, seed = prepared.setup, prepared.settings.seed

    def latency_of(arch: ArchConfig) -> Latency:
        with measuring():
            return setup.meter.latency(arch, classes=setup.classes).latency

    def progress_of(record: Record) -> int:
        assert record.candidate.arch is not None, "what is within the budget is a network"
        return setup.training.progress(record.candidate.arch, seed=seed)

    return Search(
        store,
        _estimator(prepared, candidates.goal),
        candidates,
        limits,
        latency_of=latency_of,
        reporter=reporter,
        on_record=on_record,
        should_stop=should_stop,
        is_done=is_done,
        progress_of=progress_of,
    )


def _estimator(prepared: Prepared, goal: Goal) -> Estimator:
    """Short trainings, which may inherit weights and may be stopped early."""
    settings, training = prepared.settings, prepared.setup.training
    estimator: Estimator = Inheriting(training) if settings.inherit else training
    return EarlyStopping(estimator, costs=goal.costs) if settings.early_stopping else estimator


def _goal(prepared: Prepared) -> Goal:
    """What the search is for; the worst corner of its box is chance and the budget, else the dearest that fits."""
    settings, setup = prepared.settings, prepared.setup
    designs = [*prepared.feasible.designs, *presets_within(prepared.designs, settings.budgets)]
    images = images_of(setup)
    reference = {
        **{metric.name: images.chance(metric) or 0.0 for metric in SCORES},
        PARAMS.name: float(max(design.cost.params for design in designs)),
        MACS.name: float(max(design.cost.macs for design in designs)),
    }
    if LATENCY.name in settings.objectives:
        dearest = max(designs, key=lambda design: design.cost.macs).arch
        assert dearest is not None
        latency = setup.meter.latency(dearest, classes=setup.classes).latency
        reference[LATENCY.name] = _LATENCY_MARGIN * latency.median_ms
    for budget in settings.budgets:
        if budget.metric in reference:
            reference[budget.metric] = min(reference[budget.metric], budget.high)
    return Goal(
        budgets=settings.budgets,
        objectives=metrics_of(settings.objectives),
        reference={name: reference[name] for name in settings.objectives},
    )
