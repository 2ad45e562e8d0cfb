"""What all figures share: how they look on white paper, in the colours of the pages, and how a metric is drawn."""

import html
import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go

from mvit_nas.errors import InputError
from mvit_nas.metrics import Form, Metric
from mvit_nas.results.reading import AblationView
from mvit_nas.results.view import StudyView
from mvit_nas.study.record import Measured

Study = StudyView | AblationView

# Okabe and Ito's, told apart with every kind of colour vision; the same as on the pages.
BLUE, SKY, ORANGE, PURPLE, GREEN, YELLOW = "#0072b2", "#56b4e9", "#d55e00", "#b0568f", "#009e73", "#e69f00"
GREY, TEXT, LINE = "#8d969e", "#1c2024", "#e1e4e8"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY)
_WIDTH, _HEIGHT = 820, 560
_LETTERS = 140  # of a note on a line of that width


def search_of(study: Study, figure: str) -> StudyView:
    """``study`` as a search. Raises InputError for an ablation."""
    if isinstance(study, AblationView):
        raise InputError(f"{study.origin.study} is an ablation: {figure} shows a search; there are forest and accuracy")
    return study


def ablation_of(study: Study, figure: str) -> AblationView:
    """``study`` as an ablation. Raises InputError for a search."""
    if isinstance(study, StudyView):
        raise InputError(f"{study.origin.study} is a search: {figure} shows an ablation; there is front, among others")
    return study


def new_figure(
    traces: Sequence[object], *, title: str, notes: Sequence[str], x: str = "", y: str = "", legend: bool = False
) -> go.Figure:
    """A figure of ``traces`` with titles of its axes; ``notes`` say below the title what its numbers are.

    ``title`` and ``notes`` are plain text; plotly reads those of the axes as HTML.
    """
    lines = [html.escape(line) for note in notes for line in textwrap.wrap(note, _LETTERS)]
    axis = {"showgrid": True, "gridcolor": LINE, "zeroline": False, "automargin": True}
    figure = go.Figure(traces)
    figure.update_layout(
        template="simple_white",
        width=_WIDTH,
        height=_HEIGHT,
        font={"family": "Arial, Helvetica, sans-serif", "size": 14, "color": TEXT},
        title={
            "text": html.escape(title),
            "subtitle": {"text": "<br>".join(lines), "font": {"size": 12}},
            "x": 0.01,
            "xref": "container",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 16},
        },
        margin={"l": 70, "r": 20, "t": 62 + 16 * len(lines), "b": 60 + 40 * legend},
        showlegend=legend,
        legend={"orientation": "h", "x": 0, "y": 0.01, "yref": "container", "yanchor": "bottom"},
        hoverlabel={"align": "left", "bgcolor": "white"},
        xaxis={**axis, "title": {"text": x, "font": {"size": 14}, "standoff": 8}},
        yaxis={**axis, "title": {"text": y, "font": {"size": 14}, "standoff": 8}},
    )
    return figure


def scaled(metric: Metric, value: float) -> float:
    """``value`` as axes have it: shares in percent."""
    return 100 * value if metric.form is Form.SHARE else value


def scale(metric: Metric) -> dict[str, object]:
    """What the axis of ``metric`` has beside its title: counts as "2M"."""
    return {"tickformat": "~s"} if metric.form is Form.COUNT else {}


def bars(found: Sequence[Measured | None], metric: Metric) -> dict[str, object] | None:
    """The 95 % intervals as error bars around the values; None where there are none."""
    if not any(one is not None and one.low is not None for one in found):
        return None
    ends = [(0.0, 0.0) if one is None else distances(one.value, one.low, one.high) for one in found]
    return error_bars([(scaled(metric, below), scaled(metric, above)) for below, above in ends])


def distances(value: float, low: float | None, high: float | None) -> tuple[float, float]:
    """How far the ends of an interval lie below and above ``value``; 0 where they are not known."""
    return 0.0 if low is None else value - low, 0.0 if high is None else high - value


def error_bars(ends: Sequence[tuple[float, float]]) -> dict[str, object]:
    """Error bars that reach so far below and above."""
    return {
        "type": "data",
        "symmetric": False,
        "arrayminus": [below for below, _ in ends],
        "array": [above for _, above in ends],
        "thickness": 1.2,
        "width": 0,
    }


def lines_of(*lines: str) -> str:
    """``lines`` of plain text as a hover shows them."""
    return "<br>".join(html.escape(line) for line in lines if line)
