"""Who works on a search, and where its trials are kept: flags of the search and of its workers."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.settings import parse
from mvit_nas.settings.flag import Decides, Group

workers = Group.WORKERS.flag


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Where the trials and what is computed of them lie."""

    storage: str | None = workers(
        "Keep the trials in a database, for workers on several machines: postgresql://USER@HOST/DATABASE. The password "
        "comes from PGPASSWORD or ~/.pgpass. Without it: a file in experiments/, for any number of workers here.",
        None,
        text=parse.STORAGE,
        decides=Decides.ITSELF,
    )
    shared: Path | None = workers(
        "Keep evaluations, checkpoints, weights and decoded images in this folder, which all workers see. Without it: "
        "in each machine's own cache, and a trial whose worker died starts anew on another machine.",
        None,
        metavar="FOLDER",
    )
    grace_seconds: float = workers(
        "With --storage: give the trial of a worker that was not heard of for so long to another.",
        90.0,
        option="--grace",
        text=parse.SECONDS,
    )


@dataclass(frozen=True, kw_only=True)
class Working(Stored):
    """The same, with how many work here."""

    jobs: int = workers(
        "Trainings at once on this machine, each a worker with a core of its own; over all GPUs, where there are any.",
        1,
        metavar="N",
        least=1,
    )
    jobs_per_gpu: int | None = workers(
        "Instead of --jobs: so many trainings at once on each CUDA GPU, with equal shares of its memory.",
        None,
        metavar="K",
        least=1,
    )
