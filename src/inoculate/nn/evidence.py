"""The evidence network: weighs what each column of a record says, whatever the columns are.

No parameter belongs to a column. A cell is expressed against the background in its column and
beside the examples' cells; one small network turns it into a token; attention lets the tokens
of a record speak to each other and to one token of the whole record, made of distances under
learned metrics. The record that comes out is then read in context: beside the examples, records
of the background and of other classes, which went the same way, each without itself. So a
network trained on some tables works on tables it has never seen.

References:
    Iwata and Kumagai, "Meta-learning from Tasks with Heterogeneous Attribute Spaces", NeurIPS
    2020, section 3, for parameters shared over columns.
    Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.2.1.
    Qu et al., "TabICL: A Tabular Foundation Model for In-Context Learning on Large Data", ICML
    2025, section 3, for columns first, then rows, then learning in context.
    Departures: cells against a background instead of raw values; the support's own statistics
    go into every token; unknown cells; no example at all (then the same network gives novelty).
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from inoculate.nn.evidence_cells import CHANNELS, DENSITIES, Closeness, Company, Ground

MOST_EXAMPLES = 16  # of a class, and of all other classes together
ROW_LAYERS = 2
_HARD = 12  # background records that most resemble an example, read in context
_PLAIN = 20  # and others, as they come
_DENSE = 48  # background records that kernel densities are taken over; distances are to all
_STATISTICS = 6 * CHANNELS + 2
_CELL = CHANNELS + 4 + 2 * DENSITIES
_ROW = 12


@dataclass(frozen=True, slots=True, eq=False)
class Conditioned:
    """The support's side of the network, computed once for any number of queries.

    Attributes:
        ground: of the background.
        examples, others, background: cells of the class, of other classes, and of no class.
        n_fair: the first so many of the background are a fair sample of it.
        centre: (B, d, 2) mean of the examples' cells.
        column: (B, d, 2 * width) what each column adds to a token.
        relevance: (B, d, n_metrics) of each column in each learned metric.
        usable: (B, d) columns that the background knows.
        shown: (B, s) which of the background are read in context.
        memory: keys and values of the records in context, one pair a layer; empty until known.
        there: (B, r) which of the records in context are no padding.
    """

    ground: Ground
    examples: Company
    others: Company
    background: Company
    n_fair: int
    centre: Tensor
    column: Tensor
    relevance: Tensor
    usable: Tensor
    shown: Tensor | None = None
    memory: tuple[Tensor, ...] = ()
    there: Tensor | None = None


class EvidenceNet(nn.Module):
    """Logit of "like the examples rather than like the rest" for each query.

    Args:
        width: of tokens, divisible by ``n_heads``; a whole record is twice as wide.
        n_layers: of attention over the tokens of a record.
        n_heads: of attention.
        n_metrics: learned metrics over columns.
    """

    def __init__(self, width: int, n_layers: int, n_heads: int, n_metrics: int) -> None:
        super().__init__()
        self.summary = _mlp(_STATISTICS, width, width)
        self.relevance = nn.Linear(width, n_metrics)
        # one layer in two parts: what a column adds is computed once for all records
        self.cell = nn.Linear(_CELL, 2 * width, bias=False)
        self.column = nn.Linear(_STATISTICS + width, 2 * width)
        self.token = nn.Linear(2 * width, width)
        self.row = _mlp(_ROW * n_metrics + 3, width, width)
        self.layers = nn.ModuleList(_Layer(width, n_heads) for _ in range(n_layers))
        self.gate = nn.Linear(width, 1)
        self.normal = nn.LayerNorm(3 * width)
        self.pooled = nn.Linear(3 * width, 2 * width)
        self.kind = nn.Parameter(0.2 * torch.randn(3, 2 * width))
        self.rows = nn.ModuleList(_Layer(2 * width, n_heads) for _ in range(ROW_LAYERS))
        self.last = nn.LayerNorm(2 * width)
        self.out = _mlp(2 * width, width, 1)
        # before any training: far from background and near an example is suspicious
        self.trust = nn.Parameter(torch.ones(2))
        nn.init.zeros_(cast(Tensor, self.out[2].weight))

    def condition(
        self,
        examples: Tensor,
        there: Tensor,
        background: Tensor,
        others: Tensor | None = None,
        *,
        lookalikes: Tensor | None = None,
        ground: Tensor | None = None,
    ) -> Conditioned:
        """Return the support's side.

        Args:
            examples: (B, k, d), NaN where unknown or padded; k at most ``MOST_EXAMPLES``.
            there: (B, k) True for an example, False for padding.
            background: (B, m, d), NaN where unknown; of a large one, a fair sample.
            others: (B, o, d) examples of other classes, padding all NaN; None for none.
            lookalikes: (B, h, d) more of a large background, those that resemble an example.
            ground: (B, n, d) what cells are expressed against; None for the background.
        """
        grounded = Ground.of(background if ground is None else ground)
        if others is None or not others.shape[1]:
            others = torch.full_like(background[:, :1], torch.nan)
        mine = Company(grounded.cells(examples), there)
        rest = Company(grounded.cells(others), ~others.isnan().all(-1))
        n_fair = background.shape[1]
        if lookalikes is not None:
            background = torch.cat([background, lookalikes], 1)
        all_usual = Company(grounded.cells(background), torch.ones_like(background[..., 0]).bool())
        usual = all_usual.first(n_fair)
        mean, spread = mine.moments()
        parts = (mean, spread, *mine.extremes(), *usual.moments())
        statistics = torch.cat([*parts, mine.known_share(), usual.known_share()], -1)
        usable = grounded.n_known > 0
        summary = self.summary(statistics)
        relevance = self.relevance(summary).masked_fill(~usable[..., None], -torch.inf).softmax(1)
        bare = Conditioned(
            ground=grounded,
            examples=mine,
            others=rest,
            background=all_usual,
            n_fair=n_fair,
            centre=mean[..., :2],
            column=self.column(torch.cat([statistics, summary], -1)),
            relevance=relevance.nan_to_num(0.0),
            usable=usable,
        )
        return self._with_memory(bare)

    def _with_memory(self, c: Conditioned) -> Conditioned:
        """Return the side with the support's own records read in each other's context."""
        pick = _shown(c)
        shown = c.background.take(pick)
        b, k, o, s = *c.examples.there.shape, c.others.there.shape[1], pick.shape[1]
        cells = torch.cat([c.examples.cells, c.others.cells, shown.cells], 1)
        there = torch.cat([c.examples.there, c.others.there, shown.there], 1)
        same = [torch.zeros(b, k + o + s, n, dtype=torch.bool) for n in (k, o)]
        same[0][:, range(k), range(k)] = True
        same[1][:, range(k, k + o), range(o)] = True
        usual = torch.zeros(b, k + o + s, c.background.there.shape[1], dtype=torch.bool)
        usual[:, k + o :].scatter_(2, pick[:, :, None], True)
        records, _, _ = self._records(c, cells, (same[0], same[1], usual))
        kinds = self.kind.repeat_interleave(torch.tensor([k, o, s]), dim=0)
        x, heard, layers = records + kinds, _heard(there)[:, None, None], self._each(self.rows)
        memory = [layers[0].remember(x)]
        for before, layer in pairwise(layers):
            x = before(x, memory[-1], heard)
            memory.append(layer.remember(x))
        return replace(c, shown=pick, memory=tuple(memory), there=there)

    def forward(self, c: Conditioned, queries: Tensor) -> Tensor:
        """Return logits (B, n) of queries (B, n, d), NaN where unknown."""
        return self.judge(c, queries)[0]

    def judge(self, c: Conditioned, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of queries, and how far they are from the background, (B, n) each.

        The distance is the log of the one to the nearest record, in the mean of all metrics.
        """
        x, plain, far = self._records(c, c.ground.cells(queries))
        return self._read(c, x, plain), far

    def left_out(self, c: Conditioned, rows: Tensor) -> Tensor:
        """Return logits (B, n) of the background's own records, each without itself.

        Args:
            c: the support's side.
            rows: (n,) which of them; those read in context would find themselves there.
        """
        b, m = c.background.there.shape
        same = torch.zeros(b, len(rows), m, dtype=torch.bool)
        same[:, range(len(rows)), rows] = True
        others = (x.there.shape[1] for x in (c.examples, c.others))
        nobody = (torch.zeros(b, len(rows), n, dtype=torch.bool) for n in others)
        x, plain, _ = self._records(c, c.background.cells[:, rows], (*nobody, same))
        return self._read(c, x, plain)

    def _read(self, c: Conditioned, x: Tensor, plain: Tensor) -> Tensor:
        """Return logits (B, n) of records (B, n, 2 * width), read in context."""
        heard = _heard(cast(Tensor, c.there))[:, None, None]
        for layer, memory in zip(self._each(self.rows), c.memory, strict=True):
            x = layer(x, memory, heard)
        return cast(Tensor, self.out(self.last(x)))[..., 0] + plain

    def _records(
        self, c: Conditioned, q: Tensor, same: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return whole records (B, n, 2 * width), plain logits and distance to background.

        Args:
            c: the support's side.
            q: cells (B, n, d, CHANNELS).
            same: which records are which examples, other examples and background records.
        """
        ours, theirs, usual = (
            Closeness.of(q, company, None if same is None else same[i])
            for i, company in enumerate((c.examples, c.others, c.background))
        )
        gap = q[..., :2] - c.centre[:, None]
        cell = torch.cat([q, gap, gap.abs(), ours.densities(_DENSE), usual.densities(_DENSE)], -1)
        x = self.token(functional.silu(self.cell(cell) + c.column[:, None]))
        near, far = ours.distances(c.relevance), usual.distances(c.relevance, c.n_fair)
        apart = far[0].mean(-1)
        plain = self.trust[0] * apart - self.trust[1] * near[0].mean(-1)
        n_mine, n_others = c.examples.there.sum(1), c.others.there.sum(1)
        counts = torch.stack([n_mine > 0, n_mine.log1p() / 3, n_others > 0], -1).to(q.dtype)
        counts = counts[:, None].expand(*q.shape[:2], -1)
        row = torch.cat([*near, *far, *theirs.distances(c.relevance), counts], -1)
        x = torch.cat([x, self.row(row)[:, :, None]], 2)
        usable = functional.pad(c.usable, (0, 1), value=True)[:, None].expand(*x.shape[:3])
        pooled = self._pool(x.flatten(0, 1), usable.flatten(0, 1))
        return self.pooled(self.normal(pooled)).view(*q.shape[:2], -1), plain, apart

    @staticmethod
    def _each(layers: nn.ModuleList) -> "list[_Layer]":
        return cast("list[_Layer]", list(layers))

    def _pool(self, x: Tensor, usable: Tensor) -> Tensor:
        """Return tokens (n, d + 1, width) as (n, 3 * width); columns not usable are unheard."""
        heard = _heard(usable)
        for layer in self._each(self.layers):
            x = layer(x, layer.remember(x), heard[:, None, None])
        gate = (self.gate(x)[..., 0] + heard).softmax(-1)
        mean = (x * usable[..., None]).sum(1) / usable.sum(1, keepdim=True)
        return torch.cat([(gate[..., None] * x).sum(1), mean, x[:, -1]], -1)


class _Layer(nn.Module):
    """One layer of attention to a memory and one of a perceptron, normalised before each."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.before = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.mixed = nn.Linear(width, width)
        self.between = nn.LayerNorm(width)
        self.perceptron = _mlp(width, 2 * width, width)

    def remember(self, x: Tensor) -> Tensor:
        """Return keys and values of x (n, t, width), (2, n, n_heads, t, width / n_heads)."""
        n, t, _ = x.shape
        parts = self.key_value(self.before(x)).view(n, t, 2, self.n_heads, -1)
        return cast(Tensor, parts.permute(2, 0, 3, 1, 4))

    def forward(self, x: Tensor, memory: Tensor, heard: Tensor) -> Tensor:
        n, t, width = x.shape
        q = self.query(self.before(x)).view(n, t, self.n_heads, -1).transpose(1, 2)
        key, value = memory
        mixed = functional.scaled_dot_product_attention(q, key, value, attn_mask=heard)
        x = x + self.mixed(mixed.transpose(1, 2).reshape(n, t, width))
        return cast(Tensor, x + self.perceptron(self.between(x)))


def _mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, n_out))


def _heard(there: Tensor) -> Tensor:
    """Return what attention adds to a logit: 0, or minus infinity where nothing is there."""
    return torch.zeros_like(there, dtype=torch.float32).masked_fill(~there, -torch.inf)


def _shown(c: Conditioned) -> Tensor:
    """Return which background records are read in context, (B, s), none of them twice.

    The first ones, as they come, then those of the rest that most resemble an example.
    """
    n, first = c.background.there.shape[1], _PLAIN
    if n <= _PLAIN + _HARD:
        return torch.arange(n).expand(len(c.usable), -1)
    gap = Closeness.of(c.examples.cells, c.background).gap.clamp(max=4).mean((-1, -2))
    gap = gap.masked_fill(~c.examples.there[..., None], torch.inf).amin(1)
    gap = gap.nan_to_num(posinf=9.0).masked_fill(torch.arange(n) < first, torch.inf)
    hard = gap.topk(_HARD, dim=1, largest=False).indices
    return torch.cat([torch.arange(first).expand(len(gap), -1), hard], 1)
