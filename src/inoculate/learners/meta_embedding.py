"""Meta-embedding: an encoder a view, views weighed by the support, classes started by a generator.

Of one view there is nothing to weigh: what remains is one encoder and the generated class.

References:
    Yin and Schütze, "Learning Word Meta-Embeddings", ACL 2016, and Kiela, Wang and Cho, "Dynamic
    Meta-Embeddings for Improved Sentence Representations", EMNLP 2018, for several embeddings
    of one thing under weights. Departures: see ``nn.view_embedding``.

    Pan, Li, Ao, Tang and He, "Warm Up Cold-start Advertisements: Improving CTR Predictions via
    Learning to Learn ID Embeddings", SIGIR 2019, equations 8 (generator), 11 (cold loss), 12
    (one step on it), 14 (warm loss) and 15 (their mixture), section 3.3 for a generator of one
    dense layer with tanh, no bias and decayed weights. Departures: the unseen category is a
    threat's class and its embedding a prototype; a class has no attributes, so the generator is
    given what its examples and the rest have in the mean, and how many examples there are; it
    corrects the mean instead of replacing it; the cold loss is taken on the support, the warm
    loss on the query, both sides of each weighing half; encoders and view weights are not frozen
    but learned with it.

    Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", NeurIPS 2017,
    equation 2, for odds from distances; departures as in ``protonet``.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Self

import numpy as np
import torch
from torch import Tensor

from inoculate.errors import ArtifactError, TaskError
from inoculate.features.block_detector import BlockDetector
from inoculate.features.space import Space, support_inputs
from inoculate.learner import State
from inoculate.nn.encoders import Layout, Parameters, Plan, layers, part
from inoculate.nn.inner_loop import adapt_parameters, balanced_log_loss
from inoculate.nn.meta_learner import MetaLearner, Side
from inoculate.nn.outer_loop import TaskBatch, over_problems, restore
from inoculate.nn.view_embedding import (
    N_STATISTICS,
    attend,
    embed,
    encoders,
    log_odds,
    means,
    mixed,
    view_distances,
    view_statistics,
    without_self,
)
from inoculate.task import Encoded, FloatArray, Support, Task

_VIEWS = "views"
_ATTENTION = "attention."
_ATTENTION_WIDTH = 16


class MetaEmbedding(MetaLearner):
    """Meta-trained: needs ``meta_fit`` or a prior, and the views it was meta-trained on.

    Adapting costs O(V s^2) of s records of support and V views, about 15 ms of 205 and one;
    scoring about 10 us a record. K = 0 gives novelty only.

    Args:
        hidden: width of the hidden layer of each view's encoder.
        embedding: width of the space that all encoders lead to.
        warm_steps: gradient steps on a class's embedding.
        warm_rate: size of each.
        cold_share: weight of the loss before the steps, 0 to 1.
        batch_size: binary problems a step of the outer loop.
        rate: step size of the outer loop.
        n_points: background records that novelty is measured from.
    """

    def __init__(
        self,
        *,
        hidden: int = 128,
        embedding: int = 32,
        warm_steps: int = 1,
        warm_rate: float = 0.1,
        cold_share: float = 0.1,
        batch_size: int = 16,
        rate: float = 2e-3,
        n_points: int = 64,
    ) -> None:
        super().__init__(batch_size=batch_size, rate=rate, n_points=n_points)
        self.hidden = hidden
        self.embedding = embedding
        self.warm_steps = warm_steps
        self.warm_rate = warm_rate
        self.cold_share = cold_share
        self.views_: tuple[int, ...] = ()

    def layout(self, width: int) -> Layout:
        """Return the encoders, the generator, and the perceptron that weighs views.

        The last two start at 0: means as prototypes, and all views alike.
        """
        return self._layout(self.views_ or (width // 2,))

    def _layout(self, views: Sequence[int]) -> Layout:
        last = f"{_ATTENTION}w1"
        attention = layers((N_STATISTICS, _ATTENTION_WIDTH, 1), _ATTENTION)
        attention[last] = attention[last]._replace(fill=0.0)
        generator = {"generator": Plan((2 * self.embedding + 1, self.embedding), 0.0)}
        return encoders(views, self.hidden, self.embedding) | attention | generator

    def embed(self, parameters: Parameters, x: Tensor) -> Tensor:
        """Return records (..., 2d) in each view's space, (..., V, e + 1)."""
        return embed(parameters, self.views_ or (x.shape[-1] // 2,), x)

    def fit_side(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the support, the views' weights, and the class's embedding after the steps."""
        return self._warm(self._cold(parameters, x, y, w), y, w)

    def weigh(self, parameters: Parameters, statistics: Tensor, known: Tensor) -> Tensor:
        """Return the views' weights, (V,); see ``attend``."""
        return attend(part(parameters, _ATTENTION), statistics, known)

    def _cold(self, parameters: Parameters, x: Tensor, y: Tensor, w: Tensor) -> Side:
        """Return the side of a class whose embedding is as generated."""
        mine, rest = y * w, (1 - y) * w
        itself = without_self(view_distances(x, x))
        centre, usual = means(x, mine), means(x, rest)
        weights = self.weigh(
            parameters, view_statistics(x, y, w, itself), centre[:, -1] * usual[:, -1]
        )
        few = (1 / mine.sum().clamp_min(1)).expand(len(centre))[:, None]
        told = torch.cat([centre[:, :-1], usual[:, :-1], few], -1)
        moved = centre[:, :-1] + torch.tanh(told @ parameters["generator"])
        return {
            "support": x,
            "rest": rest,
            "weights": weights,
            "embedding": moved,
            "known": centre[:, -1],
            "far": mixed(itself, weights),
        }

    def _support_loss(self, side: Side, y: Tensor, w: Tensor) -> Tensor:
        # one record of the rest has no other one that it could be told by
        counts = w * torch.where(side["rest"].sum() > 1, torch.ones_like(y), y)
        odds = log_odds(_near(side, side["support"]), side["far"], side["rest"])
        return balanced_log_loss(odds, y, counts)

    def _warm(self, side: Side, y: Tensor, w: Tensor) -> Side:
        moved = adapt_parameters(
            lambda p: self._support_loss(side | p, y, w),
            {"embedding": side["embedding"]},
            steps=self.warm_steps,
            rate=self.warm_rate,
        )
        return {k: v for k, v in (side | moved).items() if k != "far"}

    def meta_loss(
        self, parameters: Parameters, batch: TaskBatch, *, step: int | None = None
    ) -> Tensor:
        """Return the mixture of the loss before and after the steps, over a batch of problems."""

        def one(
            x: Tensor, y: Tensor, w: Tensor, query: Tensor, query_y: Tensor, query_w: Tensor
        ) -> Tensor:
            cold = self._cold(parameters, self.embed(parameters, x), y, w)
            logits = self.log_odds(
                parameters, self._warm(cold, y, w), self.embed(parameters, query)
            )
            warm_loss = balanced_log_loss(logits, query_y, query_w)
            cold_loss = self._support_loss(cold, y, w)
            return self.cold_share * cold_loss + (1 - self.cold_share) * warm_loss

        return over_problems(one, batch).mean()

    def log_odds(self, parameters: Parameters, side: Side, query: Tensor) -> Tensor:
        """Return log-odds of the class for embedded queries, (q,)."""
        far = mixed(view_distances(query, side["support"]), side["weights"])
        return log_odds(_near(side, query), far, side["rest"])

    def meta_fit(self, tasks: Iterable[Task], *, seed: int = 0) -> Self:
        """Learn the arrays in one pass over the tasks; without any, nothing changes.

        Raises:
            TaskError: tasks have different views.
        """
        stream = iter(tasks)
        first = next(stream, None)
        if first is None:
            return self
        before, self.views_ = self.views_, _widths(first.support.background)
        try:
            return super().meta_fit(self._same_views(chain([first], stream)), seed=seed)
        except TaskError:
            self.views_ = before
            raise

    def _same_views(self, tasks: Iterable[Task]) -> Iterator[Task]:
        for task in tasks:
            if (found := _widths(task.support.background)) != self.views_:
                raise TaskError(f"tasks have views of {self.views_} and of {found} columns")
            yield task

    def check_fits(self, support: Support) -> None:
        """Refuse a support set of other views, and one that comes before meta-training.

        Raises:
            TaskError: either of the two.
        """
        super().check_fits(support)
        if (found := _widths(support.background)) != self.views_:
            raise TaskError(
                f"meta_embedding was meta-trained on views of {self.views_} columns, "
                f"the support has {found}"
            )

    def adapt(self, support: Support, *, seed: int = 0) -> BlockDetector:
        """Weigh the views and find the embedding of each class; ``seed`` changes nothing."""
        self.check_fits(support)
        return BlockDetector.of(support, self.side, self.threat, n_points=self.n_points)

    def view_weights(self, support: Support) -> FloatArray:
        """Return how much each view counts for each class, (n_way, V); rows sum to 1.

        Raises:
            TaskError: as ``adapt``.
        """
        self.check_fits(support)
        space = Space.of(support)
        found = np.zeros((support.n_way, len(self.views_)), np.float32)
        for c in range(support.n_way):
            found[c] = self.side(*support_inputs(space, support, c))["weights"].numpy()
        return found

    def state(self) -> State:
        """Return the learned arrays by name, and the number of columns of each view."""
        learned = dict(super().state())
        return learned | {_VIEWS: np.array(self.views_, np.float32)} if learned else learned

    def load_state(self, state: State) -> Self:
        """Take the learned arrays.

        Raises:
            ArtifactError: they are not those of ``layout``, or the views do not add up.
        """
        arrays = dict(state)
        views = arrays.pop(_VIEWS, np.zeros(0, np.float32))
        rows = arrays["w0"].shape[0] if "w0" in arrays and arrays["w0"].ndim else 0
        if arrays and not (views.ndim == 1 and (views >= 1).all() and 2 * views.sum() == rows):
            raise ArtifactError(f"views of {views.tolist()[:8]} columns do not fit {rows} inputs")
        widths = tuple(int(n) for n in views)
        self.parameters_ = restore(arrays, lambda _: self._layout(widths))
        self.views_ = widths
        return self


def _near(side: Side, query: Tensor) -> Tensor:
    """Return squared distances of queries to a class's embedding, (q,)."""
    point = torch.cat([side["embedding"], side["known"][:, None]], -1)
    return mixed(view_distances(query, point[None]), side["weights"])[:, 0]


def _widths(x: Encoded) -> tuple[int, ...]:
    return tuple(view.shape[1] for view in x.values())
