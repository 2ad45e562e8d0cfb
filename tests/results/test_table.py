from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvit_nas.errors import InputError
from mvit_nas.metrics import BALANCED_ACCURACY
from mvit_nas.results.table import read_table, table_of, write_table
from mvit_nas.study.record import State
from mvit_nas.study.table import COLUMNS, Row

ROW: Row = {
    "trial": 0,
    "arch_id": "1e3",
    "name": "NA",
    "state": "complete",
    "accuracy": 0.1 + 0.2,
    "params": 1_272_024,
    "seed": 2**62 + 1,
    "cached": True,
    "reason": "",
    "arch": '{"stages": [1, "a, b"]}',
    "param.width": 0.75,
    "param.patch_size": 2,
    "param.fusion": "0012",
    "param.skip": False,
}
FURTHER_ROW: Row = {
    "state": "complete",
    "param.width": 0.5,
    "latency_note.litert": 'a, "quoted" reason',
    "latency_ms.executorch": 6.25,
    "latency_low_ms.executorch": 6,
    "artefact_mib.executorch": 3.5,
    "delegated.executorch": 0.97,
    "latency_ms": 4.5,
}
AWKWARD = [
    "NA",
    "null",
    "nan",
    "1e3",
    "0012",
    "",
    "true",
    ' "quoted"',
    "a,b",
    "line\nbreak\r\n",
    "é<script>",
    "'",
    "-",
]


def test_a_table_has_the_fixed_columns_then_the_factors():
    table = table_of([ROW]).frame
    assert list(table.columns) == [
        *COLUMNS,
        "param.width",
        "param.patch_size",
        "param.fusion",
        "param.skip",
    ]
    assert {name: str(table[name].dtype) for name in COLUMNS} == COLUMNS
    assert [str(table[name].dtype) for name in table.columns[-4:]] == [
        "Float64",
        "Int64",
        "string",
        "boolean",
    ]


def test_what_is_missing_is_na_and_never_zero():
    table = table_of([{"state": "failed", "accuracy": None, "macs": float("nan"), "seconds": float("inf")}]).frame
    assert table.drop(columns="state").isna().all(axis=None)


def test_a_further_runtime_has_its_columns_between_the_fixed_ones_and_the_factors():
    whole = table_of([FURTHER_ROW, {"state": "failed"}])
    table = whole.frame
    further = [
        f"{name}.{runtime}"
        for runtime in ("litert", "executorch")
        for name in ("latency_ms", "latency_low_ms", "latency_high_ms", "latency_note", "artefact_mib", "delegated")
    ]
    assert list(table.columns) == [*COLUMNS, *further, "param.width"]
    assert [str(table[name].dtype) for name in further] == [*["Float64"] * 3, "string", *["Float64"] * 2] * 2
    assert whole.further_runtimes == ("litert", "executorch")
    assert table_of([ROW]).further_runtimes == ()
    assert list(table.loc[0, ["latency_ms.executorch", "latency_low_ms.executorch", "latency_ms"]]) == [6.25, 6, 4.5]
    assert table.loc[1, further].isna().all()
    assert table.loc[0, "latency_ms.litert"] is pd.NA


def test_an_empty_table_has_its_columns():
    assert {name: str(kind) for name, kind in table_of([]).frame.dtypes.items()} == COLUMNS


def test_numpy_scalars_are_numbers():
    row = {"state": "complete", "accuracy": np.float32(0.5), "params": np.int64(7), "trial": 1.0}
    table = table_of([row]).frame  # type: ignore[list-item]  # which is what a program may pass all the same
    assert list(table.loc[0, ["accuracy", "params", "trial"]]) == [0.5, 7, 1]


def test_a_factor_with_numbers_and_text_is_text():
    table = table_of([{"state": "complete", "param.x": 2}, {"state": "complete", "param.x": "none"}]).frame
    assert table["param.x"].tolist() == ["2", "none"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"acuracy": 0.5}, "unknown column 'acuracy'; a factor of the search space is named param.NAME"),
        ({"latency_mean_ms.litert": 5.0}, "unknown column 'latency_mean_ms.litert'"),
        ({"latency_ms.": 5.0}, "unknown column 'latency_ms.'"),
        ({"state": "complete", "latency_ms.litert": "fast"}, "the column 'latency_ms.litert' cannot hold 'fast'"),
        ({"state": "done"}, "unknown state 'done' in the column 'state'; known are complete, stopped"),
        ({}, "unknown state <NA>"),
        ({"state": "complete", "params": 1.5}, "the column 'params' cannot hold 1.5"),
        ({"state": "complete", "params": "many"}, "the column 'params' cannot hold 'many'"),
        ({"state": "complete", "cached": 1}, "the column 'cached' cannot hold 1"),
        (
            {"state": "complete", "accuracy": 71.5},
            "the column 'accuracy' holds fractions from 0 to 1, not 71.5",
        ),
        ({"state": "complete", "param.x": [1]}, r"the column 'param.x' holds numbers or text, not \[1\]"),
    ],
)
def test_a_row_that_breaks_the_contract_is_an_error(row, message):
    with pytest.raises(ValueError, match=message):
        table_of([row])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_comes_back_as_it_was(tmp_path, suffix):
    rows: list[Row] = [
        ROW,
        {"state": "failed"},
        FURTHER_ROW,
        *({**ROW, "arch_id": t, "param.fusion": t} for t in AWKWARD),
    ]
    table = table_of(rows)
    write_table(table, tmp_path / f"results{suffix}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"results{suffix}").frame, table.frame)
    assert [path.name for path in tmp_path.iterdir()] == [f"results{suffix}"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_empty_table_comes_back_as_it_was(tmp_path, suffix):
    write_table(table_of([]), tmp_path / f"results{suffix}")
    pd.testing.assert_frame_equal(read_table(tmp_path / f"results{suffix}").frame, table_of([]).frame)


_values = st.one_of(st.none(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.booleans(), st.text())
_rows = st.fixed_dictionaries(
    {"state": st.sampled_from(["complete", "failed"])},
    optional={
        "arch_id": st.text(),
        "name": st.one_of(st.none(), st.sampled_from(AWKWARD)),
        "accuracy": st.floats(0, 1),
        "params": st.integers(-(2**63) + 1, 2**63 - 1),
        "latency_ms": st.floats(allow_nan=True),
        "latency_ms.torch": st.floats(allow_nan=True),
        "latency_note.litert": st.one_of(st.none(), st.sampled_from(AWKWARD), st.text()),
        "cached": st.booleans(),
        "param.a": _values,
        "param.b": st.sampled_from(AWKWARD),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_rows, max_size=4))
def test_any_table_comes_back_as_it_was(tmp_path_factory, rows):
    table = table_of(rows)
    for suffix in (".csv", ".parquet"):
        path = tmp_path_factory.getbasetemp() / f"any{suffix}"
        write_table(table, path)
        pd.testing.assert_frame_equal(read_table(path).frame, table.frame)


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path):
    """It has a byte order mark, Windows line ends, no quotes but needed ones, and TRUE."""
    rows: list[Row] = [{**ROW, "name": ""}, {"state": "failed", "reason": 'said "no", twice'}]
    table = table_of(rows).frame.drop(columns="param.fusion")
    text = table.to_csv(index=False, lineterminator="\r\n").replace("True", "TRUE")
    (tmp_path / "results.csv").write_text("\ufeff" + text, "utf-8", newline="")
    read = read_table(tmp_path / "results.csv").frame
    assert list(read.loc[0, ["trial", "arch_id", "cached", "param.width"]]) == [0, "1e3", True, 0.75]
    assert read.loc[1, "reason"] == 'said "no", twice'


def _csv(**changes: str) -> str:
    cells = dict.fromkeys(COLUMNS, "") | {"state": "complete"} | changes
    return ",".join(cells) + "\n" + ",".join(cells.values()) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("hello\n", "the column 'trial' is missing"),
        (_csv().replace("accuracy_low", "accuracy_lo"), "the column 'accuracy_low' is missing"),
        (_csv(**{"latency_ms.litert": "fast"}), "the column 'latency_ms.litert' cannot hold 'fast'"),
        (_csv(colour="red"), "unknown column 'colour'; a factor of the search space is named param.NAME"),
        (
            _csv(state="done"),
            "unknown state 'done' in the column 'state'; known are " + ", ".join(State),
        ),
        (_csv(params="many"), "the column 'params' cannot hold 'many'"),
        (_csv(params="1.5"), "the column 'params' cannot hold '1.5'"),
        (_csv(accuracy="high"), "the column 'accuracy' cannot hold 'high'"),
        (_csv(cached="maybe"), "the column 'cached' cannot hold 'maybe'"),
        (_csv(accuracy="71.5"), "the column 'accuracy' holds fractions from 0 to 1, not 71.5"),
        (_csv(params="9" * 20), "the column 'params' cannot hold 99999999999999999999"),
        (_csv() + "1,2\n", "row 3 has 2 cells where the header has 32"),
        (_csv() + "1,", "row 3 has 2 cells where the header has 32"),
        (_csv() + '"never closed', "row 3 has a quote that is out of place or never closed"),
        (_csv().replace("trial,", "trial,trial,"), "the column 'trial' comes twice"),
    ],
)
def test_a_broken_csv_is_an_error_that_names_the_file(tmp_path, text, message):
    path = tmp_path / "results.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_table(path)
    assert str(error.value) == f"{path}: {message}"


def test_a_file_that_is_no_text_is_an_error(tmp_path):
    path = tmp_path / "results.csv"
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match=r"results.csv: 'utf-8' codec can't decode byte"):
        read_table(path)


def test_a_file_that_is_no_parquet_is_an_error(tmp_path):
    path = tmp_path / "results.parquet"
    path.write_text("hello")
    with pytest.raises(InputError, match=r"results.parquet: is no Parquet file \(.*\)$"):
        read_table(path)


def test_a_parquet_file_without_a_column_is_an_error(tmp_path):
    path = tmp_path / "results.parquet"
    table_of([ROW]).frame.drop(columns="macs").to_parquet(path)
    with pytest.raises(InputError, match=r"results.parquet: the column 'macs' is missing$"):
        read_table(path)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"results.csv: there is no such file$"):
        read_table(tmp_path / "results.csv")


def test_a_folder_is_no_table(tmp_path):
    (tmp_path / "results.csv").mkdir()
    with pytest.raises(InputError, match=r"results.csv: cannot be read \(Is a directory\)$"):
        read_table(tmp_path / "results.csv")


def test_a_table_is_read_by_its_path_as_text_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = table_of([{"trial": 7, "state": "failed", "reason": "too wide"}])
    write_table(table, tmp_path / "results.csv")
    assert read_table("results.csv").records == table.records
    with pytest.raises(InputError, match=r"^runs.csv: there is no such file$"):
        read_table("runs.csv")


def test_another_kind_of_file_is_an_error(tmp_path):
    message = r"results.xlsx: a table ends in .csv or .parquet$"
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "results.xlsx")
    with pytest.raises(InputError, match=message):
        write_table(table_of([]), tmp_path / "results.xlsx")


def test_a_failed_write_leaves_the_old_table_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    write_table(table_of([ROW]), path)

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=r"cannot write .*results.csv: No space left on device$"):
        write_table(table_of([]), path)
    assert len(read_table(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["results.csv"]


def test_a_text_that_is_no_unicode_is_still_written(tmp_path):
    write_table(table_of([{"state": "failed", "reason": "caf\udce9.jpg"}]), tmp_path / "results.parquet")
    assert read_table(tmp_path / "results.parquet").records[0].reason == "caf\\udce9.jpg"


def test_tables_of_earlier_versions_are_read():
    kept = sorted((Path(__file__).parents[2] / "experiments").rglob("results.csv"))
    assert kept
    for path in kept:
        records = read_table(path).records
        assert all(record.candidate.tokens for record in records if record.is_complete), path


def test_a_table_needs_no_column_that_came_later(tmp_path):
    path = tmp_path / "results.csv"
    first = (
        "trial", "arch_id", "name", "state", "accuracy", "accuracy_low", "accuracy_high", "params", "macs", "latency_ms",
        "latency_low_ms", "latency_high_ms", "latency_runs", "latency_threads", "seconds", "cached", "seed", "reason", "arch",
    )  # fmt: skip
    columns, row = _csv().splitlines()[:2]
    cells = dict(zip(columns.split(","), row.split(","), strict=True))
    path.write_text(",".join(first) + "\n" + ",".join(cells[name] for name in first) + "\n")
    assert read_table(path).records[0].state is State.COMPLETE
    assert read_table(path).records[0].value(BALANCED_ACCURACY) is None


def test_a_table_is_read_by_the_name_of_its_file_too(tmp_path):
    path = tmp_path / "results.csv"
    write_table(table_of([{"state": "failed", "trial": 7}]), path)
    assert read_table(str(path)).records == read_table(path).records


def test_a_table_of_too_many_cells_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "results.csv"
    write_table(table_of([{"state": "failed"}] * 3), path)
    assert len(read_table(path)) == 3
    monkeypatch.setattr("mvit_nas.results.table._MOST_CELLS", 50)
    with pytest.raises(InputError, match=r"results.csv: it has over 50 cells$"):
        read_table(path)
