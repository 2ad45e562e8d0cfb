"""What a training can still be expected to reach, and when it is not worth going on."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sure import sure

from mvit_nas.evaluate.estimator import Estimate, Question, never
from mvit_nas.evaluate.rungs import LEAST_CURVES, Curve, EarlyStopping, foresee, is_hopeless
from mvit_nas.metrics import MACS, PARAMS
from mvit_nas.study.record import Candidate, Guess, Measured, Record, Rung, State


def rung(accuracy, *, epoch=1, loss=0.0):
    return Rung(epoch=epoch, loss=loss, correct=round(1000 * accuracy), images=1000)


def curves(number, *, seed=0, scatter=0.01):
    """Networks of random costs that end 0.2 above their first rung, and a bit more where they are dear."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        start, cost = generator.uniform(0.2, 0.5), generator.uniform(1e5, 1e7)
        final = start + 0.2 + 0.02 * np.log10(cost) + scatter * generator.normal()
        first = rung(start, loss=2.3 - start + 0.1 * generator.normal())
        found.append(Curve(rungs=(first, rung(start + 0.1, epoch=2)), costs=(cost, cost**0.5), accuracy=float(final)))
    return found


def foreseen(rungs, costs, known, before):
    return sure(foresee(rungs, costs, known, before))


def test_the_guess_is_that_of_ridge_regression_and_its_deviation_that_of_leaving_one_out():
    known = curves(20)

    def columns(one, costs):
        return [one.accuracy, one.loss, *np.log(costs)]

    features = np.array([columns(curve.rungs[0], curve.costs) for curve in known])
    accuracy = np.array([curve.accuracy for curve in known])
    scaled = (features - features.mean(axis=0)) / features.std(axis=0)
    here = rung(0.4, loss=1.9)
    scaled_here = (np.array(columns(here, (1e6, 1e3))) - features.mean(axis=0)) / features.std(axis=0)
    found = foreseen([here], (1e6, 1e3), known, None)
    assert found.accuracy == pytest.approx(float(Ridge(alpha=1.0).fit(scaled, accuracy).predict([scaled_here])[0]))
    errors = []
    for i in range(20):
        kept = np.arange(20) != i
        # Centred as a whole, as in the closed form; one row in twenty moves the middle little.
        errors.append(accuracy[i] - Ridge(alpha=1.0).fit(scaled[kept], accuracy[kept]).predict([scaled[i]])[0])
    assert found.deviation == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.02)


def test_guesses_hold_on_networks_that_were_not_seen():
    known, new = curves(40, seed=1), curves(200, seed=2)
    found = [foreseen(one.rungs[:1], one.costs, known, None) for one in new]
    z = np.array([(one.accuracy - guess.accuracy) / guess.deviation for one, guess in zip(new, found, strict=True)])
    assert 0.85 < np.mean(np.abs(z) < 2) <= 1
    assert (
        np.sqrt(np.mean([(one.accuracy - guess.accuracy) ** 2 for one, guess in zip(new, found, strict=True)])) < 0.02
    )


def test_nothing_is_foreseen_from_few_curves_or_from_other_epochs():
    assert foresee([rung(0.3)], (1e6, 1e3), curves(LEAST_CURVES - 1), None) is None
    assert foresee([rung(0.3, epoch=4)], (1e6, 1e3), curves(30), None) is None
    assert foresee([rung(0.3)], (1e6, 1e3), curves(LEAST_CURVES), None) is not None


def test_an_accuracy_that_never_moves_is_foreseen_as_it_is():
    known = [Curve(rungs=(rung(0.1),), costs=(1e6,), accuracy=0.1)] * 10
    found = foreseen([rung(0.1)], (1e6,), known, None)
    assert (found.accuracy, found.deviation) == pytest.approx((0.1, 0.0))


def test_only_rivals_that_cost_no_more_make_a_training_hopeless():
    dear = Curve(rungs=(), costs=(100.0, 5.0), accuracy=0.9)
    cheap = Curve(rungs=(), costs=(10.0, 5.0), accuracy=0.6)
    guess = Guess(accuracy=0.5, deviation=0.05)
    assert not is_hopeless(guess, (10.0, 4.0), [dear, cheap])  # no one is as cheap in everything
    assert is_hopeless(guess, (10.0, 5.0), [dear, cheap])
    assert is_hopeless(Guess(accuracy=0.8, deviation=0.05), (100.0, 5.0), [dear, cheap])
    # By the optimistic guess.
    assert not is_hopeless(Guess(accuracy=0.58, deviation=0.05), (10.0, 5.0), [dear, cheap])
    assert not is_hopeless(guess, (10.0, 5.0), [])


def test_two_opinions_are_weighted_by_their_precision():
    known, here = curves(20), rung(0.4, loss=1.9)
    by_curve = foreseen([here], (1e6, 1e3), known, None)
    before = Guess(accuracy=0.9, deviation=2 * by_curve.deviation)
    both = foreseen([here], (1e6, 1e3), known, before)
    # Twice the deviation is a quarter of the precision.
    assert both.accuracy == pytest.approx((4 * by_curve.accuracy + before.accuracy) / 5)
    assert both.deviation == pytest.approx(by_curve.deviation * np.sqrt(4 / 5))


class Trained:
    """An estimator with one rung, which remembers whether it was stopped there."""

    epochs = 4

    def __init__(self, first, final=0.5):
        self.first = first
        self.final = final
        self.asked = []

    def estimate(self, question, *, at_rung, should_stop):
        self.asked.append(question)
        rungs = (self.first,)
        if at_rung(rungs):
            return Estimate(rungs=rungs, epochs=1, seconds=1.0)
        return Estimate(accuracy=Measured(value=self.final), rungs=rungs, epochs=4, seconds=4.0)


def finished(curve, state=State.COMPLETE):
    values = {"params": curve.costs[0], "macs": curve.costs[1], "accuracy": curve.accuracy}
    return Record(
        trial=0,
        state=state,
        candidate=Candidate(arch=None, arch_id="x"),
        values={name: Measured(value=value) for name, value in values.items()},
        rungs=curve.rungs,
    )


def asked(known, costs=(1e7, 1e4), state=State.COMPLETE, **options):
    values = {"params": Measured(value=costs[0]), "macs": Measured(value=costs[1])}
    record = Record(trial=1, state=state, candidate=Candidate(arch=None, arch_id="y"), values=values)
    return Question(record=record, before=[finished(one) for one in known], **options)


def estimate(first, question, **options):
    stopping = EarlyStopping(Trained(first), costs=(PARAMS, MACS))
    return stopping.estimate(question, **{"at_rung": never, "should_stop": never} | options)


def test_early_stopping_ends_what_is_hopeless_and_says_what_it_would_have_reached():
    known, here = curves(20), rung(0.2, loss=2.1)
    found = estimate(here, asked(known))
    assert found.accuracy is None
    assert found.expected == foresee([here], (1e7, 1e4), known, None)
    before = Guess(accuracy=0.1, deviation=0.01)
    assert estimate(here, asked(known, guess=before)).expected == foresee([here], (1e7, 1e4), known, before)


@pytest.mark.parametrize(
    "question",
    [
        asked(curves(20), costs=(1e3, 1.0)),  # as cheap as none
        asked(curves(20), must_finish=True),
        asked(curves(LEAST_CURVES - 1)),
        asked(()),
    ],
    ids=["cheap", "must finish", "few", "none"],
)
def test_what_is_not_hopeless_or_must_finish_is_trained_to_the_end(question):
    found = estimate(rung(0.2, loss=2.1), question)
    assert found == Estimate(accuracy=Measured(value=0.5), rungs=(rung(0.2, loss=2.1),), epochs=4, seconds=4.0)


def test_only_finished_trainings_teach():
    known = curves(20)
    others = [finished(one, state) for one in known for state in (State.STOPPED, State.OVER_BUDGET, State.FAILED)]
    question = asked(())
    found = EarlyStopping(Trained(rung(0.2)), costs=(PARAMS, MACS)).estimate(
        Question(record=question.record, before=others), at_rung=never, should_stop=never
    )
    assert found.accuracy is not None


def test_who_asks_may_stop_it_too():
    found = estimate(rung(0.9), asked(curves(20)), at_rung=lambda rungs: True)
    assert found.accuracy is None
    assert found.expected is not None
