"""What the page of a search says of what was confirmed: the verdict, the light, the ledger, and what the script gets."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from confirmations import CONFIRMATION, PIXEL, network, pair
from reports import data_of, environment, trained, view, without_libraries, write_report

from mvit_nas.errors import InputError
from mvit_nas.results.report import remake_report, render_search
from mvit_nas.results.search.confirmed import document, ranks_words, section, verdict_words
from mvit_nas.results.search.findings import findings
from mvit_nas.results.search.health import lights
from mvit_nas.results.table import table_of
from mvit_nas.results.view import StudyView
from mvit_nas.study.confirmation import Lead, Ranks
from mvit_nas.study.confirmation_file import write_confirmation

ROWS = [
    trained(9, 0.71, 4_000_000, 900_000_000, 15.0, arch_id="a9"),
    trained(0, 0.60, 1_000_000, 200_000_000, 5.0, name="mobilevit_xxs", arch_id="a0"),
    trained(8, 0.73, 2_920_000, 300_000_000, 6.0, arch_id="a8"),
    trained(5, 0.55, 900_000, 150_000_000, 4.0, arch_id="a5"),
]


def seen(**changes):
    return StudyView(view(ROWS).table, view(ROWS).origin, replace(CONFIRMATION, **changes))


def said(**changes):
    made = seen(**changes)
    assert made.confirmation is not None
    return verdict_words(made.confirmation, made, called={one.trial: one.label for one in made.confirmation.networks})


def test_the_verdict_names_who_is_taken_who_is_tied_and_what_is_cheaper():
    assert said() == (
        "Take a8: 74.0 % (71.0 to 76.5 %) on the test part. a9 is tied with it (no difference is shown), and it has "
        "27 % fewer parameters than a9."
    )
    assert said(take=9, tied=(8,)) == (
        "Take a9: 75.0 % (72.0 to 77.5 %) on the test part. a8 is tied with it (no difference is shown); a8 has 27 % "
        "fewer parameters."
    )
    assert said(take=9, tied=(8, 0)).endswith(
        "a8 and mobilevit_xxs are tied with it (no difference is shown); mobilevit_xxs has 75 % fewer parameters."
    )
    assert said(take=9, tied=()).endswith("on the test part, shown to be more than each of the 2 others.")
    alone = network(8, 0.73, 0.75, arch_id="a8")
    assert said(networks=(alone,), take=8, tied=()).endswith(
        "It was confirmed alone, so nothing is said of the others."
    )
    assert said(networks=CONFIRMATION.networks[3:], take=None, tied=()).startswith("Nothing was confirmed")


def test_the_page_begins_with_what_was_confirmed_and_what_is_tied_with_it():
    first = findings(seen())[0]
    assert (first.subject, first.is_choice, first.command) == ("A", True, "")
    assert first.facts == (
        (
            "74.0 % on the test part, medium schedule (71.0 to 76.5 %; over seeds and images), 2.92M parameters, "
            "300M MACs, 6 ms latency"
        ),
        "tied with trial 9 (no difference shown)",
    )


def test_a_tie_that_is_dearer_is_said_to_be_no_cheaper():
    best = (network(0, 0.75, arch_id="a0", label="mobilevit_xxs"), network(9, 0.74, arch_id="a9"))
    assert said(networks=best, take=0, tied=(9,)).endswith(
        "a9 is tied with it (no difference is shown), and not cheaper."
    )


@pytest.mark.parametrize(
    ("ends", "colour"), [((0.52, 1.0), "good"), ((0.3, 0.9), "warning"), ((-0.6, 0.4), "bad"), (None, "unknown")]
)
def test_the_light_ranks_hold_goes_by_the_interval_of_tau(ends, colour):
    low, high = ends or (None, None)
    ranks = Ranks(networks=7, tau=0.7 if ends else None, low=low, high=high)
    light = next(one for one in lights(seen(ranks=ranks)) if one.name == "Ranks hold")
    assert light.state == colour
    assert ranks_words(replace(CONFIRMATION, ranks=ranks)) == (light.state, light.sentence)
    assert "7 networks" in light.sentence
    assert ("Kendall's tau 0.70" in light.sentence) == (ends is not None)


def test_without_a_confirmation_the_light_says_what_would_tell():
    light = next(one for one in lights(view(ROWS)) if one.name == "Ranks hold")
    assert light.state == "unknown"
    assert "mvit-nas confirm" in light.sentence
    assert document(view(ROWS)) is None
    assert section(view(ROWS)) is None


def test_the_document_names_networks_by_their_row():
    found = json.loads(json.dumps(document(seen())))
    assert found["take"] == 2
    assert found["tied"] == [0]
    assert found["ties"] == [[0, 2]]
    assert [(one["row"], one["trial"], one["accuracy"]) for one in found["networks"]] == [
        (0, 9, pytest.approx(0.75)), (2, 8, pytest.approx(0.74)), (1, 0, pytest.approx(0.67)), (3, 5, None)
    ]  # fmt: skip
    assert [one["accuracy"] for one in found["networks"][0]["seeds"]] == [0.74, 0.76, 0.75]
    assert found["covers"] == "seeds and images"
    assert found["ledger"] == (
        "The test part was read 2 times: 2026-11-27 for 2 networks with 1 seed (medium schedule, 372 images); "
        "2026-11-28 by confirm for 4 networks with 3 seeds (medium schedule, 372 images)."
    )


def test_one_seed_is_called_a_lower_bound():
    found = document(seen(seeds=(0,)))
    assert found is not None
    assert found["covers"] == "images, one seed: a lower bound"


def test_the_section_says_what_became_of_the_best_of_the_search_and_who_failed():
    found = section(seen())
    assert found is not None
    text = " ".join(found.sentences)
    assert (
        "The best of the search, a8, is now 2 of 3: it led the mean of the others by 5.0 points then, and by 3.1 now."
        in text
    )
    assert "a5 is not among them: with seed 1 the training loss became nan in epoch 7 of 12." in text
    assert "The schedule was shortened to 7 epochs, to fit into 2 h." in text
    assert section(seen(lead=None)) is not None


def test_a_pair_has_the_better_one_first_whichever_way_it_was_subtracted():
    turned = pair(8, 9, -0.03, p_holm=0.01)
    found = section(seen(pairs=(turned,)))
    assert found is not None
    assert found.pairs is not None
    cells = found.pairs.rows[0].cells
    assert [one.text for one in cells] == ["a9 against a8", "3.0", "0.010", "a9 is better"]
    assert cells[1].detail == "+1.0 to +5.0"


def test_the_page_has_the_section_with_pictures_tables_and_the_ledger(tmp_path):
    write_confirmation(CONFIRMATION, tmp_path)
    page = write_report(table_of(ROWS), environment(), tmp_path).read_text()
    assert json.loads(data_of(page))["confirmed"]["take"] == 2
    text = without_libraries(page)
    assert "<h2>Confirmed</h2>" in text
    assert text.count(f'<img src="{PIXEL}"') == 3
    assert "dress, taken for hat (97\u00a0% sure)" in text
    assert "not in the test part" in text
    assert "Up to this confirmation it was read 2 times;" in text
    again = remake_report(tmp_path).read_text()
    assert again == page


def test_its_chart_can_be_saved_with_the_names_and_the_seeds(opened, tmp_path):
    write_confirmation(CONFIRMATION, tmp_path)
    page = opened(table_of(ROWS), environment())
    with page.expect_download() as waiting:
        page.click("[data-save=confirmed-plot] button:has-text('SVG')")
    assert waiting.value.suggested_filename.endswith("-confirmed-plot.svg")
    drawing = ElementTree.fromstring(Path(waiting.value.path()).read_bytes())
    shown = page.locator("svg.confirmed")
    for tag in ("line", "circle", "text"):
        assert len(drawing.findall(f".//{{*}}svg//{{*}}{tag}")) == shown.locator(tag).count() > 3
    # Its colours are in the drawing: a stylesheet does not travel with it.
    colours = {one.attrib["fill"] for one in drawing.findall(".//{*}svg//{*}circle")}
    assert "rgb(0, 114, 178)" in colours
    assert "Test accuracy in percent" in " ".join(drawing.itertext())


def test_names_of_classes_are_text(tmp_path):
    hostile = "<img src=x onerror=alert(3)>"
    made = seen(
        networks=(network(8, 0.7, arch_id="a8", classes=(hostile, "hat", hostile)),),
        pairs=(),
        take=8,
        tied=(),
        lead=None,
    )
    text = without_libraries(render_search(made))
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_a_confirmation_of_another_study_is_refused(tmp_path):
    networks = (replace(CONFIRMATION.networks[0], arch_id="b7"), *CONFIRMATION.networks[1:])
    write_confirmation(replace(CONFIRMATION, networks=networks), tmp_path)
    with pytest.raises(
        InputError, match=r"confirmation\.json: is of another study, since trial 9 is b7 there and a9 in"
    ):
        write_report(table_of(ROWS), environment(), tmp_path)


def test_without_a_confirmation_the_page_has_no_such_section(tmp_path):
    page = write_report(table_of(ROWS), environment(), tmp_path).read_text()
    assert "<h2>Confirmed</h2>" not in page
    assert json.loads(data_of(page))["confirmed"] is None


def test_a_lead_that_was_lost_is_said_with_its_sign():
    found = section(seen(lead=Lead(trial=9, rank=1, before=0.01, now=-0.004)))
    assert found is not None
    assert re.search(r"by 1\.0 points then, and by -0\.4 now", " ".join(found.sentences))
