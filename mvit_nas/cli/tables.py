"""What a command prints on stdout for people."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mvit_nas.metrics import ACCURACY, LATENCY, MACS, METRICS, PARAMS, metrics_of
from mvit_nas.units import format_count, format_seconds

if TYPE_CHECKING:
    from mvit_nas.jobs.ablate import AblationPlan
    from mvit_nas.jobs.ablate import Outcome as AblationOutcome
    from mvit_nas.jobs.latency import Measurement
    from mvit_nas.jobs.latency import Outcome as LatencyOutcome
    from mvit_nas.jobs.search import Outcome, Plan
    from mvit_nas.maths.statistics import Difference
    from mvit_nas.results.ablation.summary import Variant
    from mvit_nas.results.comparison.comparison import Comparison
    from mvit_nas.study.record import Record

_MOST_VERDICTS = 12


def _print_front(outcome: "Outcome", objectives: tuple[str, ...]) -> None:
    """The front as a table, and where the report lies, on stdout."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network", no_wrap=True)
    table.add_column("accuracy", justify="right", no_wrap=True)
    table.add_column("params", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    if "latency_ms" in objectives:
        table.add_column("latency", justify="right", no_wrap=True)
    further = _further(outcome.front)
    for runtime in further:
        table.add_column(runtime, justify="right", no_wrap=True)
    for row in outcome.front:
        low, high = row["accuracy_low"], row["accuracy_high"]
        cells = [
            f"{row['arch_id']} {row['name']}".strip(),
            f"{100 * row['accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})",
            format_count(row["params"]),
            format_count(row["macs"]),
        ]
        if "latency_ms" in objectives:
            cells.append(format_metric("latency_ms", row["latency_ms"]))
        for runtime in further:
            ms = row[f"latency_ms.{runtime}"]
            cells.append("-" if ms is None else format_metric("latency_ms", ms))
        table.add_row(*(Text(cell) for cell in cells))
    console = Console(highlight=False)
    console.print(f"\nThe front, {len(outcome.front)} networks (search-validation accuracy after the short training):")
    console.print(table)
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _further(front: list[dict[str, Any]]) -> list[str]:
    """The runtimes beside its own that a search timed its front on."""
    return [name.removeprefix("latency_ms.") for name in front[0] if name.startswith("latency_ms.")] if front else []


def _print_verdicts(outcome: "AblationOutcome") -> None:
    """The verdict table, what to know of it, and where the report lies, on stdout."""
    summary = outcome.summary
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(" x ".join(summary.factors))
    for title in ("accuracy", "difference (95 %)", "p Holm"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("verdict")
    same_params = len({variant.params for variant in summary.variants}) == 1
    for title in ("params", "MACs", "ms")[same_params:]:
        table.add_column(title, justify="right", no_wrap=True)
    for variant in summary.variants:
        cells = [
            variant.value,
            _accuracy_words(variant),
            _difference_words(variant.difference),
            _p_words(variant.p_holm),
            variant.verdict,
            *[
                "-" if value is None else words(value)
                for value, words in (
                    (variant.params, format_count),
                    (variant.macs, format_count),
                    (variant.latency_ms, lambda ms: f"{ms:#.3g}"),
                )
            ][same_params:],
        ]
        table.add_row(*(Text(cell) for cell in cells))
    seeds = len(summary.seeds)
    console.print(f"\nDifferences from {outcome.base}, in accuracy points, over {seeds} paired seeds:")
    console.print(table)
    for line in _verdict_lines(outcome, same_params=same_params):
        console.print(Text(line))
    console.print(f"\nreport: {outcome.report}", soft_wrap=True)


def _verdict_lines(outcome: "AblationOutcome", *, same_params: bool) -> Iterator[str]:
    summary = outcome.summary
    if same_params and summary.base.params is not None:
        yield f"parameters: {format_count(summary.base.params)} in every variant"
    shown = [v.difference.detectable for v in summary.others if v.difference and v.difference.detectable is not None]
    if shown:
        ends = list(dict.fromkeys(f"{100 * value:.1f}" for value in (min(shown), max(shown))))
        yield (
            f"smallest difference that {len(summary.seeds)} seeds would show with 80 % power: "
            f"{' to '.join(ends)} points{', by variant' * (len(ends) > 1)}"
        )
    for one in summary.interactions:
        yield f"interaction {one.value}: {_difference_words(one.difference)}, p {_p_words(one.p_holm)}: {one.verdict}"
    for left_out in outcome.left_out:
        yield f"left out: {', '.join(left_out.labels.values())}: {left_out.reason}"
    if outcome.stopped:
        yield outcome.stopped


def _accuracy_words(variant: "Variant") -> str:
    if variant.accuracy is None:
        return "-"
    return f"{100 * variant.accuracy:.1f}" + ("" if variant.spread is None else f" ± {100 * variant.spread:.1f}")


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


def _print_comparison(comparison: "Comparison", page: Path) -> None:
    """The methods as a table, what was left out, and where the page lies, on stdout."""
    from mvit_nas.results.comparison.page import gain_words, trainings_words

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("method")
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("hypervolume", justify="right", no_wrap=True)
    table.add_column("difference (95 %)", justify="right")
    for method in comparison.methods:
        difference = "-" if method.gain is None else gain_words(method.gain)
        cells = [method.label, str(len(method.studies)), f"{method.mean:.3f}", difference]
        table.add_row(*map(Text, cells))
    console = Console(highlight=False)
    console.print(f"\nHypervolume after {trainings_words(comparison.trainings)} each:")
    console.print(table)
    for note in comparison.notes:
        console.print(Text(note))
    console.print(f"\npage: {page}", soft_wrap=True)


def _print_latencies(outcome: "LatencyOutcome") -> None:
    """The measured latencies as a table, what to know of them, and the verdicts, on stdout."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network")
    table.add_column("runtime", no_wrap=True)
    with_accuracy = any(one.accuracy is not None for one in outcome.measurements)
    for title in ("ms (95 % interval)", "accuracy" if with_accuracy else "p90", "size", "delegated"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in outcome.measurements:
        table.add_row(*(Text(cell) for cell in _latency_cells(one, with_accuracy=with_accuracy)))
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


def _stages_table(outcome: "LatencyOutcome") -> Table:
    """Milliseconds by stage."""
    rows = [one for one in outcome.measurements if one.stages is not None]
    names = list(dict.fromkeys(name for one in rows for name in one.stages or {}))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="ms by stage", title_justify="left")
    table.add_column("network")
    table.add_column("runtime", no_wrap=True)
    for name in names:
        table.add_column(name.removeprefix("stages."), justify="right", no_wrap=True)
    for one in rows:
        stages = one.stages or {}
        cells = [one.model, one.runtime, *(f"{stages[name]:.2f}" if name in stages else "-" for name in names)]
        table.add_row(*map(Text, cells))
    return table


def _latency_cells(one: "Measurement", *, with_accuracy: bool) -> list[str]:
    """A row of the table."""
    runtime = one.runtime + " int8" * one.int8
    if one.measured is None:
        return [one.model, runtime, "not measured", "-", "-", "-"]
    latency, artefact = one.measured.latency, one.measured.artefact
    marks = "*" * (latency.contended or latency.drifted or not latency.agreed)
    share = artefact.quantised if one.int8 else artefact.delegated
    accuracy = "-" if one.accuracy is None else f"{100 * one.accuracy:.1f} %"
    return [
        one.model,
        runtime,
        f"{latency.median_ms:#.3g}{marks} ({latency.low_ms:#.3g} to {latency.high_ms:#.3g})",
        accuracy if with_accuracy else f"{latency.p90_ms:#.3g}",
        f"{artefact.size_bytes / 1e6:.1f} MB",
        "-" if share is None else f"{100 * share:.0f} %" + " int8" * one.int8,
    ]


def _condition_lines(outcome: "LatencyOutcome") -> Iterator[str]:
    """What the numbers of the table hang on."""
    measured = [one for one in outcome.measurements if one.measured is not None]
    first = measured[0].conditions
    clocks = {one.measured.latency.clock for one in measured if one.measured is not None}
    runtimes = ", ".join(dict.fromkeys(str(one.conditions["runtime"]) for one in measured))
    threads = first["threads"]
    yield f"{runtimes} on {first['target']} ({first['machine'].partition(';')[2].strip()})"
    yield (
        f"{threads} thread{'s' * (threads != 1)}, {' and '.join(sorted(clocks))} time, measured to ±"
        f"{100 * first['precision']:g} %; p90 is of the wall time"
    )
    for name in dict.fromkeys(one.runtime for one in measured):
        scale = next(one.conditions for one in measured if one.runtime == name)
        yield (
            f"scale of {name}: {scale['reference']} took {scale['reference_low_ms']:#.3g} to "
            f"{scale['reference_high_ms']:#.3g} ms here; {scale['reference_ms']:#.3g} is taken"
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


def _print_ablation_plan(document: Mapping[str, Any]) -> None:
    for variant in document["variants"]:
        words = variant["value"] + " (base)" * variant["base"]
        print(f"{words:<24} {format_metric('params', variant['params'])}, {format_metric('macs', variant['macs'])}")
    seeds = len(document["seeds"])
    print(f"runs      {len(document['variants'])} variants x {seeds} seeds = {document['runs']}")
    print(f"known     {document['known']} of them, from earlier runs")
    print(f"estimate  {format_seconds(document['hours'] * 3600)}, {document['memory_gib']:.1f} GiB of memory")


def _print_plan(plan: "Plan", trials: int) -> None:
    print(f"space      {plan.settings:,} settings, {plan.networks:,} networks")
    print(f"in budget  {100 * plan.share_within_budget:.3g} % of the settings")
    for label, tried in (("smallest", plan.smallest), ("largest", plan.largest)):
        cost = tried.design.cost
        parts = [format_metric("params", cost.params), format_metric("macs", cost.macs)]
        if tried.latency_ms is not None:
            parts.append(format_metric("latency_ms", tried.latency_ms))
        parts.append(f"{1000 * tried.step.step_seconds:.0f} ms a training step")
        print(f"{label:<10} {', '.join(parts)}")
    print(f"training   {plan.steps} steps for a candidate")
    print(f"estimate   {format_seconds(plan.hours * 3600)} for {trials} trials, {plan.memory_gib:.1f} GiB of memory")


