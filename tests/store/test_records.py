"""The file of kept records: written and read back, and every line that is none."""

from pathlib import Path

import numpy as np
import pytest

from inoculate.checks import toy_tasks
from inoculate.domain import Column, View
from inoculate.errors import ArtifactError
from inoculate.store.artifact import load
from inoculate.store.detector import load_detector, save_detector, save_version
from inoculate.store.manifest import RECORDS_FILE, LearnerEntry, Manifest, describe_views
from inoculate.store.records import KeptRecord, count_roles, read_records, record_line
from inoculate.store.versions import restore

EXAMPLE = KeptRecord(
    role="example", domain="commands", threat="pipe", row={"text": "a\u202eb\n", "n": 1, "x": None}
)
BACKGROUND = KeptRecord(role="background", domain="commands", row={"text": "ls", "ok": True})
GOOD = record_line(EXAMPLE).decode()


def test_what_is_written_is_read_back_and_one_ascii_line_each():
    content = record_line(EXAMPLE) + record_line(BACKGROUND)
    assert content.count(b"\n") == 2 and content.isascii()
    assert read_records(content, Path("r")) == (EXAMPLE, BACKGROUND)
    assert read_records(b"", Path("r")) == ()
    assert count_roles((BACKGROUND, EXAMPLE, BACKGROUND)) == {"example": 1, "background": 2}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json\n", "not a record"),
        ("[" * 100_000, "not a record"),
        (GOOD.replace('"example"', '"judge"'), "role"),
        (GOOD.replace('"example"', '"background"'), "background none"),
        (GOOD.replace(', "threat": "pipe"', ""), "needs its threat"),
        (GOOD.replace('"commands"', '""'), "domain"),
        (GOOD.replace('"n": 1', '"n": [1]'), "row.n"),
        (GOOD.replace('"n": 1', '"n": 1e999'), "row.n"),
        (GOOD.replace('"n": 1', '"path": "/etc/hostname"'), "names a file"),
        (GOOD.replace('"n": 1', '"data": "x"'), "names a file"),
        (GOOD.replace('"n": 1', '"origin": "a:1"'), "names a file"),
        (GOOD.replace('"n": 1', ", ".join(f'"c{i}": 1' for i in range(300))), "200"),
        (GOOD.replace("{", '{"more": 1, ', 1), "more"),
    ],
)
def test_a_line_that_is_no_record_is_refused_by_its_number(content, words):
    with pytest.raises(ArtifactError) as caught:
        read_records((GOOD + content).encode(), Path("records.jsonl"))
    assert "records.jsonl:2: " in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_number_of_records_is_bounded():
    with pytest.raises(ArtifactError, match="30,000 records, the limit is 20,000"):
        read_records(b"{}\n" * 30_000, Path("r"))


def test_a_number_that_json_cannot_hold_is_not_written():
    with pytest.raises(ValueError, match="finite"):
        KeptRecord(role="background", domain="table", row={"x": float("nan")})


def test_the_next_version_of_a_detector_keeps_the_same_records(tmp_path):
    task = next(iter(toy_tasks(1, seed=0, n_shot=2, n_background=12)))
    support, scores, path = task.support, np.arange(9, dtype=np.float32), tmp_path / "a"
    manifest = Manifest(
        artifact="detector", name="a", inoculate_version="0", kind="toy", unit="toy", domain="toy",
        views=describe_views(
            [
                View(name, tuple(Column(f"{name}{i}", "1", "a number") for i in range(x.shape[1])))
                for name, x in support.background.items()
            ]
        ),
        learner=LearnerEntry(name="k_nearest"), classes=support.classes,
    )  # fmt: skip
    save_detector(path, manifest, support, scores, records=GOOD.encode())
    stored = load_detector(path)
    save_version(stored, stored.manifest, support, scores, extra={}, labels=[])
    for place in (path, path / "versions" / "1"):
        assert load(place, beside=(RECORDS_FILE,)).beside[RECORDS_FILE] == GOOD.encode()
    restore(path, 1)
    assert load(path, beside=(RECORDS_FILE,)).beside[RECORDS_FILE] == GOOD.encode()
    (path / RECORDS_FILE).write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"records\.jsonl: changed"):
        load(path, beside=(RECORDS_FILE,))
