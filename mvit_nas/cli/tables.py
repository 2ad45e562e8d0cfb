"""What a command prints on stdout for people."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from mvit_nas.cli.terminal import Terminal, show
from mvit_nas.errors import visible
from mvit_nas.maths.forecast import MOST
from mvit_nas.metrics import ACCURACY, COSTS, LATENCY, MACS, OBJECTIVES, PARAMS, Form, Metric, Source, score_of
from mvit_nas.units import format_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs import ablate, confirm, devices, latency, search, search_plan, train
    from mvit_nas.maths.statistics import Difference
    from mvit_nas.results.ablation.summary import Variant
    from mvit_nas.results.comparison.comparison import Comparison
    from mvit_nas.study.record import Measured, Record

_MOST_VERDICTS = 12
_MOST_CHANGES = 12


def print_front(outcome: "search.Outcome") -> None:
    """The front, the best within the budget, what more trainings would bring, and where the report lies."""
    from mvit_nas.results.within import forecast_words, within_words

    console = Terminal(highlight=False)
    print_networks("The front", outcome.front, outcome.objectives, outcome.further)
    if outcome.within:
        console.print(Text(f"\nBest: {within_words(outcome.within, score_of(outcome.objectives))}"))
    if outcome.forecast is not None:
        console.print(Text(forecast_words(outcome.forecast)))
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def print_networks(
    title: str, networks: "Sequence[Record]", objectives: "Sequence[Metric]", further: "Sequence[str]" = ()
) -> None:
    """The ``networks`` of a search with what it is for, and latencies by ``further`` runtimes."""
    shown = [metric for metric in OBJECTIVES if metric.source is Source.COUNTED or metric in objectives]
    table = new_table("network", "trial", *map(_title, shown), *further)
    table.columns[0].no_wrap = True
    for record in networks:
        name = f"{record.candidate.arch_id} {record.candidate.name}".strip()
        latencies = [record.measured(LATENCY.by(runtime)) for runtime in further]
        add_row(
            table,
            name,
            "-" if record.trial is None else str(record.trial),
            *(_value(metric, record.measured(metric)) for metric in shown),
            *("-" if found is None else LATENCY.format(found.value) for found in latencies),
        )
    console, count = Terminal(highlight=False), f"{len(networks)} network{'s' * (len(networks) != 1)}"
    noun = score_of(objectives).noun
    console.print(f"\n{title}, {count} (search-validation {noun} after the short training):")
    console.print(table)


def _title(metric: Metric) -> str:
    return metric.unit if metric is MACS else metric.option


def _value(metric: Metric, found: "Measured | None") -> str:
    """A number for a cell: with its unit, but for counts, and with its interval where it is a share."""
    if found is None:
        return "-"
    if metric.form is Form.SHARE and found.low is not None and found.high is not None:
        return f"{metric.format(found.value)} ({metric.cell(found.low)} to {metric.cell(found.high)})"
    return metric.cell(found.value) if metric.form is Form.COUNT else metric.format(found.value)


def new_table(first: str, *numbers: str, by_runtime: bool = False, title: str | None = None) -> Table:
    """A table whose first column, and the runtime's, is words; what is in the others is set right."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    table.add_column(first)
    if by_runtime:
        table.add_column("runtime", no_wrap=True)
    _add_numbers(table, *numbers)
    return table


def _add_numbers(table: Table, *titles: str) -> None:
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)


def add_row(table: Table, *cells: str) -> None:
    """Add ``cells`` to ``table``, whatever is in them."""
    table.add_row(*(Text(visible(cell)) for cell in cells))  # as text, since brackets in names mean nothing


def print_verdicts(outcome: "ablate.Outcome") -> None:
    """The verdict table, what to know of it, and where the report lies, on stdout."""
    summary = outcome.summary
    console = Terminal(highlight=False)
    table = new_table(" x ".join(summary.factors), summary.metric.noun, "difference (95 %)", "p Holm")
    table.add_column("verdict")
    same_params = len({variant.cost(PARAMS) for variant in summary.variants}) == 1
    costs = COSTS[1:] if same_params else COSTS
    _add_numbers(table, *(metric.unit if metric.form is Form.QUANTITY else _title(metric) for metric in costs))
    for variant in summary.variants:
        add_row(
            table,
            variant.value,
            _score_words(variant),
            _difference_words(variant.difference),
            _p_words(variant.p_holm),
            _verdict_words(variant),
            *("-" if (value := variant.cost(metric)) is None else metric.cell(value) for metric in costs),
        )
    seeds = f"{len(summary.seeds)} paired seed{'s' * (len(summary.seeds) != 1)}"
    console.print(
        f"\nDifferences from {outcome.base}, in points of {summary.metric.noun}, over {seeds} "
        "(the mean with its standard deviation):"
    )
    console.print(table)
    for line in _verdict_lines(outcome, same_params=same_params):
        console.print(Text(line))
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _verdict_lines(outcome: "ablate.Outcome", *, same_params: bool) -> Iterator[str]:
    summary = outcome.summary
    params = summary.base.cost(PARAMS)
    if same_params and params is not None:
        yield f"parameters: {PARAMS.cell(params)} in every variant"
    shown = [v.difference.detectable for v in summary.others if v.difference and v.difference.detectable is not None]
    if shown:
        ends = list(dict.fromkeys(f"{100 * value:.1f}" for value in (min(shown), max(shown))))
        seeds = f"{len(summary.seeds)} seed{'s' * (len(summary.seeds) != 1)}"
        size = f"{' to '.join(ends)} points or more{', by variant' * (len(ends) > 1)}"
        yield f"with {seeds} this could only have shown about {size} (80 % power)"
    for one in summary.interactions:
        difference = f"{_difference_words(one.difference)}, p {_p_words(one.p_holm)}"
        yield f"interaction {one.value}: {difference}: {one.verdict_words}"
    for left_out in outcome.left_out:
        yield f"left out: {', '.join(left_out.labels.values())}: {left_out.reason}"
    if outcome.stopped:
        yield outcome.stopped


def _verdict_words(variant: "Variant") -> str:
    """Its verdict, short enough for a table of 80 columns."""
    from mvit_nas.results.ablation.summary import Verdict

    return "none shown" if variant.verdict is Verdict.NOT_SHOWN else variant.verdict_words


def _score_words(variant: "Variant") -> str:
    if variant.score is None:
        return "-"
    return f"{100 * variant.score:.1f}" + ("" if variant.spread is None else f" ({100 * variant.spread:.1f})")


def _difference_words(difference: "Difference | None") -> str:
    if difference is None or difference.mean is None:
        return "-"
    words = f"{100 * difference.mean:+.1f}"
    if difference.low is None or difference.high is None:
        return words
    return f"{words} ({100 * difference.low:+.1f} to {100 * difference.high:+.1f})"


def _p_words(p: float | None) -> str:
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def print_confirmation(outcome: "confirm.Outcome") -> None:
    """The confirmed networks, which of them differ, the verdict, and where the page lies, on stdout."""
    from mvit_nas.results.search.confirmed import ledger_words, record_of, sentences

    found, view = outcome.confirmation, outcome.view
    table = new_table("network", "trial", "test accuracy", "in the search", _cost_title(view.cost))
    table.columns[0].no_wrap = True
    for one in found.networks:
        record = record_of(view, one.trial)
        searched, cost = (None if record is None else record.measured(each) for each in (ACCURACY, view.cost))
        test = "failed" if one.failure else _value(ACCURACY, one.accuracy)
        then = "-" if searched is None else ACCURACY.format(searched.value)
        add_row(table, one.label, str(one.trial), test, then, "-" if cost is None else view.cost.cell(cost.value))
    console = Terminal(highlight=False)
    console.print()
    console.print(table)
    shown = [pair for pair in found.pairs if pair.is_shown]
    for pair in shown[:_MOST_VERDICTS]:
        better, worse = (pair.first, pair.second) if pair.difference.value > 0 else (pair.second, pair.first)
        points, p = 100 * abs(pair.difference.value), _p_words(pair.p_holm)
        names = f"{found.network(better).label} is better than {found.network(worse).label}"
        console.print(Text(f"{names}: {points:.1f} points, p {p} (Holm)"))
    if found.pairs:
        rest = len(found.pairs) - len(shown)
        console.print(Text(f"of {len(found.pairs)} pairs {rest} {'has' if rest == 1 else 'have'} no difference shown"))
    for line in (*sentences(found), ledger_words(found), outcome.verdict):
        console.print(Text(f"\n{line}"))
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _cost_title(metric: Metric) -> str:
    return metric.unit if metric.form is Form.QUANTITY else _title(metric)


def print_confirm_plan(plan: "confirm.ConfirmPlan") -> None:
    """What ``confirm`` would do and take."""
    for label, trial in zip(plan.networks, plan.trials, strict=True):
        show(f"network   {label} (trial {trial})")
    show(f"runs      {len(plan.networks)} networks x {len(plan.seeds)} seeds = {plan.runs}")
    show(f"schedule  {plan.schedule}, {plan.epochs} epochs")
    for note in plan.notes:
        show(f"note      {note}")
    show(f"known     {plan.known} of them, from earlier runs")
    show(f"test part read {plan.looks} time{'s' * (plan.looks != 1)} so far")
    show(f"estimate  {format_seconds(plan.hours * 3600)}, {plan.memory_gib:.1f} GiB of memory")


def print_training_plan(plan: "train.TrainPlan") -> None:
    """What ``train`` would do and take."""
    show(f"model     {plan.name}, network {plan.arch_id}")
    show(f"schedule  {plan.schedule}, {plan.steps:,} steps{' in bfloat16' * plan.bf16}")
    show(f"estimate  {format_seconds(plan.hours * 3600)}, {plan.memory_gib:.1f} GiB of memory")


def print_training(outcome: "train.Outcome") -> None:
    """How well a trained network does, and where it lies."""
    trained = f"{outcome.epochs} epochs by the schedule {outcome.schedule}, {format_seconds(outcome.seconds)}"
    show(f"network     {outcome.arch_id}, {trained}")
    for part, found in (("validation", outcome.validation), ("test", outcome.test)):
        if found is not None and found.low is not None and found.high is not None:
            interval = f"{ACCURACY.interval(found.low, found.high)}, over images alone"
            show(f"{part:<12}{ACCURACY.format(found.value)} ({interval})")
    if outcome.test is None:
        show("test        not looked at; --test does")
    show(f"model       {outcome.folder}")


def print_comparison(comparison: "Comparison", page: Path) -> None:
    """The methods as a table, what was left out, and where the page lies, on stdout."""
    from mvit_nas.results.comparison.fronts_page import count_words, front_lines
    from mvit_nas.results.comparison.page import (
        gain_words,
        headline,
        like_random_sentences,
        percent_words,
        trainings_words,
        within_lines,
    )

    table = new_table("method", "seeds", "hypervolume")
    table.add_column("points (95 %)", justify="right")
    for method in comparison.methods:
        difference = "-" if method.gain is None else gain_words(method.gain)
        add_row(table, method.label, str(len(method.studies)), percent_words(method.mean), difference)
    console = Terminal(highlight=False)
    console.print(Text(f"\n{headline(comparison)}"))
    console.print(f"\nHypervolume after {trainings_words(comparison.trainings)} each:")
    console.print(table)
    for sentence in like_random_sentences(comparison):
        console.print(Text(sentence))
    if comparison.methods[0].within:
        within = new_table("the best within", comparison.score.noun, "points (95 %)")
        for part, found in itertools.groupby(within_lines(comparison), lambda line: line[0]):
            add_row(within, part, "", "")
            for _, label, score, gain, _ in found:
                add_row(within, f"  {label}", score, gain)
        console.print(f"\nThe budget is {' and '.join(comparison.studies[0].origin.budget_words)}:")
        console.print(within)
    if comparison.fronts is not None:
        fronts = comparison.fronts
        console.print(Text(f"\nThe front of {fronts.new} against that of {fronts.old}: {count_words(fronts)}"))
        lines = list(front_lines(fronts))
        for line in lines[:_MOST_CHANGES]:
            console.print(Text(f"  {line}"))
        if len(lines) > _MOST_CHANGES:
            console.print(f"  and {len(lines) - _MOST_CHANGES} more, on the page")
    for note in comparison.notes:
        console.print(Text(note))
    console.print(f"\npage: {page}", soft_wrap=True)


def print_latencies(outcome: "latency.Outcome") -> None:
    """The measured latencies as a table, what to know of them, and the verdicts, on stdout."""
    console = Terminal(highlight=False)
    with_accuracy = any(one.accuracy is not None for one in outcome.measurements)
    titles = ("ms (95 % interval)", "accuracy" if with_accuracy else "p90", "size", "delegated")
    table = new_table("network", *titles, by_runtime=True)
    for one in outcome.measurements:
        add_row(table, *_latency_cells(one, with_accuracy=with_accuracy))
    for line in _condition_lines(outcome):
        console.print(Text(line))
    console.print(table)
    if any(one.stages is not None for one in outcome.measurements):
        console.print(_stages_table(outcome))
    # Of many networks the neighbours say enough; the document has all.
    few = len(outcome.verdicts) <= _MOST_VERDICTS
    for verdict in outcome.verdicts:
        if not (few or verdict.neighbours):
            continue
        times = f"{verdict.ratio:.2f} of its time ({verdict.low:.2f} to {verdict.high:.2f})"
        console.print(Text(f"{verdict.runtime}: {verdict.words}: {times}"))


def _stages_table(outcome: "latency.Outcome") -> Table:
    rows = [one for one in outcome.measurements if one.stages is not None]
    names = list(dict.fromkeys(name for one in rows for name in one.stages or {}))
    titles = [name.removeprefix("stages.") for name in names]
    table = new_table("network", *titles, by_runtime=True, title="ms by stage")
    for one in rows:
        stages = one.stages or {}
        add_row(table, one.model, one.runtime, *(f"{stages[name]:.2f}" if name in stages else "-" for name in names))
    return table


def _latency_cells(one: "latency.Measurement", *, with_accuracy: bool) -> list[str]:
    runtime = one.runtime + " int8" * one.int8
    if one.measured is None:
        return [one.model, runtime, "not measured", "-", "-", "-"]
    time, artefact = one.measured.latency, one.measured.artefact
    marks = "*" * (time.contended or time.drifted or not time.agreed)
    share = artefact.quantised if one.int8 else artefact.delegated
    accuracy = "-" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
    return [
        one.model,
        runtime,
        f"{time.median_ms:#.3g}{marks} ({time.low_ms:#.3g} to {time.high_ms:#.3g})",
        accuracy if with_accuracy else f"{time.p90_ms:#.3g}",
        f"{artefact.size_bytes / 1e6:.1f} MB",
        "-" if share is None else f"{100 * share:.0f} %" + " int8" * one.int8,
    ]


def _condition_lines(outcome: "latency.Outcome") -> Iterator[str]:
    """What the numbers of the table hang on."""
    measured = [one for one in outcome.measurements if one.measured is not None]
    known = [(one.conditions, one.machine) for one in measured if one.conditions and one.machine]
    first, machine = known[0]
    clocks = {one.measured.latency.clock for one in measured if one.measured is not None}
    runtimes = ", ".join(dict.fromkeys(conditions.runtime for conditions, _ in known))
    yield f"{runtimes} on {first.target} ({machine.processor}; {machine.cores} cores; {machine.system})"
    yield (
        f"{first.threads} thread{'s' * (first.threads != 1)}, {' and '.join(sorted(clocks))} time, measured to ±"
        f"{100 * (first.precision or 0.0):g} %; p90 is of the wall time"
    )
    scales = {conditions.runtime_name: conditions for conditions, _ in reversed(known)}
    for name in dict.fromkeys(conditions.runtime_name for conditions, _ in known):
        scale = scales[name]
        yield (
            f"scale of {name}: {scale.reference} took {scale.reference_low_ms:#.3g} to "
            f"{scale.reference_high_ms:#.3g} ms here; {scale.reference_ms:#.3g} is taken"
        )
    latencies = [one.measured.latency for one in measured if one.measured is not None]
    flags = {
        "others held the core at times": any(latency.contended for latency in latencies),
        "the machine ran at another speed than before": any(latency.drifted for latency in latencies),
        "repetitions did not agree": not all(latency.agreed for latency in latencies),
    }
    if any(flags.values()):
        yield f"* {'; '.join(words for words, holds in flags.items() if holds)}"
    if any(one.int8 for one in measured):
        yield "int8 under delegated: the share of the convolutions and products that run in integers"
    if any(conditions.weight_bits == 7 for conditions, _ in known):
        yield "int8's weights have 7 bits: with 8 the sums would overflow on this processor, which has no VNNI"


def print_ablation_plan(plan: "ablate.AblationPlan") -> None:
    """What an ablation would do and take."""
    for one in plan.variants:
        words = one.value + " (base)" * one.base
        show(f"{words:<24} {PARAMS.format(one.params)}, {MACS.format(one.macs)}")
    show(f"runs      {len(plan.variants)} variants x {len(plan.seeds)} seeds = {plan.runs}")
    show(f"known     {plan.known} of them, from earlier runs")
    show(f"estimate  {format_seconds(plan.hours * 3600)}, {plan.memory_gib:.1f} GiB of memory")


def print_plan(plan: "search_plan.Plan", *, auto: bool) -> None:
    """What a search would do and take; ``auto``: its number of trials is foreseen."""
    from mvit_nas.results.within import forecast_words

    show(f"space      {plan.settings:,} settings, {plan.networks:,} networks")
    show(f"in budget  {100 * plan.share_within_budget:.3g} % of the settings")
    for label, tried in (("smallest", plan.smallest), ("largest", plan.largest)):
        parts = [PARAMS.format(tried.params), MACS.format(tried.macs)]
        if tried.latency_ms is not None:
            parts.append(LATENCY.format(tried.latency_ms))
        parts.append(f"{1000 * tried.step_seconds:.0f} ms a training step")
        show(f"{label:<10} {', '.join(parts)}")
    show(f"training   {plan.steps} steps for a candidate")
    trials = f"about {plan.trials} trials, {MOST} at most" if auto else f"{plan.trials} trials"
    show(f"estimate   {format_seconds(plan.hours * 3600)} for {trials}, {plan.memory_gib:.1f} GiB of memory")
    if plan.forecast is not None:
        show(f"then       {forecast_words(plan.forecast)}")


def print_devices(found: "Sequence[devices.Device]", hint: str) -> None:
    """Where latency could be measured, and what is missing to see more."""
    for device in found:
        show(device.target)
        for line in device.lines():
            show(f"  {line}")
    if hint:
        show(hint)
