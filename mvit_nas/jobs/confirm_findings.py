"""From what trained networks say of the test part to what is confirmed: statistics, mistakes, and the model to keep.

Axes: V networks, S seeds, N images of the test part, K classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from mvit_nas.data.thumbnail import thumbnail
from mvit_nas.evaluate.confirm import Outputs
from mvit_nas.evaluate.short import ShortTraining
from mvit_nas.jobs.confirm_plan import Member
from mvit_nas.jobs.folders import Folders
from mvit_nas.maths.calibration import calibration, fitted_temperature, probabilities
from mvit_nas.maths.confirmed import Compared, Estimated, accuracies, choose, comparisons
from mvit_nas.maths.share import wilson
from mvit_nas.maths.statistics import rank_correlation
from mvit_nas.metrics import ACCURACY
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.folder import Model, write_model
from mvit_nas.models.samples import some_photos
from mvit_nas.results.view import StudyView
from mvit_nas.study.confirmation import (
    Calibrated,
    ClassScore,
    ConfirmedNetwork,
    KeptModel,
    Lead,
    Mistake,
    Pair,
    Ranks,
    SeedScore,
)
from mvit_nas.study.record import Measured, Record

# The worst mistakes that are shown of a network.
_MISTAKES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A network with what it says of both parts, and the ``seconds`` of its trainings, seed by seed."""

    member: Member
    seconds: tuple[float, ...]
    validation: tuple[Outputs, ...]
    test: tuple[Outputs, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a confirmation found, the best network first, those that failed last."""

    networks: tuple[ConfirmedNetwork, ...]
    pairs: tuple[Pair, ...]
    ranks: Ranks
    lead: Lead | None
    take: int | None
    tied: tuple[int, ...]


def findings(
    scored: Sequence[Scored],
    failed: Sequence[tuple[Member, str]],
    seeds: Sequence[int],
    *,
    view: StudyView,
    training: ShortTraining,
    folders: Folders,
    with_images: bool,
) -> Found:
    """What follows of the outputs; the model of each network is written as well."""
    lost = tuple(
        ConfirmedNetwork(
            trial=one.trial, arch_id=one.record.candidate.arch_id, label=one.label, seeds=(), failure=reason
        )
        for one, reason in failed
    )
    if not scored:
        return Found(networks=lost, pairs=(), ranks=_ranks([], []), lead=None, take=None, tied=())
    correct_VSN = np.array([[one.correct_N for one in network.test] for network in scored])
    known, pairs = accuracies(correct_VSN), comparisons(correct_VSN)
    values = [one.value for one in known]
    describe = _Describing(seeds=tuple(seeds), training=training, folders=folders, with_images=with_images)
    networks = [describe.network(one, share) for one, share in zip(scored, known, strict=True)]
    records, trials = [one.member.record for one in scored], [one.member.trial for one in scored]
    chosen = choose(values, pairs, [_cost(record, view) for record in records])
    networks.sort(key=lambda one: -(one.accuracy.value if one.accuracy else 0.0))
    searched = [record.value(ACCURACY) for record in records]
    return Found(
        networks=(*networks, *lost),
        pairs=tuple(_pair(one, trials) for one in pairs),
        ranks=_ranks(searched, values),
        lead=_lead(trials, searched, values),
        take=trials[chosen.take],
        tied=tuple(trials[position] for position in chosen.tied),
    )


def _cost(record: Record, view: StudyView) -> float:
    value = record.value(view.cost)
    return float("inf") if value is None else value


def _pair(one: Compared, trials: Sequence[int]) -> Pair:
    return Pair(
        first=trials[one.first],
        second=trials[one.second],
        difference=_measured(one.difference),
        p_holm=one.p_holm,
        is_shown=one.is_shown,
    )


def _measured(one: Estimated) -> Measured:
    return Measured(value=one.value, low=one.low, high=one.high)


def _ranks(searched: Sequence[float | None], confirmed: Sequence[float]) -> Ranks:
    pairs = [(one, other) for one, other in zip(searched, confirmed, strict=True) if one is not None]
    found = rank_correlation([one for one, _ in pairs], [other for _, other in pairs])
    return Ranks(networks=len(pairs), tau=found.tau, low=found.low, high=found.high)


def _lead(trials: Sequence[int], searched: Sequence[float | None], confirmed: Sequence[float]) -> Lead | None:
    """What became of the best of the search; None where it is alone, or where an accuracy of the search is missing."""
    if len(trials) < 2 or None in searched:
        return None
    before, now = np.array(searched, dtype=float), np.array(confirmed)
    best = int(before.argmax())
    others = np.arange(len(trials)) != best
    return Lead(
        trial=trials[best],
        rank=1 + int((now > now[best]).sum()),
        before=float(before[best] - before[others].mean()),
        now=float(now[best] - now[others].mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Describing:
    """Says of each network what there is to say beside its accuracy, and keeps its model."""

    seeds: tuple[int, ...]
    training: ShortTraining
    folders: Folders
    with_images: bool

    def network(self, scored: Scored, share: Estimated) -> ConfirmedNetwork:
        member, labels_N = scored.member, scored.test[0].labels_N
        answers_SN = np.array([one.logits_NK.argmax(1) for one in scored.test])
        confusion_KK = _confusion(answers_SN, labels_N, len(self._classes))
        return ConfirmedNetwork(
            trial=member.trial,
            arch_id=member.record.candidate.arch_id,
            label=member.label,
            seeds=tuple(
                SeedScore(seed=seed, test=test.accuracy, validation=validation.accuracy, seconds=seconds)
                for seed, test, validation, seconds in zip(
                    self.seeds, scored.test, scored.validation, scored.seconds, strict=True
                )
            ),
            accuracy=_measured(share),
            classes=tuple(_class_scores(confusion_KK, self._classes, seeds=len(self.seeds))),
            confusion=tuple(tuple(row) for row in confusion_KK.tolist()),
            mistakes=tuple(self._mistakes(scored)),
            kept=self._kept(scored, share),
        )

    @property
    def _classes(self) -> tuple[str, ...]:
        return self.training.data.classes

    def _side(self, member: Member) -> int:
        return self.training.schedule.side(member.arch.image_size)

    def _mistakes(self, scored: Scored) -> Iterator[Mistake]:
        """The images of which the seeds together are surest that they show something else."""
        mean_NK = np.mean([probabilities(one.logits_NK) for one in scored.test], axis=0)
        labels_N = scored.test[0].labels_N
        answers_N, highest_N = mean_NK.argmax(1), mean_NK.max(1)
        wrong = np.flatnonzero(answers_N != labels_N)
        images = self.training.scored_part("test", self._side(scored.member)) if self.with_images else None
        for index in wrong[np.argsort(-highest_N[wrong], kind="stable")][:_MISTAKES].tolist():
            picture = "" if images is None else thumbnail(images.pixels_NHWC[index], float(images.aspects_N[index]))
            yield Mistake(
                image=index,
                truth=self._classes[labels_N[index]],
                answer=self._classes[answers_N[index]],
                probability=float(highest_N[index]),
                thumbnail=picture,
            )

    def _kept(self, scored: Scored, share: Estimated) -> KeptModel:
        """The model of the seed with the best validation accuracy, which is written with its temperature."""
        member, training = scored.member, self.training
        best = max(range(len(self.seeds)), key=lambda index: scored.validation[index].accuracy)
        validation, test, seed = scored.validation[best], scored.test[best], self.seeds[best]
        temperature = fitted_temperature(validation.logits_NK, validation.labels_N)
        folder = f"models/{self.folders.name}-{member.trial}"
        contract = training.contract(self._side(member))
        document = ModelDocument(
            arch=member.arch,
            classes=self._classes,
            contract=contract,
            temperature=temperature,
            provenance={
                "study": self.folders.name,
                "trial": member.trial,
                "arch_id": member.record.candidate.arch_id,
                "schedule": training.schedule.to_dict(),
                "seed": seed,
                "test_accuracy": test.accuracy,
                "validation_accuracy": validation.accuracy,
                "mean_test_accuracy": share.value,
                "init": None if training.source is None else f"{training.source.name} ({training.source.digest})",
                "data": training.data.fingerprint,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )
        write_model(
            self.folders.out / folder,
            Model(document=document, weights=training.weights(training.training_name(member.arch, seed=seed))),
            photos=some_photos(training.data, "validation", contract),
            facts=(
                f"{ACCURACY.format(test.accuracy)} of {len(test.labels_N):,} test images are right.",
                f"The mean of {len(self.seeds)} training seeds is {ACCURACY.format(share.value)}.",
                f"Its 95 % interval, over seeds and images, is {ACCURACY.interval(share.low, share.high)}.",
                f"Trained on {training.data.count('train'):,} images by the schedule {training.schedule.name}.",
            ),
        )
        return KeptModel(
            folder=folder,
            seed=seed,
            temperature=temperature,
            before=_calibrated(test, 1.0),
            after=_calibrated(test, temperature),
        )


def _calibrated(test: Outputs, temperature: float) -> Calibrated:
    found = calibration(test.logits_NK, test.labels_N, temperature=temperature)
    return Calibrated(error=found.error, log_loss=found.log_loss, confidence=found.confidence)


def _confusion(
    answers_SN: npt.NDArray[np.int64], labels_N: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Images by true class and then by answer, over all seeds."""
    flat = np.broadcast_to(labels_N, answers_SN.shape) * classes + answers_SN
    return np.bincount(flat.ravel(), minlength=classes**2).reshape(classes, classes)


def _class_scores(confusion_KK: npt.NDArray[np.int64], classes: Sequence[str], *, seeds: int) -> Iterator[ClassScore]:
    for index, name in enumerate(classes):
        right, there, answered = confusion_KK[index, index], confusion_KK[index].sum(), confusion_KK[:, index].sum()
        yield ClassScore(
            name=name,
            images=int(there) // seeds,
            recall=_share_of(right, there, seeds),
            precision=_share_of(right, answered, seeds),
        )


def _share_of(part: int, whole: int, seeds: int) -> Measured | None:
    """A share over all seeds, whose interval takes the images of one seed for what is independent."""
    if not whole:
        return None
    low, high = wilson(float(part / whole), float(whole / seeds))
    return Measured(value=float(part / whole), low=low, high=high)
