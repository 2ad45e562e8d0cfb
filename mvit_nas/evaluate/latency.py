"""Latencies of architectures by one runtime on one target, each from the cache where it is known."""

import functools
import importlib.metadata
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from mvit_nas.arch.config import ArchConfig, arch_id
from mvit_nas.arch.paths import with_values
from mvit_nas.arch.presets import PRESETS
from mvit_nas.artifacts.checked import Artefact, export
from mvit_nas.cost.latency import Latency, LatencyConditions, Processes, latency_of, measure
from mvit_nas.cost.runtimes.registry import require
from mvit_nas.cost.runtimes.runtime import BITS, NARROW_BITS, Runtime
from mvit_nas.cost.targets.machine import Machine
from mvit_nas.cost.targets.python import PythonTarget
from mvit_nas.cost.targets.registry import Target
from mvit_nas.cost.targets.target import Job
from mvit_nas.errors import MeasurementError
from mvit_nas.evaluate.cache import Cache, Document, Key, cache_folder

REFERENCE = "mobilevit_xxs"
_REFERENCE_SIDE = 128
_REFERENCE_CLASSES = 1000
# What an artefact depends on beside its key; a change of nn or of the runtimes' modules that changes it raises it.
_EXPORT_VERSION = 2
# What a latency depends on beside its key: a change of the measuring protocol raises it.
_PROTOCOL_VERSION = 2
# The reference's own times that are kept, to say how far the scale can be trusted.
_ANCHORS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A latency with the artefact that it is of."""

    latency: Latency
    artefact: Artefact


class LatencyMeter:
    """Measures architectures as ``runtime`` executes them on ``target``.

    Latencies have the scale of the reference network as it ran there when it was first measured: ratios come back
    within one or two percent, absolute times do not. ``conditions`` say how far the reference has moved since.
    """

    def __init__(
        self,
        runtime: Runtime,
        target: Target,
        *,
        threads: int,
        precision: float,
        seconds: float,
        int8: bool = False,
        folder: Path | None = None,
        say: Callable[[str], None] = lambda message: None,
    ) -> None:
        require(runtime)
        self.runtime = runtime
        self.target = target
        self.threads = threads
        self.precision = precision
        self.int8 = int8
        self._seconds = seconds
        self._folder = folder or cache_folder()
        self._cache = Cache(self._folder / "evaluations")
        self._say = say
        self._told: dict[str, Latency] = {}

    @functools.cached_property
    def machine(self) -> Machine:
        """The target as it was when it was first asked."""
        return self.target.machine(self.runtime.name)

    @property
    def weight_bits(self) -> int | None:
        """Those of int8's weights: what the target's processor multiplies without overflow. None for float32."""
        if not self.int8:
            return None
        return NARROW_BITS if self.machine.saturates_int8 and NARROW_BITS in self.runtime.quantise else BITS

    def latency(self, arch: ArchConfig, *, classes: int) -> Measured:
        """The latency of ``arch`` with a classifier for ``classes``, batch 1: of what runs of it."""
        arch = _at_inference(arch)
        key = self._artefact_key(arch, classes, self.weight_bits)
        known = self._cache.get(key, _artefact)
        measured = self._known(known) if known is not None else None
        if measured is not None:
            return measured
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"candidate{self.runtime.suffix}"
            artefact = export(self.runtime, arch, path, classes=classes, weight_bits=self.weight_bits)
            self._cache.put(key, asdict(artefact))
            return self.measure(artefact, path, shape=_images(arch.image_size))

    def measure(self, artefact: Artefact, path: Path, *, shape: tuple[int, ...]) -> Measured:
        """The latency of the ``artefact`` in the file ``path`` on images of ``shape``, [1, 3, H, W] or [1, H, W, 3]."""
        known = self._known(artefact)
        if known is not None:
            return known
        reference_ms = self.anchors_ms()[0]
        processes = measure(self.target, self._job(path, shape))
        latency = self._latency_of(processes, reference_ms)
        samples = [[asdict(one) for one in rounds] for rounds in processes]
        self._cache.put(self._latency_key(artefact), {"latency": asdict(latency), "samples": samples})
        self._keep_anchor(latency.reference_ms)
        self._told[artefact.digest] = latency
        return Measured(latency=latency, artefact=artefact)

    def stages(self, arch: ArchConfig, *, classes: int) -> dict[str, float]:
        """Milliseconds of each stage of ``arch``: its share of a profiled run, of the latency.

        Raises MeasurementError where runtime or target cannot tell stages apart.
        """
        if not isinstance(self.target, PythonTarget):
            raise MeasurementError(f"{self.target.name} tells no stages apart: measure them on a host or over ssh")
        milliseconds = self.latency(arch, classes=classes).latency.median_ms
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"candidate{self.runtime.suffix}"
            export(self.runtime, _at_inference(arch), path, classes=classes, weight_bits=self.weight_bits)
            shares = self.target.stages(self._job(path, _images(arch.image_size)))
        return {stage: share * milliseconds for stage, share in sorted(shares.items(), key=_stage_order)}

    def conditions(self) -> LatencyConditions:
        """What these latencies hang on, for a report."""
        anchors_ms = self.anchors_ms()
        return LatencyConditions(
            machine=self.machine.fingerprint,
            threads=self.threads,
            precision=self.precision,
            reference=f"{REFERENCE} at {_REFERENCE_SIDE} px",
            reference_ms=anchors_ms[0],
            reference_low_ms=min(anchors_ms),
            reference_high_ms=max(anchors_ms),
            reference_measurements=len(anchors_ms),
            reliability=self._reliability(),
            runtime_name=self.runtime.name,
            runtime_title=self.runtime.title,
            runtime_version=self.machine.runtime_version,
            weight_bits=self.weight_bits,
            target_name=self.target.name,
            target_kind=self.target.kind,
        )

    def _reliability(self) -> str:
        """What speaks against the latencies that were told so far, in words."""
        latencies = list(self._told.values())
        counts = {
            "while others held the core": sum(latency.contended for latency in latencies),
            "at another speed than the reference's own": sum(latency.drifted for latency in latencies),
            "in which repetitions did not agree": sum(not latency.agreed for latency in latencies),
        }
        flagged = ", ".join(f"{count} {words}" for words, count in counts.items() if count)
        return f"{len(latencies)} measurements, {flagged or 'none of them under suspicion'}"

    def _known(self, artefact: Artefact) -> Measured | None:
        found = self._cache.get(self._latency_key(artefact), lambda kept: Latency(**kept["latency"]))
        if found is None:
            return None
        self._told[artefact.digest] = found
        return Measured(latency=self._told[artefact.digest], artefact=artefact)

    def _job(self, candidate: Path, shape: tuple[int, ...]) -> Job:
        return Job(
            runtime=self.runtime.name,
            threads=self.threads,
            candidate=candidate,
            reference=self._reference[1],
            candidate_shape=shape,
            reference_shape=_images(_REFERENCE_SIDE),
            precision=self.precision,
            seconds=self._seconds,
        )

    @functools.cached_property
    def _reference(self) -> tuple[Artefact, Path]:
        """The reference's artefact, kept beside the cache: some runtimes take long to export it."""
        arch = _at_inference(with_values(PRESETS[REFERENCE], {"image_size": _REFERENCE_SIDE}))
        key = self._artefact_key(arch, _REFERENCE_CLASSES, None)  # one scale for float32 and int8
        known = self._cache.get(key, _artefact)
        folder = self._folder / "artefacts"
        folder.mkdir(parents=True, exist_ok=True)
        if known is not None:
            path = folder / f"{known.digest}{self.runtime.suffix}"
            if path.is_file():
                return known, path
        self._say(f"exporting the reference, {REFERENCE} at {_REFERENCE_SIDE} px, for {self.runtime.title}")
        with tempfile.TemporaryDirectory(dir=folder) as temporary:
            path = Path(temporary) / f"reference{self.runtime.suffix}"
            artefact = export(self.runtime, arch, path, classes=_REFERENCE_CLASSES)
            kept = path.rename(folder / f"{artefact.digest}{self.runtime.suffix}")
        self._cache.put(key, asdict(artefact))
        return artefact, kept

    def anchors_ms(self) -> list[float]:
        """What the reference took by itself, the scale of all latencies, then in each measurement of the last ones."""
        known = self._cache.get(self._anchor_key, lambda kept: [float(one) for one in kept["milliseconds"]])
        if not known:
            path = self._reference[1]
            self._say(f"measuring the reference on {self.target.name}")
            # Against itself its ratio is 1, and either's own time counts as much.
            own = self._latency_of(measure(self.target, self._job(path, _images(_REFERENCE_SIDE))), 1.0)
            known = [own.reference_ms * (1 + own.median_ms) / 2]
            self._cache.put(self._anchor_key, {"milliseconds": known})
        return known

    def _keep_anchor(self, milliseconds: float) -> None:
        first, *others = self.anchors_ms()
        self._cache.put(self._anchor_key, {"milliseconds": [first, *[*others, milliseconds][-_ANCHORS:]]})

    def _latency_of(self, processes: Processes, reference_ms: float) -> Latency:
        return latency_of(processes, reference_ms=reference_ms, threads=self.threads, precision=self.precision)

    @functools.cached_property
    def _anchor_key(self) -> Key:
        return {"kind": "anchor", "reference": self._reference[0].digest, **self._conditions_key}

    def _latency_key(self, artefact: Artefact) -> Key:
        return {"kind": "latency", "artefact": artefact.digest, "precision": self.precision, **self._conditions_key}

    @functools.cached_property
    def _conditions_key(self) -> Key:
        return {
            "runtime": f"{self.runtime.name} {self.machine.runtime_version}",
            "target": f"{self.target.name}: {self.machine.fingerprint}",
            "threads": self.threads,
            "protocol": _PROTOCOL_VERSION,
        }

    def _artefact_key(self, arch: ArchConfig, classes: int, weight_bits: int | None) -> Key:
        return {
            "kind": "artefact",
            "arch_id": arch_id(arch),
            "classes": classes,
            "runtime": self.runtime.name,
            "weight_bits": weight_bits,
            "exporters": {"torch": torch.__version__} | {name: _version(name) for name in self.runtime.modules},
            "version": _EXPORT_VERSION,
        }


def _images(side: int) -> tuple[int, ...]:
    return (1, 3, side, side)


def _at_inference(arch: ArchConfig) -> ArchConfig:
    """``arch`` without what has no effect once it is trained: networks that run alike are one artefact then."""
    return replace(arch, dropout=0.0, head_dropout=0.0)


def _stage_order(item: tuple[str, float]) -> tuple[int, str]:
    return ["stem", "stages", "head", "classifier", "other"].index(item[0].partition(".")[0]), item[0]


@functools.cache  # to list what is installed takes a second
def _version(module: str) -> str:
    packages = importlib.metadata.packages_distributions().get(module.partition(".")[0], [])
    return importlib.metadata.version(packages[0]) if packages else ""


def _artefact(document: Document) -> Artefact:
    return Artefact(**document)
