"""Neural architecture search and ablation for MobileViT.

Importing the package is instant: the public names below load what they need when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "ArchConfig": "mvit_nas.arch.config",
    "MobileViTConfig": "mvit_nas.arch.blocks.mobilevit",
    "StageConfig": "mvit_nas.arch.config",
    "StemConfig": "mvit_nas.arch.config",
    "arch_id": "mvit_nas.arch.config",
    "with_values": "mvit_nas.arch.paths",
    "PRESETS": "mvit_nas.arch.presets",
    "load": "mvit_nas.models.folder",
    "load_space": "mvit_nas.arch.space",
    "build": "mvit_nas.nn.backbone",
    "open_study": "mvit_nas.results.reading",
    "read_table": "mvit_nas.results.table",
    "write_search": "mvit_nas.results.report",
}

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from mvit_nas.arch.blocks.mobilevit import MobileViTConfig as MobileViTConfig
    from mvit_nas.arch.config import ArchConfig as ArchConfig
    from mvit_nas.arch.config import StageConfig as StageConfig
    from mvit_nas.arch.config import StemConfig as StemConfig
    from mvit_nas.arch.config import arch_id as arch_id
    from mvit_nas.arch.paths import with_values as with_values
    from mvit_nas.arch.presets import PRESETS as PRESETS
    from mvit_nas.arch.space import load_space as load_space
    from mvit_nas.models.folder import load as load
    from mvit_nas.nn.backbone import build as build
    from mvit_nas.results.reading import open_study as open_study
    from mvit_nas.results.report import write_search as write_search
    from mvit_nas.results.table import read_table as read_table


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mvit_nas' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
