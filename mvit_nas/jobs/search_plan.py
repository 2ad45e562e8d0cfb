"""What ``mvit-nas search`` would do and take, from a real training step of two networks: ``--dry-run``."""

from dataclasses import dataclass

from mvit_nas.jobs.ending import trials_of
from mvit_nas.jobs.estimate import by_macs, training_seconds, try_step
from mvit_nas.jobs.prepare import prepare
from mvit_nas.jobs.setup import MEASURING_SECONDS
from mvit_nas.maths.forecast import Forecast, forecast
from mvit_nas.metrics import LATENCY
from mvit_nas.optimize.designs import Design
from mvit_nas.reporter import Reporter
from mvit_nas.results.within import SIMULATED
from mvit_nas.settings.commands import SearchSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedDesign:
    """A candidate of which one training step was tried."""

    arch_id: str
    params: int
    macs: int
    latency_ms: float | None
    step_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search would do. ``hours`` extrapolates the two tried steps linearly in multiply-adds.

    They are for ``trials``, which are foreseen with ``--trials auto``. ``forecast`` is what more of them would bring.
    """

    settings: int
    networks: int
    share_within_budget: float
    smallest: TriedDesign
    largest: TriedDesign
    steps: int
    trials: int
    hours: float
    memory_gib: float
    forecast: Forecast | None


def plan(settings: SearchSettings, *, reporter: Reporter) -> Plan:
    """What ``search`` would do and what it would take: one real training step of the smallest and largest candidate."""
    prepared = prepare(settings, reporter=reporter)
    setup, designs = prepared.setup, prepared.feasible.designs
    training, is_measured = setup.training, LATENCY.name in settings.objectives

    def tried(design: Design) -> tuple[TriedDesign, float]:
        assert design.arch is not None
        step, cost = try_step(training, design.arch), design.cost
        ms = setup.meter.latency(design.arch, classes=setup.classes).latency.median_ms if is_measured else None
        one = TriedDesign(
            arch_id=design.arch_id, params=cost.params, macs=cost.macs, latency_ms=ms, step_seconds=step.step_seconds
        )
        return one, step.peak_gib

    (smallest, _), (largest, peak_gib) = tried(designs[0]), tried(designs[-1])
    step_seconds = by_macs(*((one.macs, one.step_seconds) for one in (smallest, largest)))
    seconds = training_seconds(training, step_seconds(sum(one.cost.macs for one in designs) / len(designs)))
    trials = trials_of(settings)
    return Plan(
        settings=setup.space.settings(),
        networks=setup.space.networks(),
        share_within_budget=prepared.feasible.share,
        smallest=smallest,
        largest=largest,
        steps=training.schedule.steps(training.data.count("train")),
        trials=trials,
        hours=trials * (seconds + (MEASURING_SECONDS if is_measured else 0.0)) / 3600,
        memory_gib=peak_gib,
        forecast=forecast(trials) if settings.budgets and settings.sampler == SIMULATED else None,
    )
