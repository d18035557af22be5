"""The label file: written and read back, and every line that is none."""

from pathlib import Path

import pytest

from inoculate.errors import ArtifactError
from inoculate.store.labels import Label, read_labels, write_labels

LABEL = Label(
    finding_id="1f", origin="a\u202eb.log:1", label="threat", threat="wo\udcffrm".encode(
        "utf-8", "replace"
    ).decode(), author="ann", time="2026-05-01T00:00:00Z", version=2,
)  # fmt: skip
GOOD = write_labels([LABEL]).decode()


def test_what_is_written_is_read_back_and_one_ascii_line_each():
    content = write_labels([LABEL, LABEL])
    assert content.count(b"\n") == 2
    assert content.isascii()
    assert read_labels(content, Path("l")) == (LABEL, LABEL)
    assert read_labels(b"", Path("l")) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json\n", "not a label"),
        (GOOD.replace('"ann"', "7"), "author"),
        (GOOD.replace('"ann"', '""'), "author"),
        (GOOD.replace('"label": "threat"', '"label": "maybe"'), "label"),
        (GOOD.replace('"label": "threat"', '"label": "benign"'), "a benign record none"),
        (GOOD.replace("00Z", "00"), "time"),
        (GOOD.replace('"version": 2', '"version": 1'), "version"),
        (GOOD.replace('"copies": 1', '"copies": 0'), "copies"),
        (GOOD.replace("{", '{"more": 1, '), "more"),
        (GOOD.replace("ann", "a" * 20_000), "line too long"),
        ("[" * 10_000, "not a label"),
    ],
)
def test_a_line_that_is_no_label_is_refused_by_its_number(content, words):
    with pytest.raises(ArtifactError) as caught:
        read_labels((GOOD + content).encode(), Path("labels.jsonl"))
    assert "labels.jsonl:2: " in str(caught.value)
    assert words in str(caught.value)


def test_the_number_of_labels_is_bounded():
    with pytest.raises(ArtifactError, match="20,000 labels, the limit is 10,000"):
        read_labels(b"{}\n" * 20_000, Path("l"))
