"""A crash becomes an example: the function that it happened in, and a detector of its siblings."""

import json
from pathlib import Path

import pytest

from inoculate.errors import ArtifactError, InputError
from inoculate.store.artifact import load
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.scan import ScanRequest, scan

OVERFLOW = """
int take_{name}(const unsigned char *from, unsigned long n) {{
  char *into = malloc(16);
  memcpy(into, from, n);
  return into[0];
}}
"""
USUAL = """
int sum_{name}(const int *from, int n) {{
  int total = {name};
  for (int i = 0; i < n; i++) total += from[i] * {name};
  return total;
}}
"""


def finding(folder, **told):
    place = folder / "out" / "findings" / "1"
    place.mkdir(parents=True)
    about = {"schema_version": 1, "kind": "heap-buffer-overflow", "cwe": 122, "key": "k", **told}
    (place / "finding.json").write_text(json.dumps(about))
    return place


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "crashed.c").write_text("#include <string.h>\n" + OVERFLOW.format(name="first"))
    (folder / "sibling.c").write_text(OVERFLOW.format(name="second"))
    for i in range(120):
        (folder / f"usual{i}.c").write_text(USUAL.format(name=i))
    return folder


def test_the_sibling_of_a_crashed_function_ranks_first(code, tmp_path):
    place = finding(tmp_path, file=str(code / "crashed.c"), line=5)
    out = tmp_path / "x.detector"
    report = adapt(AdaptRequest(crashes=(place,), out=out))
    assert any("take_first" in note for note in report.notes)
    manifest = load(out).manifest
    assert manifest.classes == ("cwe-122",)
    assert {entry.role for entry in manifest.data} == {"examples", "background"}
    found = scan(ScanRequest(sources=(str(code),), detector=out, false_alarms=0.05)).report
    ranked = sorted(found.findings, key=lambda f: -f.score)
    assert {f.record["name"] for f in ranked[:2]} == {"take_first", "take_second"}


def test_a_crash_without_a_place_is_refused_with_what_to_do(tmp_path):
    place = finding(tmp_path, file=None, line=None)
    with pytest.raises(InputError, match="fuzz again with --replay-with"):
        adapt(AdaptRequest(crashes=(place,), out=tmp_path / "x.detector"))


@pytest.mark.parametrize(
    ("line", "file", "problem"),
    [(1, "crashed.c", "no function at"), (5, "gone.c", "is not there")],
)
def test_a_place_where_no_function_is_is_told(code, tmp_path, line, file, problem):
    place = finding(tmp_path, file=str(code / file), line=line)
    with pytest.raises(InputError, match=problem):
        adapt(AdaptRequest(crashes=(place,), out=tmp_path / "x.detector"))


def test_a_folder_that_is_no_finding_is_told(tmp_path):
    with pytest.raises(ArtifactError, match="no finding of fuzz"):
        adapt(AdaptRequest(crashes=(Path(tmp_path),), out=tmp_path / "x.detector"))


def test_crashes_and_examples_do_not_go_together(tmp_path):
    with pytest.raises(InputError, match="do not go together"):
        adapt(AdaptRequest(crashes=(tmp_path,), examples=("a",), out=tmp_path / "x.detector"))
