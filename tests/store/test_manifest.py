"""The manifest: what it accepts, what it refuses, and that it is the same bytes each time."""

import pytest
from pydantic import ValidationError

from inoculate.domain import Column, View
from inoculate.store.manifest import DataEntry, LearnerEntry, Manifest, describe_views

VIEWS = (
    View("flow", (Column("duration", "s", "duration"), Column("bytes", "byte", "bytes sent"))),
    View("user", (Column("proto=tcp", "yes/no", "proto is tcp", category="tcp", source="proto"),)),
)


def manifest(**changes):
    fields = {
        "artifact": "detector",
        "name": "slowite",
        "inoculate_version": "0.1.0",
        "kind": "flow",
        "unit": "flow",
        "domain": "pcap",
        "views": describe_views(VIEWS),
        "learner": LearnerEntry(name="echo"),
    }
    return Manifest(**{**fields, **changes})


def test_views_round_trip():
    text = manifest().to_json()
    assert Manifest.model_validate_json(text).domain_views() == VIEWS


def test_order_of_dicts_does_not_change_the_bytes():
    a = manifest(promises={"loo_recall": 0.8, "nearest": "scan"})
    b = manifest(promises={"nearest": "scan", "loo_recall": 0.8})
    assert a.to_json() == b.to_json()


def test_scalars_keep_their_type():
    given = {"a": True, "b": 1, "c": 1.0, "d": "1", "e": None, "f": (1, 2.5, "x")}
    text = manifest(learner=LearnerEntry(name="echo", hyperparameters=given)).to_json()
    back = Manifest.model_validate_json(text).learner.hyperparameters
    assert back == given
    assert [type(v) for v in back.values()] == [type(v) for v in given.values()]


def test_a_file_name_that_is_not_text_is_kept_readable():
    entry = DataEntry(role="examples", name="a\udcffb.pcap", records=1)
    assert entry.name == "a?b.pcap"


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown_field": 1},
        {"format_version": 2},
        {"artifact": "pickle"},
        {"name": ""},
        {"name": "x" * 301},
        {"views": ()},
        {"files": {"../arrays.safetensors": "0" * 64}},
        {"files": {"arrays.safetensors": "xyz"}},
        {"arrays": {"a": {"shape": [-1], "dtype": "float32"}}},
        {"arrays": {"a": {"shape": [1], "dtype": "object"}}},
        {"promises": {"rate": float("nan")}},
        {"learner": {"name": "echo", "hyperparameters": {"a": {"b": 1}}}},
        {"learner": {"name": "echo", "seed": -1}},
        {"data": [{"role": "test", "name": "x", "records": 1}]},
        {"data": [{"role": "examples", "name": "x", "records": -1}]},
    ],
)
def test_what_the_format_does_not_know_is_refused(changes):
    with pytest.raises(ValidationError):
        manifest(**changes)
