"""``mvit-nas export``: a model as the files that phones and servers run, each checked in its own runtime."""

import contextlib
import errno
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mvit_nas.arch.rules import Plain
from mvit_nas.artifacts.checked import Artefact
from mvit_nas.artifacts.formats import Format, find_format, format_of
from mvit_nas.artifacts.parity import Parity, compare
from mvit_nas.cost.latency import interval
from mvit_nas.cost.latency import measure as measure_rounds
from mvit_nas.cost.targets.machine import Machine
from mvit_nas.cost.targets.python import this_host
from mvit_nas.cost.targets.target import Job
from mvit_nas.data.find import find_data
from mvit_nas.data.parts import ImageData, some
from mvit_nas.data.store import load_scored, some_scored
from mvit_nas.errors import DeviceError, InputError, MeasurementError, MvitNasError, PartialError
from mvit_nas.evaluate.cache import cache_folder
from mvit_nas.files import replace_folder, write_text, write_whole
from mvit_nas.jobs.folders import folders_of, note_look
from mvit_nas.models.document import ModelDocument
from mvit_nas.models.embedded import read_document_of
from mvit_nas.models.folder import Model, read_model
from mvit_nas.models.samples import Sample, read_samples
from mvit_nas.models.transformers_format import write_transformers
from mvit_nas.reporter import Reporter
from mvit_nas.settings.shipping import ExportSettings

# Images that int8's ranges are taken from, and those that a file is checked on, at most.
_CALIBRATION, _CHECKED = 64, 5_000
# Images that PyTorch takes at once, and a file of any batch.
_BATCH = 32
# The format that is a folder, which transformers alone reads.
_TRANSFORMERS = "hf"
# How well, and in how much time, int8's ratio is measured.
_PRECISION, _SECONDS = 0.02, 8.0
# As a share of the answers: int8 that loses more is warned of.
_POINT = 0.01
# What people call parts of a document.
_WORDS = {"arch": "architecture", "classes": "list of classes", "temperature": "temperature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """int8's time as a share of float32's, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file, what it says of itself and how it was checked.

    ``parity`` is None where it could not be run here, ``ratio`` where nothing was timed. ``runtime`` and ``processor``
    are those that it was checked on. ``notes`` are sentences for whoever ships it.
    """

    path: Path
    format: str
    int8: bool
    artefact: Artefact
    parity: Parity | None
    ratio: Ratio | None
    runtime: str
    processor: str
    notes: tuple[str, ...] = ()

    def record(self) -> dict[str, Plain]:
        """As ``--json`` and the file's record have it."""
        parity = None if self.parity is None else asdict(self.parity)
        scored = parity.pop("scored") if parity else None
        return {
            "file": str(self.path),
            "format": self.format,
            "int8": self.int8,
            "size_bytes": self.artefact.size_bytes,
            "delegated": self.artefact.delegated,
            "quantised": self.artefact.quantised,
            "parity": parity,
            "scored": scored,
            "ratio": None if self.ratio is None else asdict(self.ratio),
            "runtime": self.runtime,
            "processor": self.processor,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The files that were made, or the one that was checked, on which photos, and what could not be made."""

    photos: str
    files: tuple[ExportedFile, ...]
    error: MvitNasError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Photos:
    """What files are checked on: images as the contract makes them, what PyTorch says of them, what samples promise."""

    source: str
    pixels_NHWC: npt.NDArray[np.uint8]
    expected_NK: npt.NDArray[np.float64]
    labels_N: npt.NDArray[np.int64] | None
    samples: Sequence[Sample]
    calibration_NHWC: npt.NDArray[np.uint8]


def export(settings: ExportSettings, *, reporter: Reporter, should_stop: Callable[[], bool]) -> Outcome:
    """Write the model in each format, or check one file. A format that fails does not keep the others from it.

    Raises InputError and DeviceError before anything is written, and the first error where nothing could be made.
    """
    named = [name for name in settings.formats if name != _TRANSFORMERS]
    formats = [format_of(settings.check)] if settings.check else [find_format(name) for name in named]
    if not formats and not settings.formats:
        raise InputError("--format: name at least one")
    model = read_model(settings.model)
    document = _document_of(settings.check, model, settings.model) if settings.check else model.document
    for one in formats:
        one.require()
    if settings.check is not None and not formats[0].runs_here:
        raise DeviceError(f"{settings.check}: only a Mac runs Core ML: copy it and the model there")
    folder = settings.out or settings.model / "exports"
    if settings.check is None:
        _make(folder)
    photos = _photos(settings, model, reporter=reporter)
    exporter = _Exporter(model=model, photos=photos, machine=this_host().survey()[0], folder=folder)
    if settings.check is not None:
        reporter.doing(f"checking {settings.check}")
        return Outcome(photos=photos.source, files=(exporter.check(formats[0], settings.check, document),))
    name = settings.model.resolve().name
    files: list[ExportedFile] = []
    if _TRANSFORMERS in settings.formats and settings.check is None:
        files.append(exporter.for_transformers())
        reporter.say(f"wrote {files[0].path}")
    failed: list[tuple[str, MvitNasError]] = []
    for one in formats:
        if should_stop():
            break
        reporter.doing(f"exporting to {one.title}")
        if settings.int8 and not one.has_int8:
            reporter.say(f"{one.title} has no int8 here")
        try:
            for file in exporter.make(one, name, int8=settings.int8, dynamic_batch=settings.dynamic_batch):
                files.append(file)
                reporter.say(f"wrote {file.path}")
                if settings.int8 and one.has_int8 and not file.int8:
                    reporter.doing(f"quantising for {one.title}")
        except MeasurementError as error:
            failed.append((one.title, error))
    if failed and not files:
        raise failed[0][1]
    return Outcome(photos=photos.source, files=tuple(files), error=_partial(files, failed, stopped=should_stop()))


def _partial(
    files: list[ExportedFile], failed: list[tuple[str, MvitNasError]], *, stopped: bool
) -> PartialError | None:
    if not failed and not stopped:
        return None
    reasons = ["stopped before all was made"] * stopped + [str(error) for _, error in failed]
    return PartialError(f"{'; '.join(reasons)}; {len(files)} files are kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exporter:
    """Makes files of ``model`` in ``folder``, and checks files, on ``photos``."""

    model: Model
    photos: _Photos
    machine: Machine
    folder: Path

    def make(self, form: Format, name: str, *, int8: bool, dynamic_batch: bool) -> Iterator[ExportedFile]:
        """The float32 file and, where there is one, the int8 file, each in its place once it passed its check."""
        batch = _BATCH if dynamic_batch else 1
        with _room(self.folder) as room:
            plain = room / f"{name}{form.suffix}"
            calibration_NHWC = self.photos.calibration_NHWC
            form.export(self.model, plain, calibration_NHWC=calibration_NHWC, dynamic_batch=dynamic_batch)
            yield self._keep(self.check(form, plain, read_document_of(plain), batch=batch))
            if int8 and form.has_int8:
                small = room / f"{name}-int8{form.suffix}"
                form.export(
                    self.model, small, calibration_NHWC=calibration_NHWC, int8=True, dynamic_batch=dynamic_batch
                )
                found = self.check(form, small, read_document_of(small), batch=batch)
                yield self._keep(self._timed(form, found, plain))

    def for_transformers(self) -> ExportedFile:
        """The folder of transformers' own network. Raises InputError that names every field which stands in the way."""
        path = self.folder / _TRANSFORMERS
        write_transformers(path, self.model)
        weights = path / "model.safetensors"
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()[:32]
        size = weights.stat().st_size
        return ExportedFile(
            path=path,
            format=_TRANSFORMERS,
            int8=False,
            artefact=Artefact(digest=digest, size_bytes=size, delegated=None, quantised=None, difference=None),
            parity=None,
            ratio=None,
            runtime="transformers",
            processor=self.machine.processor,
            notes=("hf: written, not run: its weights are the model's, in transformers' names",),
        )

    def check(self, form: Format, path: Path, document: ModelDocument, *, batch: int = 1) -> ExportedFile:
        """The file at ``path`` beside PyTorch. Raises MeasurementError where float32 differs by more than rounding."""
        artefact = form.describe(path)
        int8 = bool(artefact.quantised)
        parity = self._parity(form, path, document, batch=batch) if form.runs_here else None
        if parity is not None and not int8:
            parity.require_equal(form.title)
        return ExportedFile(
            path=path,
            format=form.name,
            int8=int8,
            artefact=artefact,
            parity=parity,
            ratio=None,
            runtime=f"{form.title} {form.version}",
            processor=self.machine.processor,
            notes=tuple(self._notes(form, parity, int8=int8)),
        )

    def _parity(self, form: Format, path: Path, document: ModelDocument, *, batch: int) -> Parity:
        photos = self.photos
        sampled = None
        if photos.samples:
            sampled = form.run(path, np.stack([one.pixels_HWC for one in photos.samples]), document)
        return compare(
            photos.expected_NK,
            form.run(path, photos.pixels_NHWC, document, batch=batch),
            labels_N=photos.labels_N,
            promised_SK=np.stack([one.probabilities_K for one in photos.samples]) if photos.samples else None,
            sampled_SK=sampled,
        )

    def _notes(self, form: Format, parity: Parity | None, *, int8: bool) -> Iterator[str]:
        if parity is None:
            yield f"{form.title} was converted, not run: on a Mac, mvit-nas export MODEL --check FILE runs it"
        if not int8:
            return
        if form.name == "onnx":
            has = "has none: the numbers here are worse than there" if self.machine.saturates_int8 else "has it"
            yield (
                f"int8 of {form.title} is for ARM and for x86 with VNNI, without which its sums overflow; "
                f"this processor ({self.machine.processor}) {has}"
            )
        if parity is not None and parity.scored is not None:
            lost = parity.scored.torch_accuracy - parity.scored.accuracy
            if lost > _POINT:
                yield f"int8 of {form.title} loses {100 * lost:.1f} points of accuracy: look before you ship it"

    def _timed(self, form: Format, file: ExportedFile, plain: Path) -> ExportedFile:
        """``file`` with its time as a share of that of the float32 file ``plain``, in turns in one process."""
        assert form.runtime is not None, "what has int8 has a runtime"
        side = self.model.document.contract.side
        shape = (1, 3, side, side) if form.layout == "NCHW" else (1, side, side, 3)
        job = Job(
            runtime=form.runtime.name,
            threads=1,
            candidate=file.path,
            reference=plain,
            candidate_shape=shape,
            reference_shape=shape,
            precision=_PRECISION,
            seconds=_SECONDS,
        )
        low, value, high = interval(measure_rounds(this_host(), job))
        notes = list(file.notes)
        if high >= 1:
            words = "is slower than" if low > 1 else "is no faster than"
            notes.append(
                f"int8 of {form.title} {words} float32 here: {value:.2f} of its time ({low:.2f} to {high:.2f})"
            )
        return replace(file, ratio=Ratio(value=value, low=low, high=high), notes=tuple(notes))

    def _keep(self, file: ExportedFile) -> ExportedFile:
        """``file`` in its place, its record beside it."""
        kept = replace(file, path=self.folder / file.path.name)
        try:
            if file.path.is_dir():
                replace_folder(kept.path, file.path)
            else:
                write_whole(kept.path, functools.partial(shutil.copyfile, file.path))
            record = json.dumps({**kept.record(), "photos": self.photos.source}, indent=2, ensure_ascii=False)
            write_text(kept.path.with_name(kept.path.name + ".json"), record + "\n")
        except OSError as error:
            raise PartialError(f"cannot write {kept.path}: {error.strerror or error}") from None
        return kept


@contextlib.contextmanager
def _room(folder: Path) -> Iterator[Path]:
    """A folder for files that did not pass their check yet; on the same disk, so that they are moved at once."""
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as room:
        yield Path(room)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}; name another with --out") from None


def _document_of(path: Path, model: Model, folder: Path) -> ModelDocument:
    """What the file at ``path`` says of itself. Raises InputError where that is not what the model says."""
    document = read_document_of(path)
    for what in ("arch", "classes", "temperature"):
        if getattr(document, what) != getattr(model.document, what):
            raise InputError(f"{path} is not of {folder}: it has another {_WORDS[what]}")
    if replace(document.contract, layout=model.document.contract.layout) != model.document.contract:
        raise InputError(f"{path} is not of {folder}: it has another input")
    return document


def _photos(settings: ExportSettings, model: Model, *, reporter: Reporter) -> _Photos:
    """The test part of the data with labels, else the model's own samples."""
    document = model.document
    samples = read_samples(settings.model, document)
    calibration_NHWC = np.zeros((1, document.contract.side, document.contract.side, 3), np.uint8)
    if settings.data is None:
        if not samples:
            raise InputError(f"{settings.model} has no samples in check/: give --data to check files on")
        pixels_NHWC, labels_N = np.stack([one.pixels_HWC for one in samples]), None
        source = f"{len(samples)} photos of the model's check/; with --data also accuracy"
    else:
        data = find_data(settings.data)
        number_of = _numbers(data, document.classes)
        reporter.doing("decoding the test part")
        part = load_scored(data, "test", document.contract, cache=cache_folder() / "images")
        chosen = np.linspace(0, len(part.labels_N) - 1, min(_CHECKED, len(part.labels_N))).astype(int)
        _note_look(settings.model, document, images=len(chosen))
        pixels_NHWC, labels_N = np.asarray(part.pixels_NHWC[chosen]), number_of[part.labels_N[chosen]]
        source = f"{len(chosen)} images of the test part of the {data.source}"
        if settings.int8:
            calibration_NHWC = some_scored(data, "train", document.contract, number=_CALIBRATION)
    reporter.doing("asking PyTorch")
    chunks = [pixels_NHWC[at : at + _BATCH] for at in range(0, len(pixels_NHWC), _BATCH)]
    return _Photos(
        source=source,
        pixels_NHWC=pixels_NHWC,
        expected_NK=np.concatenate([model.probabilities(chunk) for chunk in chunks]),
        labels_N=labels_N,
        samples=samples,
        calibration_NHWC=calibration_NHWC,
    )


def _note_look(folder: Path, document: ModelDocument, *, images: int) -> None:
    """A line in the ledger of the study that the model is from, where its folder lies in models/ beside that study."""
    said = document.provenance
    study, schedule = said.get("study"), said.get("schedule")
    if not isinstance(study, str) or Path(study).name != study:
        return
    note_look(
        "export",
        folders_of(study, folder.resolve().parent.parent),
        trials=_known(said.get("trial")),
        seeds=_known(said.get("seed")),
        schedule=str(schedule["name"]) if isinstance(schedule, dict) and "name" in schedule else "unknown",
        images=images,
    )


def _known(plain: Plain) -> tuple[int, ...]:
    """The one number, where somebody else's document has it: a look is written down whatever is known of it."""
    return (plain,) if isinstance(plain, int) else ()


def _numbers(data: ImageData, classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """The model's number of each class of ``data``, by name: its folders may be listed in another order."""
    strange = [name for name in data.classes if name not in classes]
    if strange:
        raise InputError(f"--data has classes that the model does not know: {some(strange)}")
    return np.array([classes.index(name) for name in data.classes], dtype=np.int64)
