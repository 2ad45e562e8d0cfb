"""When the files are written, and that nothing is lost by it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mvit_nas.errors import InputError, PartialError
from mvit_nas.jobs.journal import Journal
from mvit_nas.study.record import Candidate, Record, State


def record(number, state=State.COMPLETE):
    return Record(trial=number, state=state, candidate=Candidate(arch=None, arch_id=f"a{number}"))


@dataclass
class Files:
    """What was written, and a clock that stands still until it is told."""

    now: float = 100.0
    written: list[int] = field(default_factory=list)
    full: bool = False

    def write(self, records):
        if self.full:
            raise InputError("cannot write results.csv: No space left on device")
        self.written.append(len(records))
        return Path("report.html")

    def journal(self, *records):
        return Journal(records, self.write, kept="finished evaluations", clock=lambda: self.now)


def test_the_files_are_written_with_the_first_training_and_then_every_thirty_seconds():
    files = Files()
    journal = files.journal()
    for seconds in (0, 1, 28.9, 0.1, 29.9, 0.1):
        files.now += seconds
        journal.append(record(len(journal.records)))
    assert files.written == [1, 4, 6]
    assert journal.write() == Path("report.html")
    assert files.written == [1, 4, 6, 6]
    files.now += 29
    journal.append(record(6))
    assert files.written == [1, 4, 6, 6]


def test_what_cost_no_training_is_taken_and_writes_nothing():
    files = Files()
    journal = files.journal(record(0))
    for state in (State.OVER_BUDGET, State.DUPLICATE, State.INVALID):
        journal.append(record(1, state))
    assert (len(journal.records), files.written) == (4, [])
    for state in (State.FAILED, State.STOPPED):
        journal.append(record(2, state))
        files.now += 30
    assert files.written == [5, 6]


def test_a_record_of_which_more_is_known_takes_the_place_of_the_other():
    files = Files()
    journal = files.journal(record(0), record(1))
    journal.replace(0, replace(record(0), reason="known now"))
    assert [one.reason for one in journal.records] == ["known now", ""]
    assert files.written == [2]


def test_files_that_cannot_be_written_lose_nothing():
    files = Files(full=True)
    journal = files.journal()
    message = "No space left on device; finished evaluations are kept: make room, then go on with --resume"
    with pytest.raises(PartialError, match=message):
        journal.append(record(0))
    assert len(journal.records) == 1
    files.full = False
    journal.append(record(1))
    assert files.written == [2]
