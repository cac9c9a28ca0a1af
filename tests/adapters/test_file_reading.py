"""Formats: what is taken apart, and what cannot be."""

from __future__ import annotations

import gzip
import io
import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.adapters.file_reading import RawTable, as_json, read_raw, suffix_of
from monitor.domain.quarantine import FileReason, RowReason
from monitor.errors import DataError


def parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def columns(raw: RawTable) -> dict[str, list]:
    return raw.frame.to_dict(as_series=False)


TABLE = parquet(pl.DataFrame({"a": range(1000), "b": [f"text {i}" for i in range(1000)]}))


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("x.parquet", ".parquet"), ("X.CSV", ".csv"), ("x.csv.gz", ".csv.gz"), ("x.ndjson", ".ndjson"), ("x.txt", "")],
)
def test_the_format_is_told_by_the_suffix(name, suffix):
    assert suffix_of(name) == suffix


def test_only_the_wanted_columns_are_decoded_and_all_are_named():
    raw = read_raw(TABLE, "t.parquet", scalars=["b"])
    assert raw.frame.columns == ["b"]
    assert raw.columns == ("a", "b")
    assert raw.numbers.tolist()[:2] == [1, 2]
    assert [json.loads(c) for c in raw.contents([7])] == [{"a": 7, "b": "text 7"}]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.csv.gz"])
def test_a_file_without_a_byte_is_refused(name):
    with pytest.raises(DataError, match=f"{name}: the file is empty"):
        read_raw(b"", name, scalars=["a"])


def test_an_unknown_suffix_is_refused_and_the_known_are_named():
    with pytest.raises(DataError, match=r"t\.xlsx: unknown file type; known are \.parquet, \.arrow"):
        read_raw(b"x", "t.xlsx", scalars=["a"])


@given(st.integers(1, len(TABLE) - 1))
def test_a_parquet_cut_anywhere_is_truncated(size):
    with pytest.raises(DataError, match=f"truncated Parquet: {size} bytes and no footer"):
        read_raw(TABLE[:size], "t.parquet", scalars=["a"])


@given(st.integers(4, len(TABLE) - 5), st.integers(1, 255))
def test_a_changed_byte_inside_a_parquet_never_gets_past_as_another_kind_of_error(at, change):
    content = bytearray(TABLE)
    content[at] ^= change
    try:
        raw = read_raw(bytes(content), "t.parquet", scalars=["a"])
    except DataError as exc:
        assert exc.file == "t.parquet"
    else:
        assert raw.frame.height >= 0


def test_what_is_no_parquet_is_damaged():
    with pytest.raises(DataError, match="cannot be decoded as Parquet: it does not start with PAR1"):
        read_raw(b"a,b\n1,2\n", "t.parquet", scalars=["a"])


def test_a_cut_gzip_is_truncated_and_a_whole_one_is_read():
    packed = gzip.compress(b"a,b\n1,2\n")
    assert columns(read_raw(packed, "t.csv.gz", scalars=["a"])) == {"a": ["1"]}
    with pytest.raises(DataError, match="truncated gzip"):
        read_raw(packed[:-3], "t.csv.gz", scalars=["a"])
    with pytest.raises(DataError, match="cannot be decoded as gzip"):
        read_raw(b"a,b\n", "t.csv.gz", scalars=["a"])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_is_read(end):
    content = end.join(["a,b", "1,x", "2,y", ""]).encode()
    assert columns(read_raw(content, "t.csv", scalars=["a", "b"])) == {"a": ["1", "2"], "b": ["x", "y"]}


def test_mixed_line_ends_are_read():
    content = b"a,b\r\n1,x\n2,y\r3,z\r\n"
    assert columns(read_raw(content, "t.csv", scalars=["a", "b"])) == {"a": ["1", "2", "3"], "b": ["x", "y", "z"]}
    lines = b'{"a": 1}\r\n{"a": 2}\n{"a": 3}\r{"a": 4}'
    assert columns(read_raw(lines, "t.jsonl", scalars=["a"])) == {"a": [1, 2, 3, 4]}


@pytest.mark.parametrize("content", [b"a,b\n", b"a,b", b"a,b\r\n", b"\xef\xbb\xbfa,b\n"])
def test_a_header_only_has_columns_and_no_rows(content):
    raw = read_raw(content, "t.csv", scalars=["a"])
    assert raw.columns == ("a", "b")
    assert raw.frame.shape == (0, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"a,b\n\n1,2\n\n\n2\n\n3,4\n"),
        ("t.jsonl", b'\n{"a": "1", "b": "2"}\n\n \t\n2\n\r\n{"a": "3", "b": "4"}\n'),
    ],
)
def test_blank_lines_are_no_rows_and_are_not_counted(name, content):
    raw = read_raw(content, name, scalars=["a", "b"])
    assert columns(raw) == {"a": ["1", "3"], "b": ["2", "4"]}
    assert (raw.numbers.tolist(), [b.row for b in raw.broken]) == ([1, 3], [2])


def test_csv_rows_with_too_few_or_too_many_fields_are_set_aside_and_the_others_keep_their_numbers():
    raw = read_raw(b'a,b\n1,x\n2\n3,"y\nz"\n4,w,!\n5,v\n', "t.csv", scalars=["a", "b"])
    assert columns(raw) == {"a": ["1", "3", "5"], "b": ["x", "y\nz", "v"]}
    assert raw.numbers.tolist() == [1, 3, 5]
    assert [(b.row, b.reason, b.detail, b.content) for b in raw.broken] == [
        (2, RowReason.UNREADABLE_ROW, "1 fields where the header has 2", "2"),
        (4, RowReason.UNREADABLE_ROW, "3 fields where the header has 2", "4,w,!"),
    ]
    assert [json.loads(c) for c in raw.contents([1])] == [{"a": "3", "b": "y\nz"}]
    assert len(raw.broken) == 2  # reading again for the contents does not report them again


def test_a_csv_that_is_not_utf8_is_refused_with_byte_and_row():
    with pytest.raises(DataError, match=r"t\.csv, row 2: not UTF-8 at byte 11 \(0xe9\)") as caught:
        read_raw("a,b\n1,x\n2,caf\xe9\n".encode("latin-1").replace(b"caf", b"c"), "t.csv", scalars=["a"])
    assert caught.value.row == 2
    with pytest.raises(DataError, match="it looks like UTF-16"):
        read_raw("a,b\n1,x\n".encode("utf-16"), "t.csv", scalars=["a"])


def test_a_column_twice_is_refused():
    with pytest.raises(DataError, match="column 'a': the column is there more than once"):
        read_raw(b"a,b,a\n1,2,3\n", "t.csv", scalars=["a"])
    file = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), file)
    with pytest.raises(DataError, match="the column is there more than once: column with name 'a'"):
        read_raw(file.getvalue(), "t.parquet", scalars=["a"])


def test_one_broken_json_line_is_one_rejected_row():
    lines = [
        b'{"a": 1}',
        b'{"a": ',
        b"[1]",
        b'{"a": "\xff"}',
        b'{"a": 1, "a": 2}',
        b"",
        b'{"a": {"b": 1}}',
        b'{"a": 2}',
    ]
    raw = read_raw(b"\n".join(lines), "t.jsonl", scalars=["a"])
    assert columns(raw) == {"a": [1, 2]}
    assert raw.numbers.tolist() == [1, 7]
    assert [(b.row, b.reason.value) for b in raw.broken] == [
        (2, "unreadable_row"),
        (3, "unreadable_row"),
        (4, "unreadable_row"),
        (5, "unreadable_row"),
        (6, "wrong_type"),
    ]
    assert raw.broken[0].content == '{"a": '
    assert raw.broken[2].content == '{"a": "\\xff"}'


def test_json_columns_of_mixed_types_become_text():
    raw = read_raw(b'{"a": 1, "b": true, "c": [1, 2], "d": 1}\n{"a": "x", "b": null, "c": null, "d": 0.5}\n', "t.jsonl",
                   scalars=["a", "b", "d"], arrays=["c"])  # fmt: skip
    assert raw.frame["a"].to_list() == ["1", "x"]
    assert raw.frame["b"].to_list() == [True, None]
    assert raw.frame["c"].to_list() == [[1, 2], None]
    assert raw.frame["d"].to_list() == [1.0, 0.5]


def test_whole_numbers_beyond_64_bits_keep_their_digits():
    raw = read_raw(b'{"a": 123456789012345678901}\n', "t.jsonl", scalars=["a"])
    assert raw.frame["a"].to_list() == ["123456789012345678901"]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=20))
def test_csv_text_comes_back_as_it_was_written(rows):
    import csv  # the standard library's writer, not ours

    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b"), *rows])
    raw = read_raw(file.getvalue().encode(), "t.csv", scalars=["a", "b"])
    read = list(zip(raw.frame["a"], raw.frame["b"], strict=True))
    assert read == [(a or None, b or None) for a, b in rows]
    assert raw.broken == ()


def test_content_is_json_whatever_it_holds():
    text = as_json({"a": b"\x00\xff", "b": float("inf"), "c": [float("nan"), 1], "d": None})
    assert json.loads(text) == {"a": "AP8=", "b": "inf", "c": ["nan", 1], "d": None}


def test_every_reason_has_its_text():
    assert all(reason.text for reason in (*FileReason, *RowReason))
