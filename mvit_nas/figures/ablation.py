"""The figures of an ablation: its differences from the base as a forest plot, and accuracy against cost."""

from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from mvit_nas.errors import InputError, unknown
from mvit_nas.figures.style import (
    BLUE,
    ORANGE,
    PURPLE,
    Study,
    ablation_of,
    distances,
    error_bars,
    new_figure,
)
from mvit_nas.results.ablation.plots import Axis, Forest, Numbers, accuracies
from mvit_nas.results.ablation.plots import forest as forest_rows
from mvit_nas.results.ablation.summary import Summary, summarise
from mvit_nas.results.page import counted
from mvit_nas.results.reading import AblationView

_COLOURS = {"base": ORANGE, "free": BLUE, "matched": PURPLE}
_CLOSE = 0.05  # of the axis
_SYMBOLS = {"base": "diamond", "free": "circle", "matched": "square"}


def forest(study: Study) -> go.Figure:
    """The paired differences of an ablation's variants from its base, in points of what it was
    judged by, one row each.

    A large mark is the mean over seeds with its 95 % interval, a small one a seed. Intervals are over seeds: all runs
    were scored on the same images, so they say nothing about others. They are not corrected for the number of
    variants; the page's verdicts are.
    """
    view = ablation_of(study, "forest")
    summary = summarise(view.records, view.origin.plan, view.origin.experiment.score)
    found = forest_rows(summary, view.origin)
    if found is None:
        raise InputError(f"{view.origin.study}: there is no difference from the base yet")
    figure = new_figure(
        [*_means(found), *_dots(found)],
        title=f"Difference in validation {summary.metric.noun} from the base, paired by seed",
        notes=_notes(view, summary, "bars: 95 % intervals of the mean over seeds, each by itself"),
        x="Difference (points)<br>← worse     better →",
        y=found.factors,
        legend=True,
    )
    rows = range(len(found.rows))
    figure.update_xaxes(range=found.range, zeroline=True, zerolinecolor=ORANGE, zerolinewidth=1.5)
    figure.update_yaxes(
        range=[len(found.rows) - 0.5, -0.5],
        tickvals=list(rows),
        ticktext=[row.label for row in found.rows],
        showgrid=False,
    )
    figure.add_annotation(
        text=found.base,
        font={"color": ORANGE, "size": 12},
        x=0,
        y=1,
        yref="paper",
        yanchor="bottom",
        showarrow=False,
    )
    base_lines = 1 + found.base.count("<br>")
    figure.update_layout(height=270 + 56 * len(found.rows), margin_t=figure.layout.margin.t + 18 * base_lines)
    return figure


def accuracy(study: Study, *, x: str | None = None) -> go.Figure:
    """The mean score of an ablation's variants against a cost, with the 95 % interval over seeds.

    ``x`` is the cost's column, such as "macs" or "latency_ms", by default one that differs. The base is a diamond, what
    was rescaled to its cost a square.
    """
    view = ablation_of(study, "accuracy")
    summary = summarise(view.records, view.origin.plan, view.origin.experiment.score)
    found = accuracies(summary, view.origin)
    if found is None:
        raise InputError(f"{view.origin.study}: no {summary.metric.noun} is known yet")
    name = x or found.x
    if name not in found.axes:
        raise InputError(f"{view.origin.study}: {unknown(name, found.axes)}")
    cost, score = found.axes[name], found.accuracy
    traces = []
    for kind, words in found.kinds.items():
        of = [i for i, one in enumerate(found.kind) if one == kind and cost.values[i] is not None]
        traces.append(
            go.Scatter(
                x=[cost.values[i] for i in of],
                y=[score.values[i] for i in of],
                name=words,
                mode="markers+text",
                text=[found.label[i] for i in of],
                textposition=[_side(cost.values, i) for i in of],
                textfont={"color": _COLOURS[kind], "size": 13},
                marker={"size": 12 if kind == "base" else 10, "symbol": _SYMBOLS[kind], "color": _COLOURS[kind]},
                error_x=_bars(cost, of),
                error_y=_bars(score, of),
                hovertext=[found.hover[i] for i in of],
                hoverinfo="text",
            )
        )
    figure = new_figure(
        traces,
        title=f"Mean {summary.metric.noun} over {counted(len(summary.seeds), 'seed')}, {view.origin.schedule} schedule",
        notes=_notes(view, summary, "bars: 95 % intervals of the mean over seeds; they do not compare variants"),
        x=cost.title,
        y=score.title,
        legend=True,
    )
    figure.update_xaxes(**({"tickformat": "~s"} if cost.counts else {}))
    return figure


def _notes(view: AblationView, summary: Summary, bars: str) -> list[str]:
    images = view.origin.images
    seeds = counted(len(summary.seeds), "seed")
    scored = f"{images.name}, the same {images.counts['validation']} validation images for all"
    return [f"{view.origin.study}: {scored}; {view.origin.schedule} schedule, {seeds}", bars]


def _means(found: Forest) -> Iterator[go.Scatter]:
    for kind in _drawn_kinds(found):
        rows = [(y, row) for y, row in enumerate(found.rows) if row.kind == kind]
        known = [(y, row, row.mean) for y, row in rows if row.mean is not None and row.low is not None]
        yield go.Scatter(
            x=[mean for _, _, mean in known],
            y=[y for y, _, _ in known],
            name=found.kinds[kind],
            legendgroup=kind,
            showlegend=True,
            mode="markers",
            marker={"size": 11, "symbol": _SYMBOLS[kind], "color": _COLOURS[kind]},
            error_x=error_bars([distances(mean, row.low, row.high) for _, row, mean in known]) | {"thickness": 2},
            hovertext=[row.hover for _, row, _ in known],
            hoverinfo="text",
        )


def _dots(found: Forest) -> Iterator[go.Scatter]:
    for kind in _drawn_kinds(found):
        rows = [(y, row) for y, row in enumerate(found.rows) if row.kind == kind]
        yield go.Scatter(
            x=[dot for _, row in rows for dot in row.dots],
            y=[y + 0.26 for y, row in rows for _ in row.dots],
            name=found.kinds[kind],
            legendgroup=kind,
            showlegend=False,
            mode="markers",
            marker={"size": 6, "color": _COLOURS[kind], "opacity": 0.55},
            hovertext=[words for _, row in rows for words in row.dots_hover],
            hoverinfo="text",
        )


def _drawn_kinds(found: Forest) -> list[str]:
    return [kind for kind in found.kinds if kind != "base"]


def _side(values: Numbers, i: int) -> str:
    """Where the label of a mark stands: to its right, or to its left where another mark is close there."""
    known = [value for value in values if value is not None]
    own, close = values[i] or 0.0, _CLOSE * (max(known) - min(known))
    return "middle left" if any(0 < value - own < close for value in known) else "middle right"


def _bars(axis: Axis, of: Sequence[int]) -> dict[str, object] | None:
    if all(axis.low[i] is None for i in of):
        return None
    return error_bars([distances(axis.values[i] or 0.0, axis.low[i], axis.high[i]) for i in of])
