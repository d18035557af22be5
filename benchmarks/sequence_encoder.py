"""Does a convolution over hashed tokens beat hashed n-grams? Measured before it could enter ``nn``.

An encoder of two 1-D convolutions is trained on the sets and classes that a shipped prior might be
trained on: two crops of one trace are to lie close (InfoNCE), and classes apart. Then the same
learner is judged on unseen classes and sets with hashed n-grams, with the encoder's 128 columns,
and with both, on the same draws (docs/decisions/0009).

    python benchmarks/sequence_encoder.py [api_calls] [syscalls] [--data FOLDER] [--steps N]
"""

import argparse
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import nn

from inoculate.benchmark.scenario import Dataset, Scenario, TaskShape
from inoculate.benchmark.tables import pool_of
from inoculate.benchmark.tasks import cases, draw, judge
from inoculate.domain import Batch
from inoculate.metrics import bootstrap
from inoculate.registry import DOMAINS, LEARNERS
from inoculate.task import Encoded, Labelled
from inoculate.workflows.recipe import in_plan

KINDS = {
    "api_calls": (("malbehavd_v1_api", "mal_api_2019_seq"), ("mal_api_2019_seq", "vba_pcode")),
    "syscalls": (("ebpf_wp_attacks_syscalls",), ("ebpf_wp_attacks_syscalls", "adfa_ld")),
}
N_TOKENS, LONGEST, CROP = 4_096, 512, 128
TASK = TaskShape(kind="detect", shots=5)
FIGURES = ("recall", "auprc")


class Convolutions(nn.Module):
    """(n, length) token ids, 0 for none, to (n, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(N_TOKENS + 1, 32, padding_idx=0)
        self.near = nn.Conv1d(32, 64, 5, padding=2)
        self.far = nn.Conv1d(64, 64, 5, padding=4, dilation=2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the mean and the maximum over the places that hold a token."""
        here = (ids > 0).float()[:, None]
        h = nn.functional.gelu(self.near(self.tokens(ids).transpose(1, 2))) * here
        h = nn.functional.gelu(self.far(h))
        mean = (h * here).sum(2) / here.sum(2).clamp(min=1)
        return torch.cat([mean, (h - 1e4 * (1 - here)).amax(2).clamp(min=-10)], dim=1)


def table(dataset: Dataset, folder: Path) -> tuple[pl.DataFrame, list[str], np.ndarray]:
    """Return a set's rows, their labels, and their tokens as ids, (n, LONGEST)."""
    frame = pl.read_parquet(folder / dataset.file)
    calls = frame.select(pl.col(dataset.columns["calls"]).alias("calls"))["calls"]
    calls = calls.str.split(" ") if dataset.words else calls
    ids = np.zeros((len(frame), LONGEST), np.int64)
    for row, some in enumerate(calls.list.head(LONGEST)):
        known = [1 + zlib.crc32(c.lower().encode()) % N_TOKENS for c in some if c]
        ids[row, : len(known)] = known
    return frame.with_columns(calls.alias("calls")), frame[dataset.label].to_list(), ids


def train(names: tuple[str, ...], folder: Path, steps: int) -> Convolutions:
    """Return an encoder trained on the classes that a prior might be trained on."""
    torch.manual_seed(0)
    every, classes = [], []
    for name in names:
        dataset = in_plan(name)
        _, labels, ids = table(dataset, folder)
        seen = [c in dataset.meta_train or dataset.is_benign(c) for c in labels]
        every.append(ids[seen])
        classes += [f"{name} {c}" for c, s in zip(labels, seen, strict=True) if s]
    ids = torch.from_numpy(np.concatenate(every))
    y = torch.from_numpy(np.unique(classes, return_inverse=True)[1])
    encoder, head = Convolutions(), nn.Linear(128, int(y.max()) + 1)
    optimiser = torch.optim.Adam([*encoder.parameters(), *head.parameters()], lr=2e-3)
    lengths = (ids > 0).sum(1)
    for step in range(steps):
        rows = torch.randint(len(ids), (64,))
        crops = []
        for _ in range(2):
            first = (torch.rand(64) * (lengths[rows] - CROP + 1).clamp(min=1)).long()
            places = (first[:, None] + torch.arange(CROP)).clamp(max=LONGEST - 1)
            crops.append(encoder(ids[rows[:, None], places]))
        a, b = (nn.functional.normalize(c, dim=1) for c in crops)
        loss = nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(64))
        loss = loss + nn.functional.cross_entropy(head(crops[0]), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 200 == 0:
            print(f"  step {step}: loss {loss.item():.3f}", flush=True)
    return encoder.eval()


def judged(name: str, is_seen: bool, encoder: Convolutions, folder: Path, n_draws: int) -> None:
    """Print the figures of one set for the three ways to encode it."""
    dataset = in_plan(name)
    frame, labels, ids = table(dataset, folder)
    domain = DOMAINS.load(dataset.format)()
    batch = Batch(frame.select("calls").with_columns(origin=pl.lit(name)))
    x = dict(domain.encode(batch, domain.views(batch)))
    with torch.no_grad():
        parts = [encoder(torch.from_numpy(ids[i : i + 256])) for i in range(0, len(ids), 256)]
    both = Encoded(x | {"encoder": torch.cat(parts).numpy()})
    together = frame[dataset.together].rank("dense").to_numpy() if dataset.together else None
    pool = pool_of(dataset, both, np.array(labels), together)
    ways = {"n-grams": tuple(x), "encoder": ("encoder",), "both": tuple(both)}
    scenario = Scenario(dataset, "unseen-classes" if is_seen else "never-seen", TASK)
    found = {way: {f: {} for f in FIGURES} for way in ways}
    for case in cases(pool, scenario):
        for number in range(n_draws):
            drawn = draw(pool, scenario, case, seed=0, number=number, n=100)
            for way, views in ways.items():
                said = judge(LEARNERS.load("committee")(), _only(drawn, views), TASK, seed=number)
                for f in FIGURES:
                    found[way][f].setdefault(case, []).append(said[f])
    for way in ways:
        parts = [f"  {name}, {way}:"]
        for f in FIGURES:
            base, mine = found["n-grams"][f], found[way][f]
            gap = bootstrap({c: np.subtract(mine[c], base[c]) for c in base}, seed=0)
            mean = np.mean([np.mean(v) for v in mine.values()])
            parts.append(f"{f} {mean:.3f}, gap {gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]")
        print(" ".join(parts), flush=True)


def _only(drawn, views):
    def of(x: Encoded) -> Encoded:
        return Encoded({view: x[view] for view in views})

    s = drawn.support
    examples = Labelled(of(s.examples.x), s.examples.y)
    support = replace(s, examples=examples, background=of(s.background))
    return replace(drawn, support=support, x=of(drawn.x))


def main() -> None:
    """Train and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for kind in options.kinds or KINDS:
        print(kind, flush=True)
        trained, tested = KINDS[kind]
        encoder = train(trained, options.data, options.steps)
        for name in tested:
            judged(name, name in trained, encoder, options.data, options.draws)


if __name__ == "__main__":
    main()
