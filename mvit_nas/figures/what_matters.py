"""The figures of what matters in a search: how much each factor explains, and what its values do."""

import html
from dataclasses import replace

import plotly.graph_objects as go
from threadpoolctl import threadpool_limits

from mvit_nas.errors import InputError, unknown
from mvit_nas.figures.style import (
    BLUE,
    Study,
    bars,
    distances,
    error_bars,
    lines_of,
    new_figure,
    scale,
    scaled,
    search_of,
)
from mvit_nas.metrics import METRICS, Metric
from mvit_nas.results.page import axis_label, counted, title
from mvit_nas.results.search.findings import interval_words
from mvit_nas.results.search.importance import Effect, Explained, Factor
from mvit_nas.results.search.importance import importance as importance_of
from mvit_nas.results.view import StudyView
from mvit_nas.study.record import Measured

# As many as on the page: factors with a bar, and those of which the effects are drawn.
_SHOWN, _EFFECTS = 12, 6


def importance(study: Study, *, objective: str | None = None) -> go.Figure:
    """How much of the differences in an objective each factor of a search explains, as bars with 95 % intervals.

    ``objective`` is a column of the table, by default the score. A share is of the variance among networks that were
    left out of the learning. Of one that cannot be told from nothing it is drawn how much it is at most, and the
    hover says "none shown", as on the page. Shares are drawn from 0 to 100 %.
    """
    view = search_of(study, "importance")
    explained = _explained(view, objective)
    known = [factor for factor in explained.factors if factor.share is not None][:_SHOWN]
    drawn = [_drawn(factor) for factor in known]
    trace = go.Bar(
        x=[one.value for one in drawn],
        y=[title(factor.name) for factor in known],
        orientation="h",
        marker={"color": BLUE, "opacity": 0.75},
        error_x=error_bars([distances(one.value, one.low, one.high) for one in drawn]),
        hovertext=[lines_of(title(factor.name), _share_words(factor)) for factor in known],
        hoverinfo="text",
    )
    figure = new_figure(
        [trace],
        title=f"What explains {METRICS[explained.objective].noun} among the networks that were tried",
        notes=_notes(view, explained),
        x="Share explained (%)",
    )
    figure.update_xaxes(range=[0, 102])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_layout(height=220 + 30 * len(known))
    return figure


def effects(study: Study, *, objective: str | None = None) -> go.Figure:
    """What each value of the six most important factors of a search does to an objective, on one axis.

    ``objective`` is a column of the table, by default the score. A dot is the mean that it would have if every network
    in which the factor has an effect had that value, with its 95 % interval; few networks with a value draw it towards
    the mean of all. A hover counts the networks.
    """
    view = search_of(study, "effects")
    explained = _explained(view, objective)
    metric = METRICS[explained.objective]
    rows, ticks = _rows(explained)
    trace = go.Scatter(
        x=[scaled(metric, effect.mean.value) for _, _, effect in rows],
        y=[y for y, _, _ in rows],
        mode="markers",
        marker={"color": BLUE, "size": 9},
        error_x=bars([effect.mean for _, _, effect in rows], metric),
        hovertext=[_effect_words(factor, effect, metric) for _, factor, effect in rows],
        hoverinfo="text",
    )
    figure = new_figure(
        [trace],
        title=f"What each value does to {metric.noun}, the others kept as they were tried",
        notes=_notes(view, explained),
        x=html.escape(axis_label(metric, view.origin)),
    )
    figure.update_xaxes(**scale(metric))
    height = max(ticks)
    figure.update_yaxes(range=[height + 0.7, -0.7], tickvals=list(ticks), ticktext=list(ticks.values()), showgrid=False)
    figure.update_layout(height=200 + 22 * height)
    return figure


def explain(view: StudyView) -> list[Explained]:
    """The importance of the factors for each objective; on one thread, as for the page: the matrices are small."""
    with threadpool_limits(limits=1):
        return importance_of(view)


def _rows(explained: Explained) -> tuple[list[tuple[int, Factor, Effect]], dict[int, str]]:
    """The effects with their heights, and what the axis says at which: each factor stands above its values."""
    rows: list[tuple[int, Factor, Effect]] = []
    ticks: dict[int, str] = {}
    y = 0
    for factor in [one for one in explained.factors if one.share is not None and len(one.effects) > 1][:_EFFECTS]:
        ticks[y] = f"<b>{html.escape(title(factor.name))}</b>"
        for effect in factor.effects:
            y += 1
            ticks[y] = html.escape(effect.label)
            rows.append((y, factor, effect))
        y += 1
    return rows, ticks


def _effect_words(factor: Factor, effect: Effect, metric: Metric) -> str:
    return lines_of(
        f"{title(factor.name)} {effect.label}: {metric.format(effect.mean.value)}",
        f"95 % interval {interval_words(metric, effect.mean)}",
        counted(effect.networks, "network"),
    )


def _explained(view: StudyView, objective: str | None) -> Explained:
    """What is known of ``objective``; InputError where nothing is."""
    known = {one.objective: one for one in explain(view)}
    if not known:
        raise InputError(f"{view.origin.study}: no objective was measured, so nothing can be said of the factors")
    name = objective or (view.score.name if view.score.name in known else next(iter(known)))
    if name not in known:
        raise InputError(f"{view.origin.study}: {unknown(name, known)}")
    if known[name].share is None:
        raise InputError(f"{view.origin.study}: nothing is known of the factors: {known[name].reason}")
    return known[name]


def _notes(view: StudyView, explained: Explained) -> list[str]:
    """Of what the numbers are, and how far they reach."""
    networks = counted(explained.networks, "network")
    learned = f"{view.origin.study}: from {networks} of one {view.origin.schedule} training each"
    words = _share_words(explained)
    if explained.shown:
        return [
            f"{learned}, the factors together explain {words} of the differences; bars: 95 % intervals",
            "the search chose these networks, so this holds around what it tried",
        ]
    return [
        f"{learned}, which do not tell yet what matters: what the factors together explain: {words}",
        "what is drawn is a guess; bars: 95 % intervals",
    ]


def _drawn(factor: Factor) -> Measured:
    """A factor's share in percent with its interval; of what cannot be told from nothing, what it is at most."""
    share = _within(factor)
    return share if factor.shown else replace(share, value=0.0, low=0.0)


def _within(of: Factor | Explained) -> Measured:
    """A share in percent, from 0 to 100: a resample can come out below nothing or above all."""
    share = of.share
    assert share is not None, "only what has a share is drawn"
    value, low, high = (
        100 * min(1.0, max(0.0, share.value if end is None else end)) for end in (share.value, share.low, share.high)
    )
    return Measured(value=value, low=low, high=high)


def _share_words(of: Factor | Explained) -> str:
    """A share with its interval, "43 % (21 to 60 %)", or "none shown (at most 9 %)"."""
    share = _within(of)
    assert share.high is not None, "a share has an interval"
    if of.shown:
        return f"{share.value:.0f} % ({share.low:.0f} to {share.high:.0f} %)"
    return "none shown" + (f" (at most {share.high:.0f} %)" if share.high > 0 else "")
