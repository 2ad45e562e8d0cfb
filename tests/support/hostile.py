"""Files as strangers, full disks and bad memory make them: whole ones mutated by a seed, read as the package reads them.

``python tests/support/hostile.py KIND CASES FOLDER [FIRST]`` reads CASES of them in this process, under a limit of
memory, and prints one JSON document of what was not an answer or one of the package's own errors. FIRST is the case to
begin with, to see one again.
"""

import copy
import faulthandler
import functools
import io
import json
import os
import random
import resource
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mvit_nas.errors import MvitNasError

SECONDS = 20.0
MEMORY_BYTES = 1 << 30
# What stands in for a value, or in the middle of a text.
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"), "", "x", "1e999", "²", "\ud800",
    "\x1b[2J", "a\0b", "../../etc", "/dev/zero", "x" * 5000, "2020-99-99", [], [None], {}, {"": {}}, {1: 2}, [[[[]]]], ["a"] * 50,
)  # fmt: skip
TOKENS = (
    b"[", b"]", b"{", b"}", b":", b",", b"\n", b"\t", b"\0", b"\xff", b"'", b'"', b"-", b"&a ", b"*a", b"!!int ", b"!!binary ",
    b"? ", b"| ", b".inf", b"NaN", b"1e999", b"9" * 5000, b"[" * 3000, b"{a: " * 500, b"<<: ", b"2020-99-99", b"%YAML 9.9\n",
    b"\xed\xa0\x80", b"null", b"-1", b"\x1b[2J", b"*", b".", b"stages.\xc2\xb2",
)  # fmt: skip
SIZES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xff", b"\x00\x00\x27\x10")


def mutated(whole: bytes, luck: random.Random) -> bytes:
    """``whole`` with one to four places changed, whatever it is."""
    content = bytearray(whole)
    for _ in range(luck.randint(1, 4)):
        place, length = luck.randrange(len(content) + 1), luck.choice((1, 2, 4, 16, 300))
        match luck.randrange(8):
            case 0:
                del content[place:]
            case 1 if place < len(content):
                content[place] ^= 1 << luck.randrange(8)
            case 2:
                content[place : place + length] = luck.randbytes(length)
            case 3:
                content[place : place + length] = bytes(length)
            case 4:
                del content[place : place + length]
            case 5:
                content[place:place] = content[place : place + length] * luck.choice((1, 2, 50))
            case 6:
                content[place : place + luck.choice((0, 1, 8))] = luck.choice(TOKENS)
            case _:
                size = luck.choice(SIZES)
                content[place : place + len(size)] = size
    return bytes(content)


def with_other_values(plain: Any, luck: random.Random) -> Any:
    """A deep copy of ``plain`` in which one to three values or keys are others."""
    plain = {"root": json.loads(json.dumps(plain))}
    for _ in range(luck.randint(1, 3)):
        node, key = luck.choice(list(_places(plain)))
        if luck.random() < 0.75:
            node[key] = copy.deepcopy(luck.choice(VALUES))
        elif isinstance(node, dict) and luck.random() < 0.5:
            node[luck.choice(("x", "", 1, None, "\x1b", "name"))] = node.pop(key)
        else:
            del node[key]
        plain.setdefault("root", None)
    return plain["root"]


def _places(plain: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a nested value: what holds it, and where there."""
    for key, value in plain.items() if isinstance(plain, dict) else enumerate(plain):
        yield plain, key
        if isinstance(value, dict | list):
            yield from _places(value)


def in_yaml(plain: Any, luck: random.Random) -> bytes:
    """``plain`` with other values or other bytes, as YAML."""
    if luck.random() < 0.6:
        plain = with_other_values(plain, luck)
        try:
            return yaml.safe_dump(plain, allow_unicode=True).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, UnicodeEncodeError):
            return repr(plain).encode("utf-8", "replace")
    return mutated(yaml.safe_dump(plain).encode(), luck)


def in_json(plain: Any, luck: random.Random) -> bytes:
    """``plain`` with other values or other bytes, as JSON."""
    if luck.random() < 0.7:
        return json.dumps(with_other_values(plain, luck), default=str, skipkeys=True).encode()
    return mutated(json.dumps(plain).encode(), luck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of file: ``write`` puts a mutated one into a folder, ``read`` does with it what the package does."""

    write: Callable[[Path, random.Random], object]
    read: Callable[[Path], object]


def _space() -> Kind:
    from mvit_nas.arch.count import count
    from mvit_nas.arch.space import load_space, shipped_spaces
    from mvit_nas.errors import InvalidArchError

    root = Path(__file__).parents[2] / "mvit_nas/search_spaces"
    known = [yaml.safe_load((root / f"{name}.yaml").read_text()) for name in shipped_spaces()]
    base = {"base": "mobilevit_s", "set": {"image_size": 64, "stages.2.expand_ratio": 2.0}}
    known += [
        {**base, "factors": {"patch_size": {"paths": ["stages.*.mobilevit.patch_size"], "values": [2, 4, [8, 4, 2]]}}}
    ] * 3

    def read(folder: Path) -> None:
        space = load_space(folder / "x.yaml")
        assert space.settings() > 0
        assert space.networks() > 0
        luck = random.Random(0)
        for _ in range(3):
            try:
                count(space.arch(space.draw(luck)))
            except InvalidArchError:
                continue

    return Kind(
        write=lambda folder, luck: (folder / "x.yaml").write_bytes(in_yaml(luck.choice(known), luck)), read=read
    )


def _architecture() -> Kind:
    from mvit_nas.arch.config import arch_id, from_dict, to_dict
    from mvit_nas.arch.count import count
    from mvit_nas.arch.presets import PRESETS
    from mvit_nas.data.contract import InputContract
    from mvit_nas.documents import read_text, read_yaml
    from mvit_nas.models.document import ModelDocument

    plain = json.loads(json.dumps(to_dict(PRESETS["mobilevit_s"])))
    document = ModelDocument(
        arch=PRESETS["mobilevit_xs"], classes=("a", "b"), contract=InputContract(side=64)
    ).to_dict()

    def write(folder: Path, luck: random.Random) -> None:
        (folder / "x.yaml").write_bytes(in_yaml(plain, luck))
        (folder / "config.json").write_bytes(in_json(document, luck))

    def read(folder: Path) -> None:
        for reading in (lambda: from_dict(read_yaml(folder / "x.yaml")), lambda: _arch_of(folder / "config.json")):
            try:
                arch = reading()
            except MvitNasError:
                continue
            arch_id(arch)
            count(arch)

    def _arch_of(path: Path) -> Any:
        return ModelDocument.parse(read_text(path), where=str(path)).arch

    return Kind(write=write, read=read)


def _experiment() -> Kind:
    from mvit_nas.cli.flags import _settings
    from mvit_nas.settings.commands import AblateSettings, SearchSettings
    from mvit_nas.settings.study_file import check_same, found_in
    from mvit_nas.training.schedule import find_schedule

    root = Path(__file__).parents[2] / "mvit_nas/schedules"
    old = yaml.safe_load((Path(__file__).parent / "studies/old/experiment.yaml").read_text())
    schedule = {key: value for key, value in yaml.safe_load((root / "short.yaml").read_text()).items() if key != "name"}
    new = {
        "format": 2, "command": "search", "budget": ["6M", "10ms"], "data": "digits", "space": "mobilevit_small", "trials": 12,
        "objectives": "accuracy,macs", "name": "s", "image_size": 32, "sampler": "auto",
        "found": {"data": {"name": "digits", "fingerprint": "x"}, "space_name": "a", "space": "b", "schedule": schedule},
    }  # fmt: skip

    def write(folder: Path, luck: random.Random) -> None:
        (folder / "experiment.yaml").write_bytes(in_yaml(luck.choice((old, new)), luck))
        (folder / "schedule.yaml").write_bytes(in_yaml(schedule, luck))

    def read(folder: Path) -> None:
        path = folder / "experiment.yaml"
        for kind in (SearchSettings, AblateSettings):
            settings = _answered(functools.partial(_settings, kind, {"config": path}))
            found = _answered(functools.partial(found_in, path))
            if settings is not None and found is not None:
                _answered(functools.partial(check_same, settings, found, path))
        schedule = _answered(lambda: find_schedule(str(folder / "schedule.yaml")))
        if schedule is not None:
            schedule.batches(1000, 64)

    return Kind(write=write, read=read)


def _answered(reading: Callable[[], Any]) -> Any:
    try:
        return reading()
    except MvitNasError as error:
        _check_words(error)
        return None


def _study() -> Kind:
    from ablations import example
    from reports import environment, example_table, write_report

    from mvit_nas.results.report import remake_report

    whole = Path(os.environ["HOSTILE_ROOM"]) / "whole"
    write_report(example_table(), environment(), whole / "search")
    rows, document = example()
    write_report(rows, document, whole / "ablation")
    documents = {name: json.loads((whole / name / "environment.json").read_text()) for name in ("search", "ablation")}

    def write(folder: Path, luck: random.Random) -> None:
        name = luck.choice(("search", "search", "ablation"))
        table = (whole / name / "results.csv").read_bytes()
        hit = luck.random() < 0.3
        (folder / "results.csv").write_bytes(mutated(table, luck) if hit else table)
        document = json.dumps(documents[name]).encode() if hit else in_json(documents[name], luck)
        (folder / "environment.json").write_bytes(document)

    return Kind(write=write, read=remake_report)


def _database() -> Kind:
    import optuna

    from mvit_nas.metrics import ACCURACY, PARAMS
    from mvit_nas.study.record import Candidate, Measured, Record, State
    from mvit_nas.study.storage import closing, open_file
    from mvit_nas.study.store import Store, glance
    from mvit_nas.study.trial import Proposal, Told, Wish

    def opened(storage: optuna.storages.RDBStorage) -> Store:
        sampler = optuna.samplers.RandomSampler(seed=0)
        choices = {"a": (1, 2, 3), "b": ("x", "y")}
        return Store(
            storage, objectives=(ACCURACY, PARAMS), choices=choices, samplers=lambda name, number, lost: sampler
        )

    def read(folder: Path) -> None:
        with closing(open_file(folder)) as storage:
            opened(storage).records()
            glance(storage, "search")

    whole = Path(os.environ["HOSTILE_ROOM"]) / "whole"
    whole.mkdir()
    with closing(open_file(whole)) as storage:
        store = opened(storage)
        for number in range(10):
            proposal = Proposal(wish=Wish(labels={"a": 1, "b": "x"}, proposed_by="random"))
            claimed = store.claim(proposal, str(number), constraints={}, steps=0)
            assert claimed is not None
            candidate = Candidate(arch=None, arch_id=str(number), labels=dict(claimed.wish.labels))
            values = {"accuracy": Measured(value=0.5), "params": Measured(value=100)}
            record = Record(trial=claimed.number, state=State.COMPLETE, candidate=candidate, values=values)
            store.tell(claimed, Told(record=record))
    content = (whole / "study.db").read_bytes()

    return Kind(write=lambda folder, luck: (folder / "study.db").write_bytes(mutated(content, luck)), read=read)


def _table() -> Kind:
    from reports import example_table

    from mvit_nas.results.table import read_table, write_table

    room = Path(os.environ["HOSTILE_ROOM"])
    whole = {}
    for suffix in ("csv", "parquet"):
        write_table(example_table(), room / f"whole.{suffix}")
        whole[suffix] = (room / f"whole.{suffix}").read_bytes()

    def write(folder: Path, luck: random.Random) -> None:
        suffix = luck.choice(("csv", "csv", "parquet"))
        (folder / f"results.{suffix}").write_bytes(mutated(whole[suffix], luck))

    return Kind(write=write, read=lambda folder: read_table(next(folder.iterdir())))


def _image() -> Kind:
    from mvit_nas.data.contract import InputContract, pixels
    from mvit_nas.data.decode import UnreadableImageError, decode, shorter_side

    whole = _images()

    def read(folder: Path) -> None:
        path = folder / "x.png"
        for reading in (
            shorter_side,
            lambda one: decode(one, side=32),
            lambda one: pixels(one, InputContract(side=32)),
        ):
            try:
                reading(path)
            except UnreadableImageError:
                continue

    return Kind(write=lambda folder, luck: (folder / "x.png").write_bytes(mutated(luck.choice(whole), luck)), read=read)


def _images() -> list[bytes]:
    import numpy as np
    from PIL import Image, features

    noise = np.random.default_rng(0).integers(0, 256, (24, 40, 4), dtype=np.uint8)
    rgb, rgba = Image.fromarray(noise[:, :, :3]), Image.fromarray(noise)
    exif = Image.Exif()
    exif[0x0112] = 6
    wanted: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "PNG", {}), (rgba, "PNG", {"exif": exif}), (rgb.quantize(16), "PNG", {"transparency": 3}), (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True}), (rgb.convert("CMYK"), "JPEG", {}), (rgb.quantize(16), "GIF", {}), (rgba, "WEBP", {}),
        (rgb, "TIFF", {}), (rgb, "TIFF", {"compression": "tiff_lzw"}), (rgb, "BMP", {}),
        (Image.fromarray(noise[:, :, 0].astype(np.uint16) * 16), "PNG", {}), (Image.fromarray(noise[:, :, 0].astype(np.float32)), "TIFF", {}),
    ]  # fmt: skip
    if features.check("avif"):
        wanted.append((rgb, "AVIF", {}))
    found = []
    for image, kind, options in wanted:
        file = io.BytesIO()
        image.save(file, kind, **options)
        found.append(file.getvalue())
    return found


def _parquet() -> Kind:
    from image_files import write_parquet

    from mvit_nas.data.find import find_data
    from mvit_nas.data.store import load_part

    room = Path(os.environ["HOSTILE_ROOM"])
    write_parquet(room / "ints.parquet", [0, 1] * 12, names=["ant", "bee"], row_group_size=8)
    write_parquet(room / "texts.parquet", ["ant", "bee"] * 12, row_group_size=8)
    whole = [(room / f"{name}.parquet").read_bytes() for name in ("ints", "texts")]

    photos = _images()

    def write(folder: Path, luck: random.Random) -> None:
        if luck.random() < 0.7:
            (folder / "train.parquet").write_bytes(mutated(luck.choice(whole), luck))
            return
        cells = [luck.choice(photos) if luck.random() < 0.7 else mutated(luck.choice(photos), luck) for _ in range(24)]
        write_parquet(folder / "train.parquet", [0, 1] * 12, images=cells)

    def read(folder: Path) -> None:
        load_part(find_data(folder), "train", side=8, cache=folder / "cache")

    return Kind(write=write, read=read)


KINDS: dict[str, Callable[[], Kind]] = {
    "space": _space, "architecture": _architecture, "experiment": _experiment, "study": _study, "database": _database,
    "table": _table, "image": _image, "parquet": _parquet,
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Outside:
    """What was opened to be written, removed or made outside of ``room`` since ``clear``."""

    room: str
    seen: list[str] = field(default_factory=list)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            names = [path] if writes and not isinstance(path, int) else []
        elif event in ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate"):
            names = [one for one in arguments[:2] if isinstance(one, str | bytes | os.PathLike)]
        elif event == "sqlite3.connect":
            names = [arguments[0]]
        elif event in ("os.system", "subprocess.Popen", "socket.connect"):
            self.seen.append(f"{event} {arguments!r:.100}")
            return
        else:
            return
        for name in names:
            place = os.path.abspath(os.fsdecode(name))  # noqa: PTH100 - no link is followed
            if (
                not place.startswith(self.room)
                and place not in (os.devnull, os.path.sep)
                and "__pycache__" not in place
            ):
                self.seen.append(f"{event} {place}")


_watching: list[Outside] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for one in _watching:
        one.watch(event, arguments)


sys.addaudithook(_audit)  # which cannot be taken away again


def _check_words(error: MvitNasError) -> None:
    text = str(error)
    assert len(text) <= 300, f"a message of {len(text)} characters: {text[:60]}"
    assert "\n" not in text, f"a message of several lines: {text[:60]}"


def one_case(kind: Kind, folder: Path, number: int, outside: Outside) -> str:
    """What is wrong with the case of that ``number``; "" where nothing is."""
    luck = random.Random(number)
    kind.write(folder, luck)
    outside.seen.clear()
    start = time.monotonic()
    try:
        kind.read(folder)
    except MvitNasError as error:
        try:
            _check_words(error)
        except AssertionError as wrong:
            return str(wrong)
    except Exception as error:
        frames = [one for one in traceback.extract_tb(error.__traceback__) if "mvit_nas" in one.filename]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
        return f"{type(error).__name__}: {str(error)[:200]!r} {where}"
    if outside.seen:
        return f"outside: {outside.seen[:3]}"
    seconds = time.monotonic() - start
    return f"{seconds:.0f} s" if seconds > SECONDS else ""


def main(name: str, cases: int, room: Path, first: int = 0) -> dict[str, Any]:
    """What went wrong in so many ``cases``, by their numbers, and the memory that they took beyond what it took before."""
    os.environ["HOSTILE_ROOM"] = str(room)
    os.chdir(room)
    warnings.simplefilter("ignore")
    kind, folder, wrong = KINDS[name](), room / "case", {}
    outside = Outside(room=f"{room}{os.sep}")
    _watching.append(outside)
    folder.mkdir()
    one_case(kind, folder, first, outside)  # which imports what it needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + 2 * MEMORY_BYTES, mapped + 2 * MEMORY_BYTES))
    for number in range(first, first + cases):
        shutil.rmtree(folder)
        folder.mkdir()
        faulthandler.dump_traceback_later(2 * SECONDS, exit=True)  # also where no bytecode runs
        if found := one_case(kind, folder, number, outside):
            wrong[number] = found
    faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if grown > MEMORY_BYTES:
        wrong[-1] = f"{grown / 2**30:.1f} GiB of memory"
    return {"wrong": wrong, "grown_mib": grown // 2**20, "seconds": round(time.process_time(), 1)}


if __name__ == "__main__":
    kind_name, number_of_cases, scratch, *rest = sys.argv[1:]
    print(json.dumps(main(kind_name, int(number_of_cases), Path(scratch).resolve(), *map(int, rest))))
