"""What a study was begun with and its networks cannot be trained again without: its images, its starting weights."""

from dataclasses import replace

from mvit_nas.arch.config import ArchConfig
from mvit_nas.data.find import find_data
from mvit_nas.data.parts import ImageData
from mvit_nas.errors import InputError
from mvit_nas.jobs.folders import Folders
from mvit_nas.jobs.setup import Setup
from mvit_nas.models.sources import read_source
from mvit_nas.nn.backbone import build
from mvit_nas.nn.weights.inherit import Source, from_other_heads, initialised
from mvit_nas.reporter import Reporter
from mvit_nas.results.page import counted
from mvit_nas.settings.commands import AblateSettings, SearchSettings
from mvit_nas.settings.shared import Start, Starting
from mvit_nas.settings.study_file import read_config
from mvit_nas.study.origin import AblationOrigin, Origin


def study_images(origin: Origin, folders: Folders, given: str | None) -> ImageData:
    """The images of a study, at ``given`` where that is said. InputError where they are others now, naming both."""
    trained, name = origin.images, folders.name
    if given is None and folders.settings.exists():
        given = _asked(origin, folders, "data")
    elif given is None and trained.name != "digits":
        raise InputError(f"{name} was searched on {trained.name!r}: give its images with --data")
    images = find_data(given)
    if images.fingerprint != trained.fingerprint:
        raise InputError(
            f"the images are not those of the search: {name} was searched on {trained.name} "
            f"({trained.fingerprint}), and {images.name} is {images.fingerprint} now; give its images with --data"
        )
    return images


def study_source(origin: Origin, folders: Folders, given: Start) -> Source | None:
    """The weights that a study's networks start from, as ``given`` where that is said; None where from their own.

    Raises InputError where they are others now, or are not to be found.
    """
    begun = origin.experiment.document.get("init")
    if begun is None:
        if given.init is not None:
            raise InputError(f"the networks of {folders.name} started from weights of their own: leave --init out")
        return None
    text, colours = given.init, given.init_colours
    if text is None and folders.settings.exists():
        text, colours = (_asked(origin, folders, key) for key in ("init", "init_colours"))
    if text is None:
        raise InputError(f"the networks of {folders.name} started from other weights: give those with --init")
    source = read_source(text, colours=colours)
    if source.digest != begun:
        raise InputError(
            f"--init {text} is not what {folders.name} started from: those weights are {begun}, these {source.digest}"
        )
    return source


def with_start(setup: Setup, arch: ArchConfig, settings: Starting, *, which: str, reporter: Reporter) -> Setup:
    """``setup`` that says how well the weights of ``--init`` fit ``arch``, ``which`` one in words; as it is without.

    Raises InputError where hardly anything fits.
    """
    source, classes = setup.training.source, setup.training.data.classes
    if source is None:
        return setup
    fresh = build(arch, classes=len(classes)).state_dict()
    _, taken = initialised(fresh, source, classes, partial=settings.partial)
    start = f"Networks start from what fits of {source.name} ({source.digest}); of {which} {taken}."
    if others := from_other_heads(arch, source):
        start += f" {counted(others, 'attention layer')} of it took weights of another number of heads."
    reporter.say(f"start: {start}")
    return replace(setup, start=start)


def _asked(origin: Origin, folders: Folders, key: str) -> str | None:
    """What was typed for a flag when the study was begun."""
    kind = AblateSettings if isinstance(origin, AblationOrigin) else SearchSettings
    typed = read_config(folders.settings, kind).get(key)
    return None if typed is None else str(typed)
