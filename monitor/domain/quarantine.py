"""Why rows and whole files are refused: two closed sets, each with the sentence that users read.

A refused row goes to quarantine and the rest of its file goes on; a refused file is a DataError, nothing of it is used.
"""

from __future__ import annotations

from enum import StrEnum


class RowReason(StrEnum):
    """Why one row was refused; the value is the word in the quarantine file, the history and the metrics."""

    UNREADABLE_ROW = "unreadable_row"
    MISSING_ID = "missing_id"
    DUPLICATE_ID = "duplicate_id"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    MISSING_ARRAY = "missing_array"
    WRONG_LENGTH = "wrong_length"
    OUT_OF_RANGE = "out_of_range"
    MISSING_TIMESTAMP = "missing_timestamp"
    BAD_TIMESTAMP = "bad_timestamp"
    NO_TIMEZONE = "no_timezone"
    CLOCK_CHANGE = "clock_change"
    OUTSIDE_WINDOW = "outside_window"
    IN_FUTURE = "in_future"
    MISSING_LABEL = "missing_label"
    CONTRADICTORY_LABEL = "contradictory_label"
    IMPOSSIBLE_LABEL = "impossible_label"
    MISSING_SCORE = "missing_score"
    SCORE_OUT_OF_RANGE = "score_out_of_range"
    SCORES_DO_NOT_SUM = "scores_do_not_sum"

    @property
    def text(self) -> str:
        return _ROW_TEXT[self]


class FileReason(StrEnum):
    """Why a whole file was refused."""

    EMPTY_FILE = "empty_file"
    UNKNOWN_FORMAT = "unknown_format"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NOT_UTF8 = "not_utf8"
    MISSING_COLUMN = "missing_column"
    DUPLICATE_COLUMN = "duplicate_column"
    WRONG_COLUMN_TYPE = "wrong_column_type"
    NO_TIMEZONE = "no_timezone"
    IMPOSSIBLE_DATE = "impossible_date"

    @property
    def text(self) -> str:
        return _FILE_TEXT[self]


_ROW_TEXT = {
    RowReason.UNREADABLE_ROW: "the row cannot be taken apart: broken JSON, or too few or too many CSV fields",
    RowReason.MISSING_ID: "the id is missing or empty",
    RowReason.DUPLICATE_ID: "the id came before, in this batch or in an earlier one; the first row with it counts",
    RowReason.WRONG_TYPE: "the value is not of the column's kind",
    RowReason.NOT_FINITE: "the value is an infinity (in an image or vector also NaN)",
    RowReason.MISSING_ARRAY: "the image or vector, or an element of it, is missing",
    RowReason.WRONG_LENGTH: "the image or vector is longer or shorter than the others",
    RowReason.OUT_OF_RANGE: "an image value is outside 0..255 (whole numbers) or 0..1 (fractions)",
    RowReason.MISSING_TIMESTAMP: "the timestamp is missing",
    RowReason.BAD_TIMESTAMP: "the text is not an ISO 8601 date or time",
    RowReason.NO_TIMEZONE: "this timestamp has no zone while others of the file have one; set `schema.timezone`",
    RowReason.CLOCK_CHANGE: "this local time exists twice, or not at all, because the clock was changed",
    RowReason.OUTSIDE_WINDOW: "the timestamp is not in the window that the path promises",
    RowReason.IN_FUTURE: "the timestamp is later than now plus `batches.future`",
    RowReason.MISSING_LABEL: "the label is missing",
    RowReason.CONTRADICTORY_LABEL: "the file holds different labels for this id and does not say which is the later",
    RowReason.IMPOSSIBLE_LABEL: "the label is binary, and this is neither of the two classes that the champion knows",
    RowReason.MISSING_SCORE: "the score of the model that is served elsewhere is missing",
    RowReason.SCORE_OUT_OF_RANGE: "the score is no probability: it is outside 0..1",
    RowReason.SCORES_DO_NOT_SUM: "the probabilities of all classes do not sum to 1, by more than 0.01",
}

_FILE_TEXT = {
    FileReason.EMPTY_FILE: "the file is empty, not even a header",
    FileReason.UNKNOWN_FORMAT: "unknown file type",
    FileReason.TRUNCATED: "truncated",
    FileReason.DAMAGED: "cannot be decoded",
    FileReason.NOT_UTF8: "not UTF-8",
    FileReason.MISSING_COLUMN: "missing column",
    FileReason.DUPLICATE_COLUMN: "the column is there more than once",
    FileReason.WRONG_COLUMN_TYPE: "wrong type",
    FileReason.NO_TIMEZONE: "the timestamps have no zone",
    FileReason.IMPOSSIBLE_DATE: "the path holds an impossible date",
}
