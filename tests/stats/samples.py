"""Samples for the tests of measures: ties, missing and infinite values, constants."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from monitor.stats.numeric import NumericProfile, NumericReference

_tied = st.integers(-4, 4).map(float)
_any = st.floats(-1e6, 1e6, allow_subnormal=False)
_odd = st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1.0])

finite_columns = st.one_of(
    hnp.arrays(np.float64, st.integers(1, 40), elements=_tied),
    hnp.arrays(np.float64, st.integers(1, 40), elements=_any),
    st.integers(1, 20).map(lambda n: np.full(n, 2.5)),
)
columns = st.one_of(
    hnp.arrays(np.float64, st.integers(0, 40), elements=st.one_of(_tied, _any, _odd)),
    finite_columns,
)


def summaries(ref, cur) -> tuple[NumericReference, NumericProfile]:
    reference = NumericReference.of(np.asarray(ref, dtype=np.float64))
    return reference, NumericProfile.of(np.asarray(cur, dtype=np.float64), reference)


def counts(ref, cur):
    """The arguments of the measures that need cumulative counts only."""
    reference, profile = summaries(ref, cur)
    return reference.ecdf, profile.below, profile.upto, profile.n
