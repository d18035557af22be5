"""Parameters of cloud calls: flattened, cut, and as words."""

import json

import pytest

from inoculate.features.hosts.cloud_parameters import (
    MOST_PARAMETERS,
    cut_parameters,
    flat_parameters,
    parameter_shape,
    parameter_words,
)


def test_nested_parameters_are_named_by_their_path():
    value = {"a": {"b": [1, {"c": True}]}, "d": None, "e": "x", "f": 2.5}
    assert flat_parameters(json.dumps(value)) == [
        ("a.b", "1"),
        ("a.b.c", "true"),
        ("e", "x"),
        ("f", "2.5"),
    ]
    assert cut_parameters(value) == value


def test_a_policy_in_a_text_is_opened():
    policy = json.dumps({"Statement": [{"Effect": "Allow"}]})
    assert flat_parameters(json.dumps({"p": policy})) == [("p.Statement.Effect", "Allow")]
    assert flat_parameters(json.dumps({"p": "{not json"})) == [("p", "{not json")]


def test_json_that_was_cut_off_gives_what_is_there():
    assert flat_parameters('{"a": "x y", "n": 3, "list": ["one", "tw') == [
        *[("a", "x y"), ("n", "3"), ("list", "one")],
    ]
    assert flat_parameters("nonsense") == [] == flat_parameters("null")


def test_what_is_beyond_the_bounds_is_left_out():
    wide = {f"k{i}": "v" * 10_000 for i in range(1000)}
    assert len(flat_parameters(json.dumps(wide))) == MOST_PARAMETERS
    assert len(json.dumps(cut_parameters(wide))) < MOST_PARAMETERS * 5000
    deep: object = "x"
    for _ in range(500):
        deep = [deep]
    assert flat_parameters(json.dumps({"a": deep})) == []
    assert cut_parameters({"a": 10**50})["a"] == "1" + "0" * 39


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("@call", "DescribeDBInstances", ["describe", "db", "instances"]),
        ("@error", "Client.UnauthorizedOperation", ["client", "unauthorized", "operation"]),
        ("a.cidrIp", "0.0.0.0/0", ["cidrip=anything"]),
        ("a.cidrIp", "192.0.2.0/24", []),
        ("roleArn", "arn:aws:iam::111122223333:role/mine", ["arn iam role"]),
        (
            "p",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            ["arn iam policy", "administratoraccess"],
        ),
        ("b", "arn:aws:s3:::mine", ["arn s3"]),
        ("vpcId", "vpc-0123456789abcdef0", []),
        ("x", "111122223333", []),
        ("x", "AKIAIOSFODNN7EXAMPLE", []),
        ("userName", "ann", []),
        (
            "documentName",
            "AWS-RunShellScript",
            ["aws-runshellscript", "documentname>aws-runshellscript"],
        ),
        ("a.instanceType", "p2.xlarge", ["p2.xlarge", "instancetype>p2.xlarge"]),
    ],
)
def test_words(name, value, words):
    assert parameter_words(name, value) == words


def test_shapes():
    assert parameter_shape("@call", "x") == []
    assert parameter_shape("Arn", "arn:aws:iam::1:role/x") == ["arn arn"]
    assert parameter_shape("a.Id", "i-0123456789abcdef0") == ["a.id resource"]
    assert parameter_shape("n", "12") == ["n number"]
