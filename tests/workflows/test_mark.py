"""Marking: what goes, what stays, what is refused, and that nothing is lost on the way."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from inoculate.errors import ArtifactError, InputError, LabelError, NotFoundError
from inoculate.finding import finding_id
from inoculate.store.artifact import load
from inoculate.store.detector import load_detector
from inoculate.store.versions import version_numbers
from inoculate.workflows import mark as module
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.mark import MarkRequest, mark
from inoculate.workflows.rollback import rollback
from inoculate.workflows.scan import ScanRequest, scan
from tests.workflows.conftest import HEADER, rows, write

RATE = 0.01


def backups(rng, n):
    """Benign records that look somewhat like the threat, and that no background holds."""
    return [
        f"{s:.2f},{r:.3f},rsync,fine\n"
        for s, r in zip(rng.normal(600, 20, n), rng.normal(2.5, 0.2, n), strict=True)
    ]


@pytest.fixture(scope="module", params=[500, 2300], ids=["in folds", "held out"])
def made(tmp_path_factory, request):
    """A folder with a detector and a file of 300 usual records, 30 backups and 30 threats."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(1)
    examples = write(folder / "few.csv", rows(rng, 5, threat=True))
    background = write(folder / "week.csv", rows(rng, request.param, threat=False))
    today = rows(rng, 300, threat=False) + backups(rng, 30) + rows(rng, 30, threat=True)
    write(folder / "today.csv", today)
    adapt(
        AdaptRequest(
            examples=(examples,), background=(background,), out=folder / "steal.detector",
            threats=("steal",), label="verdict",
        )
    )  # fmt: skip
    return folder


@pytest.fixture
def place(made, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(made, tmp_path / "place")


def found(place, detector="steal.detector"):
    request = ScanRequest(
        sources=(str(place / "today.csv"),), detector=place / detector, false_alarms=RATE
    )
    return scan(request).report.findings


def line_of(finding):
    return int(finding.origin.rpartition(":")[2])


def lines(place):
    """Return which of the usual records, the backups and the threats are found."""
    at = sorted(line_of(f) for f in found(place))
    return [[n for n in at if a <= n < b] for a, b in ((2, 302), (302, 332), (332, 362))]


def marked(place, ids, label="benign", **changes):
    fields = {
        "findings": tuple(ids), "label": label, "detector": place / "steal.detector",
        "sources": (str(place / "today.csv"),), "author": "ann", "reason": "nightly backup",
        "false_alarms": RATE, "now": datetime(2026, 5, 1, tzinfo=UTC),
    }  # fmt: skip
    return mark(MarkRequest(**{**fields, **changes}))


def ids(place, *wanted):
    by_line = {line_of(f): f.finding_id for f in found(place)}
    return [by_line[line] for line in wanted]


def test_a_marked_record_and_its_like_go_and_the_threats_stay(place):
    usual, odd, threats = lines(place)
    assert (len(odd), len(threats)) == (30, 30)
    report = marked(place, ids(place, 302, 303))
    now = lines(place)
    assert not {302, 303} & set(now[1])
    assert len(now[1]) <= 10
    assert now[2] == threats
    before, after = {*usual, *odd, *threats}, {n for part in now for n in part}
    assert report.version == 2
    assert (report.change.before, report.change.after) == (len(before), len(after))
    assert report.change.n_gone == len(before - after - {302, 303})
    assert report.change.n_new == len(after - before)
    assert [line_of(f) for f in report.change.gone] == sorted(before - after - {302, 303})[:5]
    assert report.notes == ()


def test_the_label_file_says_who_what_when_and_why(place):
    marked(place, ids(place, 302))
    (line,) = (place / "steal.detector" / "labels.jsonl").read_text().splitlines()
    label = json.loads(line)
    assert label.pop("origin").endswith("today.csv:302")
    assert len(label.pop("finding_id")) == 16
    assert label == {
        "author": "ann", "reason": "nightly backup", "label": "benign", "threat": None,
        "time": "2026-05-01T00:00:00Z", "version": 2, "copies": 16,
    }  # fmt: skip


def test_labels_add_up_over_versions_and_roll_back_byte_for_byte(place):
    first = {p.name: p.read_bytes() for p in (place / "steal.detector").iterdir()}
    before = found(place)
    two = ids(place, 302, 332)
    marked(place, two[:1])
    second = found(place)
    marked(place, two[1:], "threat")
    path = place / "steal.detector"
    told = (path / "labels.jsonl").read_text().splitlines()
    assert [json.loads(text)["version"] for text in told] == [2, 3]
    assert version_numbers(path) == [1, 2, 3]
    report = rollback(path)
    assert (report.version, report.before, report.versions) == (2, 3, (1, 2, 3))
    assert [label.threat for label in report.dropped] == ["steal"]
    assert found(place) == second
    rollback(path)
    assert found(place) == before
    assert {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()} == first
    report = rollback(path, to=3)
    assert [label.label for label in report.regained] == ["benign", "threat"]
    rollback(path, to=1)
    marked(place, two[:1])
    assert load(path).manifest.version == 4
    assert load(path).manifest.parent == 1
    assert found(place) == second


def test_a_missed_record_is_named_by_its_origin_and_becomes_an_example(place):
    missed = f"{place / 'today.csv'}:2"
    report = marked(place, [missed], "threat", threat="odd one")
    manifest = load(place / "steal.detector").manifest
    assert manifest.classes == ("steal", "odd one")
    assert report.labels[0].threat == "odd one"
    assert load_detector(place / "steal.detector").support.examples.y.tolist()[-1] == 1


def test_a_report_tells_the_sources_and_the_places(place, monkeypatch):
    monkeypatch.chdir(place)
    name = finding_id("steal", "today.csv:2", None, {})  # no finding at the rate it is marked at
    with pytest.raises(InputError, match=r"no such finding in today\.csv"):
        marked(place, [name], sources=("today.csv",))
    line = json.dumps({"finding_id": name, "origin": "today.csv:2"})
    Path("f.jsonl").write_text(line + "\n")
    report = marked(place, [name], sources=(), report=Path("f.jsonl"))
    assert report.labels[0].origin == "today.csv:2"
    assert report.labels[0].finding_id == name


def test_saying_the_same_again_changes_nothing(place):
    (one,) = ids(place, 302)
    marked(place, [one])
    before = (place / "steal.detector" / "manifest.json").read_bytes()
    report = marked(place, [one])
    assert report.version is None
    assert "changes nothing" in report.notes[0]
    assert (place / "steal.detector" / "manifest.json").read_bytes() == before


def test_what_contradicts_a_label_or_an_example_is_refused(place):
    (one,) = ids(place, 302)
    marked(place, [one])
    with pytest.raises(LabelError, match=r"cannot be steal: .* marked benign by ann"):
        marked(place, [one], "threat", threat="steal")
    text = (place / "few.csv").read_text()
    write(place / "same.csv", text.splitlines(keepends=True)[1:])
    with pytest.raises(LabelError, match=r"cannot be benign: .* an example of steal"):
        marked(place, [f"{place / 'same.csv'}:2"], sources=(str(place / "same.csv"),))
    assert version_numbers(place / "steal.detector") == [1, 2]


@pytest.fixture
def weak(place):
    """Origins of five records that are nearly the examples of a weak threat."""
    rng = np.random.default_rng(1)
    few = [
        f"{s:.2f},{r:.3f},curl,steal\n"
        for s, r in zip(rng.normal(170, 6, 5), rng.normal(5, 0.2, 5), strict=True)
    ]
    adapt(
        AdaptRequest(
            examples=(write(place / "weak.csv", few),), background=(str(place / "week.csv"),),
            out=place / "steal.detector", threats=("steal",), label="verdict",
        )
    )  # fmt: skip
    write(place / "near.csv", [line.replace(",", "1,", 1) for line in few])
    return [f"{place / 'near.csv'}:{i}" for i in range(2, 7)]


def test_a_label_that_would_silence_the_examples_is_refused_and_nothing_changes(place, weak):
    path = place / "steal.detector"
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(LabelError, match=r"would lose [345] of its own 5 examples \(number"):
        marked(place, weak, sources=(str(place / "near.csv"),))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before


def test_without_the_guard_it_would_have_been_taken(place, weak, monkeypatch):
    monkeypatch.setattr(module, "_guard", lambda *_: (np.zeros(0, np.int64), np.zeros(0)))
    assert marked(place, weak, sources=(str(place / "near.csv"),)).version == 2


def test_what_one_label_may_not_reach_is_said(place, monkeypatch):
    monkeypatch.setattr(module, "_alarms", lambda _, x, rate: np.ones(x.n_records, bool))
    report = marked(place, ids(place, 302))
    large = (place / "steal.detector" / "held_out.safetensors").exists()
    assert report.labels[0].copies == (50 if large else 25)
    assert "still alarms at 1 %" in report.notes[0]


def test_adapting_anew_keeps_the_marked_detector_as_a_version(place):
    marked(place, ids(place, 302))
    path = place / "steal.detector"
    request = AdaptRequest(
        examples=(str(place / "few.csv"),), background=(str(place / "week.csv"),), out=path,
        threats=("steal",), label="verdict",
    )  # fmt: skip
    report = adapt(request)
    assert any("stays as version 2" in note for note in report.notes)
    assert version_numbers(path) == [1, 2, 3]
    assert not (path / "labels.jsonl").exists()
    assert len(lines(place)[1]) == 30
    rollback(path, to=2)
    assert 302 not in lines(place)[1]
    marked(place, ids(place, 332), "threat")
    assert load(path).manifest.base == 1


def test_two_at_once_lose_no_label(place, monkeypatch):
    """The second is refused and can be run again."""
    one, two = ids(place, 302, 332)
    real = module.load_detector

    def meanwhile(path, **how):
        stored = real(path, **how)
        monkeypatch.setattr(module, "load_detector", real)
        marked(place, [two], "threat")
        return stored

    monkeypatch.setattr(module, "load_detector", meanwhile)
    with pytest.raises(InputError, match="changed meanwhile"):
        marked(place, [one])
    marked(place, [one])
    assert len((place / "steal.detector" / "labels.jsonl").read_text().splitlines()) == 2


def test_a_detector_that_keeps_no_held_out_background_says_what_its_promise_rests_on(place):
    path = place / "steal.detector"
    if not (path / "held_out.safetensors").exists():
        return
    content = json.loads((path / "manifest.json").read_text())
    del content["files"]["held_out.safetensors"]
    (path / "manifest.json").write_text(json.dumps(content))
    report = marked(place, ids(place, 302))
    assert "rest on the 1,000 records" in report.notes[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"findings": ()}, "nothing to mark"),
        ({"author": " "}, "needs its author"),
        ({"threat": "x"}, "a benign record has none"),
        ({"label": "threat", "threat": "novelty"}, "a name of its own"),
        ({"sources": ()}, "name what was scanned"),
        ({"sources": ("-",)}, "reads its sources twice"),
        ({"false_alarms": 2}, "--false-alarms is 2"),
        ({"findings": ("0123456789abcdef",)}, "no such finding"),
        ({"sources": ("nowhere.csv",)}, "nowhere.csv"),
    ],
)
def test_what_cannot_be_marked_is_refused(place, changes, words):
    arguments = {"label": "benign", "findings": ("x",)} | changes
    with pytest.raises(InputError, match=words):
        marked(place, arguments.pop("findings"), arguments.pop("label"), **arguments)
    assert version_numbers(place / "steal.detector") == [1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}\n", "f.jsonl:1: no finding as"),
        ('{"finding_id": 1, "origin": "x"}\n', "f.jsonl:1: finding_id and origin are not text"),
        ('{"finding_id": "1", "origin": "x:1"}', "f.jsonl:1: too long, or cut"),
        ("[" * 100_000 + "\n", "f.jsonl:1: no finding as"),
        ("", "holds no finding"),
    ],
)
def test_a_report_that_is_none_is_refused_with_its_line(place, content, words):
    (place / "f.jsonl").write_text(content)
    with pytest.raises(InputError, match=words):
        marked(place, ["x"], sources=(), report=place / "f.jsonl")


def test_a_detector_that_is_not_there_or_whose_labels_were_changed_is_refused(place):
    with pytest.raises(NotFoundError):
        marked(place, ["x"], detector=place / "none.detector")
    marked(place, ids(place, 302))
    file = place / "steal.detector" / "labels.jsonl"
    text = file.read_text()
    file.unlink()
    file.write_text(text.replace("ann", "eve"))
    with pytest.raises(ArtifactError, match=r"labels\.jsonl: changed"):
        marked(place, ["x"])


def test_a_detector_can_be_moved_with_its_versions(place):
    marked(place, ids(place, 302))
    shutil.copytree(place / "steal.detector", place / "copy.detector")
    assert rollback(place / "copy.detector").version == 1
    assert load(place / "steal.detector").manifest.version == 2
    assert HEADER  # both read the same table
