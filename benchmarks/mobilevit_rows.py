"""What the table of the MobileViT family consists of: lines of CSV while it is made, one Parquet file once it is whole.

`mobilevit_table.py` makes it, `mobilevit_table.md` says what the columns are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from lines import read_lines

from mvit_nas.errors import InputError
from mvit_nas.files import write_whole
from mvit_nas.optimize.designs import Design
from mvit_nas.study.record import Measured, Rung

# Whose latencies the table has.
RUNTIMES = ("onnxruntime", "torch")
TRAINING_FIELDS = ("network", "schedule", "seed", "correct", "images", "losses", "rungs", "seconds", "processor")
TIMING_FIELDS = ("network", "runtime", "median_ms", "low_ms", "high_ms", "runs", "processor")

# Which network, by which schedule, from which seed.
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training: ``correct`` of ``images`` at the end, ``losses`` the mean training loss of each epoch.

    ``rungs`` are scored on 500 of the images.
    """

    network: str
    schedule: str
    seed: int
    correct: int
    images: int
    losses: tuple[float, ...]
    rungs: tuple[Rung, ...]
    seconds: float
    processor: str

    @property
    def key(self) -> Key:
        """Which one it is."""
        return self.network, self.schedule, self.seed

    @property
    def accuracy(self) -> float:
        """Share of correct answers."""
        return self.correct / self.images

    def to_line(self) -> dict[str, str]:
        """As a line of a file: losses by spaces, rungs as EPOCH:CORRECT/IMAGES."""
        return {
            "network": self.network,
            "schedule": self.schedule,
            "seed": str(self.seed),
            "correct": str(self.correct),
            "images": str(self.images),
            "losses": " ".join(f"{loss:.6f}" for loss in self.losses),
            "rungs": " ".join(f"{rung.epoch}:{rung.correct}/{rung.images}" for rung in self.rungs),
            "seconds": f"{self.seconds:.1f}",
            "processor": self.processor,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A latency of ``network`` as ``runtime`` executes it, from so many ``runs``."""

    network: str
    runtime: str
    latency: Measured
    runs: int
    processor: str

    def to_line(self) -> dict[str, str]:
        """As a line of a file."""
        return {
            "network": self.network,
            "runtime": self.runtime,
            "median_ms": f"{self.latency.value:.5f}",
            "low_ms": f"{self.latency.low:.5f}",
            "high_ms": f"{self.latency.high:.5f}",
            "runs": str(self.runs),
            "processor": self.processor,
        }


def training_of(line: Mapping[str, str]) -> Training:
    """The training that ``to_line`` wrote. Raises InputError for anything else."""
    try:
        losses = tuple(float(loss) for loss in line["losses"].split())
        words = [word.replace("/", ":").split(":") for word in line["rungs"].split()]
        return Training(
            network=line["network"],
            schedule=line["schedule"],
            seed=int(line["seed"]),
            correct=int(line["correct"]),
            images=int(line["images"]),
            losses=losses,
            rungs=_rungs(losses, [(int(epoch), int(correct), int(images)) for epoch, correct, images in words]),
            seconds=float(line["seconds"]),
            processor=line["processor"],
        )
    except (IndexError, ValueError):
        raise InputError(f"no line of a training: {','.join(line.values())}") from None


def timing_of(line: Mapping[str, str]) -> Timing:
    """The latency that ``to_line`` wrote. Raises InputError for anything else."""
    try:
        value, low, high = (float(line[name]) for name in ("median_ms", "low_ms", "high_ms"))
        return Timing(
            network=line["network"],
            runtime=line["runtime"],
            latency=Measured(value=value, low=low, high=high),
            runs=int(line["runs"]),
            processor=line["processor"],
        )
    except ValueError:
        raise InputError(f"no line of a latency: {','.join(line.values())}") from None


def read_trainings(path: Path) -> list[Training]:
    """Those that are in the lines of ``path``. Raises InputError."""
    return [training_of(line) for line in read_lines(path, TRAINING_FIELDS)]


def read_timings(path: Path) -> list[Timing]:
    """Those that are in the lines of ``path``. Raises InputError."""
    return [timing_of(line) for line in read_lines(path, TIMING_FIELDS)]


def _rungs(losses: Sequence[float], scored: Sequence[tuple[int, int, int]]) -> tuple[Rung, ...]:
    return tuple(
        Rung(epoch=epoch, loss=losses[epoch - 1], correct=correct, images=images) for epoch, correct, images in scored
    )


# What is known of a network, by runtime; without what was not measured.
Latencies = Mapping[str, Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The trainings of all networks, and by network the latencies of some."""

    trainings: tuple[Training, ...]
    latencies: Mapping[str, Latencies]


def write_table(path: Path, trainings: Sequence[tuple[Design, Training]], timings: Sequence[Timing]) -> None:
    """Write a row for each training with what is known of its network, the same bytes for the same rows."""
    known = {(one.network, one.runtime): one.latency for one in timings}
    columns: dict[str, pa.Array] = {
        "network": pa.array([design.arch_id for design, _ in trainings]),
        "name": pa.array([design.name for design, _ in trainings]),
    }
    for name in trainings[0][0].labels:
        columns[name] = pa.array([None if one.is_outside else one.labels[name] for one, _ in trainings])
    columns["params"] = pa.array([design.cost.params for design, _ in trainings])
    columns["macs"] = pa.array([design.cost.macs for design, _ in trainings])
    for runtime in RUNTIMES:
        of = [known.get((design.arch_id, runtime)) for design, _ in trainings]
        columns[f"{runtime}_ms"] = pa.array([one and one.value for one in of], pa.float64())
        columns[f"{runtime}_low_ms"] = pa.array([one and one.low for one in of], pa.float64())
        columns[f"{runtime}_high_ms"] = pa.array([one and one.high for one in of], pa.float64())
    done = [training for _, training in trainings]
    columns |= {
        "schedule": pa.array([one.schedule for one in done]),
        "seed": pa.array([one.seed for one in done]),
        "correct": pa.array([one.correct for one in done]),
        "images": pa.array([one.images for one in done]),
        "losses": pa.array([one.losses for one in done], pa.list_(pa.float64())),
        "rung_epochs": pa.array([[rung.epoch for rung in one.rungs] for one in done], pa.list_(pa.int64())),
        "rung_correct": pa.array([[rung.correct for rung in one.rungs] for one in done], pa.list_(pa.int64())),
        "rung_images": pa.array([[rung.images for rung in one.rungs] for one in done], pa.list_(pa.int64())),
        "seconds": pa.array([one.seconds for one in done]),
        "processor": pa.array([one.processor for one in done]),
    }
    write_whole(path, lambda temporary: pq.write_table(pa.table(columns), temporary, compression="zstd"))


def read_table(path: Path) -> Table:
    """The table that ``write_table`` wrote. Raises InputError where ``path`` is none."""
    try:
        rows = pq.read_table(path).to_pylist()
        trainings = tuple(
            Training(
                **{name: row[name] for name in TRAINING_FIELDS if name not in ("losses", "rungs")},
                losses=tuple(row["losses"]),
                rungs=_rungs(
                    row["losses"], list(zip(row["rung_epochs"], row["rung_correct"], row["rung_images"], strict=True))
                ),
            )
            for row in rows
        )
        latencies = {row["network"]: _latencies(row) for row in rows}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read the table {path}: {' '.join(str(error).split())}") from None
    except KeyError as error:
        raise InputError(f"{path} is no table of the MobileViT family: it has no column {error}") from None
    return Table(trainings=trainings, latencies=latencies)


def _latencies(row: Mapping[str, float | None]) -> dict[str, Measured]:
    found = {}
    for runtime in RUNTIMES:
        value = row[f"{runtime}_ms"]
        if value is not None:
            found[runtime] = Measured(value=value, low=row[f"{runtime}_low_ms"], high=row[f"{runtime}_high_ms"])
    return found
