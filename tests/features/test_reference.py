"""Reference normalisation: numbers by hand, ties, unknown values, and thresholds mapped back."""

import numpy as np
import pytest

from inoculate.errors import TaskError
from inoculate.features.reference import CHANNELS, NEUTRAL, Reference

NAN = float("nan")


def column(*values):
    return np.array(values, np.float32)[:, None]


def test_channels_by_hand():
    reference = Reference.fit(column(0, 1, 1, 3))
    got = reference.transform(column(-1, 0, 0.5, 1, 3, 4))[:, 0]
    # median 1, quartiles 0.75 and 1.5: one range is 0.75
    z = [np.sign(v - 1) * np.log1p(abs(v - 1) / 0.75) for v in (-1, 0, 0.5, 1, 3, 4)]
    expected = {
        "quantile": [0, 0.125, 0.25, 0.5, 0.875, 1],
        "z": z,
        "mass": [0, 0.25, 0, 0.5, 0.25, 0],
        "below": [1, 0, 0, 0, 0, 0],
        "above": [0, 0, 0, 0, 0, 1],
    }
    np.testing.assert_allclose(got.T, [expected[c] for c in CHANNELS], atol=1e-6)


def test_scale_falls_back_to_standard_deviation_and_then_to_one():
    assert Reference.fit(column(*[5] * 9, 7)).scale[0] == pytest.approx(0.6)
    assert Reference.fit(column(5, 5, 5)).scale[0] == 1
    assert Reference.fit(column(5)).scale[0] == 1
    tenth = column(*[0.1] * 50)  # equal numbers must not differ by rounding
    assert Reference.fit(tenth).scale[0] == 1


def test_unknown_values_are_neutral_and_uncounted():
    reference = Reference.fit(column(0, NAN, 2, NAN))
    got = reference.transform(column(NAN, 2))
    assert got[0, 0].tolist() == [NEUTRAL[c] for c in CHANNELS]
    assert got[1, 0, 0] == pytest.approx(0.75)
    assert reference.known(column(NAN, 2)).ravel().tolist() == [0, 1]
    assert reference.known_share[0] == 0.5
    assert np.isnan(reference.quantiles(column(NAN))).all()


def test_a_column_the_background_knows_nothing_of_is_neutral_throughout():
    reference = Reference.fit(np.array([[1, NAN], [2, NAN]], np.float32))
    got = reference.transform(np.array([[1.5, 7]], np.float32))
    assert got[0, 1].tolist() == [NEUTRAL[c] for c in CHANNELS]
    assert reference.usable.tolist() == [0]
    assert np.isnan(reference.z(np.array([[1.5, 7]], np.float32))[0, 1])


def test_absurd_values_stay_finite():
    reference = Reference.fit(column(0, 1e-38, 3e38, -3e38))
    got = reference.transform(column(3.4e38, -3.4e38, 1e-45))
    assert np.isfinite(got).all()
    assert np.abs(got[..., CHANNELS.index("z")]).max() <= 6


def test_blocks_columns_and_channels_do_not_change_a_cell():
    rng = np.random.default_rng(0)
    background = rng.normal(size=(50, 4)).round(1).astype(np.float32)
    x = rng.normal(size=(40_000, 4)).round(1).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    reference = Reference.fit(background)
    whole = reference.transform(x)
    part = reference.transform(x[33_000:33_010], ("z", "quantile"), columns=(3, 1))
    expected = whole[33_000:33_010][:, [3, 1]][:, :, [1, 0]]
    np.testing.assert_array_equal(part, expected)


@pytest.mark.parametrize("channel", ["quantile", "z"])
def test_a_threshold_on_a_channel_is_a_threshold_on_the_raw_value(channel):
    rng = np.random.default_rng(1)
    background = rng.integers(0, 9, size=(30, 1)).astype(np.float32)
    x = np.concatenate([rng.normal(4, 6, size=3000), np.arange(-2, 12)]).astype(np.float32)[:, None]
    reference = Reference.fit(background)
    values = reference.transform(x, (channel,))[:, 0, 0]
    for threshold in rng.uniform(-0.1, 1.1, size=200):
        raw = reference.raw_threshold(channel, 0, threshold)
        np.testing.assert_array_equal(x[:, 0] <= np.float32(raw), values <= np.float32(threshold))


def test_wrong_shapes_and_channels_are_refused():
    reference = Reference.fit(column(1, 2))
    with pytest.raises(TaskError, match="has 1 columns"):
        reference.z(np.zeros((3, 2), np.float32))
    with pytest.raises(TaskError, match="no channel"):
        reference.transform(column(1), ("median",))
    with pytest.raises(TaskError, match="not monotone"):
        reference.raw_threshold("mass", 0, 0.1)
    with pytest.raises(TaskError, match="m > 0"):
        Reference.fit(np.zeros((0, 2), np.float32))
