import json
from pathlib import Path

import pytest
from comparisons import CONDITIONS, flat, row, study, write_data
from sure import sure

from mvit_nas.cli.tables import print_comparison
from mvit_nas.errors import InputError
from mvit_nas.metrics import ACCURACY, PARAMS
from mvit_nas.results.comparison.comparison import compare_studies, document
from mvit_nas.results.comparison.fronts import Change, compare_fronts
from mvit_nas.results.comparison.fronts_page import count_words, front_lines, fronts_section
from mvit_nas.results.comparison.page import cards, headline, page_data, title
from mvit_nas.results.report import read_study, write_comparison

OBJECTIVES = (ACCURACY, PARAMS)
OLD = [
    row(0.5, 400_000, arch_id="kept"),
    row(0.7, 600_000, arch_id="moved", accuracy_low=0.66, accuracy_high=0.74),
    row(0.6, 500_000, arch_id="beaten"),
    row(0.9, 900_000, arch_id="gone"),
    row(0.4, 450_000, arch_id="behind"),  # kept beats it
]
NEW = [
    row(0.4, 300_000, arch_id="fresh"),
    row(0.5, 400_000, arch_id="kept"),
    row(0.6, 500_000, arch_id="beaten"),
    row(0.65, 480_000, arch_id="smaller"),  # beats "beaten"
    row(0.73, 600_000, arch_id="moved", accuracy_low=0.69, accuracy_high=0.77),
    row(0.95, 890_000, arch_id="best"),  # would beat "gone"
]


def before_and_after(old=OLD, new=NEW):
    return study("old", 0, "tpe", old, reference=1e6), study("new", 0, "tpe", new, reference=1e6)


def changes(fronts):
    return [(str(member.change), member.record.label, member.why) for member in fronts.members]


def test_members_of_two_fronts_are_new_lost_moved_or_kept_the_best_first():
    assert changes(compare_fronts(*before_and_after(), objectives=OBJECTIVES)) == [
        ("new", "best", "not trained there"),
        ("new", "smaller", "not trained there"),
        ("new", "fresh", "not trained there"),
        ("lost", "gone", "not trained there; best would beat it"),
        ("lost", "beaten", "beaten there by smaller"),
        ("moved", "moved", ""),
        ("kept", "kept", ""),
    ]


def test_the_order_of_the_two_is_from_the_first_to_the_second():
    back = compare_fronts(*reversed(before_and_after()), objectives=OBJECTIVES)
    assert (back.old, back.new) == ("new", "old")
    assert [label for change, label, _ in changes(back) if change == "new"] == ["gone", "beaten"]


def test_a_network_without_a_name_of_its_own_is_never_found_in_the_other():
    one, two = (study(name, 0, "tpe", [row(0.5, 4, arch_id=None)]) for name in ("a", "b"))
    fronts = compare_fronts(one, two, objectives=OBJECTIVES)
    assert [member.change for member in fronts.members] == [Change.NEW, Change.LOST]


def test_a_trial_that_was_stopped_there_was_not_trained_there():
    old, new = before_and_after([row(0.5, 4, arch_id="a")], [row(None, 4, arch_id="a", state="stopped"), row(0.4, 9)])
    assert changes(compare_fronts(old, new, objectives=OBJECTIVES))[-1] == ("lost", "a", "not trained there")


def test_what_was_trained_twice_stands_with_the_trial_that_is_on_the_front():
    old, new = before_and_after([row(0.5, 4, arch_id="a")], [row(0.6, 4, arch_id="a"), row(0.3, 4, arch_id="a")])
    (member,) = compare_fronts(old, new, objectives=OBJECTIVES).members
    assert member.change is Change.MOVED
    assert sure(member.new).trial == 0


def test_who_beats_a_lost_network_is_told_by_its_numbers_there():
    old, new = before_and_after([row(0.8, 4, arch_id="a")], [row(0.5, 4, arch_id="a"), row(0.6, 3, arch_id="b")])
    fronts = compare_fronts(old, new, objectives=OBJECTIVES)
    assert changes(fronts)[-1] == ("lost", "a", "beaten there by b")  # with 0.8 it would not be
    # What is said of it is what it had on the front.
    assert list(front_lines(fronts))[-1] == "lost: a: 80.0 %, 4 parameters (beaten there by b)"


def test_a_difference_that_no_table_shows_is_no_move():
    old, new = before_and_after([row(0.5, 4, arch_id="a")], [row(0.5001, 4, arch_id="a")])
    fronts = compare_fronts(old, new, objectives=OBJECTIVES)
    assert count_words(fronts) == "the same front, 1 kept"
    assert list(front_lines(fronts)) == []


def test_lines_for_a_terminal_say_the_numbers_before_and_after_and_why():
    fronts = compare_fronts(*before_and_after(), objectives=OBJECTIVES)
    assert count_words(fronts) == "3 new, 2 lost, 1 moved, 1 kept"
    lines = list(front_lines(fronts))
    assert len(lines) == 6
    assert lines[0] == "new: best: 95.0 %, 890K parameters (not trained there)"
    assert lines[4] == "lost: beaten: 60.0 %, 500K parameters (beaten there by smaller)"
    assert lines[5] == "moved: moved: 70.0 → 73.0 %, 600K parameters"


def test_the_table_has_before_and_after_and_whether_intervals_overlap():
    old, new = before_and_after()
    section = fronts_section(compare_fronts(old, new, objectives=OBJECTIVES), new.origin)
    rows = {sure(one.cells[0]).text: one for one in section.rows}
    assert [(cell.text, cell.detail) for cell in rows["moved"].cells] == [
        ("moved", "trial 1 → 4"),
        ("moved", ""),
        ("70.0 → 73.0", "+3.0 points (the intervals overlap)"),
        ("600K", ""),
        ("-", ""),
    ]
    assert (rows["fresh"].front, rows["gone"].front, rows["gone"].measured) == (True, False, False)
    assert [cell.text for cell in rows["gone"].cells][2:4] == ["90.0", "900K"]
    apart = [*NEW[:4], row(0.8, 600_000, arch_id="moved", accuracy_low=0.76, accuracy_high=0.84)]
    section = fronts_section(compare_fronts(*before_and_after(new=apart), objectives=OBJECTIVES), new.origin)
    details = [cell.detail for one in section.rows for cell in one.cells]
    assert "+10.0 points (the intervals are apart)" in details


def test_one_search_before_and_after_is_compared_as_two():
    comparison = compare_studies(before_and_after())
    assert comparison.before_and_after
    assert [method.label for method in comparison.methods] == ["old", "new"]
    assert title(comparison) == "What changed from old to new?"
    assert headline(comparison) == "One search before and after, its front: 3 new, 2 lost, 1 moved, 1 kept"
    assert page_data(comparison, CONDITIONS).summary[0] == "one search, before and after"
    assert "in the mean of" not in " ".join(text for card in cards(comparison) for text in card.sentences)


def test_other_searches_keep_their_verdict_first_and_say_the_front_after_it():
    comparison = compare_studies([study("a", 0, "tpe", OLD, reference=1e6), study("b", 0, "gp", NEW, reference=1e6)])
    assert not comparison.before_and_after
    first, *_, last = cards(comparison)
    assert first.subject.startswith("Too little is known to tell tpe from gp")
    assert (last.title, last.subject) == ("The front of b against that of a", "3 new, 2 lost, 1 moved, 1 kept")


def test_more_than_two_searches_have_no_two_fronts_and_no_seed_twice():
    three = [flat("a", 0, "tpe", 0.5), flat("b", 0, "gp", 0.5), flat("c", 1, "gp", 0.4)]
    comparison = compare_studies(three)
    assert comparison.fronts is None
    assert document(comparison)["fronts"] is None
    with pytest.raises(InputError, match=r"^b and c are the same search with the same seed, 0: leave one out$"):
        compare_studies([*three[:2], flat("c", 0, "gp", 0.4)])


def test_the_document_has_both_numbers_of_each_member_and_its_keys_are_documented():
    found = json.loads(json.dumps(document(compare_studies(before_and_after()))))["fronts"]
    assert (found["old"], found["new"]) == ("old", "new")
    moved = next(one for one in found["members"] if one["change"] == "moved")
    assert moved["old"] == {"trial": 1, "accuracy": 0.7, "params": 600_000}
    assert moved["new"] == {"trial": 4, "accuracy": 0.73, "params": 600_000}
    gone = next(one for one in found["members"] if one["arch_id"] == "gone")
    assert (gone["new"], gone["why"]) == (None, "not trained there; best would beat it")
    documented = (Path(__file__).parents[2] / "docs/json.md").read_text()
    for key in (*found, *gone):
        assert f"`{key}`" in documented, key


def test_the_same_name_in_two_folders_is_before_and_after(tmp_path, capsys):
    folders = [tmp_path / when / "s" for when in ("before", "after")]
    for one, folder in zip(before_and_after(), folders, strict=True):
        write_data(one, folder)
    comparison = compare_studies([read_study(folder, f"{folder.parent.name}/s") for folder in folders])
    page = write_comparison(comparison, CONDITIONS, tmp_path / "c")
    html = page.read_text()
    assert "What changed on the front, from before/s to after/s" in html
    assert "beaten there by smaller" in html
    print_comparison(comparison, page)
    out = " ".join(capsys.readouterr().out.split())
    assert "The front of after/s against that of before/s: 3 new, 2 lost, 1 moved, 1 kept" in out
    assert "lost: beaten: 60.0 %, 500K parameters (beaten there by smaller)" in out


def test_a_terminal_names_the_first_changes_and_counts_the_rest(capsys):
    many = [row(0.3 + i / 50, 100_000 * (i + 1), arch_id=f"n{i}") for i in range(15)]
    comparison = compare_studies(before_and_after([row(0.2, 50_000, arch_id="z")], many))
    print_comparison(comparison, Path("p"))
    out = capsys.readouterr().out
    assert out.count("  new: ") == 12
    assert "and 4 more, on the page" in out  # 3 of 15 new ones, and the one that was lost
