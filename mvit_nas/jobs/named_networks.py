"""What a person names: a preset, a trial of a study, its front, a model folder, an architecture file."""

from dataclasses import dataclass
from pathlib import Path

from mvit_nas.arch.config import ArchConfig, arch_id, from_dict
from mvit_nas.arch.presets import PRESETS
from mvit_nas.arch.space import SearchSpace, parse_space
from mvit_nas.documents import read_json, read_yaml
from mvit_nas.errors import ArchError, InputError, unknown
from mvit_nas.models.folder import CONFIG, read_document
from mvit_nas.results.table import read_table
from mvit_nas.results.view import StudyView
from mvit_nas.study.origin import Images, Origin, SearchOrigin
from mvit_nas.study.origin_file import read_origin
from mvit_nas.study.record import Record

# The classes of ImageNet-1K, where nothing else is said.
_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A network by the name that it was chosen by, with the space and the images of the study that it is from.

    ``trial`` is that study and the number of its trial. ``model`` is the model folder that it was read from; the study
    is then the one that the model says it is from.
    """

    name: str
    arch: ArchConfig
    classes: int = _CLASSES
    space: SearchSpace | None = None
    images: Images | None = None
    trial: tuple[str, int] | None = None
    model: Path | None = None


def find_choice(text: str, out: Path, *, where: str) -> Choice:
    """The one network that ``text`` names; InputError that begins with ``where`` otherwise."""
    found = find_choices(text, out, where=where)
    if len(found) != 1:
        raise InputError(f"{where}: {text} names {len(found)} networks; name one, as in {text.rpartition(':')[0]}:0")
    return found[0]


def find_choices(text: str, out: Path, *, where: str) -> list[Choice]:
    """The networks that ``text`` names: one, or all of a front. InputError that begins with ``where`` otherwise."""
    if text in PRESETS:
        return [Choice(name=text, arch=PRESETS[text])]
    study, colon, trial = text.rpartition(":")
    if colon and (out / "reports" / study / "results.csv").is_file():
        return _of_study(out / "reports" / study, study, trial, where)
    path = Path(text)
    if (path / CONFIG).is_file():
        document = read_document(path)
        classes = len(document.classes)
        return [Choice(name=path.name, arch=document.arch, classes=classes, trial=document.trial, model=path)]
    if path.suffix == ".json" and path.is_file():
        return _decided(path, out, where)
    if path.is_file():
        try:
            return [Choice(name=path.stem, arch=from_dict(read_yaml(path)))]
        except ArchError as error:
            raise InputError(f"{where} {text}: {error}") from None
    if colon:
        known = sorted(path.parent.name for path in (out / "reports").glob("*/results.csv"))
        raise InputError(
            f"{where} {text}: no study {study!r} in {out / 'reports'}: known are {', '.join(known) or 'none'}"
        )
    raise InputError(
        f"{where}: {unknown(text, PRESETS)}; a trial of a study is written NAME:37, NAME: and the id of its network, "
        "NAME:best, NAME:knee (the cheapest within a point of the best) or NAME:front, and a file or a model folder "
        "must exist"
    )


def _decided(path: Path, out: Path, where: str) -> list[Choice]:
    """The network that a decision file names, which the page of a search exported."""
    try:
        decision = read_json(path)
        study, trial, identity = (decision[key] for key in ("study", "trial", "arch_id"))
    except (KeyError, TypeError) as error:
        raise InputError(f"{where} {path}: is no decision file ({error})") from None
    found = find_choices(f"{study}:{trial}", out, where=f"{where} {path}")
    if [arch_id(one.arch) for one in found] != [identity]:
        raise InputError(f"{where} {path}: trial {trial} of {study} is not the network {identity} that it decides for")
    return found


def find_record(text: str, out: Path) -> tuple[Record, Origin]:
    """The trial that ``text`` names, and where its study's numbers come from. Raises InputError."""
    study, _, trial = text.rpartition(":")
    folder = out / "reports" / study
    if not study or not (folder / "results.csv").is_file():
        reports = out / "reports"
        known = ", ".join(sorted(path.parent.name for path in reports.glob("*/results.csv"))) or "none"
        raise InputError(f"{text}: name a trial of a study in {reports}, as in NAME:37: known are {known}")
    records, origin = _records(folder, study, trial, text)
    if len(records) != 1:
        raise InputError(f"{text} names {len(records)} networks; name one, as in {study}:0")
    return records[0], origin


def _of_study(folder: Path, study: str, trial: str, where: str) -> list[Choice]:
    chosen, origin = _records(folder, study, trial, f"{where} {study}:{trial}")
    return [_of_record(record, origin, folder, f"{study}:{trial}", where) for record in chosen]


def _records(folder: Path, study: str, trial: str, where: str) -> tuple[list[Record], Origin]:
    """The trials that are named, at least one. InputError that begins with ``where`` otherwise."""
    table, origin = read_table(folder / "results.csv"), read_origin(folder / "environment.json")
    if trial in ("best", "knee", "front"):
        if not isinstance(origin, SearchOrigin):
            raise InputError(f"{where}: {study} is an ablation; name a trial, as in {study}:0")
        chosen = _of_search(StudyView(table, origin), trial)
        if not chosen:
            raise InputError(f"{where}: {study} has no network that was scored")
    else:  # the trial of that number, or of the network of that name
        chosen = [record for record in table.records if trial in (str(record.trial), record.label)][:1]
    if not chosen:
        last = max((one.trial for one in table.records if one.trial is not None), default=0)
        raise InputError(f"{where}: {study} has no such trial; it has the trials 0 to {last}")
    return chosen, origin


def _of_search(view: StudyView, which: str) -> list[Record]:
    """The "front", the "best", or the "knee": the cheapest within a point of the best, whatever else was tried."""
    if which == "front":
        return [view.records[index] for index in view.front]
    if not view.scored:
        return []
    return [view.best(view.scored) if which == "best" else view.within_a_point(view.scored)]


def _of_record(record: Record, origin: Origin, folder: Path, text: str, where: str) -> Choice:
    if record.candidate.arch is None:
        if record.reason:
            raise InputError(f"{where} {text}: that trial is no network ({record.reason})")
        raise InputError(f"{where} {text}: {folder} holds no network that can be read")
    space = origin.space
    if space.text is None or not origin.images.classes:
        raise InputError(f"{where} {text}: {folder / 'environment.json'} does not say of what space and images it is")
    return Choice(
        name=record.label,
        arch=record.candidate.arch,
        classes=len(origin.images.classes),
        space=parse_space(space.text, name=space.name, where=f"the space of {text}"),
        images=origin.images,
        trial=None if record.trial is None else (folder.name, record.trial),
    )
