"""The evidence network: what must not matter does not, and no record in context sees itself."""

from dataclasses import replace

import pytest
import torch

from inoculate.nn.evidence import EvidenceNet
from inoculate.nn.evidence_cells import Company
from inoculate.nn.evidence_support import new_net

NAN = torch.nan


@pytest.fixture(scope="module")
def net():
    net = new_net(16, 1, 2, seed=0)
    generator = torch.Generator().manual_seed(1)
    last = net.out[2].weight  # starts at 0, so that only the plain distances speak
    last.data = torch.randn(last.shape, generator=generator)
    return net.eval().requires_grad_(False)


def problem(k=5, m=60, o=3, n=11, d=7):
    generator = torch.Generator().manual_seed(2)
    sizes = ((k, d), (m, d), (o, d), (n, d))
    return [torch.randn(2, *size, generator=generator) for size in sizes]


def there(examples):
    return torch.ones(examples.shape[:2], dtype=torch.bool)


def logits(net: EvidenceNet, examples, background, others, queries):
    return net(net.condition(examples, there(examples), background, others), queries)


def test_padding_changes_nothing(net):
    e, b, o, q = problem()
    padded = torch.cat([e, torch.full((2, 3, 7), NAN)], 1)
    known = torch.cat([there(e), torch.zeros(2, 3, dtype=torch.bool)], 1)
    more = torch.cat([o, torch.full((2, 4, 7), NAN)], 1)
    found = net(net.condition(padded, known, b, more), q)
    torch.testing.assert_close(found, logits(net, e, b, o, q), atol=1e-4, rtol=0)


def test_the_order_of_examples_columns_and_queries_does_not_matter(net):
    e, b, o, q = problem()
    expected = logits(net, e, b, o, q)
    turned = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(logits(net, e[:, turned], b, o, q), expected, atol=1e-4, rtol=0)
    columns = torch.tensor([6, 2, 0, 5, 1, 4, 3])
    found = logits(net, *(x[..., columns] for x in (e, b, o, q)))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(logits(net, e, b, o, q[:, :4]), expected[:, :4], atol=1e-4, rtol=0)


def test_problems_of_a_batch_do_not_meet(net):
    e, b, o, q = problem()
    alone = logits(net, e[:1], b[:1], o[:1], q[:1])
    torch.testing.assert_close(alone, logits(net, e, b, o, q)[:1], atol=1e-4, rtol=0)


def test_a_record_of_the_support_is_read_without_itself(net):
    """The first example among all, itself left out, is a query against the others."""
    e, b, o, _ = problem()
    c = net.condition(e, there(e), b, o)
    same = torch.eye(5, dtype=torch.bool).expand(2, 5, 5)
    no_other, no_usual = torch.zeros(2, 5, 3).bool(), torch.zeros(2, 5, 60).bool()
    inside, *_ = net._records(c, c.examples.cells, (same, no_other, no_usual))
    without = replace(c, examples=Company(c.examples.cells[:, 1:], c.examples.there[:, 1:]))
    outside, *_ = net._records(without, c.examples.cells[:, :1])
    itself, *_ = net._records(c, c.examples.cells[:, :1])
    apart = (inside[:, 0] - outside[:, 0]).abs().max()  # only the number of examples differs
    assert apart < 0.1 * (inside[:, 0] - itself[:, 0]).abs().max()


@pytest.mark.parametrize("what", ["example", "other", "background"])
def test_what_is_in_context_changes_the_answer(net, what):
    e, b, o, q = problem()
    expected = logits(net, e, b, o, q)
    if what == "example":
        e = e[:, 1:]
    elif what == "other":
        o = o[:, 1:]
    else:
        b = torch.cat([b[:, :1] + 3, b[:, 1:]], 1)
    assert (logits(net, e, b, o, q) - expected).abs().max() > 1e-3


def test_other_classes_may_be_left_away(net):
    e, b, _, q = problem()
    found = net(net.condition(e, there(e), b), q)
    torch.testing.assert_close(found, logits(net, e, b, torch.zeros(2, 0, 7), q))


@pytest.mark.parametrize("unknown", ["one column", "all columns", "all examples"])
def test_what_is_unknown_is_survived(net, unknown):
    e, b, o, q = problem()
    if unknown == "one column":
        b[..., 3] = NAN
    elif unknown == "all columns":
        b[:] = NAN
    else:
        e = torch.full((2, 1, 7), NAN)
        found = net(net.condition(e, torch.zeros(2, 1, dtype=torch.bool), b), q)
        assert found.isfinite().all()
        return
    assert logits(net, e, b, o, q).isfinite().all()


def test_every_parameter_learns():
    net = new_net(16, 1, 2, seed=0)
    torch.nn.init.ones_(net.out[2].weight)
    logits(net, *problem()).square().sum().backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert still == []
