"""What we lay out ourselves is what the safetensors library writes, byte for byte, and it comes back as it was."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import numpy as safetensors

from monitor.domain.packed import pack, unpack

dtypes = st.sampled_from(["?", "u1", "i1", "i2", "u2", "f2", "i4", "u4", "f4", "f8", "i8", "u8"]).map(np.dtype)
arrays = dtypes.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
named = st.dictionaries(st.text(max_size=8).filter(lambda name: name not in ("header", "__metadata__")), arrays)


@given(named)
def test_the_bytes_are_those_of_the_library(content):
    body = pack("thing", 3, {"of": "it"}, content)
    assert body == safetensors.save(safetensors.load(body))


@given(named)
def test_everything_comes_back(content):
    header, back = unpack("thing", 3, pack("thing", 3, {"of": [1, None]}, content))
    assert header == {"of": [1, None]}
    assert back.keys() == content.keys()
    for name, array in content.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        assert back[name].tobytes() == array.tobytes()


def test_a_view_that_is_not_contiguous_is_laid_out_as_it_reads():
    whole = np.arange(12.0).reshape(3, 4)
    _, back = unpack("thing", 1, pack("thing", 1, {}, {"turned": whole.T, "steps": whole[:, ::2]}))
    np.testing.assert_array_equal(back["turned"], whole.T)
    np.testing.assert_array_equal(back["steps"], whole[:, ::2])
