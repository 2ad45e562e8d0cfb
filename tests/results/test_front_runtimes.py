import json
from typing import Any

import numpy as np
import pytest
from reports import (
    EXECUTORCH,
    data_of,
    environment,
    example_table,
    headline,
    three_rows,
    trained,
    view,
    with_further,
    write_report,
)
from sure import sure

from mvit_nas.errors import InputError
from mvit_nas.maths.statistics import RankCorrelation
from mvit_nas.metrics import LATENCY
from mvit_nas.results.page import axis_label, provenance, scale_words
from mvit_nas.results.report import remake_report, render_search
from mvit_nas.results.search.measured_on import measured_on
from mvit_nas.results.search.page import candidates, columns, further_section, page_data
from mvit_nas.results.search.runtimes import Comparison, compare, sentences
from mvit_nas.results.table import read_table, table_of
from mvit_nas.results.view import through
from mvit_nas.study.origin import Conditions, as_document
from mvit_nas.study.origin_file import from_document
from mvit_nas.study.table import COLUMNS

REFUSED = "the runtime refuses the model"


def measured(trial, accuracy, latency, further, **more):
    row = trained(trial, accuracy, 1_000_000, 100, latency, arch_id="abcdef"[trial])
    row |= {"latency_ms.executorch": further}
    if further is not None:
        row |= {"latency_low_ms.executorch": further - 0.5, "latency_high_ms.executorch": further + 1}
    return row | more


def by_hand():
    """By ONNX Runtime a, b, c, e are on the front; by ExecuTorch b is faster than a, and d is worth its accuracy."""
    return table_of(
        [
            measured(0, 0.60, 5.0, 10.0, name="mobilevit_xxs"),
            measured(1, 0.65, 6.0, 9.0),
            measured(2, 0.70, 8.0, 20.0),
            measured(3, 0.69, 9.0, 15.0),
            measured(4, 0.72, 12.0, None) | {"latency_note.executorch": REFUSED},
            measured(5, 0.50, 20.0, None),
            {"trial": 6, "state": "failed", "reason": "no memory"},
        ]
    )


def conditions(budgets=(), objectives=("accuracy", "latency_ms"), **changes):
    document = environment(front_latency={"executorch": EXECUTORCH}, presets=["mobilevit_xxs", "mobilevit_s"])
    document["experiment"] = document["experiment"] | {"budgets": list(budgets), "objectives": list(objectives)}
    return document | changes


AT_MOST_12_MS = {"metric": "latency_ms", "low": 0.0, "high": 12.0}


# What the two runtimes say of each other


def test_a_comparison_has_the_front_by_the_further_runtime():
    found = compare(view(by_hand(), conditions([AT_MOST_12_MS])), "executorch")
    ranks = found.ranks
    assert found == Comparison(
        runtime="executorch",
        measured=4,
        front=(2, 3, 1),
        own_front=(4, 2, 1, 0),
        own_measured=(2, 1, 0),
        ranks=ranks,
        reasons={REFUSED: 1},
        left_out=1,
        over_budget=2,
    )
    assert found.kept == (2, 1)
    # Of 6 pairs, 4 have the same order and 2 the other.
    assert (ranks.rows, round(sure(ranks.tau), 9)) == (4, round(1 / 3, 9))


def test_a_comparison_is_said_in_words():
    seen = view(by_hand(), conditions([AT_MOST_12_MS]))
    assert list(sentences(compare(seen, "executorch"), seen)) == [
        (
            "It is not shown that ONNX Runtime and ExecuTorch rank these 4 networks alike: "
            "Kendall's tau 0.33 (95 % interval \u22120.65 to 0.91)."
        ),
        (
            "2 of the 3 networks of the front that were measured on ExecuTorch stay on it by ExecuTorch's latency; "
            "1 other joins it."
        ),
        (
            "2 of the 4 measured do not meet the budget (at most 12 ms latency) by ExecuTorch: "
            "the search held it by its own runtime."
        ),
        "1 other trained candidate was not measured on ExecuTorch.",
        "1 network could not be measured: the runtime refuses the model.",
    ]


def _said(further, **more):
    """The sentences on candidates that are all on the search's front, one millisecond and one point apart."""
    table = table_of([measured(i, 0.6 + i / 100, 5.0 + i, value) for i, value in enumerate(further)])
    seen = view(table, conditions(**more))
    return list(sentences(compare(seen, "executorch"), seen))


def test_the_same_order_keeps_the_front():
    assert _said([10.0, 12.0, 14.0, 16.0, 19.0]) == [
        (
            "ONNX Runtime and ExecuTorch rank these 5 networks in the same order: "
            "Kendall's tau 1.00 (95 % interval 0.23 to 1.00)."
        ),
        "All 5 networks on the front stay on it by ExecuTorch's latency.",
    ]


def test_the_opposite_order_leaves_only_the_best_on_the_front():
    assert _said([19.0, 16.0, 14.0, 12.0, 10.0]) == [
        (
            "ONNX Runtime and ExecuTorch rank these 5 networks in opposite ways: "
            "Kendall's tau \u22121.00 (95 % interval \u22121.00 to \u22120.23)."
        ),
        "1 of the 5 networks on the front stays on it by ExecuTorch's latency.",
    ]


def test_an_order_that_agrees_in_part_is_said_to():
    assert _said([10.0, 12.0, 11.0, 16.0, 19.0, 20.0])[0] == (
        "ONNX Runtime and ExecuTorch rank these 6 networks alike in part: Kendall's tau 0.87 (95 % interval 0.20 to 1.00)."
    )


def test_too_few_rows_are_said_to_be():
    assert _said([10.0, 12.0, 11.0])[0] == (
        "ONNX Runtime and ExecuTorch both measured 3 networks, too few to say whether they rank them alike: "
        "that takes at least 4."
    )
    assert _said([10.0] * 4)[0] == (
        "ONNX Runtime or ExecuTorch takes the same time for all 4 networks, so there is nothing to rank."
    )


def test_a_search_that_had_no_latency_has_nothing_to_rank():
    assert _said([10.0, 12.0, 11.0, 13.0], objectives=("accuracy", "params"), latency=None) == [
        "Latency is no objective of this search, so its front is the same by any runtime."
    ]


def test_nothing_measured_says_only_why():
    table = table_of([measured(0, 0.6, 5.0, None) | {"latency_note.executorch": "it hangs."}])
    seen = view(table, conditions())
    comparison = compare(seen, "executorch")
    assert comparison.ranks == RankCorrelation(rows=0, tau=None, low=None, high=None)
    assert list(sentences(comparison, seen)) == ["1 network could not be measured: it hangs."]
    assert page_data(seen).document["further"] == []
    assert "The front as ExecuTorch runs it" in render_search(seen)


@pytest.mark.parametrize(
    ("runtime", "name"),
    [
        ("ONNX Runtime 1.31.1", "ONNX Runtime"),
        ("ONNX Runtime 1.31.1 int8", "ONNX Runtime int8"),
        ("PyTorch 2.12.0+cpu", "PyTorch"),
        ("LiteRT", "LiteRT"),
    ],
)
def test_a_runtime_is_named_without_its_version(runtime, name):
    assert from_document(Conditions, {"runtime": runtime, "target": "this host", "threads": 1}).title == name


# The page seen through it


def test_the_table_seen_through_a_runtime_has_its_latencies():
    seen = through(view(by_hand(), conditions()), "executorch")
    cells = {column.name: list(column.cells) for column in seen.table.columns}
    assert cells["arch_id"] == ["a", "b", "c", "d"]
    assert cells["latency_ms"] == [10.0, 9.0, 20.0, 15.0]
    assert cells["latency_low_ms"] == [9.5, 8.5, 19.5, 14.5]
    assert cells["latency_high_ms"] == [11.0, 10.0, 21.0, 16.0]
    assert cells["latency_runs"] == [None] * 4
    assert cells["latency_threads"] == [1, 1, 1, 1]
    assert {column.name: column.kind for column in seen.table.columns} == COLUMNS
    document = as_document(seen.origin)
    changed = {key for key, value in document.items() if value != conditions().get(key)}
    assert changed == {"latency", "front_latency", "hypervolume_reference", "presets", "view"}
    assert document["latency"] == EXECUTORCH
    assert document["presets"] == ["mobilevit_xxs"]
    assert document["view"] == {"runtime": "ExecuTorch 1.5.2", "measured": 4, "trained": 6}


def test_the_headline_is_about_the_latency_that_is_shown():
    assert headline(through(view(by_hand(), conditions()), "executorch"))[0] == (
        "Best (no budget was set): A, 70.0 % validation accuracy (67.4 to 72.4 %) "
        "after the short schedule, 1M parameters, 100 MACs, 20 ms latency, "
        "the best of these 4 with a probability of 76 % (over images alone, one seed), "
        "B is tied with it (no difference shown) and has 25 % lower latency."
    )
    # c and d take longer than that by ExecuTorch, and the best of the others is b.
    assert headline(through(view(by_hand(), conditions([AT_MOST_12_MS])), "executorch"))[0].startswith(
        "Best within the budget (at most 12 ms): C, 65.0 %"
    )
    assert headline(through(view(by_hand(), conditions([AT_MOST_12_MS | {"high": 3.0}])), "executorch")) == [
        "No candidate meets the budget (at most 3 ms): none of the 4 trained ones does."
    ]


def test_a_view_tells_what_it_shows_and_not_what_the_search_cost():
    data = page_data(through(view(by_hand(), conditions()), "executorch"))
    assert data.summary[0] == "as ExecuTorch 1.5.2 runs them: 4 of the 6 trained candidates"
    drawn: Any = data.document
    assert (data.further, drawn["view"], drawn["history"]) == ((), True, None)
    latencies = next(column["values"] for column in drawn["columns"] if column["name"] == "latency_ms")
    assert (drawn["x"], latencies) == ("latency_ms", [10.0, 9.0, 20.0, 15.0])
    labels = {metric["name"]: metric["label"] for metric in drawn["metrics"]}
    assert labels["latency_ms"] == "Latency (ms; ExecuTorch 1.5.2, adb:R5CX10ABCDE, 1 thread, ±2 %)"
    assert "Where the time went" not in render_search(through(view(by_hand(), conditions()), "executorch"))


# The page of the search


def test_the_plot_of_a_further_runtime_is_of_what_was_measured_on_it():
    drawn: Any = page_data(view(by_hand(), conditions())).document
    (plot,) = drawn["further"]
    assert ["abcdef"[row] for row in plot["rows"]] == ["a", "b", "c", "d"]
    assert ["abcdef"[row] for row in plot["marked"]] == ["a", "b", "c"]
    assert plot["mark"] == "on the front by ONNX Runtime"


def test_both_latencies_stand_side_by_side_with_their_ranks():
    seen = view(by_hand(), conditions())
    section = further_section(seen, compare(seen, "executorch"))
    assert [column.label for column in section.columns] == [
        "Candidate",
        "On the front by",
        "Validation accuracy, short schedule (%)",
        "Latency (ms; ONNX Runtime 1.31.1, this host, 1 thread, ±2 %)",
        "Rank",
        "Latency (ms; ExecuTorch 1.5.2, adb:R5CX10ABCDE, 1 thread, ±2 %)",
        "Rank",
    ]
    rows = [[row.cells[0].detail, *(cell.text for cell in row.cells[1:])] for row in section.rows]
    assert [row.cells[0].text for row in section.rows][:2] == ["C", "D (mobilevit_xxs)"]
    assert rows == [
        ["b", "both", "65.0", "6.00", "2", "9.00", "1"],
        ["a", "ONNX Runtime", "60.0", "5.00", "1", "10.0", "2"],
        ["d", "ExecuTorch", "69.0", "9.00", "4", "15.0", "3"],
        ["c", "both", "70.0", "8.00", "3", "20.0", "4"],
        ["e", "ONNX Runtime", "72.0", "12.0", "-", "-", "-"],
    ]
    details = [[cell.detail for cell in row.cells][3:] for row in section.rows]
    assert details[0] == ["5.91 to 6.12 ms", "", "8.50 to 10.0 ms", ""]
    assert details[-1] == ["11.8 to 12.2 ms", "", REFUSED, ""]
    assert [row.front for row in section.rows] == [True, False, True, True, False]
    assert [row.reason for row in section.rows] == ["", "", "", "", REFUSED]


def test_the_candidates_have_a_column_for_each_further_runtime():
    table, document = by_hand(), conditions()
    labels = [column.label for column in columns(view(table, document))]
    place = labels.index("Latency (ms; ExecuTorch 1.5.2, adb:R5CX10ABCDE, 1 thread, ±2 %)")
    assert labels[place - 1] == "Latency (ms; ONNX Runtime 1.31.1, this host, 1 thread, ±2 %)"
    cells = [row.cells[place].text for row in candidates(view(table, document))]
    assert cells == ["-", "20.0", "9.00", "10.0", "15.0", "-", "-"]


def test_provenance_says_how_far_the_milliseconds_can_be_trusted():
    sections = {section.title: section.entries for section in provenance(view([], conditions()).origin)}
    assert list(sections["latency"]) == [
        ("runtime", "ONNX Runtime 1.31.1"),
        ("target", "this host"),
        ("machine", "bench; AMD EPYC 7B13; 2 cores; Linux 6.8"),
        ("threads", "1"),
        ("precision", "±2 %"),
        (
            "scale",
            (
                "All latencies are ratios to mobilevit_xxs at 128 px, times its 4.2 ms; in 14 measurements that reference "
                "took 3.4 to 4.61 ms, so the absolute scale is known to that only; comparisons between networks are not "
                "affected."
            ),
        ),
    ]
    assert sections["latency by executorch"][-1] == (
        "scale",
        (
            "All latencies are ratios to mobilevit_xxs at 128 px, times its 6.5 ms, which was measured once: how far the "
            "absolute scale can be trusted is not known."
        ),
    )


# All measurements of the front


def test_the_front_has_a_row_for_each_network_and_place():
    rows = [measured(0, 0.60, 5.0, 10.0) | {"artefact_mib.executorch": 3.456, "delegated.executorch": 0.972}]
    rows += [measured(1, 0.70, 8.0, None) | {"latency_note.executorch": REFUSED}, measured(2, 0.50, 9.0, 12.0)]
    found = sure(measured_on(view(table_of(rows), conditions())))
    assert found.title == "The front in 2 places that it was measured in"
    assert [column.label for column in found.columns] == [
        "Candidate",
        "Device",
        "Runtime",
        "Precision",
        "Latency (ms)",
        "File (MiB)",
        "Operators on the delegate (%)",
    ]
    # Only the front: c is beaten by a.
    host, phone = ("this host", "ONNX Runtime 1.31.1", "float32"), ("adb:R5CX10ABCDE", "ExecuTorch 1.5.2", "float32")
    assert [tuple(cell.text for cell in row.cells) for row in found.rows] == [
        ("A", *host, "8.00", "-", "-"),
        ("A", *phone, "-", "-", "-"),
        ("B", *host, "5.00", "-", "-"),
        ("B", *phone, "10.0", "3.46", "97"),
    ]
    assert [row.cells[4].detail for row in found.rows][1:] == [REFUSED, "4.92 to 5.10 ms", "9.50 to 11.0 ms"]
    assert found.rows[0].cells[1].detail == "bench; AMD EPYC 7B13; 2 cores; Linux 6.8"
    assert [row.measured for row in found.rows] == [True, False, True, True]


def test_a_precision_of_int8_is_said_with_the_bits_of_its_weights():
    narrow = conditions(front_latency={"executorch": EXECUTORCH | {"weight_bits": 7}})
    found = sure(measured_on(view(by_hand(), narrow)))
    assert [row.cells[3].text for row in found.rows][:2] == ["float32", "int8, weights of 7 bits"]


def test_one_place_is_nothing_to_compare():
    unknown = dict.fromkeys(["latency_ms", "latency_low_ms", "latency_high_ms"])
    refused = table_of([measured(0, 0.6, 5.0, None) | {"latency_note.executorch": REFUSED}])
    own_alone, other_alone = (
        view(refused, conditions()),
        view(
            table_of([measured(0, 0.6, 5.0, 9.0) | unknown]),
            conditions(objectives=("accuracy", "params"), latency=None),
        ),
    )
    for seen in (own_alone, other_alone, through(view(by_hand(), conditions()), "executorch")):
        assert measured_on(seen) is None
        assert "measured-on" not in render_search(seen)
    assert '<table id="measured-on"' in render_search(view(by_hand(), conditions()))


# The files


def test_a_report_through_a_further_runtime_is_a_page_beside_the_other(tmp_path):
    page = write_report(by_hand(), conditions(), tmp_path).read_text()
    other = remake_report(tmp_path, runtime="executorch")
    assert other == tmp_path / "report-executorch.html"
    assert other.read_text() == render_search(through(view(by_hand(), conditions()), "executorch"))
    assert remake_report(tmp_path, runtime="onnxruntime") == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text() == page
    assert json.loads((tmp_path / "environment.json").read_text()) == conditions()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"runtime": "litert"},
            "--runtime 'litert': nothing was measured on it; measured were onnxruntime, executorch",
        ),
        ({"target": "ssh:pi"}, "--target 'ssh:pi': the latencies were measured on this host"),
        (
            {"runtime": "executorch", "target": "host"},
            "--target 'host': the latencies were measured on adb:R5CX10ABCDE",
        ),
    ],
)
def test_what_was_not_measured_is_an_error_that_says_what_was(tmp_path, flags, message):
    write_report(by_hand(), conditions(), tmp_path)
    with pytest.raises(InputError) as error:
        remake_report(tmp_path, **flags)
    assert str(error.value) == message
    assert not (tmp_path / "report-executorch.html").exists()


def test_the_target_that_was_measured_on_is_accepted(tmp_path):
    write_report(by_hand(), conditions(), tmp_path)
    assert remake_report(tmp_path, target="host").name == "report.html"
    assert remake_report(tmp_path, runtime="executorch", target="adb:R5CX10ABCDE").name == "report-executorch.html"


def test_a_search_without_latency_says_that_it_has_none(tmp_path):
    unknown = dict.fromkeys(["latency_ms", "latency_low_ms", "latency_high_ms"])
    write_report(three_rows(**unknown), environment(latency=None), tmp_path)
    with pytest.raises(InputError, match=r"^--target 'host': no latency was measured$"):
        remake_report(tmp_path, target="host")
    with pytest.raises(InputError, match=r"nothing was measured on it; measured were none$"):
        remake_report(tmp_path, runtime="onnxruntime")


def test_a_report_from_before_further_runtimes_still_opens(tmp_path):
    """It says less: no precision, no scale, no further front."""
    document = environment(
        latency={"runtime": "PyTorch", "target": "this host", "threads": 1, "reference_ms": 7.4, "reference": "xxs"}
    )
    del document["experiment"]["latency"], document["experiment"]["measure_front"]
    write_report(example_table(), document, tmp_path)
    page = remake_report(tmp_path).read_text()
    origin = view([], document).origin
    assert scale_words(origin.latency) == ""
    assert axis_label(LATENCY, origin) == "Latency (ms; PyTorch, this host, 1 thread)"
    assert {section.title: section.entries for section in provenance(origin)}["latency"][-2:] == (
        ("reference (ms)", "7.4"),
        ("reference", "xxs"),
    )
    assert json.loads(data_of(page))["further"] == []
    with pytest.raises(InputError, match=r"nothing was measured on it; measured were none$"):
        remake_report(tmp_path, runtime="executorch")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda document: document.update(front_latency=[]), "'front_latency' must be an object"),
        (lambda document: document.update(front_latency={}), "'front_latency.executorch' is missing"),
        (
            lambda document: document.update(front_latency={"executorch": 3}),
            "'front_latency.executorch' must be an object",
        ),
        (
            lambda document: document["front_latency"]["executorch"].pop("target"),
            "'front_latency.executorch.target' is missing",
        ),
        (
            lambda document: document["latency"].update(precision="2%"),
            "'latency.precision' has the wrong type, str",
        ),
    ],
)
def test_conditions_that_are_broken_are_an_error(tmp_path, change, message):
    write_report(by_hand(), conditions(), tmp_path)
    document = json.loads(json.dumps(conditions()))
    change(document)
    (tmp_path / "environment.json").write_text(json.dumps(document))
    with pytest.raises(InputError) as error:
        remake_report(tmp_path)
    assert str(error.value) == f"{tmp_path / 'environment.json'}: {message}"


def test_a_written_table_keeps_its_further_runtimes(tmp_path):
    table, document = with_further(example_table())
    write_report(table, document, tmp_path)
    read = read_table(tmp_path / "results.csv")
    assert read.records == table.records
    assert read.further_runtimes == ("executorch",)


# The page in a browser


def test_the_front_of_a_further_runtime_is_drawn_on_its_own_axes(opened):
    page = opened(by_hand(), conditions())
    traces = page.evaluate(
        "document.getElementById('further-executorch').data.map(t => [t.name, [...t.x], [...t.y], t.visible])"
    )
    drawn = {name: list(zip(x, y, strict=True)) for name, x, y, visible in traces if visible}
    assert drawn["front of these axes"] == [(9, 65), (15, 69), (20, 70)]
    assert drawn["on the front by ONNX Runtime"] == [(10, 60), (9, 65), (20, 70)]
    title = page.evaluate("document.getElementById('further-executorch').layout.xaxis.title.text")
    assert title == "Latency (ms; ExecuTorch 1.5.2, adb:R5CX10ABCDE, 1 thread, ±2 %)"
    bars = page.evaluate(
        "(() => { const { error_x: bars } = document.getElementById('further-executorch').data.find(t => t.name === 'front of these axes');"
        " return [bars.arrayminus, bars.array]; })()"
    )
    assert np.allclose(bars, [[0.5] * 3, [1.0] * 3])


def test_a_long_title_of_an_axis_is_broken_in_a_narrow_window(opened):
    page = opened(by_hand(), conditions(), viewport={"width": 400, "height": 800})
    title = page.evaluate("document.getElementById('further-executorch').layout.xaxis.title.text")
    assert title == "Latency (ms; ExecuTorch 1.5.2,<br>adb:R5CX10ABCDE, 1 thread, ±2 %)"
    widths = page.evaluate(
        "[...document.querySelectorAll('.xtitle')].map(text => [text.getBoundingClientRect().left, text.getBoundingClientRect().right])"
    )
    assert all(0 <= left < right <= 400 for left, right in widths if right)


def test_the_page_of_a_view_opens(opened):
    seen = through(view(*with_further(example_table())), "executorch")
    page = opened(seen.table, as_document(seen.origin))
    assert page.input_value("#x") == "latency_ms"
    page.locator("#candidates").scroll_into_view_if_needed()
    page.wait_for_selector(".tabulator-row")
    assert page.locator("#shown").text_content() == "15 candidates"
