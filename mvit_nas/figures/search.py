"""The figures of a search: candidates on two axes, parallel coordinates, learning curves and hypervolume."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence

import plotly.graph_objects as go

from mvit_nas.errors import InputError, unknown
from mvit_nas.figures.style import (
    BLUE,
    COLOURS,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    Study,
    bars,
    lines_of,
    new_figure,
    scale,
    scaled,
    search_of,
)
from mvit_nas.figures.what_matters import explain
from mvit_nas.metrics import ACCURACY, METRICS, Form, Metric, Source
from mvit_nas.results.page import MISSING, axis_label, title
from mvit_nas.results.search.document import Line, factor_order, history, measured_metrics, shown_axes
from mvit_nas.results.search.findings import interval_words, said
from mvit_nas.results.view import StudyView
from mvit_nas.results.view import front as front_of
from mvit_nas.study.record import Record

# Epochs with the percent of right answers after them; a pair of None is a gap.
Curve = list[tuple[float | None, float | None]]
# Factors in the parallel coordinates, the most important, and values beyond which a number has a scale.
_MOST_FACTORS, _MOST_CATEGORIES = 8, 12
# Learning curves with a colour.
_MOST_COLOURED = len(COLOURS)
_OVER: Mapping[str, tuple[str, Callable[[Line], Sequence[float | None]]]] = {
    "trial": ("Trial", lambda line: line.trial),
    "trainings": ("Whole trainings", lambda line: line.trainings),
    "seconds": ("Time of all trials (s)", lambda line: line.seconds),
}


def front(study: Study, *, x: str | None = None, y: str | None = None) -> go.Figure:
    """The trained candidates of a search on two axes, with the front of these axes as a step line.

    ``x`` and ``y`` are columns of the table, such as "params", "latency_ms" or, by a further runtime,
    "latency_ms.executorch"; else the main cost and the score. The line steps away from each point towards what it
    beats. Of the others, those that the front of all objectives has are light blue, the rest grey; presets are
    diamonds, dashed lines budgets. Bars are 95 % intervals: an accuracy's is over the validation images alone, of a
    single training. A hover says all that is known of a candidate.
    """
    view = search_of(study, "front")
    metric_x, metric_y = _axes(view, x, y)
    both = [i for i in view.where(lambda r: r.is_complete) if _has(view.records[i], metric_x, metric_y)]
    if not both:
        raise InputError(
            f"{view.origin.study}: no candidate was trained that has both {metric_x.name} and {metric_y.name}"
        )
    figure = new_figure(
        list(_groups(view, both, metric_x, metric_y)),
        title=f"{_plain(metric_y, view)} against {_plain(metric_x, view)}",
        notes=[_scored(view), _bars_words(view, metric_x, metric_y)],
        x=html.escape(axis_label(metric_x, view.origin)),
        y=html.escape(axis_label(metric_y, view.origin)),
        legend=True,
    )
    figure.update_layout(legend_traceorder="reversed")  # the front first, which is drawn last
    figure.update_xaxes(**scale(metric_x))
    figure.update_yaxes(**scale(metric_y))
    _draw_budgets(figure, view, metric_x, metric_y)
    return figure


def parallel_coordinates(study: Study) -> go.Figure:
    """The trained candidates of a search as lines over its factors, its costs and, last, its score.

    The factors are the most important that vary, at most eight, their values in the order of the space; "-" where a
    factor has no effect. Lines are coloured by the score. Drag along an axis to keep a range, drag its name to move
    it. What lacks one of the numbers is left out; the line below the title counts them.
    """
    view = search_of(study, "parallel_coordinates")
    metrics = [metric for metric in measured_metrics(view) if not metric.aside and not metric.runtime]
    metrics.sort(key=lambda metric: metric == view.score)
    known = [record for record in view.trained if _has(record, *metrics)]
    if not known:
        raise InputError(f"{view.origin.study}: no candidate was trained that has all of its numbers")
    last = metrics[-1]
    known.sort(key=lambda record: record.value(last) or 0.0, reverse=last.is_cost)  # the best are drawn last, on top
    names = factor_order(view, explain(view))
    varied = [name for name in names if len({r.candidate.labels.get(name) for r in view.trained} - {None}) > 1]
    dimensions = [_factor_axis(view, known, name) for name in varied[:_MOST_FACTORS]]
    dimensions += [_metric_axis(known, metric) for metric in metrics]
    lines = {
        "color": dimensions[-1]["values"],
        "colorscale": "Viridis",
        "reversescale": last.is_cost,
        "showscale": True,
        "colorbar": {"title": {"text": axis_title(last)}},
    }
    counts = f"{len(known)} of {len(view.trained)} trained candidates"
    factors = f"{min(len(varied), _MOST_FACTORS)} of {len(varied)} factors that vary"
    figure = new_figure(
        [go.Parcoords(dimensions=dimensions, line=lines, labelangle=-20)],
        title=f"{_plain(last, view)}, with the factors and costs of each candidate",
        notes=[f"{_scored(view)}; {counts}, {factors}"],
    )
    figure.update_layout(width=1100, margin={"l": 90, "t": 150})
    return figure


def learning_curves(study: Study, *, trials: Sequence[int] | None = None) -> go.Figure:
    """How candidates of a search learned: the share of right answers after epochs of their one training.

    Those of ``trials`` have colours, or else the best six of the front; all others that were scored on their way are
    grey. On the way a part of the validation images is scored, at the end all of them.
    """
    view = search_of(study, "learning_curves")
    curves = {index: _curve(view.records[index], view) for index in view.by_trial}
    curves = {index: curve for index, curve in curves.items() if len(curve) > 1}
    if not curves:
        raise InputError(f"{view.origin.study}: no training was scored on its way")
    numbers = {view.records[index].trial: index for index in curves}
    for trial in trials or ():
        if trial not in numbers:
            raise InputError(f"{view.origin.study}: trial {trial} has no learning curve")
    chosen = [i for i in view.front if i in curves] if trials is None else [numbers[trial] for trial in trials]
    chosen = chosen[:_MOST_COLOURED] if trials is None else chosen
    gap: Curve = [(None, None)]
    # All of the others are one line with gaps, so that it costs no more than one.
    behind = [point for index, curve in curves.items() if index not in chosen for point in [*curve, *gap]]
    grey = {"color": GREY, "width": 1}
    traces = [_curve_line(behind, "other trainings", mode="lines", line=grey, opacity=0.4, hoverinfo="skip")]
    for place, index in enumerate(chosen):
        words = _name(view.records[index])
        hover = [lines_of(words, f"after epoch {epoch}: {percent:.1f} %") for epoch, percent in curves[index]]
        line = {"color": COLOURS[place % len(COLOURS)], "width": 2.5}
        look = {"mode": "lines+markers", "line": line, "hovertext": hover, "hoverinfo": "text"}
        traces.append(_curve_line(curves[index], words, **look))
    way = "points on the way are of a part of these images, the last of all"
    figure = new_figure(
        [trace for trace in traces if trace.x],
        title="Learning curves, a single training each",
        notes=[f"{_scored(view)}; {way}"],
        x="Epoch",
        y=f"Validation {view.score.noun} ({view.score.unit})",
        legend=True,
    )
    figure.update_xaxes(
        tickvals=sorted({epoch for curve in curves.values() for epoch, _ in curve if epoch is not None})
    )
    return figure


def hypervolume(study: Study, *, over: str = "trial") -> go.Figure:
    """How the front of a search grew: the percent of the box that it dominates, over "trial", "trainings" or "seconds".

    Where a share was drawn at random to compare with, the sampler and random sampling have lines of their own, each
    over its own trials. Accuracies are those of single short trainings, so the best of many are in part luck, and so
    is what they dominate.
    """
    view = search_of(study, "hypervolume")
    if over not in _OVER:
        raise InputError(f"over: {unknown(over, _OVER)}")
    words, along = _OVER[over]
    lines = history(view)
    if lines is None:
        raise InputError(f"{view.origin.study}: no hypervolume is known, without a trained candidate and a reference")
    traces = [
        go.Scatter(
            x=along(line),
            y=line.percent,
            name=html.escape(line.name),
            mode="lines",
            line={"shape": "hv", "width": 2.5, "color": COLOURS[place], "dash": ("solid", "dash", "dot")[place]},
            hovertemplate="%{x:.4~g}: %{y:.2f} %",
        )
        for place, line in enumerate(lines)
    ]
    worst = ", ".join(said(METRICS[name], value) for name, value in view.origin.reference.items())
    figure = new_figure(
        traces,
        title="Share of the box that the front dominates",
        notes=[_scored(view), f"the box begins at {worst}; each halving of a cost counts alike"],
        x=words,
        y="Hypervolume (% of the box)",
        legend=len(traces) > 1,
    )
    figure.update_yaxes(rangemode="tozero")
    return figure


def axis_title(metric: Metric) -> str:
    """The metric and its unit where there is little room."""
    unit = "" if metric.unit.lower() == metric.noun.lower() else f" ({metric.unit})"
    return f"{metric.title}{unit}"


def _axes(view: StudyView, x: str | None, y: str | None) -> tuple[Metric, Metric]:
    known = {metric.name: metric for metric in measured_metrics(view)}
    shown = shown_axes(view)
    for name in (x, y):
        if name is not None and name not in known:
            raise InputError(f"{view.origin.study}: {unknown(name, known)}")
    return shown[0] if x is None else known[x], shown[1] if y is None else known[y]


def _has(record: Record, *metrics: Metric) -> bool:
    return all(record.has(metric) for metric in metrics)


def _groups(view: StudyView, both: Sequence[int], x: Metric, y: Metric) -> Iterator[go.Scatter]:
    """The candidates by what they are on these axes, as the page parts them; empty groups are not there."""
    records = view.records
    line = sorted(front_of(records, (x, y), first=y), key=lambda i: (records[i].value(x), records[i].value(y)))
    presets = [i for i in both if records[i].candidate.name]
    rest = [i for i in both if i not in {*line, *presets}]
    if dominated := [i for i in rest if i not in view.front]:
        marker = {"color": GREY, "size": 7, "opacity": 0.75}
        yield _points(view, dominated, x, y, name="dominated", marker=marker)
    if shared := [i for i in rest if i in view.front]:
        marker = {"color": SKY, "size": 8}
        bars_of = _bars([records[i] for i in shared], x, y)
        yield _points(view, shared, x, y, name="best trade-offs over all goals", marker=marker, **bars_of)
    # A preset on the line has its mark and its bars as a preset.
    yield _points(
        view,
        line,
        x,
        y,
        name="front of these axes",
        mode="lines+markers",
        marker={"color": BLUE, "size": [0 if i in presets else 9 for i in line]},
        line={"shape": "hv" if x.is_cost else "vh", "width": 2, "color": BLUE},
        **_bars([None if i in presets else records[i] for i in line], x, y),
    )
    if presets:
        along = [records[i].value(x) or 0.0 for i in both]
        middle = (min(along) + max(along)) / 2  # a name beside the right edge would be cut off
        yield _points(
            view,
            presets,
            x,
            y,
            name="preset",
            mode="markers+text",
            marker={"color": ORANGE, "size": 12, "symbol": "diamond"},
            text=[html.escape(records[i].label) for i in presets],
            textposition=[f"bottom {'left' if (records[i].value(x) or 0.0) > middle else 'right'}" for i in presets],
            textfont={"color": ORANGE, "size": 12},
            **_bars([records[i] for i in presets], x, y),
        )


def _points(view: StudyView, rows: Sequence[int], x: Metric, y: Metric, *, name: str, **look: object) -> go.Scatter:
    records = [view.records[i] for i in rows]
    return go.Scatter(
        x=[scaled(x, record.value(x) or 0.0) for record in records],
        y=[scaled(y, record.value(y) or 0.0) for record in records],
        name=name,
        hovertext=[_described(record, view) for record in records],
        hoverinfo="text",
        **{"mode": "markers", **look},
    )


def _bars(records: Sequence[Record | None], x: Metric, y: Metric) -> dict[str, object]:
    axes = {"error_x": x, "error_y": y}
    return {
        name: bars([None if record is None else record.measured(metric) for record in records], metric)
        for name, metric in axes.items()
    }


def _described(record: Record, view: StudyView) -> str:
    """A candidate in lines, as a hover shows them."""
    trial = [] if record.trial is None or not record.candidate.name else [f"trial {record.trial}"]
    lines = [", ".join([_name(record), *trial])]
    for metric in measured_metrics(view):
        value = record.value(metric)
        if value is None or metric.aside:
            continue
        words = said(metric, value)
        if metric.source is Source.TRAINED:
            words = f"{metric.format(value)} {view.origin.score_words(metric)}"
        elif metric.runtime:
            words += f" by {view.origin.further[metric.runtime].title}"
        interval = interval_words(metric, record.measured(metric))
        lines.append(words + (f" (95 % interval {interval})" if interval else ""))
    labels = [f"{title(name)}: {label}" for name, label in record.candidate.labels.items()]
    return lines_of(*lines, *labels)


def _name(record: Record) -> str:
    """The preset's name, or which trial it is: nobody says a hash."""
    return record.label if record.candidate.name or record.trial is None else f"trial {record.trial}"


def _plain(metric: Metric, view: StudyView) -> str:
    """The metric in a title, with no more than is known of it."""
    if metric.source is Source.TRAINED:
        return f"Validation {metric.noun} after the {view.origin.schedule} schedule"
    return metric.noun + (f" by {view.origin.further[metric.runtime].title}" if metric.runtime else "")


def _scored(view: StudyView) -> str:
    """What the scores of a search are of."""
    images = view.origin.images
    if not view.scored:
        return f"{view.origin.study}: nothing was trained, so costs are all that is known"
    count = images.counts.get("validation")
    on = f"{images.name}, {count} validation images" if count else images.name
    known = f"{view.origin.study}: {on}; {view.origin.schedule} schedule, one training with one seed each"
    return known if view.confirmation else f"{known}, not confirmed"


def _bars_words(view: StudyView, *metrics: Metric) -> str:
    known = [metric for metric in metrics if metric.low and any(record.has(metric) for record in view.trained)]
    words = [
        f"over images alone, not over seeds ({metric.noun})" if metric == ACCURACY else f"of measuring ({metric.noun})"
        for metric in known
    ]
    return f"bars: 95 % intervals {', '.join(words)}" if words else ""


def _draw_budgets(figure: go.Figure, view: StudyView, x: Metric, y: Metric) -> None:
    """A line for each budget on one of the axes; none far beyond what was trained, which it would squeeze."""
    line = {"dash": "dash", "color": PURPLE, "width": 1.5}
    for budget in view.origin.experiment.budgets:
        label = {"text": html.escape(f"budget: {budget}"), "font": {"color": PURPLE, "size": 12}}
        most = max(value for record in view.trained if (value := record.value(METRICS[budget.metric])) is not None)
        for value in (end for end in (budget.low, budget.high) if 0 < end <= 1.2 * most):
            if budget.metric == x.name:
                figure.add_vline(scaled(x, value), line=line, label=label)
            elif budget.metric == y.name:
                figure.add_hline(scaled(y, value), line=line, label=label)


def _metric_axis(records: Sequence[Record], metric: Metric) -> dict[str, object]:
    values = [scaled(metric, record.value(metric) or 0.0) for record in records]
    form = ".1f" if metric.form is Form.SHARE else ".3~s" if metric.form is Form.COUNT else ".3~g"
    return {"label": axis_title(metric), "values": values, "tickformat": form}


def _factor_axis(view: StudyView, records: Sequence[Record], name: str) -> dict[str, object]:
    """The axis of a factor: its values in the order of the space, "-" below them where it has no effect in some."""
    labels = [record.candidate.labels.get(name) for record in records]
    present = {label for label in labels if label is not None}
    if len(present) > _MOST_CATEGORIES and None not in labels and not any(isinstance(label, str) for label in present):
        return {"label": title(name), "values": labels}
    order = [] if view.space is None else [list(p.choices) for p in view.space.parameters if p.name == name]
    known = [label for label in (order[0] if order else ()) if label in present]
    known += sorted(present - set(known), key=lambda label: (isinstance(label, str), label))
    ticks: list[object] = [None, *known] if None in labels else [*known]
    return {
        "label": title(name),
        "values": [ticks.index(label) for label in labels],
        "tickvals": list(range(len(ticks))),
        "ticktext": [MISSING if label is None else str(label) for label in ticks],
        "range": [-0.5, len(ticks) - 0.5],
    }


def _curve(record: Record, view: StudyView) -> Curve:
    """Epochs with the percent of right answers after them: on the way, and at the end where it was reached."""
    points: Curve = [(rung.epoch, 100 * rung.accuracy) for rung in record.rungs if rung.images]
    score, epochs = record.value(view.score), record.spent.epochs
    if score is None or epochs is None:
        return points
    # At the end all validation images count, not the part that was looked at on the way.
    return [*(point for point in points if point[0] is not None and point[0] < epochs), (epochs, 100 * score)]


def _curve_line(curve: Curve, name: str, **look: object) -> go.Scatter:
    x, y = [epoch for epoch, _ in curve], [percent for _, percent in curve]
    return go.Scatter(x=x, y=y, name=html.escape(name), **look)
