"""Optuna around the evaluator, and the study as plain rows.

The study is ask-and-tell on SQLite in write-ahead mode. Each finished trial carries its row as one attribute, so a
kill loses at most the trial that was running; that one is queued again on resume.
"""

import hashlib
import itertools
import json
import math
import random
import sqlite3
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import optuna
import sqlalchemy.exc
from optuna.trial import Trial, TrialState

from mvit_nas.arch.config import ArchConfig, arch_id, from_dict, to_dict
from mvit_nas.arch.count import features
from mvit_nas.arch.paths import flat, with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import Label, SearchSpace, adapt_preset
from mvit_nas.cost.predict import Predictor, fit
from mvit_nas.errors import (
    InputError,
    InterruptedCleanlyError,
    InvalidArchError,
    MeasurementError,
    NothingFeasibleError,
    PartialError,
    TrainingError,
)
from mvit_nas.evaluate.rungs import Curve, Guess, foresee, is_hopeless
from mvit_nas.evaluate.short import Evaluator, static_columns
from mvit_nas.optimize.candidates import SpacePool
from mvit_nas.optimize.samplers import EXPECTED, GUESSED, OUTSIDE, SAMPLERS, STARTUP_TRIALS
from mvit_nas.optimize.within_budget import Design, Feasible, describe, presets_within, spread, violation
from mvit_nas.training.outcome import Rung, Stopped
from mvit_nas.units import Budget, format_metric

Row = dict[str, Any]

# Proposals of the sampler that may be rejected one after the other before a feasible design is drawn for it.
_PATIENCE = 20
_DRAWS = 2000
# User attributes of a trial: the preset that it stands for, that its latency is measured whatever is predicted, that
# it is trained to the end whatever is foreseen, and who proposed it.
_PRESET = "preset"
_MEASURE = "measure"
_WHOLE = "train_to_the_end"
_PROPOSED_BY = "proposed_by"
# States of a trial that cost a training, or a part of one.
_TRAINED = ("complete", "failed", "stopped")
# The sampler that others are compared with.
BASELINE = "random"
# Begins the reason of a trial whose latency could not be measured.
_UNMEASURED = "latency not measured"
# Candidates of which the one that is predicted nearest to the latency budget is taken where none is within it.
_COMPARED = 300
# A candidate is rejected for its latency only after it was measured, seconds each; so this many end the search.
_LATENCY_PATIENCE = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the search is for, how it proposes and when it ends.

    ``trials`` is a number of whole trainings: one that was stopped counts as the share of its epochs. ``sampler`` is
    one of SAMPLERS; of the proposals, the share ``baseline`` is drawn at random instead, to compare with. ``reference``
    is the worst corner of the box in which hypervolume is measured, by objective.
    """

    budgets: tuple[Budget, ...]
    objectives: tuple[str, ...]
    reference: Mapping[str, float]
    trials: int
    timeout_seconds: float | None
    seed: int
    sampler: str
    baseline: float
    early_stopping: bool
    inherit: bool


class Study:
    """The trials of one search, kept in ``folder/study.db``."""

    def __init__(self, folder: Path, limits: Limits, space: SearchSpace) -> None:
        self.limits = limits
        self.space = space
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        path = folder / "study.db"
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs={"connect_args": {"timeout": 60}})
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode=WAL")  # kept in the file
        maximize, minimize = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        directions = [maximize if name == "accuracy" else minimize for name in limits.objectives]
        self._study = optuna.create_study(
            study_name="search", storage=storage, directions=directions, load_if_exists=True
        )

    def rows(self) -> list[Row]:
        """Every finished trial as a row of the table, in order."""
        rows = []
        for trial in self._study.get_trials(deepcopy=False):
            if "row" in trial.user_attrs:
                row = {"trial": trial.number, **trial.user_attrs["row"]}
                rows.append(row if OUTSIDE in trial.user_attrs else row | _columns(trial.params))
        return rows

    def recover(self) -> int:
        """Queue again what ran when the last process died. Returns how many there were."""
        stale = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in stale:
            self._study.tell(trial.number, state=TrialState.FAIL)
            if trial.params:
                self._queue_again(trial)
        return len(stale)

    def retry(self) -> list[int]:
        """Queue again what could not be measured, each network once; the numbers of those trials."""
        failed = [t for t in self._study.get_trials(deepcopy=False) if is_unmeasured(t.user_attrs.get("row", {}))]
        done = {row["arch_id"] for row in self.rows() if row["state"] == "complete"}
        newest = {t.user_attrs["row"]["arch_id"]: t for t in failed if t.user_attrs["row"]["arch_id"] not in done}
        for trial in newest.values():
            self._queue_again(trial)
        return [trial.number for trial in failed]

    def _queue_again(self, trial: optuna.trial.FrozenTrial) -> None:
        names = (_PRESET, OUTSIDE, _MEASURE, _WHOLE, _PROPOSED_BY)
        kept = {name: trial.user_attrs[name] for name in names if name in trial.user_attrs}
        self._study.enqueue_trial(trial.params, user_attrs=kept)

    def finish_stopped(self, number: int) -> str:
        """Queue the stopped trial ``number`` again, to be trained to the end; its arch_id.

        Raises InputError for any other trial.
        """
        trials = self._study.get_trials(deepcopy=False)
        rows = {t.number: t.user_attrs["row"] for t in trials if "row" in t.user_attrs}
        finished = {row["arch_id"] for row in rows.values() if row["state"] == "complete"}
        stopped = [n for n, row in rows.items() if row["state"] == "stopped" and row["arch_id"] not in finished]
        if number not in stopped:
            known = f"the stopped ones are {', '.join(map(str, stopped))}" if stopped else "none was stopped"
            raise InputError(f"--finish {number}: there is no stopped trial {number}; {known}")
        trials[number].user_attrs[_WHOLE] = True  # of this copy: what is stored stays as it was
        self._queue_again(trials[number])
        return cast(str, rows[number]["arch_id"])

    def is_new(self) -> bool:
        """Whether nothing was asked or queued yet."""
        return not self._study.get_trials(deepcopy=False)

    def enqueue(self, labels: Mapping[str, Label], *, proposed_by: str, measure: bool = False) -> None:
        """Try these labels before the sampler proposes others; ``measure`` their latency whatever is predicted."""
        attributes = {_PROPOSED_BY: proposed_by} | ({_MEASURE: True} if measure else {})
        self._study.enqueue_trial(dict(labels), user_attrs=attributes)

    def enqueue_preset(self, name: str, arch: ArchConfig) -> None:
        """Try the preset ``name``, which is ``arch`` in this space, or is outside it."""
        labels = self.space.nearest_labels(arch)
        attributes: dict[str, Any] = {_PRESET: name, _PROPOSED_BY: "preset"}
        try:
            # Dropout is no factor, and the presets differ in it.
            nearest = with_values(self.space.arch(labels), {"dropout": arch.dropout})
        except InvalidArchError:
            nearest = None
        if nearest is None or arch_id(nearest) != arch_id(arch):
            attributes[OUTSIDE] = True
        self._study.enqueue_trial(labels, user_attrs=attributes)

    def ask(self, pool: SpacePool, sampler: str) -> Trial:
        """The next trial: what is queued, else what ``sampler`` proposes.

        The sampler's seed comes from the study's and the trial's number: resuming repeats it.
        """
        number = len(self._study.get_trials(deepcopy=False))
        seed = derive_seed(self.limits.seed, "sampler", number) % 2**32
        objectives = self.limits.objectives
        accuracy = objectives.index("accuracy") if "accuracy" in objectives else None
        self._study.sampler = SAMPLERS[sampler](pool, accuracy, seed)
        trial = self._study.ask()
        if _PROPOSED_BY not in trial.user_attrs:
            trial.set_user_attr(_PROPOSED_BY, sampler)
        return trial

    def finish(self, trial: Trial, row: Row, values: Mapping[str, float] | None = None) -> None:
        """Record ``row``; with ``values`` of the objectives the trial is complete.

        Over the budget ends as PRUNED, from which TPE learns through the constraint, and so does a training that was
        stopped; what tells nothing about the space (a repetition, a failed training, no network at
        all, a preset outside it) ends as FAIL, which they ignore.
        """
        trial.set_user_attr("row", row)
        if values is not None and OUTSIDE not in trial.user_attrs:
            self._study.tell(trial, [float(values[name]) for name in self.limits.objectives])
        elif row["state"] in ("over_budget", "stopped"):
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, state=TrialState.FAIL)


class Search:
    """Asks the study for candidates and evaluates them until the limits are reached."""

    def __init__(
        self,
        study: Study,
        evaluator: Evaluator,
        feasible: Feasible,
        *,
        on_row: Callable[[list[Row]], None],
        on_message: Callable[[str], None],
        should_stop: Callable[[], bool],
        is_settled: Callable[[list[Row]], bool] = lambda rows: False,
    ) -> None:
        self._study = study
        self._evaluator = evaluator
        self._feasible = feasible
        self._on_row = on_row
        self._on_message = on_message
        self._should_stop = should_stop
        self._is_settled = is_settled
        self._limits = study.limits
        self._space = study.space
        self._pool = SpacePool(
            study.space,
            feasible,
            budgets=study.limits.budgets,
            objectives=study.limits.objectives,
            reference=study.limits.reference,
            classes=evaluator.classes,
        )
        self._rows = study.rows()
        self._retried = set(study.retry())
        self._seen = {
            row["arch_id"]
            for row in self._rows
            if row["trial"] not in self._retried and (row["state"] in _TRAINED or _measured(row))
        }
        self._latency_budgets = tuple(b for b in study.limits.budgets if b.metric == "latency_ms")
        self._predictor: Predictor | None = None
        self._learn()

    @property
    def rows(self) -> list[Row]:
        """All rows so far."""
        return self._rows

    def run(self, finish: Sequence[int] = ()) -> list[Row]:
        """All rows of the study when the trials are done, the time is up or the space is exhausted.

        First the stopped trials ``finish`` are trained to the end. Raises InputError, InterruptedCleanlyError,
        NothingFeasibleError or PartialError; the rows are saved by then.
        """
        try:
            self._run(finish)
        except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise PartialError(
                f"cannot write the study ({reason}); finished evaluations are kept: make room, then go on with --resume"
            ) from error
        return self._rows

    def _run(self, finish: Sequence[int]) -> None:
        unfinished = {self._study.finish_stopped(number) for number in finish}
        while unfinished:  # what was queued before comes first
            row = self._next()
            if row["state"] != "duplicate":
                unfinished.discard(row["arch_id"])
        if self._study.is_new():
            self._enqueue_first_designs()
        end = None if self._limits.timeout_seconds is None else time.monotonic() + self._limits.timeout_seconds
        rejected = 0
        while self._evaluated() < self._limits.trials and (end is None or time.monotonic() < end):
            if rejected and rejected % _PATIENCE == 0 and not self._enqueue_unseen(self._sampler()):
                self._on_message("all candidates within the budget that could be found were tried")
                break
            row = self._next()
            rejected = 0 if row["state"] in _TRAINED else rejected + 1
            self._check_latency_budget()
            if row["state"] in _TRAINED and self._is_settled(self._rows):
                break

    def _next(self) -> Row:
        """Evaluate what is queued or proposed next."""
        if self._should_stop():
            raise InterruptedCleanlyError("stopped between two trials")
        row = self._trial(self._study.ask(self._pool, self._sampler()))
        self._rows.append(row)
        if _measured(row):
            self._learn()
        self._on_row(self._rows)
        return row

    def _sampler(self) -> str:
        """Who proposes next: at random as soon as that has had less than its share of what was proposed."""
        proposed = [r["proposed_by"] for r in self._rows if r["state"] in _TRAINED and r["proposed_by"] in SAMPLERS]
        behind = proposed.count(BASELINE) < self._limits.baseline * (len(proposed) + 1)
        return BASELINE if behind and self._limits.baseline else self._limits.sampler

    def _evaluated(self) -> float:
        """Whole trainings so far."""
        return sum(trainings(row) for row in self._rows if row["trial"] not in self._retried)

    def _enqueue_first_designs(self) -> None:
        """The published presets that fit, then designs over the whole range of costs."""
        presets = presets_within(self._space, self._limits.budgets, self._evaluator.static_cost)
        for name, arch in presets.items():
            self._study.enqueue_preset(name, arch)
        for design in spread(self._feasible.designs, STARTUP_TRIALS - len(presets)):
            self._study.enqueue(design.labels, proposed_by="first design")

    def _learn(self) -> None:
        """Learn to predict latencies from the rows so far, where they matter."""
        if self._needs_latency():
            rows = [row for row in self._rows if _measured(row)]
            self._predictor = fit(
                [self._features(from_dict(json.loads(row["arch"]))) for row in rows],
                [row["latency_ms"] for row in rows],
            )
            self._pool.predictor = self._predictor

    def _features(self, arch: ArchConfig) -> dict[str, float]:
        return features(arch, classes=self._evaluator.classes)

    def _excess(self, predictor: Predictor, arch: ArchConfig) -> float:
        """By how much ``arch`` is predicted to break the latency budgets, relative; 0 where it meets them."""
        predicted_ms = float(predictor.predict([self._features(arch)])[0])
        return max((0.0, *(budget.violation(predicted_ms) for budget in self._latency_budgets)))

    def _surely_over(self, predictor: Predictor, trial: Trial, arch: ArchConfig) -> str:
        """Why the latency of ``arch`` need not be measured, with the constraint told; "" where it must be."""
        ms, error = float(predictor.predict([self._features(arch)])[0]), predictor.error_90
        limits = [str(b) for b in self._latency_budgets if not b.low / (1 + error) <= ms <= b.high * (1 + error)]
        if not limits:
            return ""
        self._constrain(trial, {"latency_ms": ms})
        number = format_metric("latency_ms", ms)
        return f"predicted {number} (± {100 * error:.0f} %), not measured; {' and '.join(limits)}"

    def _enqueue_unseen(self, proposed_by: str, near: Mapping[str, Label] | None = None) -> bool:
        """Queue a candidate that fits and was not tried: one or two steps from ``near``, else drawn.

        The first that is predicted to fit, or the nearest to it of some: that one is measured, so that the prediction
        is put to the test and the search goes on.
        """
        generator = random.Random(derive_seed(self._limits.seed, "unseen", len(self._rows)))
        chosen, least = None, math.inf
        for design in itertools.islice(self._unseen(near, generator), _COMPARED):
            excess = self._excess(self._predictor, design.arch) if self._predictor is not None else 0.0
            if excess < least:
                chosen, least = design, excess
            if least <= 0:
                break
        if chosen is not None:
            self._study.enqueue(chosen.labels, proposed_by=proposed_by, measure=self._predictor is not None)
        return chosen is not None

    def _unseen(self, near: Mapping[str, Label] | None, generator: random.Random) -> Iterator[Design]:
        """Candidates that were not tried and meet the budgets on parameters and multiply-adds."""
        for labels in self._unseen_order(near, generator):
            try:
                design = describe(self._space, labels, self._evaluator.static_cost)
            except InvalidArchError:
                continue
            if design.arch_id not in self._seen and violation(design.cost, self._limits.budgets) <= 0:
                yield design
        unseen = [d for d in self._feasible.designs if d.arch_id not in self._seen]
        yield from generator.sample(unseen, len(unseen))

    def _unseen_order(self, near: Mapping[str, Label] | None, generator: random.Random) -> Iterator[dict[str, Label]]:
        if near is not None:
            first = list(self._space.neighbours(near, generator))
            yield from first
            for labels in first[:5]:
                yield from self._space.neighbours(labels, generator)
        if self._space.settings() <= _DRAWS:
            yield from _all_labels(self._space)
        else:
            for _ in range(_DRAWS):
                yield self._space.draw(generator)

    def _trial(self, trial: Trial) -> Row:
        start = time.monotonic()
        preset = trial.user_attrs.get(_PRESET, "")
        labels = self._space.sample(lambda name, known: cast(Label, trial.suggest_categorical(name, known)))
        proposed_by = trial.user_attrs[_PROPOSED_BY]
        row: Row = {"name": preset, "seed": self._limits.seed, "cached": False, "proposed_by": proposed_by}

        def finish(state: str, reason: str = "", values: Mapping[str, float] | None = None) -> Row:
            row.update(state=state, reason=reason, seconds=time.monotonic() - start)
            self._study.finish(trial, row, values)
            chosen = {} if OUTSIDE in trial.user_attrs else _columns(labels)
            return {"trial": trial.number, **row, **chosen}

        try:
            arch = self._arch(labels, preset)
        except InvalidArchError as error:
            row.update(arch_id="", arch="")
            return finish("invalid", str(error))
        identity = arch_id(arch)
        row.update(arch_id=identity, arch=json.dumps(to_dict(arch), sort_keys=True))
        cost = self._evaluator.static_cost(arch)
        row.update(static_columns(arch, cost, classes=self._evaluator.classes))
        broken = self._constrain(trial, {"params": cost.params, "macs": cost.macs})
        if broken:
            return finish("over_budget", broken)
        whole = _WHOLE in trial.user_attrs
        if identity in self._seen and not whole:
            self._enqueue_unseen(proposed_by, near=labels)
            return finish("duplicate", "evaluated before in this study")
        values: dict[str, float] = {"params": cost.params, "macs": cost.macs}
        if self._needs_latency():
            if self._predictor is not None and self._latency_budgets and _MEASURE not in trial.user_attrs:
                reason = self._surely_over(self._predictor, trial, arch)
                if reason:
                    self._enqueue_unseen(proposed_by, near=labels)
                    return finish("over_budget", reason)
            self._on_message(f"measuring the latency of {preset or identity}")
            try:
                latency = self._evaluator.latency(arch)
            except MeasurementError as error:  # of this one network; it is tried again when the study is resumed
                self._seen.add(identity)
                return finish("failed", f"{_UNMEASURED}: {error}")
            row.update(
                latency_ms=latency.median_ms,
                latency_low_ms=latency.low_ms,
                latency_high_ms=latency.high_ms,
                latency_runs=latency.runs,
                latency_threads=latency.threads,
            )
            values["latency_ms"] = latency.median_ms
            broken = self._constrain(trial, {"latency_ms": latency.median_ms})
            if broken:
                self._seen.add(identity)
                return finish("over_budget", broken)
        self._on_message(f"training {preset or identity} ({format_metric('params', cost.params)})")
        parent = ""
        if self._limits.inherit:
            row["inherited_from"], parent = self._nearest_relative(arch)
        costs = tuple(float(values[name]) for name in self._limits.objectives if name != "accuracy")
        curves = self._curves()
        guessed = trial.user_attrs.get(GUESSED)
        before = None if guessed is None else Guess(accuracy=guessed[0], deviation=guessed[1])

        def at_rung(rungs: tuple[Rung, ...]) -> bool:
            foreseen = foresee(rungs, costs, curves, before) if self._limits.early_stopping and not whole else None
            return foreseen is not None and is_hopeless(foreseen, costs, curves)

        try:
            self._evaluator.check_static_cost(arch)
            score, row["cached"] = self._evaluator.score_by_rungs(
                arch,
                seed=self._limits.seed,
                at_rung=at_rung,  # also where nothing is stopped: curves are shown, and an interrupted run goes on
                should_stop=self._should_stop,
                parent=parent,
                keep_weights=self._limits.inherit,
            )
        except TrainingError as error:
            self._seen.add(identity)
            return finish("failed", str(error))
        except (InterruptedCleanlyError, PartialError, OSError, KeyboardInterrupt):
            raise
        except Exception as error:  # A worker records what one candidate broke and goes on with the next.
            self._seen.add(identity)
            trial.set_user_attr("traceback", traceback.format_exc())
            return finish("failed", f"{type(error).__name__}: {error}".splitlines()[0])
        self._seen.add(identity)
        row.update(training_seconds=score.seconds, rungs=json.dumps([asdict(rung) for rung in score.rungs]))
        epochs = self._evaluator.schedule.epochs
        # What was stopped before went on from there, and that share has been counted.
        before_it = sum(trainings(r) for r in self._rows if r["state"] == "stopped" and r["arch_id"] == identity)
        if isinstance(score, Stopped):
            rung = score.rungs[-1]
            foreseen = foresee(score.rungs, costs, curves, before)
            assert foreseen is not None, "it was stopped for what is foreseen"
            trial.set_user_attr(EXPECTED, (foreseen.accuracy, foreseen.deviation))
            row.update(epochs=rung.epoch, trainings=rung.epoch / epochs - before_it)
            return finish(
                "stopped",
                f"after epoch {rung.epoch} of {epochs} at {100 * rung.accuracy:.1f} %: {100 * foreseen.accuracy:.1f} % "
                f"± {100 * foreseen.deviation:.1f} % foreseen, behind what costs no more",
            )
        row.update(epochs=epochs, trainings=1.0 - before_it)
        low, high = score.interval
        row.update(accuracy=score.accuracy, accuracy_low=low, accuracy_high=high)
        values["accuracy"] = score.accuracy
        return finish("complete", values=values)

    def _nearest_relative(self, arch: ArchConfig) -> tuple[int | None, str]:
        """(trial, training) of the trained network that differs from ``arch`` least; (None, "") where none was kept."""
        mine = flat(to_dict(arch))
        names: dict[int, str] = {}
        nearest, least = (None, ""), math.inf
        for row in self._rows:
            if row["state"] != "complete":
                continue
            other = from_dict(json.loads(row["arch"]))
            parent = names.get(row.get("inherited_from", -1), "")
            name = names[row["trial"]] = self._evaluator.training_name(other, seed=self._limits.seed, parent=parent)
            theirs = flat(to_dict(other))
            apart = sum(mine.get(path) != theirs.get(path) for path in mine.keys() | theirs.keys())
            if apart < least and self._evaluator.has_weights(name):
                nearest, least = (row["trial"], name), apart
        return nearest

    def _curves(self) -> list[Curve]:
        """What was trained to the end so far."""
        costs = [name for name in self._limits.objectives if name != "accuracy"]
        return [
            Curve(
                rungs=tuple(Rung(**rung) for rung in json.loads(row["rungs"])),
                costs=tuple(float(row[name]) for name in costs),
                accuracy=row["accuracy"],
            )
            for row in self._rows
            if row["state"] == "complete"
        ]

    def _arch(self, labels: Mapping[str, Label], preset: str) -> ArchConfig:
        if preset:
            arch = adapt_preset(PRESETS[preset], self._space)
            assert arch is not None, "only presets that fit the space are queued"
            return arch
        return self._space.arch(labels)

    def _constrain(self, trial: Trial, values: Mapping[str, float]) -> str:
        """Tell the sampler how far each budget is met; the ones that are broken, in words."""
        broken = []
        for i, budget in enumerate(self._limits.budgets):
            if budget.metric in values:
                excess = budget.violation(values[budget.metric])
                trial.set_constraint(f"{budget.metric}.{i}", excess)
                if excess > 0:
                    broken.append(f"{format_metric(budget.metric, values[budget.metric])} is not {budget}")
        return "; ".join(broken)

    def _needs_latency(self) -> bool:
        return "latency_ms" in self._limits.objectives or bool(self._latency_budgets)

    def _check_latency_budget(self) -> None:
        """End a search in which everything measured so far was over the latency budget."""
        measured = [row for row in self._rows if _measured(row)]
        if len(measured) < _LATENCY_PATIENCE or self._evaluated():
            return
        fastest = min(measured, key=lambda row: row["latency_ms"])
        limits = " and ".join(map(str, self._latency_budgets))
        raise NothingFeasibleError(
            f"none of {len(measured)} measured candidates meets the budget ({limits}); the fastest seen, "
            f"{fastest['arch_id']}, takes {format_metric('latency_ms', fastest['latency_ms'])}: raise the budget or "
            "widen the space"
        )


def derive_seed(*parts: object) -> int:
    """A seed of 63 bits from ``parts``, equal on every machine."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def trainings(row: Mapping[str, Any]) -> float:
    """How many whole trainings ``row`` cost: its share of the epochs; 1 where it failed or was known before."""
    return float(row.get("trainings", 1.0)) if row["state"] in _TRAINED else 0.0


def is_unmeasured(row: Mapping[str, Any]) -> bool:
    """Whether ``row`` failed because its latency could not be measured."""
    return row.get("state") == "failed" and str(row["reason"]).startswith(_UNMEASURED)


def _measured(row: Row) -> bool:
    return row.get("latency_ms") is not None


def _columns(labels: Mapping[str, Any]) -> Row:
    return {f"param.{name}": label for name, label in labels.items()}


def _all_labels(space: SearchSpace) -> list[dict[str, Label]]:
    everything: list[dict[str, Label]] = [{}]
    for parameter in space.parameters:
        everything = [{**labels, parameter.name: label} for labels in everything for label in parameter.choices]
    return everything
