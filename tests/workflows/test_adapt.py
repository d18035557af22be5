"""Adapting: from examples and background to a detector, and what it promises."""

from dataclasses import replace

import numpy as np
import pytest

from inoculate.errors import InputError, NotFoundError
from inoculate.store.artifact import load
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.demo import _CAPTURES
from tests.workflows.conftest import rows, write


def request(table, **changes):
    base = AdaptRequest(
        examples=(table["examples"],),
        background=(table["background"],),
        out=table["folder"] / "x.detector",
        threats=("steal",),
        label="verdict",
        shots=5,
    )
    return replace(base, **changes)


def test_a_clear_threat_is_promised_and_kept_on_disk(table):
    report = adapt(request(table))
    assert report.shots == {"steal": 5}
    assert report.n_background == (300, 300)
    assert (report.promises.found, report.promises.left_out) == (5, 5)
    assert report.promises.rate == 0.01
    manifest = load(table["folder"] / "x.detector").manifest
    assert manifest == report.manifest.model_copy(
        update={"files": manifest.files, "arrays": manifest.arrays}
    )
    assert [d.records for d in manifest.data] == [5, 300]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_examples(table):
    def made(name, seed):
        out = table["folder"] / name
        adapt(request(table, out=out, seed=seed))
        return (out / "arrays.safetensors").read_bytes()

    assert made("a.detector", 1) == made("b.detector", 1)
    assert made("a.detector", 1) != made("c.detector", 2)


def test_a_label_column_gives_the_classes_and_is_never_a_column(table):
    report = adapt(
        request(table, examples=(table["mixed"],), threats=("steal",), label="verdict", shots=7)
    )
    assert report.shots == {"steal": 7}
    assert all(
        "verdict" not in (c.name, c.source) for v in report.manifest.views for c in v.columns
    )


def test_all_labels_are_classes_when_none_is_named(table):
    report = adapt(request(table, examples=(table["mixed"],), threats=(), label="verdict"))
    assert report.shots == {"fine": 5, "steal": 5}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": "family"}, "no column 'family'"),
        ({"label": "verdict", "threats": ("worm",)}, "no row labelled worm; it has steal"),
        ({"background": ()}, "no background"),
        ({"examples": ()}, "no examples"),
        ({"false_alarms": 0.0}, "--false-alarms is 0.0"),
        ({"shots": 0}, "--shots is 0"),
        ({"threats": ("a", "b"), "label": None}, "need --label"),
        ({"learner": "protonet"}, "give --prior"),
        ({"examples": ("nowhere.csv",)}, "nowhere.csv"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(table, changes, words):
    with pytest.raises(InputError, match=words):
        adapt(request(table, **changes))
    assert not (table["folder"] / "x.detector").exists()


def test_an_unknown_learner_says_which_there_are(table):
    with pytest.raises(NotFoundError, match="extra_trees"):
        adapt(request(table, learner="oracle"))


def test_empty_labels_are_left_out_and_said(table):
    lines = rows(np.random.default_rng(1), 4, threat=True)
    blank = [line.replace("steal", "") for line in lines[:2]]
    path = write(table["folder"] / "half.csv", blank + lines[2:])
    report = adapt(request(table, examples=(path,), threats=(), label="verdict", shots=None))
    assert report.shots == {"steal": 2}
    assert any("2 records without a label" in note for note in report.notes)


def test_examples_that_contradict_each_other_are_named(table):
    line = rows(np.random.default_rng(1), 1, threat=True)[0]
    other = line.replace("steal", "burn")
    path = write(table["folder"] / "clash.csv", [line, other])
    report = adapt(request(table, examples=(path,), threats=(), label="verdict", shots=None))
    assert "are the same in every column" in report.promises.contradictions[0]
    assert "clash.csv" in report.promises.contradictions[0]


def test_examples_that_look_like_background_are_named(table):
    path = write(table["folder"] / "dull.csv", rows(np.random.default_rng(1), 5, threat=False))
    report = adapt(request(table, examples=(path,), threats=("fine",)))
    assert report.promises.lookalikes
    assert report.promises.found < 5


def test_too_small_a_background_gives_the_nearest_promise(table):
    path = write(table["folder"] / "few.csv", rows(np.random.default_rng(1), 50, threat=False))
    report = adapt(request(table, background=(path,)))
    assert report.promises.rate == pytest.approx(0.02, abs=0.001)
    assert "needs at least 100" in report.promises.note


def test_the_nearest_known_detector_is_the_one_that_finds_the_examples(table, detector):
    report = adapt(request(table))
    assert report.promises.nearest == ("steal", 1.0)


def test_a_detector_of_another_kind_beside_it_is_left_alone(table, detector):
    names = {kind: table["folder"] / f"{kind}.txt" for kind in ("made", "usual")}
    names["made"].write_text("".join(f"xq{i}zvwkq{i}.info\n" for i in range(5)))
    names["usual"].write_text("".join(f"shop{i}.example.com\n" for i in range(150)))
    sources = {"examples": (str(names["made"]),), "background": (str(names["usual"]),)}
    report = adapt(request(table, **sources, label=None, shots=None))
    assert report.manifest.kind == "domain_name"
    assert report.promises.nearest is None


def test_context_of_examples_cut_out_of_a_day_is_not_trusted(tmp_path):
    report = adapt(
        AdaptRequest(
            examples=(str(_CAPTURES / "slow_http.pcap.gz"),),
            background=(str(_CAPTURES / "background.pcap.gz"),),
            out=tmp_path / "s.detector",
            shots=5,
        )
    )
    (view,) = report.manifest.views
    assert not any(c.context for c in view.columns)


def test_context_counts_where_the_user_says_so(tmp_path):
    report = adapt(
        AdaptRequest(
            examples=(str(_CAPTURES / "port_scan.pcap.gz"),),
            background=(str(_CAPTURES / "background.pcap.gz"),),
            out=tmp_path / "s.detector",
            shots=5,
            context="yes",
        )
    )
    (view,) = report.manifest.views
    assert any(c.context for c in view.columns)


def test_a_prior_for_any_table_adapts_on_the_user_s_own_columns(table):
    report = adapt(request(table, prior="evidence"))
    assert report.manifest.learner.name == "evidence"
    assert report.manifest.prior.name == "evidence"
    assert {c.source or c.name for v in report.manifest.views for c in v.columns} == {
        "size", "rate", "tool",
    }  # fmt: skip
    assert report.promises.found == 5


def test_another_learner_may_take_a_prior_s_weights_if_they_fit(table):
    report = adapt(request(table, prior="evidence", learner="auto"))
    assert report.manifest.learner.name == "auto"
    assert report.promises.found == 5
    with pytest.raises(InputError, match="do not fit maml"):
        adapt(request(table, prior="evidence", learner="maml"))


def test_a_prior_of_fixed_columns_is_refused_for_another_kind(table):
    with pytest.raises(InputError, match="for kind 'flow'"):
        adapt(request(table, prior="flows"))
