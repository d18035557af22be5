"""Closeness of cells, by hand."""

import math

import pytest
import torch

from inoculate.nn.evidence_cells import CHANNELS, DENSITIES, Closeness, Company


def cells(values):
    """Return (1, n, 1, CHANNELS) known cells with the given quantile places, all else 0."""
    found = torch.zeros(1, len(values), 1, CHANNELS)
    found[0, :, 0, 0] = torch.tensor(values)
    found[..., -1] = 1
    return found


def company(values, there=None):
    there = [True] * len(values) if there is None else there
    return Company(cells(values), torch.tensor([there]))


def test_densities_are_means_of_gaussian_kernels_and_the_nearest_cell():
    close = Closeness.of(cells([0.0]), company([0.3, -0.4]))
    found = close.densities(9)[0, 0, 0].tolist()
    assert len(found) == DENSITIES
    expected = [sum(math.exp(-s * g * g) for g in (0.3, 0.4)) / 2 for s in (1.5625, 12.5, 200)]
    assert found[:3] == pytest.approx(expected, abs=1e-6)
    assert found[3] == pytest.approx(math.log(0.09 + 1e-4) / 4, abs=1e-6)


def test_padding_and_a_record_itself_do_not_count():
    q = cells([0.0])
    same = torch.tensor([[[True, False, False]]])
    close = Closeness.of(q, company([0.0, 0.5, 9.0], [True, True, False]), same)
    alone = Closeness.of(q, company([0.5]))
    torch.testing.assert_close(close.densities(9), alone.densities(9))
    relevance = torch.ones(1, 1, 2)
    for found, expected in zip(close.distances(relevance), alone.distances(relevance), strict=True):
        torch.testing.assert_close(found, expected)


def test_distances_are_smallest_and_mean_in_logs():
    close = Closeness.of(cells([0.0]), company([1.0, -3.0]))
    least, mean = close.distances(torch.full((1, 1, 1), 1.0))
    assert least[0, 0, 0].item() == pytest.approx(math.log(1.001), abs=1e-5)
    assert mean[0, 0, 0].item() == pytest.approx(math.log(2.001), abs=1e-5)


def test_no_company_is_no_distance():
    close = Closeness.of(cells([0.0]), company([1.0], [False]))
    least, mean = close.distances(torch.ones(1, 1, 1))
    assert least.abs().max() == mean.abs().max() == 0
    assert close.densities(9)[0, 0, 0, :3].tolist() == [0, 0, 0]


def test_moments_and_extremes_leave_padding_out():
    found = company([1.0, 3.0, 99.0], [True, True, False])
    mean, spread = found.moments()
    low, high = found.extremes()
    assert mean[0, 0, 0].item() == pytest.approx(2)
    assert spread[0, 0, 0].item() == pytest.approx(1, abs=1e-5)
    assert (low[0, 0, 0].item(), high[0, 0, 0].item()) == (1, 3)
    assert found.known_share().item() == 1
    assert company([5.0], [False]).extremes()[0].abs().max() == 0
