"""Hand-written meta-gradients: those of torch.func, whatever the chunks and the threads."""

import copy

import pytest
import torch

from inoculate.nn import unrolled_mlp
from inoculate.nn.batched_mlp import BatchedMlp, applies
from inoculate.nn.encoders import init_mlp
from inoculate.nn.unrolled_mlp import Half, Inner

WIDTHS = (7, 6, 5)


def half(n_tasks, n, n_classes, seed, padded=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_tasks, n, WIDTHS[0], generator=generator, dtype=torch.float64)
    y = torch.randint(max(2, n_classes), (n_tasks, n), generator=generator)
    target = y.double()[..., None]
    if n_classes > 1:
        target = torch.nn.functional.one_hot(y, n_classes).double()
    weight = torch.rand(n_tasks, n, 1, generator=generator, dtype=torch.float64)
    weight[:, n - padded :] = 0
    return Half(x, target, weight)


def setting(n_classes, n_tasks=5, seed=0):
    parameters = init_mlp((*WIDTHS, n_classes), seed=seed, dtype=torch.float64)
    for i, bias in enumerate(p for k, p in parameters.items() if k.startswith("b")):
        bias += 0.1 * (i + 1)
    support = half(n_tasks, 9, n_classes, seed + 1, padded=2)
    return parameters, support, half(n_tasks, 11, n_classes, seed + 2, padded=1)


def recorded(parameters, support, query, inner):
    """Return loss and gradient by torch.func, without a line of what is tested."""
    activation = torch.relu if inner.relu else torch.nn.functional.gelu

    def loss(p, x, y, w):
        for i in range(len(p) // 2):
            x = (activation(x) if i else x) @ p[f"w{i}"] + p[f"b{i}"]
        if y.shape[-1] > 1:
            return -(torch.log_softmax(x, -1) * y * w).sum()
        each = torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
        return (each * w).sum()

    def outer(start, support, query):
        p, total = start, 0.0
        for step in range(inner.steps + 1):
            total = total + inner.share(step) * loss(p, *query)
            slopes = torch.func.grad(loss)(p, *support)
            if inner.first_order:
                slopes = {k: s.detach() for k, s in slopes.items()}
            p = {k: v - inner.rate * slopes[k] for k, v in p.items()}
        return total

    def mean(p):
        return torch.func.vmap(lambda s, q: outer(p, s, q))(tuple(support), tuple(query)).mean()

    leaves = {k: v.clone().requires_grad_() for k, v in parameters.items()}
    value = mean(leaves)
    return value.detach(), dict(
        zip(leaves, torch.autograd.grad(value, [*leaves.values()]), strict=True)
    )


def gap(found, expected):
    largest = max(float(e.abs().max()) for e in expected.values())
    return max(float((found[k] - e).abs().max()) for k, e in expected.items()) / largest


INNERS = [
    Inner(3, 0.4),
    Inner(3, 0.4, relu=True),
    Inner(3, 0.4, first_order=True),
    Inner(3, 0.4, first_order=True, relu=True),
    Inner(3, 0.4, shares=(0.0, 0.2, 0.3, 0.5)),
    Inner(2, 0.4, first_order=True, shares=(0.1, 0.3, 0.6)),
    Inner(0, 0.4),
    Inner(2, -0.4),
]


@pytest.mark.parametrize("n_classes", [1, 2, 4])
@pytest.mark.parametrize("inner", INNERS)
def test_loss_and_meta_gradient_equal_those_of_torch_func(inner, n_classes):
    parameters, support, query = setting(n_classes)
    value, expected = recorded(parameters, support, query, inner)
    found, slopes = BatchedMlp().gradient(parameters, support, query, inner)
    assert list(slopes) == list(parameters)
    assert float(found) == pytest.approx(float(value), rel=1e-12)
    assert gap(slopes, expected) < 1e-10


def test_any_depth_will_do():
    parameters = init_mlp((7, 5, 4, 3, 2), seed=3, dtype=torch.float64)
    support, query = half(3, 9, 2, 4), half(3, 8, 2, 5)
    expected = recorded(parameters, support, query, Inner(2, 0.3))[1]
    found = BatchedMlp().gradient(parameters, support, query, Inner(2, 0.3))[1]
    assert gap(found, expected) < 1e-10


def test_a_detached_inner_loop_is_told_from_the_true_gradient(monkeypatch):
    parameters, support, query = setting(4)
    expected = recorded(parameters, support, query, Inner(3, 0.4))[1]
    monkeypatch.setattr(unrolled_mlp.Chunk, "_pull", lambda *_: None)
    found = BatchedMlp().gradient(parameters, support, query, Inner(3, 0.4))[1]
    assert gap(found, expected) > 0.05


def test_finite_differences_agree():
    parameters, support, query = setting(1)
    batched, inner = BatchedMlp(), Inner(3, 0.4)
    slopes = batched.gradient(parameters, support, query, inner)[1]
    for name, array in parameters.items():
        flat, ends = array.view(-1), []
        for sign in (1, -1):
            flat[0] += sign * 1e-5
            ends.append(float(batched.loss(parameters, support, query, inner)))
            flat[0] -= sign * 1e-5
        assert slopes[name].view(-1)[0].item() == pytest.approx(
            (ends[0] - ends[1]) / 2e-5, abs=1e-8
        )


def test_autograd_sees_the_same_gradient_times_what_comes_after():
    parameters, support, query = setting(4)
    leaves = {k: v.clone().requires_grad_() for k, v in parameters.items()}
    loss = BatchedMlp().loss(leaves, support, query, Inner())
    (3 * loss).backward()
    value, slopes = BatchedMlp().gradient(parameters, support, query, Inner())
    torch.testing.assert_close(loss.detach(), value)
    for name, leaf in leaves.items():
        torch.testing.assert_close(leaf.grad, 3 * slopes[name])


def test_a_second_derivative_of_the_meta_gradient_is_refused():
    parameters, support, query = setting(1)
    leaves = {k: v.clone().requires_grad_() for k, v in parameters.items()}
    loss = BatchedMlp().loss(leaves, support, query, Inner())
    (slope,) = torch.autograd.grad(loss, leaves["w0"], create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(slope.sum(), leaves["w0"])


@pytest.mark.parametrize("task_chunk", [1, 2, 4, None])
def test_chunks_change_nothing_but_rounding(task_chunk):
    parameters, support, query = setting(4)
    expected = BatchedMlp(task_chunk=5).gradient(parameters, support, query, Inner())[1]
    found = BatchedMlp(task_chunk=task_chunk).gradient(parameters, support, query, Inner())[1]
    assert gap(found, expected) < 1e-12


def test_threads_change_nothing_at_all():
    parameters, support, query = setting(4)
    found = []
    for threads in (1, 2):
        batched = BatchedMlp(task_chunk=1, threads=threads)
        for _ in range(2):
            found.append(batched.gradient(parameters, support, query, Inner())[1])
    for other in found[1:]:
        assert all(torch.equal(slope, other[k]) for k, slope in found[0].items())


def test_the_number_of_torch_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    BatchedMlp(task_chunk=1, threads=2).gradient(*setting(1), Inner())
    assert torch.get_num_threads() == before


def test_arrays_used_again_carry_nothing_over():
    batched = BatchedMlp()
    for seed in range(3):
        for inner in (Inner(2, 0.4), Inner(2, 0.1, first_order=True), Inner(3, 0.4, relu=True)):
            case = setting(4, seed=10 * seed)
            found = batched.gradient(*case, inner)[1]
            fresh = BatchedMlp().gradient(*case, inner)[1]
            assert all(torch.equal(found[k], slope) for k, slope in fresh.items())


def test_a_used_engine_can_be_copied():
    case, batched = setting(4), BatchedMlp()
    expected = batched.gradient(*case, Inner())[1]
    found = copy.deepcopy(batched).gradient(*case, Inner())[1]
    assert all(torch.equal(found[k], slope) for k, slope in expected.items())


def test_inputs_are_left_as_they_were():
    parameters, support, query = setting(4)
    before = [t.clone() for t in (*parameters.values(), *support, *query)]
    BatchedMlp().gradient(parameters, support, query, Inner())
    after = (*parameters.values(), *support, *query)
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "widths, more, n_support, expected",
    [
        ((8, 4, 1), {}, 32, True),
        ((8, 4, 1), {}, 33, False),  # products of records would outgrow the weights
        ((8, 1), {}, 4, False),  # one layer
        ((8, 4, 1), {"rate.w0": torch.ones(8, 4)}, 4, False),
    ],
)
def test_what_it_serves(widths, more, n_support, expected):
    assert applies({**init_mlp(widths, seed=0), **more}, n_support) is expected
