"""A study is read back from its report, whichever kind it is."""

import re
import shutil
from pathlib import Path

import pytest
from reports import environment, three_rows, write_report

from mvit_nas import open_study
from mvit_nas.errors import InputError
from mvit_nas.results.reading import AblationView
from mvit_nas.results.view import StudyView

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def test_a_study_is_opened_by_its_name_and_by_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_report(three_rows(), environment(study="kept"), Path("reports/mine"))
    for report in ("mine", "reports/mine", Path("reports/mine"), tmp_path / "reports/mine"):
        view = open_study(report)
        assert isinstance(view, StudyView)
        assert (view.origin.study, view.records) == ("kept", three_rows().records)


def test_a_name_is_that_of_a_report_before_that_of_a_folder(tmp_path, monkeypatch):
    """The data lie in a folder of the same name as often as not."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    write_report(three_rows(), environment(), Path("reports/photos"))
    assert len(open_study("photos").records) == 3


def test_an_ablation_is_opened_as_one():
    view = open_study(EXPERIMENTS / "patch_size")
    assert isinstance(view, AblationView)
    assert (view.origin.study, len(view.records)) == ("patch_size", 50)


def test_what_is_no_report_is_an_error_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^no report 'mine' in reports: known are none$"):
        open_study("mine")
    write_report(three_rows(), environment(), Path("reports/yours"))
    with pytest.raises(InputError, match=r"^no report 'mine' in reports: known are yours$"):
        open_study("mine")
    Path("empty").mkdir()
    with pytest.raises(InputError, match=r"^empty/results.csv: there is no such file$"):
        open_study("empty")


def test_labels_that_became_numbers_are_an_error(tmp_path):
    shutil.copytree(EXPERIMENTS / "patch_size", tmp_path / "spoilt")
    file = tmp_path / "spoilt/results.csv"
    file.write_text(re.sub(r',"[0-9,]+",""$', ',4,""', file.read_text(), flags=re.MULTILINE))
    with pytest.raises(InputError, match=r"results.csv: the column 'param.patch_size' must hold text, in quotes$"):
        open_study(tmp_path / "spoilt")
