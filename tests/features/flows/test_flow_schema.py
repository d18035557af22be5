"""The canonical flow schema: what is computed for every source, and how it is encoded."""

import numpy as np
import polars as pl

from inoculate.domain import Column, View
from inoculate.features.flows.flow_schema import FLOW_COLUMNS, FLOW_VIEW, complete, encode_flows

FLOWS = pl.DataFrame(
    {
        "origin": ["a:1", "a:2"],
        "duration": [2.0, 0.0],
        "orig_bytes": [100, 0],
        "resp_bytes": [300, 0],
        "orig_pkts": [4, 1],
        "resp_pkts": [6, 0],
    }
)


def test_derived_columns_by_hand_and_null_where_there_is_no_rate():
    first, second = complete(FLOWS, None).iter_rows(named=True)
    assert first["bytes_per_s"] == 200 and first["pkts_per_s"] == 5
    assert first["orig_bytes_share"] == 0.25 and first["resp_bytes_per_pkt"] == 50
    assert second["bytes_per_s"] is None and second["orig_bytes_share"] is None
    assert second["orig_pkts_share"] == 1 and second["resp_bytes_per_pkt"] is None
    assert first["iat_mean"] is None and first["host_flows_60s"] is None


def test_encoding_is_float32_rows_with_nan_for_null_absent_and_absurd():
    frame = pl.DataFrame({"duration": [1.5, None, 1e300], "tcp": [True, False, None]})
    view = View("v", (Column("tcp", "yes/no", ""), Column("gone", "1", ""), FLOW_COLUMNS[3]))
    x = encode_flows(frame, (view,))["v"]
    assert x.dtype == np.float32 and x.flags.c_contiguous and x.flags.writeable
    np.testing.assert_array_equal(
        x, np.array([[1, np.nan, 1.5], [0, np.nan, np.nan], [np.nan] * 3], np.float32)
    )


def test_no_flow_and_no_known_column_still_have_the_right_shape():
    empty = encode_flows(complete(FLOWS[:0], None), (FLOW_VIEW,))
    assert empty["flow"].shape == (0, len(FLOW_COLUMNS))
    assert np.isnan(encode_flows(pl.DataFrame({"x": [1, 2]}), (FLOW_VIEW,))["flow"]).all()
