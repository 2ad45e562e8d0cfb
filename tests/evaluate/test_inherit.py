"""Trainings that inherit from the nearest relative, around a stand-in for training."""

from typing import Any

from searches import Formula, searching

from mvit_nas.arch.config import arch_id, to_dict
from mvit_nas.arch.paths import flat
from mvit_nas.evaluate.estimator import never
from mvit_nas.evaluate.inherit import Inheriting
from mvit_nas.metrics import ACCURACY, MACS, PARAMS


class Kept(Formula):
    """Remembers which trainings had their weights kept, and from which one each started."""

    def __init__(self, **options):
        super().__init__(**options)
        self.kept = {}

    def training_name(self, arch, *, seed, parent=""):
        return f"{parent}>{arch_id(arch)}"

    def has_weights(self, training):
        return training in self.kept

    def estimate(self, question, *, at_rung=never, should_stop=never, parent="", keep_weights=False):
        assert keep_weights
        name = self.training_name(question.record.candidate.arch, seed=question.record.seed, parent=parent)
        self.kept[name] = parent
        return super().estimate(question, at_rung=at_rung, should_stop=should_stop)


def inheriting(training):
    return Inheriting(training)


def run(training, trials=14):
    return searching(
        None, "6M", trials=trials, objectives=(ACCURACY, PARAMS, MACS), estimator=inheriting(training)
    ).search.run()


def apart(one, other):
    mine, theirs = (flat(to_dict(record.candidate.arch)) for record in (one, other))
    return sum(mine.get(path) != theirs.get(path) for path in mine.keys() | theirs.keys())


def test_each_training_inherits_from_the_nearest_one_that_was_kept():
    training = Kept()
    records = run(training)
    finished = {record.trial: record for record in records if record.is_complete}
    assert records[0].inherited_from is None
    for record in list(finished.values())[1:]:
        before = [one for trial, one in finished.items() if trial < record.trial]
        parent = finished[record.inherited_from]
        assert parent in before
        assert apart(record, parent) == min(apart(record, one) for one in before)
    # A name holds its whole ancestry, so no training is mistaken for one that began elsewhere.
    ancestry, number = "", max(finished)
    while number is not None:
        ancestry = f">{finished[number].candidate.arch_id}" + ancestry
        number = finished[number].inherited_from
    assert ancestry in training.kept
    xs, s = (one for one in records if one.candidate.name in ("mobilevit_xs", "mobilevit_s"))
    assert (xs.inherited_from, s.inherited_from) == (0, 1)


def test_a_search_that_goes_on_inherits_as_one_that_was_never_interrupted(tmp_path):
    options: dict[str, Any] = {"objectives": (ACCURACY, PARAMS, MACS)}
    training = Kept()
    searching(tmp_path, "6M", trials=7, estimator=inheriting(training), **options).search.run()
    parts = searching(tmp_path, "6M", trials=12, estimator=inheriting(training), **options).search.run()
    whole = run(Kept(), trials=12)
    assert [one.inherited_from for one in parts] == [one.inherited_from for one in whole]


def test_a_training_that_failed_says_from_which_it_inherited_and_passes_nothing_on():
    training: Kept = Kept(fail=lambda arch: "nan" if len(training.trained) == 3 else "")
    records = run(training, trials=8)
    assert records[2].reason == "nan"
    assert records[2].inherited_from is not None
    assert 2 not in {record.inherited_from for record in records}


def test_weights_that_are_gone_are_not_inherited():
    class Gone(Kept):
        def has_weights(self, training):
            return False

    training = Gone()
    assert {record.inherited_from for record in run(training, trials=5)} == {None}
    assert set(training.kept.values()) == {""}
