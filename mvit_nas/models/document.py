"""What a model says of itself, in its folder and inside every file that is made of it. Needs no torch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mvit_nas import __version__
from mvit_nas.arch.config import ArchConfig, from_dict, to_dict
from mvit_nas.arch.rules import Plain
from mvit_nas.data.contract import InputContract
from mvit_nas.documents import parse_json
from mvit_nas.errors import ArchError, InputError

# What files of runtimes call the document.
KEY = "mvit_nas"
FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDocument:
    """The network, what its outputs mean and what its inputs must be.

    ``classes`` are the names of the outputs in their order. Probabilities are the softmax of the logits divided by
    ``temperature``. ``provenance`` says how it was trained and how well it does; ``version`` is this package's.
    """

    arch: ArchConfig
    classes: tuple[str, ...]
    contract: InputContract
    temperature: float = 1.0
    provenance: Mapping[str, Plain] = field(default_factory=dict)
    version: str = __version__

    @property
    def trial(self) -> tuple[str, int] | None:
        """The study that it says it is from, and the number of the trial; None where it does not say, or no such."""
        study, trial = self.provenance.get("study"), self.provenance.get("trial")
        if not isinstance(study, str) or Path(study).name != study:
            return None
        return (study, trial) if isinstance(trial, int) else None

    def to_dict(self) -> dict[str, Plain]:
        """The document as plain values."""
        return {
            "format": FORMAT,
            "architecture": to_dict(self.arch),
            "classes": list(self.classes),
            "input": dict(self.contract.to_dict()),
            "temperature": self.temperature,
            "provenance": dict(self.provenance),
            KEY: self.version,
        }

    def to_json(self) -> str:
        """The document as a file of a runtime carries it."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def parse(cls, text: str, *, where: str) -> "ModelDocument":
        """The document that ``text`` is. Raises InputError, which begins with ``where``."""
        plain = parse_json(text, where=where)
        if not isinstance(plain, dict):
            raise InputError(f"{where} must hold one mapping")
        number = plain.get("format")
        if not isinstance(number, int) or not 1 <= number <= FORMAT:
            raise InputError(f"{where}: the format is {number!r}, and this version reads 1 to {FORMAT}")
        try:
            return cls(
                arch=from_dict(plain["architecture"]),
                classes=_names(plain["classes"], where),
                contract=InputContract.from_dict(plain["input"], where=f"{where}: input"),
                temperature=_positive(plain["temperature"], where),
                provenance=_mapping(plain.get("provenance", {}), where),
                version=str(plain.get(KEY, "")),
            )
        except KeyError as error:
            raise InputError(f"{where} lacks {error.args[0]!r}") from None
        except ArchError as error:
            raise InputError(f"{where}: architecture: {error}") from None


def _names(plain: object, where: str) -> tuple[str, ...]:
    if not isinstance(plain, list) or not plain or not all(isinstance(name, str) for name in plain):
        raise InputError(f"{where}: classes must be a list of names")
    return tuple(plain)


def _positive(plain: object, where: str) -> float:
    if isinstance(plain, bool) or not isinstance(plain, int | float) or not 0 < plain < float("inf"):
        raise InputError(f"{where}: temperature must be a positive number, got {plain!r}")
    return float(plain)


def _mapping(plain: object, where: str) -> Mapping[str, Plain]:
    if not isinstance(plain, dict):
        raise InputError(f"{where}: provenance must be a mapping")
    return plain
