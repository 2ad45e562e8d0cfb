"""What was confirmed of a search, for its page: the verdict in words, and all the rest as plain data."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mvit_nas.errors import InputError
from mvit_nas.metrics import ACCURACY
from mvit_nas.results.page import Cell, Column, Row, cell, columns_of, counted, number
from mvit_nas.results.search.letters import names
from mvit_nas.results.view import StudyView
from mvit_nas.study.confirmation import Confirmation, ConfirmedNetwork, Look, Mistake, Pair
from mvit_nas.study.record import Measured, Record

Document = dict[str, object]
Colour = Literal["good", "warning", "bad", "unknown"]
# Of a tau's interval, above which the short schedule is said to rank as the longer one does, and below which it is not.
_HOLDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the page."""

    id: str
    label: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is folded under a network's name: sentences, its classes, what it takes for what, and its worst mistakes.

    ``confusion`` holds rows of counts with the share of their row, by true class.
    """

    title: str
    sentences: tuple[str, ...]
    classes: Table | None
    names: tuple[str, ...]
    confusion: tuple[tuple[tuple[int, float], ...], ...]
    mistakes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedSection:
    """What the page says of a confirmation."""

    verdict: str
    sentences: tuple[str, ...]
    networks: Table
    pairs: Table | None
    looks: tuple[str, ...]
    details: tuple[Details, ...]


def check_confirmation(view: StudyView, where: str) -> None:
    """Raise InputError where the confirmation is of other networks than the view has."""
    for one in () if view.confirmation is None else view.confirmation.networks:
        record = record_of(view, one.trial)
        if record is not None and record.candidate.arch_id != one.arch_id:
            raise InputError(
                f"{where}: is of another study, since trial {one.trial} is {one.arch_id} there and "
                f"{record.candidate.arch_id} in the table: remove it, or confirm again"
            )


def record_of(view: StudyView, trial: int) -> Record | None:
    """The record of a trial; None where the view does not have it."""
    return next((record for record in view.records if record.trial == trial), None)


def verdict_words(confirmation: Confirmation, view: StudyView, *, called: Mapping[int, str]) -> str:
    """Which network to take, and how sure that is; what each trial is ``called`` hangs on where it is said."""
    scored = confirmation.scored
    if confirmation.take is None:
        return "Nothing was confirmed: no network could be trained by the longer schedule."
    taken, best = confirmation.network(confirmation.take), scored[0]
    accuracy = f"{_share(taken)} on the test part"
    if len(scored) == 1:
        return f"{called[taken.trial]} has {accuracy}. It was confirmed alone, so nothing is said of the others."
    others = [confirmation.network(trial) for trial in confirmation.tied]
    if not others:
        rest = "the other" if len(scored) == 2 else f"each of the {len(scored) - 1} others"
        return f"Take {called[taken.trial]}: {accuracy}, shown to be more than {rest}."
    labels, are = _listed([called[one.trial] for one in others]), "is" if len(others) == 1 else "are"
    words = f"Take {called[taken.trial]}: {accuracy}. {labels} {are} tied with it (no difference is shown)"
    if taken is not best:
        return f"{words}, and it has {_cheaper(view, taken, best)} than {called[best.trial]}."
    priced = {cost: one for one in others if (cost := _cost(view, one)) is not None}
    own = _cost(view, taken)
    if own is None or not priced or min(priced) >= own:
        return f"{words}, and not cheaper."
    cheapest = priced[min(priced)]
    return f"{words}; {called[cheapest.trial]} has {_cheaper(view, cheapest, taken)}."


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _cost(view: StudyView, one: ConfirmedNetwork) -> float | None:
    record = record_of(view, one.trial)
    return None if record is None else record.value(view.cost)


def _cheaper(view: StudyView, one: ConfirmedNetwork, other: ConfirmedNetwork) -> str:
    """How much less of the search's main cost a network has than another: "27 % fewer parameters"."""
    costs = _cost(view, one), _cost(view, other)
    return f"less {view.cost.noun}" if costs[0] is None or not costs[1] else view.cost.change(costs[0] / costs[1])


def _share(one: ConfirmedNetwork) -> str:
    """ "75.0 % (72.0 to 77.5 %)"."""
    found = one.accuracy
    if found is None or found.low is None or found.high is None:
        return "no accuracy"
    return f"{ACCURACY.format(found.value)} ({ACCURACY.interval(found.low, found.high)})"


def confirmed_words(view: StudyView, record: Record) -> str:
    """What longer trainings gave on the test part, with its interval; empty where there is none."""
    confirmation = view.confirmation
    known = () if confirmation is None else confirmation.networks
    found = next((one.accuracy for one in known if one.trial == record.trial), None)
    if confirmation is None or found is None or found.low is None or found.high is None:
        return ""
    interval = f"{ACCURACY.interval(found.low, found.high)}; over {spread_words(confirmation)}"
    return f"{ACCURACY.format(found.value)} on the test part, {confirmation.schedule.get('name')} schedule ({interval})"


def page_names(confirmation: Confirmation, view: StudyView) -> dict[int, str]:
    """What the page calls each trial that was confirmed: by its letter, where it has one."""
    known = {record.trial: name for record, name in zip(view.records, names(view).values(), strict=True)}
    return {one.trial: known.get(one.trial, one.label) for one in confirmation.networks}


def spread_words(confirmation: Confirmation) -> str:
    """What an interval covers: the words that stand beside it."""
    return "images, one seed: a lower bound" if len(confirmation.seeds) == 1 else "seeds and images"


def ranks_words(confirmation: Confirmation) -> tuple[Colour, str]:
    """The colour of the light "ranks hold", and its sentence."""
    ranks = confirmation.ranks
    networks = counted(ranks.networks, "network")
    if ranks.tau is None or ranks.low is None or ranks.high is None:
        return (
            "unknown",
            f"{networks} were confirmed, of which no Kendall's tau has a meaning; 4 that differ are needed.",
        )
    colour: Colour = "good" if ranks.low > _HOLDS else "bad" if ranks.high < _HOLDS else "warning"
    judged = {
        "good": "the search's order holds",
        "bad": "the search's order does not hold",
        "warning": "too few to say that the search's order holds, or that it does not",
    }
    tau = f"Kendall's tau {ranks.tau:.2f}, 95 % interval {ranks.low:.2f} to {ranks.high:.2f}"
    return colour, f"On {networks} that were trained for longer: {judged[colour]} ({tau})."


def look_words(look: Look) -> str:
    """One look at the test part: "2026-11-28 by confirm for 5 networks with 3 seeds (medium schedule, 372 images)"."""
    what = f"{counted(len(look.trials), 'network')} with {counted(len(look.seeds), 'seed')}"
    by = f" by {look.command}" if look.command else ""
    return f"{look.date[:10]}{by} for {what} ({look.schedule} schedule, {look.images:,} images)"


def ledger_words(confirmation: Confirmation) -> str:
    """How often the test part was read, and for what."""
    count = counted(len(confirmation.looks), "time")
    return f"The test part was read {count}: {'; '.join(map(look_words, confirmation.looks))}."


def sentences(confirmation: Confirmation) -> Iterator[str]:
    """What to know beside the verdict: the schedule, what was left out, and what became of the search's best."""
    schedule = confirmation.schedule
    epochs = counted(int(schedule.get("epochs", 0)), "epoch")
    yield (
        f"{counted(len(confirmation.scored), 'network')} trained by the {schedule.get('name')} schedule ({epochs}) "
        f"with {counted(len(confirmation.seeds), 'seed')} each, and scored on {confirmation.images:,} test images. "
        f"Intervals are over {spread_words(confirmation)}."
    )
    yield from confirmation.notes
    lead = confirmation.lead
    if lead is not None:
        name, place = confirmation.network(lead.trial).label, f"{lead.rank} of {len(confirmation.scored)}"
        yield (
            f"The best of the search, {name}, is now {place}: it led the mean of the others by "
            f"{100 * lead.before:.1f} points then, and by {100 * lead.now:.1f} now."
        )
    for one in confirmation.networks:
        if one.failure:
            yield f"{one.label} is not among them: {one.failure}."


def document(view: StudyView) -> Document | None:
    """What the page's script draws of it, rows by their position in the table; None where nothing was confirmed."""
    confirmation = view.confirmation
    if confirmation is None:
        return None
    rows = {record.trial: row for row, record in enumerate(view.records)}
    shown = [one for one in confirmation.networks if one.trial in rows]
    ties = [
        [rows[pair.first], rows[pair.second]]
        for pair in confirmation.pairs
        if not pair.is_shown and pair.first in rows and pair.second in rows
    ]
    return {
        "verdict": verdict_words(confirmation, view, called=page_names(confirmation, view)),
        "take": None if confirmation.take is None else rows.get(confirmation.take),
        "tied": [rows[trial] for trial in confirmation.tied if trial in rows],
        "networks": [
            {**_network(one, rows[one.trial]), "words": confirmed_words(view, view.records[rows[one.trial]])}
            for one in shown
        ],
        "ties": ties,
        "schedule": str(confirmation.schedule.get("name", "")),
        "covers": spread_words(confirmation),
        "images": confirmation.images,
        "ledger": ledger_words(confirmation),
    }


def _network(one: ConfirmedNetwork, row: int) -> Document:
    accuracy = one.accuracy
    return {
        "row": row,
        "trial": one.trial,
        "accuracy": None if accuracy is None else accuracy.value,
        "low": None if accuracy is None else accuracy.low,
        "high": None if accuracy is None else accuracy.high,
        "seeds": [{"seed": each.seed, "accuracy": each.test} for each in one.seeds],
        "failure": one.failure,
    }


def section(view: StudyView) -> ConfirmedSection | None:
    """What the page says; None where nothing was confirmed."""
    confirmation = view.confirmation
    if confirmation is None:
        return None
    return ConfirmedSection(
        verdict=verdict_words(confirmation, view, called=page_names(confirmation, view)),
        sentences=tuple(sentences(confirmation)),
        networks=_networks_table(confirmation, view),
        pairs=_pairs_table(confirmation) if confirmation.pairs else None,
        looks=tuple(map(look_words, confirmation.looks)),
        details=tuple(_details(one) for one in confirmation.scored),
    )


def _networks_table(confirmation: Confirmation, view: StudyView) -> Table:
    covers, cost = spread_words(confirmation), view.cost
    rows = []
    for one in confirmation.networks:
        record = record_of(view, one.trial)
        words = "take" if one.trial == confirmation.take else "tied" if one.trial in confirmation.tied else ""
        cells = (
            cell(one.label, detail=f"trial {one.trial}"),
            cell("failed" if one.failure else words),
            _measured(one.accuracy),
            number(None if record is None else record.value(ACCURACY), ACCURACY.cell),
            cell(", ".join(ACCURACY.cell(each.test) for each in one.seeds) or "-"),
            number(None if record is None else record.value(cost), cost.cell),
        )
        rows.append(Row(front=one.trial == confirmation.take, measured=not one.failure, cells=cells))
    return Table(
        id="confirmed-networks",
        label="Confirmed networks",
        columns=(
            *columns_of("Network", "Verdict"),
            *columns_of(f"Test accuracy (%; 95 % interval over {covers})", "In the search (%)", numeric=True),
            *columns_of("By seed (%)"),
            *columns_of(cost.heading if cost.unit == cost.noun else f"{cost.title} ({cost.unit})", numeric=True),
        ),
        rows=tuple(rows),
    )


def _measured(found: Measured | None) -> Cell:
    if found is None or found.low is None or found.high is None:
        return number(None, ACCURACY.cell)
    return number(found.value, ACCURACY.cell, f"{ACCURACY.cell(found.low)} to {ACCURACY.cell(found.high)}")


def _pairs_table(confirmation: Confirmation) -> Table:
    return Table(
        id="confirmed-pairs",
        label="Differences between confirmed networks",
        columns=(
            *columns_of("Networks"),
            *columns_of("Difference (points; 95 % interval)", "p (Holm)", numeric=True),
            *columns_of("Verdict"),
        ),
        rows=tuple(_pair_row(one, confirmation) for one in confirmation.pairs),
    )


def _pair_row(pair: Pair, confirmation: Confirmation) -> Row:
    found = pair.difference
    sides = [confirmation.network(pair.first).label, confirmation.network(pair.second).label]
    # The better one stands first.
    sign = -1 if found.value < 0 else 1
    first, second = sides[::sign]
    ends = sorted(100 * sign * end for end in (found.low or 0.0, found.high or 0.0))
    return Row(
        front=False,
        cells=(
            cell(f"{first} against {second}"),
            number(100 * abs(found.value), "{:.1f}".format, f"{ends[0]:+.1f} to {ends[1]:+.1f}"),
            number(pair.p_holm, p_words),
            cell(f"{first} is better" if pair.is_shown else "no difference shown"),
        ),
    )


def p_words(p: float) -> str:
    """ "0.012", or "<0.001"."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _details(one: ConfirmedNetwork) -> Details:
    totals = [sum(row) for row in one.confusion]
    return Details(
        title=f"{one.label} (trial {one.trial}): {_share(one)}",
        sentences=tuple(_model_sentences(one)),
        classes=_classes_table(one),
        names=tuple(each.name for each in one.classes),
        confusion=tuple(
            tuple((count, count / total if total else 0.0) for count in row)
            for row, total in zip(one.confusion, totals, strict=True)
        ),
        mistakes=tuple((each.thumbnail, _mistake_words(each), f"test image {each.image}") for each in one.mistakes),
    )


def _model_sentences(one: ConfirmedNetwork) -> Iterator[str]:
    kept = one.kept
    if kept is None:
        return
    before, after = kept.before, kept.after
    yield (
        f"Its model is in {kept.folder}: that of seed {kept.seed}, the best of {len(one.seeds)} by validation accuracy."
        if len(one.seeds) > 1
        else f"Its model is in {kept.folder}."
    )
    yield (
        f"As it is, its highest probability is {100 * before.confidence:.0f} % on average, {100 * before.error:.1f} "
        f"points off what comes true (log loss {before.log_loss:.2f}). Its outputs divided by the temperature "
        f"{kept.temperature:.2f}, fitted on the validation part: {100 * after.confidence:.0f} %, "
        f"{100 * after.error:.1f} points off (log loss {after.log_loss:.2f})."
    )


def _mistake_words(mistake: Mistake) -> str:
    return f"{mistake.truth}, taken for {mistake.answer} ({100 * mistake.probability:.0f} % sure)"


def _classes_table(one: ConfirmedNetwork) -> Table | None:
    if not one.classes:
        return None
    rows = tuple(
        Row(
            measured=each.images > 0,
            cells=(
                cell(each.name, detail="" if each.images else "not in the test part"),
                number(each.images, "{:.0f}".format),
                _measured(each.recall),
                _measured(each.precision),
            ),
        )
        for each in one.classes
    )
    return Table(
        id=f"confirmed-classes-{one.trial}",
        label=f"Classes, {one.label}",
        columns=(
            *columns_of("Class"),
            *columns_of("Test images", "Found (recall, %)", "Right where said (precision, %)", numeric=True),
        ),
        rows=rows,
    )
