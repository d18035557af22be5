"""Shapes of command lines, by hand."""

import numpy as np
import polars as pl

from inoculate.features.hosts.command_shape import COMMAND_COLUMNS, command_shape


def test_shape_of_a_command_line_by_hand():
    names = [c.name for c in COMMAND_COLUMNS]
    text = r"a -b C:\Users\x /c 12 & http://h"
    x = command_shape(pl.Series([text, "", None, "A" * 24]))
    assert x.shape == (4, len(names)) and np.isnan(x[2]).all()
    found = dict(zip(names, x[0], strict=True))
    n = len(text)
    expected = {
        **{"command_length": np.log2(1 + n), "command_words": 3, "longest_word": np.log2(11)},
        **{"switches": np.log2(3), "separators": 1, "digit_share": 2 / n, "upper_share": 2 / n},
        **{"symbol_share": 9 / n, "base64_share": 0, "user_path": 1, "network_path": 1},
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6, err_msg=name)
    p = np.array([text.count(c) / n for c in set(text)])
    np.testing.assert_allclose(found["command_entropy"], -(p * np.log2(p)).sum(), rtol=1e-5)
    assert x[1, 0] == 0 and np.isnan(x[1, names.index("digit_share")])
    assert x[3, names.index("base64_share")] == 1 and x[3, names.index("command_entropy")] == 0


def test_equal_command_lines_have_equal_shapes_and_none_has_none():
    x = command_shape(pl.Series(["a b", "c", "a b", None]))
    np.testing.assert_array_equal(x[0], x[2])
    assert command_shape(pl.Series([], dtype=pl.String)).shape == (0, len(COMMAND_COLUMNS))
