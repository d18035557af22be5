"""The perceptron against torch's own layers."""

import torch

from inoculate.nn.encoders import Plan, draw, init_mlp, layers, mlp, part


def test_output_equals_torch_layers():
    p = init_mlp((3, 5, 2), seed=0)
    x = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    layers = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.GELU(), torch.nn.Linear(5, 2))
    with torch.no_grad():
        for i, layer in ((0, layers[0]), (1, layers[2])):
            layer.weight.copy_(p[f"w{i}"].T)
            layer.bias.copy_(p[f"b{i}"])
        torch.testing.assert_close(mlp(p, x), layers(x))


def test_the_seed_decides_the_weights():
    a, b, c = (init_mlp((4, 4), seed=s)["w0"] for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert a.abs().max() <= (6 / 8) ** 0.5


def test_two_networks_of_one_draw_are_told_apart_by_their_prefix():
    layout = layers((3, 2)) | layers((2, 4, 1), "head.") | {"scale": Plan((), 2.0)}
    parameters = draw(layout, seed=0)
    assert {k: tuple(v.shape) for k, v in parameters.items()} == {
        k: p[0] for k, p in layout.items()
    }
    assert list(part(parameters, "head.")) == ["w0", "b0", "w1", "b1"]
    assert parameters["scale"] == 2
    x = torch.ones(5, 3)
    assert torch.equal(mlp(parameters, x), x @ parameters["w0"])
