"""The page of a search in a real browser: what a reader does, and what must then be seen."""

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from reports import (
    environment,
    example_table,
    only_costs,
    rows_of,
    three_rows,
    trained,
    view,
    with_further,
    write_report,
)

from mvit_nas.arch.config import to_dict
from mvit_nas.arch.presets import PRESETS
from mvit_nas.metrics import ACCURACY, METRICS, PARAMS
from mvit_nas.results.search.findings import findings
from mvit_nas.results.table import make_table, table_of
from mvit_nas.results.view import front

AXE = Path(__file__).parents[1] / "vendor/axe.min.js"
MISSING = "\u2013"
HOSTILE = "<script>alert(1)</script>"


def drawn_table():
    """The example with architectures and learning curves."""
    rows = rows_of(example_table())
    for number, row in enumerate(rows):
        if row["state"] == "complete":
            preset = list(PRESETS)[number % 3]
            row["arch"] = json.dumps(to_dict(PRESETS[preset]), sort_keys=True)
            row["epochs"] = 8
            row["rungs"] = json.dumps(
                [{"epoch": e, "loss": 1.0, "correct": 30 * e + number, "images": 300} for e in (1, 2, 4)]
            )
    return table_of(rows)


def settled(page):
    """Wait until all views have followed the last change."""
    page.wait_for_timeout(50)  # the browser tells of a new hash a little later
    page.wait_for_selector("html[data-settled=yes]")


def same(points, others):
    return np.allclose(points, others) if len(points) == len(others) else False


def drag(page, metric, limit):
    """Move the slider of ``metric`` to ``limit``."""
    page.evaluate(
        "([id, limit]) => { const slider = document.getElementById(id); slider.value = Math.round(limit / slider.dataset.unit); "
        "slider.dispatchEvent(new Event('input', { bubbles: true })); }",
        [f"limit-{metric}", limit],
    )
    settled(page)


def shown_front(page):
    return page.evaluate(
        """() => {
            const front = document.getElementById('front').data.find(trace => trace.name === 'front of these axes');
            return front.x.map((x, i) => [x, front.y[i]]);
        }"""
    )


def front_of(table, x, y):
    """The front of two columns by Python, as the page draws it: accuracies in percent, from left to right."""
    metrics = METRICS[x], METRICS[y]
    rows = [table.records[index] for index in front(table.records, metrics)]
    return sorted([row.value(metric) * (100 if metric is ACCURACY else 1) for metric in metrics] for row in rows)


AXES = ("accuracy", "params", "macs", "latency_ms")


def test_the_front_of_any_two_axes_is_that_of_the_table(opened):
    table = example_table()
    page = opened(table, environment())
    for x in AXES:
        for y in AXES:
            if x == y:
                continue
            page.select_option("#x", x)
            page.select_option("#y", y)
            settled(page)
            assert same(shown_front(page), front_of(table, x, y)), (x, y)


def test_choosing_the_other_axis_swaps_the_two(opened):
    page = opened(example_table(), environment())
    page.select_option("#x", "accuracy")
    settled(page)
    assert page.input_value("#y") == "params"
    assert page.evaluate("document.getElementById('front').layout.yaxis.title.text") == "Parameters"


def test_the_step_leaves_each_point_towards_more_cost(opened):
    page = opened(example_table(), environment())
    shape = "document.getElementById('front').data.find(t => t.name === 'front of these axes').line.shape"
    assert page.evaluate(shape) == "hv"
    page.select_option("#x", "accuracy")
    settled(page)
    assert page.evaluate(shape) == "vh"


def test_costs_can_be_shown_on_a_logarithmic_axis(opened):
    page = opened(example_table(), environment())
    kinds = "['xaxis', 'yaxis'].map(axis => document.getElementById('front').layout[axis].type)"
    assert page.evaluate(kinds) == ["linear", "linear"]
    page.check("#log")
    settled(page)
    assert page.evaluate(kinds) == ["log", "linear"]


def test_the_headline_of_the_page_is_the_headline_of_python(opened):
    table = example_table()
    page = opened(table, environment())
    text = page.locator("main").text_content().replace("\N{NO-BREAK SPACE}", " ")
    found = findings(view(table))
    for finding in found:
        for words in (finding.title, finding.subject, finding.detail, *finding.facts, *finding.comparisons):
            assert words in text
    first = page.locator("#headline .answer").text_content().replace("\N{NO-BREAK SPACE}", " ")
    assert f"Take A: {found[0].facts[0]}" in first
    assert f"Not confirmed: {found[0].command}" in first


def test_the_first_screen_has_the_answer_the_front_the_limits_and_the_trust(opened):
    page = opened(drawn_table(), environment(), viewport={"width": 1440, "height": 900})
    settled(page)
    bottom = "box => box.getBoundingClientRect().bottom"
    for part in (".answer", ".trust", "#front", "#limits-panel", ".toc"):
        assert page.locator(part).evaluate(bottom) <= 900, part
    places = [page.locator(part).bounding_box() for part in ("#headline", "#front")]
    assert places[0]["x"] + places[0]["width"] <= places[1]["x"]
    names = "document.getElementById('front').data.find(trace => trace.name === 'names').text.join(' ')"
    assert "<b>A</b>" in page.evaluate(names)
    counts = page.locator(".trust .count").all_text_contents()
    assert sum(int(words.split()[0]) for words in counts) == page.locator(".lights li").count()


def test_on_a_phone_the_answer_comes_first(opened):
    page = opened(drawn_table(), environment(), viewport={"width": 400, "height": 800})
    tops = [page.locator(part).bounding_box()["y"] for part in ("h1", ".answer", "#front", "#limits-panel", "#trust")]
    assert tops == sorted(tops)


@pytest.mark.parametrize("width", [400, 1440])
def test_little_moves_while_the_page_opens(browser, tmp_path, width):
    path = write_report(drawn_table(), environment(), tmp_path)
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.add_init_script(
        "window.moved = 0; new PerformanceObserver(list => { for (const one of list.getEntries()) window.moved += one.value; })"
        ".observe({ type: 'layout-shift', buffered: true })"
    )
    page.goto(path.as_uri())
    settled(page)
    page.wait_for_timeout(300)
    assert page.evaluate("window.moved") <= 0.1
    page.close()


def test_a_slider_makes_the_front_and_the_best_of_the_table_cut_by_it(opened):
    table = example_table()
    page = opened(table, environment())
    drag(page, "params", 2_500_000)
    assert page.locator("label[for=limit-params] output").text_content() == "at most 2.5M parameters"
    cut = make_table(one for one in table.records if one.is_complete and one.value(PARAMS) <= 2_500_000)
    assert same(shown_front(page), front_of(cut, "params", "accuracy"))
    found = [one for one in findings(view(cut, environment(presets=[]))) if one.subject]
    details = page.locator("#headline .note").all_text_contents()
    assert [text.rpartition("; ")[2] for text in details] == [one.detail for one in found]
    assert f"{len(cut)} of " in page.locator("#left").text_content()
    page.click("#reset")
    settled(page)
    assert same(shown_front(page), front_of(table, "params", "accuracy"))
    assert "limit" not in page.evaluate("location.hash")


def chances_in_the_table(page):
    """What the table says of each candidate that is looked at: P(best) and P(on the front)."""
    page.locator("#candidates").scroll_into_view_if_needed()
    page.wait_for_selector("#candidates .tabulator-row")
    settled(page)
    rows = page.locator("#candidates .tabulator-row").evaluate_all(
        """all => all.map(row => {
            const cell = field => row.querySelector(`[tabulator-field=${field}]`);
            return [cell('candidate').querySelector('.cell').firstChild.textContent, cell('p_best').textContent, cell('p_front').textContent];
        })"""
    )
    return {name.split()[0]: (best, on_front) for name, best, on_front in rows}


def in_percent(chance):
    return "<1 %" if chance < 0.005 else ">99 %" if chance >= 0.995 else f"{100 * chance:.0f} %"


def test_the_table_says_how_likely_each_is_the_best_and_on_the_front(opened):
    page, seen = opened(example_table(), environment()), view(example_table())
    shown = chances_in_the_table(page)
    for letter, row in zip("ABCDEFG", seen.front, strict=False):
        assert shown[letter] == (in_percent(seen.sure.best[row]), in_percent(seen.sure.front[row]))
    assert len({best for best, _ in shown.values()}) > 3
    drag(page, "params", 2_500_000)
    within = {n for n, one in enumerate(seen.records) if one.is_complete and one.value(PARAMS) <= 2_500_000}
    likely = max(chances := seen.sure.chances(within), key=lambda row: chances[row])
    assert in_percent(chances[likely]) in {best for best, _ in chances_in_the_table(page).values()}


def test_while_a_slider_moves_no_old_probability_stands(opened):
    page = opened(example_table(), environment())
    settled(page)
    answer = "document.querySelector('#headline .answer').textContent.replaceAll('\\u00a0', ' ')"
    before = page.evaluate(answer)
    assert re.search(r"with a probability of \d+ %", before)
    moving = page.evaluate(
        f"""async () => {{
            const slider = document.getElementById('limit-params');
            slider.value = Math.round(2500000 / slider.dataset.unit);
            slider.dispatchEvent(new Event('input', {{ bubbles: true }}));
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            return {answer};
        }}"""
    )
    assert "at most 2.5M parameters" in moving
    assert "with a probability of … %" in moving
    settled(page)
    assert re.search(r"with a probability of \d+ %", page.evaluate(answer))


def test_a_dot_is_the_fuller_the_likelier_it_is_on_the_front(opened):
    page, seen = opened(example_table(), environment()), view(example_table())
    settled(page)
    colours = "document.getElementById('front').data.find(trace => trace.name === 'front of these axes').marker.color"
    rows = sorted(front(seen.records, (ACCURACY, PARAMS)), key=lambda row: seen.records[row].value(PARAMS))
    reds = [
        int(re.findall(r"\d+", text)[0]) for text in page.evaluate(colours)
    ]  # of the blue that a full dot has there is none
    assert reds == [pytest.approx(255 * (1 - seen.sure.front[row]), abs=1) for row in rows]
    page.select_option("#x", "macs")  # no goal of this search
    settled(page)
    assert set(page.evaluate(colours)) == {"#0072b2"}


def test_limits_that_nothing_keeps_are_said_to(opened):
    page = opened(example_table(), environment())
    page.evaluate("() => { location.hash = 'limit.params=1000&limit.accuracy=0.7'; }")
    settled(page)
    assert "No candidate keeps the limits" in page.locator("#headline").text_content()
    assert shown_front(page) == []


def test_what_one_gives_up_is_said(opened):
    page = opened(example_table(), environment())
    trade = page.locator("#cards .trade").first.text_content()
    assert "More accuracy: nothing on the front" in trade
    assert re.search(r"Fewer parameters: [B-Z][^:]*, -\d+\.\d accuracy points", trade)


def test_why_it_is_on_the_front_is_said(opened):
    page = opened(example_table(), environment())
    settled(page)
    why = page.locator("#cards details.trade").first
    assert "Nothing beats it in all goals" in why.text_content()
    assert "Accuracy: better than, or as good as, all" in why.text_content()


def test_the_hash_restores_what_was_seen(opened, browser, tmp_path):
    page = opened(drawn_table(), environment())
    page.select_option("#x", "latency_ms")
    page.check("#log")
    drag(page, "accuracy", 0.6)
    page.locator("#candidates").scroll_into_view_if_needed()
    page.fill("#find", "mobilevit")
    page.locator(".tabulator-row").nth(0).click()
    settled(page)
    seen = (shown_front(page), page.locator("#headline").text_content(), page.locator("#cards").text_content())
    link = page.evaluate("location.href")
    other = browser.new_page(viewport={"width": 1280, "height": 900})
    other.goto(link)
    other.wait_for_selector("html[data-ready]")
    settled(other)
    assert (
        shown_front(other),
        other.locator("#headline").text_content(),
        other.locator("#cards").text_content(),
    ) == seen
    assert other.is_checked("#log")
    other.locator("#candidates").scroll_into_view_if_needed()
    other.wait_for_selector(".tabulator-row")
    assert other.input_value("#find") == "mobilevit"
    assert other.locator("#shown").text_content() == page.locator("#shown").text_content() == "3 of 36 candidates"
    other.close()


def test_a_click_on_a_point_pins_its_network(opened):
    page = opened(drawn_table(), environment())
    settled(page)
    page.locator("#front").scroll_into_view_if_needed()
    x, y = page.evaluate(
        """() => {
            const plot = document.getElementById('front');
            const { xaxis, yaxis } = plot._fullLayout;
            const front = plot.data.find(trace => trace.name === 'front of these axes');
            const box = plot.getBoundingClientRect();
            const at = front.x.length - 1;
            return [box.left + xaxis._offset + xaxis.d2p(front.x[at]), box.top + yaxis._offset + yaxis.d2p(front.y[at])];
        }"""
    )
    page.mouse.move(x, y)
    said = page.locator(".tip").first.text_content()
    assert "validation accuracy" in said
    assert re.search(
        r"95 % interval \d\d\.\d to \d\d\.\d % \(over images alone, one seed\)", said.replace("\u00a0", " ")
    )
    assert "P(on the front)" in said
    page.mouse.click(x, y)
    settled(page)
    records = example_table().records
    best = front(records, (ACCURACY, PARAMS))[0]
    assert page.locator("#cards .subject").all_text_contents() == ["A"]
    assert page.evaluate("location.hash") == f"#pin={best}"


def test_the_keyboard_walks_along_the_front_and_pins(opened):
    page = opened(drawn_table(), environment())
    page.locator(".layered").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    settled(page)
    first = front(example_table().records, (ACCURACY, PARAMS))[-1]
    assert page.evaluate("location.hash") == f"#pin={first}"


def test_two_networks_side_by_side_say_what_differs(opened):
    table = drawn_table()
    page = opened(table, environment())
    page.evaluate("() => { location.hash = 'pin=0,1'; }")
    settled(page)
    assert page.locator("#cards .subject").all_text_contents() == ["K (mobilevit_xxs)", "G (mobilevit_xs)"]
    assert page.locator("#cards svg.network").count() == 2
    assert "(mobilevit_xs) against K (mobilevit_xxs): +3.7 accuracy points" in page.locator("#differs").text_content()
    assert "stage 3, mobilevit.dim" in page.locator("#differs").text_content()
    assert page.locator("#cards .codes code").all_text_contents()[:2] == [
        "mvit-nas confirm 'Shirts and shoes within six million' 0",
        "mvit-nas latency 'Shirts and shoes within six million:0'",
    ]
    shown = page.locator("#cards .configuration code").all_text_contents()
    assert [json.loads(text) for text in shown] == [
        json.loads(json.dumps(to_dict(record.candidate.arch))) for record in table.records[:2]
    ]


@pytest.mark.parametrize(("button", "name"), [("#csv", "csv"), ("#json", "json")])
def test_the_table_can_be_downloaded(opened, tmp_path, button, name):
    table = drawn_table()
    page = opened(table, environment())
    # The table is drawn once it comes near, and moves what is pressed before.
    page.locator("#candidates").scroll_into_view_if_needed()
    page.wait_for_selector("#candidates .tabulator-row")
    settled(page)
    with page.expect_download() as waiting:
        page.click(button)
    text = Path(waiting.value.path()).read_text("utf-8")
    if name == "csv":
        assert text == (tmp_path / "results.csv").read_text("utf-8")
    else:
        rows = json.loads(text)
        assert [row["arch_id"] for row in rows] == [record.candidate.arch_id for record in table.records]
        assert list(rows[0]) == [column.name for column in table.columns]


def test_the_table_sorts_what_is_missing_last(opened):
    page = opened(example_table(), environment())
    page.locator("#candidates").scroll_into_view_if_needed()
    heading = page.locator(".tabulator-col", has_text="Parameters").locator("button")

    def values():
        return page.locator(".tabulator-row .tabulator-cell[tabulator-field=params]").all_text_contents()

    def number(text):
        return float(text.rstrip("KMG")) * {"K": 1e3, "M": 1e6}[text[-1]]

    heading.click()
    ascending = [number(text) for text in values() if text != MISSING]
    assert ascending == sorted(ascending)
    heading.click()
    settled(page)
    descending = [number(text) for text in values() if text != MISSING]
    assert descending == sorted(descending, reverse=True)
    assert page.evaluate("location.hash") == "#sort=params%2Cdesc"


def test_columns_can_be_chosen(opened):
    page = opened(example_table(), environment())
    page.locator("#candidates").scroll_into_view_if_needed()
    page.click("#columns summary")
    page.uncheck("#choices label:has-text('State') input")
    settled(page)
    assert page.locator(".tabulator-col[tabulator-field=state]").count() == 0
    assert page.locator(".tabulator-col[tabulator-field=params]").count() == 1


def test_axes_can_be_hidden_inverted_and_coloured_by(opened):
    page = opened(example_table(), environment())
    page.locator("#parallel").scroll_into_view_if_needed()
    page.get_by_role("slider", name="Accuracy: range").focus()
    page.keyboard.press("ArrowDown")
    settled(page)
    section = page.locator("#choices-and-outcomes")
    section.locator("summary").click()
    band = "document.querySelector('[aria-label=\"Accuracy: range\"] .band').getBoundingClientRect().top"
    before = page.evaluate(band)
    section.get_by_label("Invert Accuracy").check()
    assert page.evaluate(band) > before + 50  # the highest third is at the bottom now
    section.get_by_label("Colour by").select_option("params")
    section.get_by_text("Accuracy", exact=True).locator("input").uncheck()
    settled(page)
    assert page.get_by_role("slider", name="Accuracy: range").count() == 0
    assert not page.evaluate("location.hash")  # what is not seen keeps nothing out


def test_a_brush_is_followed_by_the_table(opened):
    page = opened(example_table(), environment())
    page.locator("#parallel").scroll_into_view_if_needed()
    page.get_by_role("slider", name="Accuracy: range").focus()
    page.keyboard.press("ArrowDown")
    settled(page)
    page.locator("#candidates").scroll_into_view_if_needed()
    page.wait_for_selector(".tabulator-row")
    assert re.fullmatch(r"\d+ of 36 candidates", page.locator("#shown").text_content())
    assert page.evaluate("location.hash").startswith("#brush.accuracy=")
    page.click("#unbrush")
    settled(page)
    assert page.locator("#shown").text_content() == "36 candidates"


def test_published_models_have_a_chart_of_their_own(opened):
    page = opened(example_table(), environment())
    page.locator("#published").evaluate("box => box.closest('section').scrollIntoView()")
    page.wait_for_selector("#published .plot-container")
    drawn = page.evaluate(
        "[document.getElementById('published').data, document.getElementById('published').layout.yaxis.title.text]"
    )
    (models, named), title = drawn
    assert len(models["x"]) > 50
    assert 10 <= len(named["text"]) <= 20
    assert title == "Top-1 accuracy on ImageNet (%)"
    assert all("ImageNet" in words for words in models["hovertext"])
    assert "published" not in page.evaluate("document.getElementById('front').data.map(one => one.name).join()")


def test_paper_is_white_also_for_those_who_read_in_the_dark(opened):
    page = opened(example_table(), environment(), color_scheme="dark")
    line = "document.getElementById('front').data.find(t => t.name === 'front of these axes').line.color"
    page.evaluate("() => { dispatchEvent(new Event('beforeprint')) }")
    assert page.evaluate(line) == "#0072b2"
    assert page.locator("#printed tbody tr").count() == 36
    page.evaluate("() => { dispatchEvent(new Event('afterprint')) }")
    assert page.evaluate(line) == "#56b4e9"


def test_the_page_follows_the_colour_scheme(opened):
    page = opened(example_table(), environment(), color_scheme="dark")
    line = "document.getElementById('front').data.find(t => t.name === 'front of these axes').line.color"
    assert page.evaluate(line) == "#56b4e9"
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(200)
    assert page.evaluate(line) == "#0072b2"


def test_the_tables_are_there_without_scripts(opened):
    page = opened(example_table(), environment(), java_script_enabled=False)
    assert page.locator("#plain tbody tr").count() == 36
    assert not page.locator("#front-controls").is_visible()
    assert page.get_by_text("The plots need scripts").is_visible()


@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_no_wider_than_the_window(opened, width):
    page = opened(drawn_table(), environment(), viewport={"width": width, "height": 800})
    look_at_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def look_at_all(page):
    """Scroll to the end, so that every view is made."""
    for part in ("#learning", "#parallel", "#candidates", "#matters", "#history", "#trials"):
        if page.locator(part).count():  # what is hidden is made when its place comes near
            page.locator(part).evaluate(
                "one => (one.hidden ? one.parentElement : one).scrollIntoView({ block: 'end' })"
            )
            settled(page)


def bad_tables():
    one = [trained(0, 0.6, 1_000_000, 200_000_000, 5.0)]
    unmeasured = [row | {"latency_ms": None, "latency_low_ms": None, "latency_high_ms": None} for row in one * 3]
    many = {f"param.f{number}": number % 7 for number in range(2000)}
    return {
        "one trial": one,
        "no trial": [],
        "none feasible": [{"trial": n, "state": "over_budget", "params": 7_000_000 + n, "macs": 9} for n in range(3)],
        "all failed": [{"trial": n, "state": "failed", "seconds": 3.0, "reason": "no memory"} for n in range(3)],
        "no latency": unmeasured,
        "not a number": [trained(0, 0.6, 1, 2, 5.0), trained(1, float("nan"), 3, 4, float("nan"))],
        "many factors": [trained(n, 0.5 + n / 100, 10 + n, 9, 1.0) | many | {"param.f0": n} for n in range(15)],
        "not scored": [{"trial": n, "state": "complete", "params": 10 + n, "macs": 9 - n} for n in (0, 1)],
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one trial", "Best within the budget"),
        ("no trial", "no trial has ended yet"),
        ("none feasible", "3 over budget"),
        ("all failed", "3 failed"),
        ("no latency", "Latency was not measured"),
        ("not a number", "Best within the budget"),
        ("many factors", "Best within the budget"),
        ("not scored", "Fewest parameters"),
    ],
)
@pytest.mark.parametrize("locale", ["en-GB", "de-DE"])
def test_the_page_opens_on_any_table_and_says_what_is_missing(opened, name, said, locale):
    page = opened(table_of(bad_tables()[name]), environment(), locale=locale)
    look_at_all(page)
    assert said in page.locator("main").text_content()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_the_page_opens_on_a_search_over_costs_alone(opened):
    page = opened(*only_costs())
    assert shown_front(page) == [[1_000_000, 200_000_000]]


def test_the_page_of_a_search_with_a_further_runtime_opens(opened):
    page = opened(*with_further(example_table()))
    look_at_all(page)
    assert "latency_ms.executorch" in page.locator("#x option").evaluate_all("all => all.map(one => one.value)")


@pytest.mark.parametrize("name", [HOSTILE, "<img src=x onerror=alert(3)>"])
def test_a_hostile_name_stays_text_in_the_page(opened, name):
    data = {**environment()["data"], "classes": [name, "hat"], "name": name}
    rows = [
        trained(n, 0.5 + n / 50, 1000 + n, 9 + n, 1.0 + n, name=name, reason="</script>" + name)
        | {
            f"param.{name}": name + "ab"[n % 2],
            "arch": json.dumps(to_dict(PRESETS["mobilevit_xxs"])),
            "arch_id": name + str(n),
        }
        for n in range(14)
    ]
    experiment = {**environment()["experiment"], "schedule": {"name": name}}
    page = opened(table_of(rows), environment(study=name, data=data, presets=[name], experiment=experiment))
    look_at_all(page)
    page.evaluate("() => { location.hash = 'pin=3,4'; dispatchEvent(new Event('beforeprint')); }")
    settled(page)
    page.locator(".layered").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("h1").text_content() == name
    assert page.locator("img").count() == 0
    assert page.evaluate("[...document.scripts].filter(one => one.textContent.startsWith('alert')).length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_serious_keeps_anybody_from_reading_the_page(opened, scheme, width):
    page = opened(
        drawn_table(), environment(), color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=True
    )
    look_at_all(page)
    page.evaluate("for (const one of document.querySelectorAll('details.configuration')) one.open = true")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async () => (await axe.run(document)).violations")
    serious = [
        (one["id"], one["help"], [(node["html"][:200], node["failureSummary"]) for node in one["nodes"]][:4])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_an_only_trial_is_drawn_on_all_axes(opened):
    page = opened(make_table(three_rows().records[:1]), environment())
    assert shown_front(page) == [[1_000_000, 60.0]]


def saved_by(page, button):
    with page.expect_download() as waiting:
        page.click(button)
    return Path(waiting.value.path()).read_bytes(), waiting.value.suggested_filename


def test_a_saved_copy_shows_the_same_view_and_the_decision_to_whoever_opens_it(opened, browser, tmp_path):
    page = opened(drawn_table(), environment())
    drag(page, "params", 2_500_000)
    page.select_option("#decided", label=page.locator("#decided option").nth(2).text_content())
    page.fill("#reason", "fits </script><b>the</b> phone")
    page.fill("#reviewer", "Ada")
    seen = (shown_front(page), page.locator("#headline").text_content(), page.locator("#decision-note").text_content())
    text, name = saved_by(page, "#save-copy")
    assert name == "Shirts-and-shoes-within-six-million-decided.html"
    copy = tmp_path / "mailed.html"
    copy.write_bytes(text)
    other = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    complaints = []
    other.on("console", lambda message: complaints.append(message.text))
    other.goto(copy.as_uri())
    other.wait_for_selector("html[data-ready]")
    settled(other)
    assert seen == (
        shown_front(other),
        other.locator("#headline").text_content(),
        other.locator("#decision-note").text_content(),
    )
    assert other.input_value("#reason") == "fits </script><b>the</b> phone"
    assert complaints == []
    assert saved_by(other, "#save-copy")[0] == text
    other.close()


def test_a_decision_is_saved_as_markdown_and_json(opened):
    page = opened(drawn_table(), environment())
    settled(page)
    assert page.locator("#save-json").is_disabled()
    page.select_option("#decided", index=1)
    page.fill("#decided-on", "2026-11-28")
    record = json.loads(saved_by(page, "#save-json")[0])
    assert (record["name"], record["date"], record["study"]) == ("A", "2026-11-28", environment()["study"])
    best = example_table().records[front(example_table().records, (ACCURACY, PARAMS))[0]]
    assert record["trial"] == best.trial
    assert saved_by(page, "#save-markdown")[0].decode().startswith("# Decision: A of Shirts")


def test_a_saved_decision_is_loaded_again_and_one_of_another_study_is_refused(opened, tmp_path):
    page = opened(drawn_table(), environment())
    settled(page)
    page.select_option("#decided", index=1)
    page.fill("#reason", "fits the phone")
    record = json.loads(saved_by(page, "#save-json")[0])
    note = page.locator("#decision-note").text_content()
    page.select_option("#decided", index=0)
    page.fill("#reason", "")

    def load(name, content):
        page.set_input_files(
            "#load-decision", {"name": name, "mimeType": "application/json", "buffer": content.encode()}
        )
        page.wait_for_function("() => !document.getElementById('load-decision').files.length")
        return page.locator("#load-note").text_content()

    other = load("hats.json", json.dumps({**record, "study": HOSTILE}))
    assert other == f"hats.json is a decision on “{HOSTILE}”, this page shows “{environment()['study']}”."
    assert load("table.json", "[1, 2]") == "table.json is not a decision that this page saved as JSON."
    assert page.input_value("#reason") == ""
    assert load("decision.json", json.dumps(record)) == ""
    assert (page.input_value("#reason"), page.locator("#decision-note").text_content()) == ("fits the phone", note)


def test_the_front_is_saved_with_the_points_of_the_canvas_in_it(opened):
    page = opened(example_table(), environment())
    settled(page)
    svg = saved_by(page, "[data-save=front] button:has-text('SVG')")[0].decode()
    complete = sum(record.is_complete for record in example_table().records)
    over = sum(record.state == "over_budget" for record in example_table().records)
    # The points, and with them those of the legend and the invisible ones that carry names.
    assert svg.count('class="point"') >= complete + over
    assert saved_by(page, "[data-save=front] button:has-text('PNG')")[0].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("chart", "said"),
    [
        ("parallel", "Patch size"),
        ("matters", "Share explained"),
        ("curves", "all trainings"),
        ("history", "Hypervolume"),
        ("trials", "Cost of the trial"),
        ("published", "as published"),
    ],
)
def test_every_chart_is_saved_as_a_drawing_and_as_a_picture(opened, chart, said):
    page = opened(drawn_table(), environment())
    look_at_all(page)
    page.locator(f"#{chart}").scroll_into_view_if_needed()
    page.wait_for_selector(f"[data-save={chart}]")
    settled(page)
    content, name = saved_by(page, f"[data-save={chart}] button:has-text('SVG')")
    assert name == f"Shirts-and-shoes-within-six-million-{chart}.svg"
    drawing = ElementTree.fromstring(content)
    assert said.lower() in " ".join(drawing.itertext()).lower()
    assert len(drawing.findall(".//{*}path")) + len(drawing.findall(".//{*}circle")) > 10
    picture = saved_by(page, f"[data-save={chart}] button:has-text('PNG')")[0]
    assert Image.open(io.BytesIO(picture)).size == tuple(
        2 * round(float(drawing.attrib[side].removesuffix("px"))) for side in ("width", "height")
    )


def test_nothing_runs_in_the_page_but_its_own_scripts(opened):
    page = opened(example_table(), environment(), bypass_csp=False)
    policy = page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert "form-action 'none'; base-uri 'none'" in policy


def test_a_chart_is_as_wide_as_its_place_again_after_printing(opened):
    page = opened(example_table(), environment(), viewport={"width": 1440, "height": 900})
    look_at_all(page)
    page.pdf()
    page.wait_for_timeout(400)
    widths = page.evaluate(
        "[...document.querySelectorAll('.js-plotly-plot')].filter(one => one.offsetWidth)"
        ".map(one => [one._fullLayout.width, one.getBoundingClientRect().width])"
    )
    assert len(widths) >= 3
    assert all(abs(one - other) <= 2 for one, other in widths)


@pytest.mark.parametrize("width", [400, 1280])
def test_no_words_of_a_drawing_are_too_small_to_read(opened, width):
    page = opened(drawn_table(), environment(), viewport={"width": width, "height": 900})
    settled(page)
    heights = page.evaluate(
        "[...document.querySelectorAll('svg.network text')].map(one => one.getAttribute('font-size') * "
        "one.ownerSVGElement.getBoundingClientRect().width / one.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert min(heights) >= 8.5


def test_balanced_accuracy_is_a_column_an_axis_and_a_limit(opened):
    rows = rows_of(example_table())
    for row in rows:
        if "accuracy" in row:
            row["balanced_accuracy"] = 0.9 * row["accuracy"] + 0.001 * (row["trial"] % 7)
    document = environment()
    document["experiment"] = document["experiment"] | {"objectives": ["balanced_accuracy", "params"]}
    page, seen = opened(rows, document), view(rows, document)
    title = "Validation balanced accuracy, short schedule (%)"
    assert page.evaluate("document.getElementById('front').layout.yaxis.title.text") == title
    assert page.locator("#x option[value=balanced_accuracy]").count() == 1
    headline = page.locator("#headline").text_content().replace("\N{NO-BREAK SPACE}", " ")
    best = findings(seen)[0]
    assert all(words in headline for words in (best.subject, *best.facts))
    assert "validation accuracy" not in headline
    drag(page, "balanced_accuracy", 0.6)
    assert page.locator("label[for=limit-balanced_accuracy] output").text_content() == "at least 60.0 %"
    kept = sum(row.get("balanced_accuracy", 0) >= 0.6 for row in rows)
    assert f"{kept} of " in page.locator("#left").text_content()
    page.locator("#candidates").scroll_into_view_if_needed()
    page.wait_for_selector("#candidates .tabulator-row")
    assert "Balanced accuracy" in page.locator("#candidates").text_content()


def test_what_matters_is_on_one_axis_and_says_none_where_none_is_shown(opened):
    page = opened(example_table(), environment())
    page.locator("#matters").scroll_into_view_if_needed()
    page.wait_for_selector(".effect")
    ends = page.locator("#effects .effect").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('text.end')].map(text => text.textContent).join())"
    )
    assert len(ends) > 1
    assert len(set(ends)) == 1
    shares = page.locator("#shares tbody tr").all_text_contents()
    assert not [text for text in shares if "-" in text.split("%")[0]]
    assert [text for text in shares if "none shown" in text]
