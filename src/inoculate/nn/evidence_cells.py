"""Cells: values against a background in their column, and how close records are in each column.

Nothing here is learned; no gradient flows through it but to the relevance of columns.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

CHANNELS = 6  # quantile, robust z, mass, above, below, known
PLACE = 2  # of them say where a cell lies: quantile and robust z
DENSITIES = 4  # three kernel means and the nearest cell
_SHARPEST = 1.5625  # exponent of the widest kernel; the next ones are its 8th and 128th power
_SMALL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A background, sorted column by column: what cells are expressed against.

    Attributes:
        ordered: (B, d, m) values in increasing order, unknown ones last as infinity.
        n_known: (B, d) known values.
        middle, scale: (B, d) median, and inter-quartile range or what stands for it.
    """

    ordered: Tensor
    n_known: Tensor
    middle: Tensor
    scale: Tensor

    @classmethod
    def of(cls, background: Tensor) -> "Ground":
        """Return the ground of a background, (B, m, d) with NaN."""
        columns = background.transpose(1, 2)
        known = ~columns.isnan()
        n_known = known.sum(-1)
        ordered = columns.masked_fill(~known, torch.inf).contiguous().sort(-1).values
        last = (n_known - 1).clamp_min(0)

        def at(share: float) -> Tensor:
            value = ordered.gather(-1, (share * last).long()[..., None])[..., 0]
            return value.masked_fill(n_known == 0, 0.0)

        mean = columns.nan_to_num(0.0).sum(-1) / n_known.clamp_min(1)
        square = (columns.nan_to_num(0.0) - mean[..., None]).square() * known
        spread = (square.sum(-1) / n_known.clamp_min(1)).sqrt()
        iqr = at(0.75) - at(0.25)
        scale = torch.where(iqr > _SMALL, iqr, torch.where(spread > _SMALL, spread, 1.0))
        return cls(ordered, n_known, at(0.5), scale)

    def cells(self, x: Tensor) -> Tensor:
        """Return records (B, n, d) as cells (B, n, d, CHANNELS); all zero where unknown."""
        known = ~x.isnan() & (self.n_known > 0)[:, None]
        values = x.transpose(1, 2).nan_to_num(0.0).contiguous()
        n = self.n_known[..., None].clamp_min(1)
        below = torch.searchsorted(self.ordered, values, right=False).minimum(n) / n
        up_to = torch.searchsorted(self.ordered, values, right=True).minimum(n) / n
        z = (values - self.middle[..., None]) / self.scale[..., None]
        z = z.sign() * z.abs().log1p()
        parts = (
            ((below + up_to) / 2 - 0.5) * 12**0.5,
            z.clamp(-6, 6) / 2,
            up_to - below,
            (below >= 1).to(x.dtype),
            (up_to <= 0).to(x.dtype),
            torch.ones_like(z),
        )
        return torch.stack(parts, -1).transpose(1, 2) * known[..., None]


@dataclass(frozen=True, slots=True, eq=False)
class Company:
    """Records that others are held against.

    Attributes:
        cells: (B, m, d, CHANNELS).
        there: (B, m) True for a record, False for padding.
    """

    cells: Tensor
    there: Tensor

    def take(self, pick: Tensor) -> "Company":
        """Return some records of each problem, (B, s) of them."""
        index = pick[:, :, None, None].expand(-1, -1, *self.cells.shape[2:])
        return Company(self.cells.gather(1, index), self.there.gather(1, pick))

    def first(self, n: int) -> "Company":
        """Return the first n records."""
        return Company(self.cells[:, :n], self.there[:, :n])

    def moments(self) -> tuple[Tensor, Tensor]:
        """Return mean and spread over known cells, (B, d, CHANNELS) each."""
        known = self._known()
        n = known.sum(1)[..., None].clamp_min(1)
        mean = (self.cells * known[..., None]).sum(1) / n
        square = (self.cells - mean[:, None]).square() * known[..., None]
        return mean, (square.sum(1) / n + _SMALL).sqrt()

    def extremes(self) -> tuple[Tensor, Tensor]:
        """Return smallest and largest known cell, (B, d, CHANNELS) each, 0 where there is none."""
        known = self._known()
        absent = (known == 0)[..., None]
        nothing = (known.sum(1) == 0)[..., None]
        low = self.cells.masked_fill(absent, torch.inf).amin(1).masked_fill(nothing, 0.0)
        high = self.cells.masked_fill(absent, -torch.inf).amax(1).masked_fill(nothing, 0.0)
        return low, high

    def known_share(self) -> Tensor:
        """Return the share of records that know a column, (B, d, 1)."""
        return (self._known().sum(1) / self.there.sum(1, keepdim=True).clamp_min(1))[..., None]

    def _known(self) -> Tensor:
        return self.cells[..., -1] * self.there[..., None]


@dataclass(frozen=True, slots=True, eq=False)
class Closeness:
    """How close records q are to some company, column by column.

    Attributes:
        gap: (B, n, m, PLACE, d) absolute differences.
        q: (B, n, d, CHANNELS).
        company: m records.
        counted: (B, n, m) False for padding, and where a record meets itself.
    """

    gap: Tensor
    q: Tensor
    company: Company
    counted: Tensor

    @classmethod
    def of(cls, q: Tensor, company: Company, same: Tensor | None = None) -> "Closeness":
        """Return the closeness of cells q; ``same`` (B, n, m) is True for one and the same."""
        mine = q[..., :PLACE].transpose(2, 3).contiguous()
        theirs = company.cells[..., :PLACE].transpose(2, 3).contiguous()
        gap = (mine[:, :, None] - theirs[:, None]).abs_()
        counted = company.there[:, None].expand(gap.shape[:3])
        return cls(gap, q, company, counted if same is None else counted & ~same)

    def densities(self, most: int) -> Tensor:
        """Return Gaussian kernel means and log nearest gap of each cell, (B, n, d, DENSITIES).

        Args:
            most: only the first so many of the company are looked at.
        """
        square = self.gap[:, :, :most].square().sum(3)
        known = self.company.cells[:, None, :most, :, -1] * self.counted[:, :, :most, None]
        n = known.sum(2).clamp_min(1)
        kernel = torch.exp(-_SHARPEST * square)
        found = [(kernel * known).sum(2) / n]
        for doublings in (3, 4):
            for _ in range(doublings):
                kernel = kernel.square_()
            found.append((kernel * known).sum(2) / n)
        nearest = square.masked_fill(known == 0, 16.0).amin(2).clamp(max=16.0)
        found.append((nearest + 1e-4).log() / 4)
        return torch.stack(found, -1) * self.q[..., -1:]

    def distances(self, relevance: Tensor, fair: int | None = None) -> tuple[Tensor, Tensor]:
        """Return log smallest and log mean distance in each metric, (B, n, PLACE * n_metrics).

        Both are 0 where there is no company.

        Args:
            relevance: (B, d, n_metrics) of each column; sums to 1 over columns.
            fair: the mean is over the first so many of the company only; None for all.
        """
        gap = self.gap.clamp(max=4)
        mine, theirs = self.q[..., -1], self.company.cells[..., -1]
        if not (mine.all() and theirs.all()):
            gap = gap * (mine[:, :, None] * theirs[:, None])[:, :, :, None]
        b, n, m = gap.shape[:3]
        distance = torch.bmm(gap.view(b, -1, gap.shape[-1]), relevance).view(b, n, m, -1)
        absent = ~self.counted[..., None]
        least = distance.masked_fill(absent, torch.inf).amin(2).nan_to_num(posinf=0.0)
        count = self.counted[:, :, :fair].sum(2)[..., None]
        mean = distance.masked_fill(absent, 0.0)[:, :, :fair].sum(2) / count.clamp_min(1)
        some = (count > 0).to(gap.dtype)
        return (least + 1e-3).log() * some, (mean + 1e-3).log() * some
