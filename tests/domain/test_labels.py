from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain.labels import class_codes, classes_of
from monitor.domain.schema import Label, LabelKind
from monitor.errors import DataError

BINARY = Label("y", LabelKind.BINARY, "UP")
MANY = Label("y", LabelKind.MULTICLASS)


def test_numbers_sort_by_value_and_text_after_them():
    assert classes_of(["10", "9", "b", "a", "9"], MANY) == ("9", "10", "a", "b")


def test_the_positive_class_comes_last():
    assert classes_of(["UP", "DOWN", "ZERO"][:2], BINARY) == ("DOWN", "UP")
    assert classes_of(["1", "0"], Label("y", LabelKind.BINARY, "0")) == ("1", "0")


def test_rows_without_the_positive_class_do_not_hide_it():
    assert classes_of(["DOWN", "DOWN"], BINARY) == ("DOWN", "UP")
    assert classes_of(["UP"], BINARY) == ("UP",)
    assert classes_of([], BINARY) == ()
    assert classes_of(["DOWN"], Label("y", LabelKind.BINARY)) == ("DOWN",)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["a", "b", "UP", "b"], "column 'y': a binary label with 3 classes: UP, a, b; rarest is 'a'$"),
        (["a", "b"], "column 'y': no row has the positive class 'UP', only a, b"),
        (list("fedcba"), "'UP', only a, b, c, d, e, …"),
    ],
)
def test_a_label_that_is_not_binary_is_refused(texts, why):
    with pytest.raises(DataError, match=why):
        classes_of(texts, BINARY)


def test_the_rarest_class_but_the_positive_one_is_shown_at_its_first_row():
    with pytest.raises(DataError, match=r"3 classes: UP, a, b; rarest is 'b', row 2$"):
        classes_of(["a", "a", "b", "UP", "a", "b"], BINARY, lambda row: f"row {row}")


@given(st.lists(st.text(max_size=3)))
def test_codes_are_the_positions_of_the_classes(texts):
    classes = classes_of(texts, MANY)
    assert [classes[code] for code in class_codes(texts, classes)] == texts


def test_an_unknown_class_has_code_minus_one():
    assert class_codes(["a", "z"], ["a"]).tolist() == [0, -1]
