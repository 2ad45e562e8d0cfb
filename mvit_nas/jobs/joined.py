"""How a process joins those that work on a search: its trials, who is there, and whether all mean the same."""

import hashlib
import importlib.resources
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable

import torch

from mvit_nas import __version__
from mvit_nas.errors import InputError
from mvit_nas.evaluate.short import TRAINING_VERSION
from mvit_nas.files import write_text
from mvit_nas.jobs.folders import Folders
from mvit_nas.jobs.prepare import Prepared
from mvit_nas.optimize.candidates import Candidates
from mvit_nas.optimize.samplers import open_store
from mvit_nas.settings.study_file import study_text
from mvit_nas.study.life import Beats, Locks
from mvit_nas.study.storage import FILE, PATIENCE_SECONDS, closing, open_file, open_server
from mvit_nas.study.store import Glance, Store, glance

# What the study says of itself: the text of its settings, with what all of its workers work, and when it ends.
_EXPERIMENT, _MADE_WITH, _ENDS = "experiment", "made with", "ends at"
# What a study is called in a file of its own; in a database, by its name.
_IN_FILE = "search"


@contextmanager
def joined(prepared: Prepared, candidates: Candidates) -> Iterator[Store]:
    """The trials of the search, with this process as one of its workers meanwhile."""
    settings, folders = prepared.settings, prepared.folders
    lives: list[Beats | Locks] = []

    def life(study: object) -> Beats | Locks:
        made = (
            Locks(folders.state / "workers")
            if settings.storage is None
            else Beats(study, grace_seconds=settings.grace_seconds)  # type: ignore[arg-type]
        )
        lives.append(made)
        return made

    if settings.storage is None:
        storage, name, patience = open_file(folders.state), _IN_FILE, 0.0
    else:
        assert settings.name is not None, "a search that is prepared has a name"
        storage, name, patience = open_server(settings.storage), settings.name, PATIENCE_SECONDS
    store = open_store(storage, candidates, seed=settings.seed, name=name, life=life, patience_seconds=patience)
    with closing(storage), lives[0].living():
        yield store


def publish(store: Store, prepared: Prepared) -> None:
    """Let workers know what they are to work on, with what, and until when."""
    settings = prepared.settings
    store.say(_MADE_WITH, dict(made_with(prepared)))
    seconds = settings.searching_seconds
    store.say(_ENDS, None if seconds is None else time.time() + seconds)
    # Last: who finds it finds the rest.
    store.say(_EXPERIMENT, study_text(settings, prepared.found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A search as others can see it: the text of its settings, what its workers work with, and its trials.

    ``seconds_left`` None: it may go on for ever.
    """

    experiment: str
    made_with: Mapping[str, str]
    seconds_left: float | None
    trials: Glance


def restore_settings(folders: Folders, storage: str | None) -> None:
    """Write the settings that the search was begun with where their file is gone, or is not on this machine.

    So that a search of other settings is refused by them. Raises InputError where it cannot be written.
    """
    known = None if folders.settings.exists() else _glance(folders, storage)
    if known is None or _EXPERIMENT not in known.attributes:
        return
    try:
        write_text(folders.settings, known.attributes[_EXPERIMENT])
    except OSError as error:
        raise InputError(f"cannot write {folders.settings} ({error.strerror}): choose another --out") from None


def _glance(folders: Folders, storage: str | None) -> Glance | None:
    if storage is not None:
        with closing(open_server(storage)) as server:
            return glance(server, folders.name)
    if not (folders.state / FILE).exists():
        return None
    with closing(open_file(folders.state)) as file:
        return glance(file, _IN_FILE)


def published(folders: Folders, storage: str | None) -> Published:
    """The search in ``storage``, or in its folder here. Raises InputError where there is none."""
    known = _glance(folders, storage)
    if known is None or _EXPERIMENT not in known.attributes:
        where = folders.state if storage is None else storage
        raise InputError(f"there is no search {folders.name!r} in {where}: begin it with mvit-nas search")
    said = known.attributes
    ends = said[_ENDS]
    return Published(
        experiment=said[_EXPERIMENT],
        made_with=said[_MADE_WITH],
        seconds_left=None if ends is None else ends - time.time(),
        trials=known,
    )


def made_with(prepared: Prepared) -> dict[str, str]:
    """What a worker's numbers hang on beside the settings: it must be the same for all."""
    latency = prepared.setup.meter.machine.fingerprint if prepared.needs_latency else "not measured"
    return {
        "mvit-nas": f"{__version__} {_code()}",
        "training": str(TRAINING_VERSION),
        "torch": torch.__version__,
        "latency measured on": latency,
    }


def check_made_with(prepared: Prepared, known: Mapping[str, str]) -> None:
    """Raise InputError that names what differs from what the search is worked on with."""
    mine = made_with(prepared)
    differ = [
        f"{name} ({known.get(name)} there, {value} here)" for name, value in mine.items() if known.get(name) != value
    ]
    if differ:
        raise InputError(
            f"this worker would give other numbers than the search {prepared.folders.name!r}: {', '.join(differ)}"
        )


def _code() -> str:
    """A short name of the package's own code."""
    found = hashlib.sha256()

    def visit(folder: Traversable) -> None:
        for one in sorted(folder.iterdir(), key=lambda each: each.name):
            if one.is_dir():
                visit(one)
            elif one.name.endswith((".py", ".yaml")):
                found.update(one.name.encode() + one.read_bytes())

    visit(importlib.resources.files("mvit_nas"))
    return found.hexdigest()[:10]
