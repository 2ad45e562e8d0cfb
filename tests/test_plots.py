from mvit_nas.results.plots import axis_label, cost_plot, front_plot, history_plot
from mvit_nas.results.table import make_table

LATENCY = {"runtime": "PyTorch", "target": "this host", "threads": 2}


def environment(**changes):
    return {
        "experiment": {
            "budgets": [{"metric": "params", "low": 1e6, "high": 6e6}],
            "objectives": ["accuracy", "params"],
            "schedule": {"name": "smoke"},
        },
        "latency": None,
        "hypervolume_reference": {"accuracy": 0.2, "params": 10e6},
        **changes,
    }


ROWS = [
    {
        "trial": 0,
        "arch_id": "aa",
        "name": "mobilevit_xs",
        "state": "complete",
        "accuracy": 0.75,
        "accuracy_low": 0.5,
        "accuracy_high": 0.875,
        "params": 4_000_000,
        "macs": 300,
        "seconds": 30.0,
    },
    {
        "trial": 1,
        "arch_id": "<b>",
        "state": "complete",
        "accuracy": 0.5,
        "params": 2_000_000,
        "macs": 200,
        "seconds": 20.0,
        "param.width": 0.5,
    },
    {
        "trial": 2,
        "arch_id": "cc",
        "state": "complete",
        "accuracy": 0.375,
        "params": 3_000_000,
        "macs": 100,
        "seconds": 10.0,
    },
    {"trial": 3, "arch_id": "dd", "state": "over_budget", "params": 9_000_000, "macs": 50, "seconds": 0.0},
    {"trial": 4, "arch_id": "ee", "state": "failed", "params": 10, "macs": 10, "seconds": 40.0},
]


def test_the_plot_shows_points_fronts_and_budgets():
    assert front_plot(make_table(ROWS), environment()) == {
        "axes": {
            "accuracy": {"label": "Validation accuracy, smoke schedule (%)", "cost": False},
            "params": {"label": "Parameters", "cost": True},
            "macs": {"label": "MACs (fvcore FLOPs)", "cost": True},
        },
        "x": "params",
        "y": "accuracy",
        "points": {
            "label": ["mobilevit_xs", "&lt;b&gt;", "cc", "dd"],
            "preset": [True, False, False, False],
            "state": ["complete", "complete", "complete", "over_budget"],
            "on_front": [True, True, False, False],
            "hover": [
                (
                    "<b>mobilevit_xs</b>, trial 0, trained<br>75.0 % validation accuracy, smoke schedule"
                    "<br>  95 % interval 50.0 to 87.5 %<br>4M parameters<br>300 MACs"
                ),
                (
                    "<b>&lt;b&gt;</b>, trial 1, trained<br>50.0 % validation accuracy, smoke schedule"
                    "<br>2M parameters<br>200 MACs<br>width: 0.5"
                ),
                (
                    "<b>cc</b>, trial 2, trained<br>37.5 % validation accuracy, smoke schedule"
                    "<br>3M parameters<br>100 MACs"
                ),
                "<b>dd</b>, trial 3, over budget<br>9M parameters<br>50 MACs",
            ],
            "accuracy": [75.0, 50.0, 37.5, None],
            "accuracy_low": [50.0, None, None, None],
            "accuracy_high": [87.5, None, None, None],
            "params": [4_000_000, 2_000_000, 3_000_000, 9_000_000],
            "macs": [300, 200, 100, 50],
            "latency_ms": [None] * 4,
            "latency_low_ms": [None] * 4,
            "latency_high_ms": [None] * 4,
        },
        "fronts": {
            "accuracy params": [1, 0],
            "accuracy macs": [2, 1, 0],
            "params accuracy": [1, 0],
            "params macs": [1, 2],
            "macs accuracy": [2, 1, 0],
            "macs params": [2, 1],
        },
        "budgets": [
            {"metric": "params", "limits": [1e6, 6e6], "label": "1M parameters to 6M parameters"},
        ],
    }


def test_a_row_without_the_objectives_is_on_no_front():
    table = make_table([{"state": "complete", "params": 3}, {"state": "complete", "params": 5}])
    plot = front_plot(table, environment())
    assert plot["points"]["on_front"] == [False, False]
    assert list(plot["axes"]) == ["params"]
    assert plot["fronts"] == {}


def test_a_plot_of_nothing_has_no_axes():
    plot = front_plot(make_table([]), environment())
    assert (plot["axes"], plot["fronts"], plot["points"]["label"]) == ({}, {}, [])


def test_costs_alone_are_plotted_against_each_other():
    rows = [{"state": "complete", "params": 3, "macs": 7}, {"state": "complete", "params": 2, "macs": 9}]
    document = environment(experiment={"budgets": [], "objectives": ["macs", "params"], "schedule": {"name": "paper"}})
    plot = front_plot(make_table(rows), document)
    assert (plot["x"], plot["y"], plot["fronts"]["macs params"]) == ("macs", "params", [0, 1])


def test_a_latency_axis_names_its_conditions():
    label = axis_label("latency_ms", environment(latency=LATENCY))
    assert label == "Latency (ms; PyTorch, this host, 2 threads)"
    one = axis_label("latency_ms", environment(latency=LATENCY | {"threads": 1}))
    assert one == "Latency (ms; PyTorch, this host, 1 thread)"
    assert axis_label("latency_ms", environment()) == "Latency (ms)"
    known = axis_label("latency_ms", environment(latency=LATENCY | {"precision": 0.015}))
    assert known == "Latency (ms; PyTorch, this host, 2 threads, ±1.5 %)"


def test_an_accuracy_axis_names_the_schedule():
    assert axis_label("accuracy", environment()) == "Validation accuracy, smoke schedule (%)"
    document = environment(experiment={"schedule": {"name": "<long>"}})
    assert axis_label("accuracy", document) == "Validation accuracy, &lt;long&gt; schedule (%)"


def test_the_history_is_the_share_of_the_box_after_each_trial():
    """In order of trials: 0.55 / 0.8 by 0.6; then 0.3 / 0.8 by 0.2 more; a failed trial adds nothing."""
    history = history_plot(make_table(reversed(ROWS)), environment())
    assert history is not None
    assert history["trial"] == [0, 1, 2, 3, 4]
    assert [round(value, 9) for value in history["percent"]] == [41.25, 48.75, 48.75, 48.75, 48.75]


def test_without_a_reference_there_is_no_history():
    table = make_table(ROWS)
    assert history_plot(table, environment(hypervolume_reference={"accuracy": 0.2})) is None
    assert history_plot(table, environment(hypervolume_reference={"accuracy": 1.0, "params": 5})) is None
    assert history_plot(table, environment(hypervolume_reference={"accuracy": 0.2, "params": 0})) is None
    assert history_plot(make_table([]), environment()) is None


def test_what_the_trials_cost_is_summed_by_outcome():
    assert cost_plot(make_table(ROWS)) == {
        "trial": [0, 1, 2, 3, 4],
        "seconds": [30.0, 20.0, 10.0, 0.0, 40.0],
        "state": ["complete", "complete", "complete", "over_budget", "failed"],
        "outcomes": [
            {"state": "complete", "outcome": "trained", "trials": 3, "seconds": 60.0, "percent": 60.0},
            {"state": "over_budget", "outcome": "over budget", "trials": 1, "seconds": 0.0, "percent": 0.0},
            {"state": "failed", "outcome": "failed", "trials": 1, "seconds": 40.0, "percent": 40.0},
        ],
        "total_seconds": 100.0,
    }


def test_trials_without_a_cost_are_shown_without():
    plot = cost_plot(make_table([{"trial": 0, "state": "failed"}]))
    assert plot["seconds"] == [None]
    assert plot["outcomes"] == [{"state": "failed", "outcome": "failed", "trials": 1, "seconds": 0.0, "percent": 0.0}]
