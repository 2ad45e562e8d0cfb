"""The folders of a study, the settings that it was begun with, and the ledger of looks at its test part."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mvit_nas.errors import InputError, MvitNasError
from mvit_nas.files import claimed, sweep, write_text
from mvit_nas.reporter import Reporter
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.study_file import Found, check_same, found_in, study_text
from mvit_nas.study.confirmation import Look
from mvit_nas.study.confirmation_file import append_look
from mvit_nas.study.origin_file import read_origin
from mvit_nas.training.schedule import Schedule, schedule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """Where the study ``name`` keeps its ``state``, and where its ``report`` lies, both in ``out``."""

    name: str
    out: Path
    state: Path
    report: Path

    @property
    def settings(self) -> Path:
        """The file of the settings that it was begun with."""
        return self.state / "experiment.yaml"

    @property
    def ledger(self) -> Path:
        """The file of the looks at the test part."""
        return self.state / "test_reads.jsonl"


def folders_of(name: str, out: Path) -> Folders:
    """The folders of the study ``name``."""
    return Folders(name=name, out=out, state=out / "experiments" / name, report=out / "reports" / name)


def note_look(
    command: str, folders: Folders, *, trials: tuple[int, ...], seeds: tuple[int, ...], schedule: str, images: int
) -> None:
    """Write a look of ``command`` at the ``images`` of the test part into the study's ledger, before the look.

    What was passed on without its study's folder has no ledger, and nothing is written. Raises InputError where the
    ledger cannot be written.
    """
    if not folders.state.is_dir():
        return
    date = datetime.now(UTC).isoformat(timespec="seconds")
    look = Look(date=date, trials=trials, seeds=seeds, schedule=schedule, images=images, command=command)
    try:
        append_look(folders.ledger, look)
    except OSError as error:
        raise InputError(
            f"cannot write {folders.ledger} ({error.strerror}), which counts looks at the test part: there was none"
        ) from None


def known_space(folders: Folders) -> tuple[str | None, str] | None:
    """Name and text of the space that the study was begun with; None where it was not begun.

    Of studies that were begun before their settings said it, the report may know the name.
    """
    found = found_in(folders.settings)
    if found is None:
        return None
    if found.space_name is None:
        with suppress(MvitNasError):  # there is none yet, or a broken one, which is written anew
            return read_origin(folders.report / "environment.json").space.name, found.space
    return found.space_name, found.space


def known_schedule(folders: Folders) -> Schedule | None:
    """The schedule that the study was begun with; None where it was not begun."""
    found = found_in(folders.settings)
    if found is None:
        return None
    fields = dict(found.schedule)
    name = str(fields.pop("name", ""))
    return schedule_of(fields, name=name, where=f"{folders.settings}: schedule")


@contextmanager
def opened(
    folders: Folders, settings: SearchSettings | AblateSettings, found: Found, *, reporter: Reporter
) -> Iterator[None]:
    """The study's folders, for this process alone, with its settings in them.

    Raises InputError where they cannot be made, where another process works on them, and where they hold a study that
    this does not go on with.
    """
    for folder in (folders.state, folders.report):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder {folder} ({error.strerror}): choose another --out") from None
    with claimed(folders.state):
        _keep_settings(folders, settings, found, reporter=reporter)
        sweep(folders.report)
        yield


def _keep_settings(
    folders: Folders, settings: SearchSettings | AblateSettings, found: Found, *, reporter: Reporter
) -> None:
    file = folders.settings
    if file.exists() and not settings.resume:
        raise InputError(
            f"the study {folders.name!r} exists in {folders.state}: go on with --resume, or use another --name"
        )
    begun_with = known_schedule(folders)
    if begun_with is not None:
        check_same(settings, found, file, begun_with=begun_with.to_dict())
    elif settings.resume:
        reporter.say(f"there is no study {folders.name!r} yet; starting it")
    try:
        write_text(file, study_text(settings, found))
    except OSError as error:
        raise InputError(f"cannot write {file} ({error.strerror}): choose another --out") from None
