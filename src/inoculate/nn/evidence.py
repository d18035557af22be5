"""The evidence network: weighs what each column of a record says, whatever the columns are.

No parameter belongs to a column. A cell is expressed against the background in its column and
beside the examples' cells; one small network turns it into a token; attention lets the tokens
of a record speak to each other and to one token of the whole record, made of distances under
learned metrics. So a network trained on some tables works on tables it has never seen.

References:
    Iwata and Kumagai, "Meta-learning from Tasks with Heterogeneous Attribute Spaces", NeurIPS
    2020, section 3, for parameters shared over columns.
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.1.
    Departures: cells against a background instead of raw values; unknown cells and no example
    at all (then the same network gives novelty).
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = 6  # quantile, robust z, mass, above, below, known
WIDTHS = (0.05, 0.2, 0.6)  # of the Gaussian kernels, in units of a cell's first two channels
MOST_EXAMPLES = 16
MOST_BACKGROUND = 48  # that kernel densities are taken over; distances are to all
_STATISTICS = 4 * CHANNELS + 2 * CHANNELS + 2
_TOKEN = CHANNELS + _STATISTICS + 4 + 2 * len(WIDTHS)
_ROW = 8
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
class Conditioned:
    """The support's side of the network, computed once for any number of queries.

    Attributes:
        ground: of the background.
        examples, background: (B, k, d, CHANNELS) and (B, m, d, CHANNELS) cells.
        mask: (B, k) 1 for an example, 0 for padding.
        statistics: (B, d, _STATISTICS) of examples and background.
        summary: (B, d, width) of each column.
        relevance: (B, d, n_metrics) of each column in each learned metric.
        usable: (B, d) columns that the background knows.
    """

    ground: Ground
    examples: Tensor
    background: Tensor
    mask: Tensor
    statistics: Tensor
    summary: Tensor
    relevance: Tensor
    usable: Tensor


class EvidenceNet(nn.Module):
    """Logit of "like the examples rather than like the background" for each query.

    Args:
        width: of tokens, divisible by ``n_heads``.
        n_layers: of attention over the tokens of a record.
        n_heads: of attention.
        n_metrics: learned metrics over columns.
    """

    def __init__(self, width: int, n_layers: int, n_heads: int, n_metrics: int) -> None:
        super().__init__()
        self.summary = _mlp(_STATISTICS, width, width)
        self.relevance = nn.Linear(width, n_metrics)
        self.token = _mlp(_TOKEN + width, 2 * width, width)
        self.row = _mlp(_ROW * n_metrics + 2, width, width)
        self.layers = nn.ModuleList(_Layer(width, n_heads) for _ in range(n_layers))
        self.gate = nn.Linear(width, 1)
        self.normal = nn.LayerNorm(3 * width)
        self.out = _mlp(3 * width, width, 1)
        # before any training: far from background and near an example is suspicious
        self.trust = nn.Parameter(torch.ones(2))
        nn.init.zeros_(cast(Tensor, self.out[2].weight))

    def condition(self, examples: Tensor, mask: Tensor, background: Tensor) -> Conditioned:
        """Return the support's side.

        Args:
            examples: (B, k, d), NaN where unknown or padded; k at most ``MOST_EXAMPLES``.
            mask: (B, k) 1 for an example, 0 for padding.
            background: (B, m, d), NaN where unknown.
        """
        ground = Ground.of(background)
        mine, usual = ground.cells(examples), ground.cells(background)
        known = mine[..., -1] * mask[..., None]
        share = known.sum(1) / mask.sum(1, keepdim=True).clamp_min(1)
        statistics = torch.cat(
            [
                *_moments(mine, known),
                *_extremes(mine, known),
                *_moments(usual, usual[..., -1]),
                share[..., None],
                usual[..., -1].mean(1)[..., None],
            ],
            -1,
        )
        usable = ground.n_known > 0
        summary = self.summary(statistics)
        relevance = self.relevance(summary).masked_fill(~usable[..., None], -torch.inf).softmax(1)
        return Conditioned(
            ground, mine, usual, mask, statistics, summary, relevance.nan_to_num(0.0), usable
        )

    def forward(self, c: Conditioned, queries: Tensor) -> Tensor:
        """Return logits (B, n) of queries (B, n, d), NaN where unknown."""
        q = c.ground.cells(queries)
        shape = (*q.shape[:3], -1)
        around = c.statistics[:, None].expand(shape)
        gap = q[..., :2] - around[..., :2]
        some = c.background[:, :MOST_BACKGROUND]
        ones = torch.ones_like(some[:, :, 0, 0])
        density = torch.cat([_density(q, c.examples, c.mask), _density(q, some, ones)], -1)
        summary = c.summary[:, None].expand(shape)
        x = self.token(torch.cat([q, around, gap, gap.abs(), density, summary], -1))
        n_examples = c.mask.sum(1)
        few = torch.stack([n_examples > 0, n_examples.log1p() / 3], -1).to(q.dtype)
        near = _nearness(q, c.examples, c.mask, c.relevance)
        everyone = torch.ones_like(c.background[:, :, 0, 0])
        usual = _nearness(q, c.background, everyone, c.relevance)
        plain = self.trust[0] * usual[0].mean(-1) - self.trust[1] * near[0].mean(-1)
        row = torch.cat([*near, *usual, few[:, None].expand(*q.shape[:2], -1)], -1)
        x = torch.cat([x, self.row(row)[:, :, None]], 2)
        silent = functional.pad(~c.usable, (0, 1))[:, None].expand(*x.shape[:3])
        judged = self._judge(x.flatten(0, 1), silent.flatten(0, 1)).view(q.shape[:2])
        return judged + plain

    def _judge(self, x: Tensor, silent: Tensor) -> Tensor:
        """Return the logit of each record's tokens (n, d + 1, width); silent ones are unheard."""
        heard = torch.zeros_like(silent, dtype=x.dtype).masked_fill(silent, -torch.inf)
        for layer in self.layers:
            x = layer(x, heard[:, None, None])
        gate = (self.gate(x)[..., 0] + heard).softmax(-1)
        mean = (x * ~silent[..., None]).sum(1) / (~silent).sum(1, keepdim=True)
        pooled = torch.cat([(gate[..., None] * x).sum(1), mean, x[:, -1]], -1)
        return cast(Tensor, self.out(self.normal(pooled)))[:, 0]


class _Layer(nn.Module):
    """One layer of attention and one of a perceptron, normalised before each."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.perceptron = _mlp(width, 2 * width, width)

    def forward(self, x: Tensor, heard: Tensor) -> Tensor:
        n, t, width = x.shape
        parts = self.query_key_value(self.before(x)).view(n, t, 3, self.n_heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=heard)
        x = x + self.mixed(mixed.transpose(1, 2).reshape(n, t, width))
        return cast(Tensor, x + self.perceptron(self.between(x)))


def _mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, hidden), nn.GELU(), nn.Linear(hidden, n_out))


def _moments(cells: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and spread over known records, (B, d, CHANNELS) each."""
    n = known.sum(1)[..., None].clamp_min(1)
    mean = (cells * known[..., None]).sum(1) / n
    square = (cells - mean[:, None]).square() * known[..., None]
    return mean, (square.sum(1) / n + _SMALL).sqrt()


def _extremes(cells: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Return smallest and largest over known records, 0 where there is none."""
    absent = (known == 0)[..., None]
    nothing = (known.sum(1) == 0)[..., None]
    low = cells.masked_fill(absent, torch.inf).amin(1).masked_fill(nothing, 0.0)
    high = cells.masked_fill(absent, -torch.inf).amax(1).masked_fill(nothing, 0.0)
    return low, high


def _density(q: Tensor, others: Tensor, mask: Tensor) -> Tensor:
    """Return mean kernel values of each query cell among others' cells, (B, n, d, widths)."""
    known = others[..., -1] * mask[..., None]
    n = known.sum(1)[:, None].clamp_min(1)
    difference = (q[:, :, None, :, :2] - others[:, None, :, :, :2]).square().sum(-1)
    values = [(torch.exp(difference / (-2 * w * w)) * known[:, None]).sum(2) / n for w in WIDTHS]
    return torch.stack(values, -1) * q[..., -1:]


def _nearness(q: Tensor, others: Tensor, mask: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Return log smallest and log mean distance under each metric, (B, n, 2 n_metrics) each.

    Both are 0 where there is no other.
    """
    both = q[:, :, None, :, -1:] * others[:, None, :, :, -1:]
    gap = (q[:, :, None, :, :2] - others[:, None, :, :, :2]).abs().clamp(max=4) * both
    distance = torch.einsum("bnmdc,bdw->bnmcw", gap, relevance).flatten(3)
    absent = (mask == 0)[:, None, :, None]
    n = mask.sum(1)[:, None, None].clamp_min(1)
    mean = distance.masked_fill(absent, 0.0).sum(2) / n
    least = distance.masked_fill(absent, torch.inf).amin(2).nan_to_num(posinf=0.0)
    any_ = (mask.sum(1) > 0).to(q.dtype)[:, None, None]
    return (least + 1e-3).log() * any_, (mean + 1e-3).log() * any_
