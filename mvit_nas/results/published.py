"""Networks that others published, with the numbers that their papers and repositories state; none was measured here."""

import csv
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One row of the table: a network as one source states it. What the source does not state is None.

    ``params`` and ``macs`` are rounded as the source rounds them. ``macs`` is what papers call FLOPs: multiply-adds, by
    the counting rules and at the image size of the source, which differ (the MobileViT paper counts at 224 px what it
    trains at 256 px). ``accuracy`` is the top-1 share on ImageNet-1k as the source trained it; recipes differ,
    and some were distilled or saw more data, as most of their names or sources say.
    """

    name: str
    params: int | None
    macs: int | None
    accuracy: float
    source: str


def published_models() -> list[Published]:
    """Every row of published_models.csv, in its order.

    A name comes again for each device that it was timed on, and where sources state other numbers; one source gives two
    sizes of Mobile-Former under one name.
    """
    text = (resources.files("mvit_nas.results") / "published_models.csv").read_text("utf-8")
    return [
        Published(
            name=row["name"],
            params=_count(row["params_m"], 1e6),
            macs=_count(row["flops_g"], 1e9),
            accuracy=round(float(row["top1"]) / 100, 6),
            source=row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    ]


def _count(text: str, unit: float) -> int | None:
    return round(float(text) * unit) if text else None
