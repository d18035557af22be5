"""The table of bad input: what makes it, the command, and what must come of it."""

import gzip
import hashlib
import json
import os
import shutil
import struct
from pathlib import Path

import polars as pl
import safetensors.numpy

from tests import packet_maker as pm
from tests.workflows.conftest import HEADER, ZEEK_HEADER

ZEEK = ("scan", "-f", "jsonl", "-q", "-d", "upload.detector")
TABLE = ("scan", "-f", "jsonl", "-q", "-d", "steal.detector")
NOVEL = ("scan", "-f", "jsonl", "-q")
FLOWS = ("adapt", "-q", "-o", "new.detector", "-b", "week.log", "-e")
ROWS = ("adapt", "-q", "-o", "new.detector", "-b", "background.csv", "--label", "verdict", "-e")
LINES = {}
BAD_LINE = 20


def lines_of(name):
    return LINES[name][:]


def changed(name, line, change):
    """Return a good file's text with one line (from 1) changed."""
    lines = lines_of(name)
    lines[line - 1] = change(lines[line - 1])
    return "".join(lines)


def column(at, value):
    def change(line):
        separator = "\t" if "\t" in line else ","
        cells = line.split(separator)
        cells[at] = value
        return separator.join(cells)

    return change


def every_line(name, change):
    return "".join(change(line) for line in lines_of(name))


def fields(old, new):
    """Return a Zeek log with a part of its #fields line replaced."""
    return every_line("conn.log", lambda x: x.replace(old, new) if x.startswith("#fields") else x)


def cut_capture():
    packets = [(1.0 + i, pm.ether(pm.ip4(pm.tcp(payload=bytes(40))))) for i in range(3)]
    return pm.pcap(packets)


def good_gzip():
    return gzip.compress("".join(LINES["conn.log"]).encode(), mtime=0)


def nested():
    frame = pl.DataFrame({"a": [[1, 2]], "b": [{"c": 1}]})
    frame.write_parquet("nested.parquet")


def artifact(change=None, arrays=None, *, resign=False):
    """Return what makes ``changed.detector``: the good one with files changed."""

    def make():
        path = Path("changed.detector")
        shutil.copytree("upload.detector", path)
        packed = path / "arrays.safetensors"
        if arrays is not None:
            packed.write_bytes(arrays(packed.read_bytes()))
        content = json.loads((path / "manifest.json").read_text())
        if resign:
            content["files"][packed.name] = hashlib.sha256(packed.read_bytes()).hexdigest()
        if change is not None:
            change(content)
        (path / "manifest.json").write_text(json.dumps(content))

    return make


def without(name):
    def change(packed):
        arrays = safetensors.numpy.load(packed)
        del arrays[name]
        return safetensors.numpy.save(arrays)

    return change


def climbing(content):
    digest = content["files"].pop("arrays.safetensors")
    content["files"]["../upload.detector/arrays.safetensors"] = digest


def linked():
    artifact()()
    Path("changed.detector/arrays.safetensors").unlink()
    Path("changed.detector/arrays.safetensors").symlink_to("../upload.detector/arrays.safetensors")


CHANGED = ("scan", "conn.log", "-f", "jsonl", "-q", "-d", "changed.detector")

# what it is: (what makes it, arguments, exit code, words of the one line, findings kept)
CASES = {
    "a missing file": (None, (*ZEEK, "nowhere.log"), 2, "nowhere.log: no such file", 0),
    "an empty file": ({"x.log": ""}, (*ZEEK, "x.log"), 2, "x.log: the file is empty", 0),
    "a format of nobody": (
        {"x.bin": bytes(range(256)) * 40}, (*ZEEK, "x.bin"), 2, "x.bin: no known format", 0),
    "another kind of record": (None, (*ZEEK, "mixed.csv"), 2, "mixed.csv: holds rows", 0),
    "not the format it is said to be": (
        None, (*ZEEK, "mixed.csv", "--input-format", "pcap"), 2, "mixed.csv@0: ", 0),
    "a format that does not exist": (
        None, (*ZEEK, "conn.log", "--input-format", "arp"), 4, "'arp'", 0),
    "damaged gzip": (  # of less than 64 KiB: that much before the damage may be lost
        {"x.gz": lambda: good_gzip()[:-300] + b"\xff" * 300}, (*ZEEK, "x.gz"), 2, "x.gz@", 0),
    "something else after gzip": (
        {"x.gz": lambda: good_gzip() + b"something"}, (*ZEEK, "x.gz"), 2,
        "bytes after the gzip data are not gzip; 40 whole lines before it", 3),
    "a packet of 4 GiB": (
        {"x.pcap": lambda: cut_capture() + struct.pack("<4I", 9, 0, 2**32 - 1, 2**32 - 1)},
        (*ZEEK, "x.pcap"), 2, "x.pcap@354: a packet of 4294967295 bytes", 1),
    "a CSV without a column": (
        {"x.csv": lambda: every_line("mixed.csv", lambda x: x.split(",", 1)[1])},
        (*TABLE, "x.csv"), 2, "x.csv:2: column 'size' is missing; has rate, tool", 0),
    "a CSV with a column twice": (
        {"x.csv": lambda: every_line("mixed.csv", lambda x: x.split(",")[0] + "," + x)},
        (*TABLE, "x.csv"), 2, "x.csv:1: column 'size' is there twice", 0),
    "a CSV with a column renamed": (
        {"x.csv": lambda: changed("mixed.csv", 1, column(1, "speed"))},
        (*TABLE, "x.csv"), 2, "x.csv:2: column 'rate' is missing; has size, speed", 0),
    "a text in a number column": (
        {"x.csv": lambda: changed("mixed.csv", BAD_LINE, column(0, "many"))},
        (*TABLE, "x.csv"), 2, f"x.csv:{BAD_LINE}: column 'size' is 'many'", 3),
    "an infinite value": (
        {"x.csv": lambda: changed("mixed.csv", BAD_LINE, column(1, "-inf"))},
        (*TABLE, "x.csv"), 2, f"x.csv:{BAD_LINE}: column 'rate' is '-inf'", 3),
    "a number too large to be one": (
        {"x.csv": lambda: changed("mixed.csv", BAD_LINE, column(0, "1e999"))},
        (*TABLE, "x.csv"), 2, f"x.csv:{BAD_LINE}: column 'size' is '1e999'", 3),
    "a CSV line with a cell too many": (
        {"x.csv": lambda: changed("mixed.csv", BAD_LINE, lambda x: "1," + x)},
        (*TABLE, "x.csv"), 2, f"x.csv:{BAD_LINE}: 5 columns, the header has 4", 3),
    "a Zeek log without a column": (
        {"x.log": lambda: fields("\tduration", "")},
        (*ZEEK, "x.log"), 2, "x.log:8: column 'duration' is missing; has ts", 0),
    "a Zeek log with a column twice": (
        {"x.log": lambda: fields("\tduration", "\tproto")},
        (*ZEEK, "x.log"), 2, "x.log:8: column 'proto' is there twice", 0),
    "a text in a number of a Zeek log": (
        {"x.log": lambda: changed("conn.log", BAD_LINE, column(7, "long"))},
        (*ZEEK, "x.log"), 2, f"x.log:{BAD_LINE}: column 'duration' is 'long'", 3),
    "a line of 10 MB": (
        {"x.log": lambda: changed("conn.log", BAD_LINE, lambda x: "x" * 10_000_000 + "\n" + x)},
        (*ZEEK, "x.log"), 2, f"x.log:{BAD_LINE}: the line is longer than 1024 KiB", 3),
    "a decompression bomb": (
        {"x.gz": lambda: gzip.compress(
            "".join(LINES["conn.log"]).encode() + (b"#" + bytes(900_000) + b"\n") * 40)},
        (*ZEEK, "x.gz"), 2, "x.gz: a decompression bomb", 3),
    "examples without the label column": (
        None, (*ROWS, "examples.csv", "--label", "family"), 2,
        "examples.csv:2: no column 'family'", 0),
    "examples with an unknown label": (
        None, (*ROWS, "examples.csv", "--threat", "worm"), 2,
        "examples.csv: no row labelled worm; it has steal (10)", 0),
    "examples with empty labels": (
        {"x.csv": lambda: every_line("examples.csv", lambda x: x.replace("steal", ""))},
        (*ROWS, "x.csv"), 2, "x.csv: column 'verdict' is empty in all 10 records", 0),
    "no example": ({"x.csv": HEADER}, (*ROWS, "x.csv"), 2, "x.csv: no record", 0),
    "examples of another kind": (
        None, (*FLOWS, "examples.csv"), 2, "examples.csv: holds rows", 0),
    "no background": (
        {"x.log": ZEEK_HEADER}, ("adapt", "-q", "-o", "new.detector", "-b", "x.log", "-e",
        "few.log"), 2, "x.log: no record", 0),
    "background of one record": (
        {"x.log": lambda: "".join(lines_of("week.log")[:8])},
        ("adapt", "-q", "-o", "new.detector", "-b", "x.log", "-e", "few.log"), 2,
        "x.log: 1 background record, at least 2", 0),
    "background of two kinds": (
        None, (*FLOWS, "few.log", "-b", "background.csv"), 2, "background.csv: holds rows", 0),
    "a seed beyond 64 bits": (
        None, (*FLOWS, "few.log", "--seed", str(2**63)), 2, "", None),
    "an artifact with a changed byte": (
        artifact(arrays=lambda x: x[:-3] + bytes([x[-3] ^ 1]) + x[-2:]), CHANGED, 2,
        "changed.detector/arrays.safetensors: changed: its SHA-256", 0),
    "an artifact without an array": (
        artifact(arrays=without("calibration"), resign=True), CHANGED, 2,
        "changed.detector/arrays.safetensors: array 'calibration' is missing", 0),
    "an artifact that never had an array": (
        artifact(lambda m: m["arrays"].pop("calibration"), without("calibration"), resign=True),
        CHANGED, 2, "changed.detector: array 'calibration' is missing", 0),
    "an artifact of an unknown version": (
        artifact(lambda m: m.update(format_version=99)), CHANGED, 2,
        "changed.detector/manifest.json: unknown format_version", 0),
    "an artifact whose path climbs out": (
        artifact(climbing), CHANGED, 2,
        "changed.detector/manifest.json: files.../upload.detector/arrays.safetensors", 0),
    "an artifact that is a link": (linked, CHANGED, 2, "arrays.safetensors: a link", 0),
    "an artifact that would stall its reader": (
        artifact(lambda m: m["learner"]["hyperparameters"].update(n_trees=10**9)), CHANGED, 2,
        "changed.detector: learner extra_trees refuses its hyperparameters: n_trees is", 0),
    "an artifact that is not there": (
        None, ("scan", "conn.log", "-d", "nowhere.detector"), 4, "nowhere.detector: no such", 0),
    "a folder without what is wanted": (
        {"x/y.log": "a"}, (*ZEEK, "x"), 2, "x: none of its 1 files is of kind flow", 0),
    "a link to itself": (
        lambda: Path("x.log").symlink_to("x.log"), (*ZEEK, "x.log"), 2, "x.log: cannot be", 0),
    "a Parquet file of nested columns only": (
        nested, (*TABLE, "nested.parquet"), 2, "nested.parquet: no column of numbers or text", 0),
    "a cut Parquet file": (
        {"x.parquet": b"PAR1" + bytes(90)}, (*TABLE, "x.parquet"), 2, "x.parquet: damaged", 0),
    "a name with colours and a new line": (
        {"x\x1b[31m\n.log": ""}, (*ZEEK, "x\x1b[31m\n.log"), 2, "x [31m .log: the file is", 0),
    "a name that is no text": (
        {os.fsdecode(b"x\xff.log"): ""}, (*ZEEK, os.fsdecode(b"x\xff.log")), 2, ".log: the", 0),
    "a name with a null byte": (None, (*ZEEK, "x\0.log"), 2, "cannot be opened", 0),
    "a bad source between good ones": (
        None, (*ZEEK, "conn.log", "nowhere.log", "conn.log"), 2, "nowhere.log: no such", 6),
    "nothing but bad sources, without a detector": (
        {"x.log": ""}, (*NOVEL, "nowhere.log", "x.log"), 2, "nowhere.log: no such file", 0),
    "a pipe that would have to be read twice": (
        lambda: os.mkfifo("x.log"), (*NOVEL, "x.log"), 2, "x.log: a scan without a detector", 0),
    "output into a folder that is not there": (
        None, (*ZEEK, "conn.log", "-o", "nowhere/x"), 2, "nowhere/x: cannot be written", 0),
    "output onto a full disk": (
        None, (*ZEEK, "conn.log", "-o", "/dev/full"), 3, "No space left on device", 0),
    "a detector in the place of something else": (
        {"new.detector/letter.txt": "dear"}, (*FLOWS, "few.log"), 2,
        "new.detector: exists and is no artifact", 0),
}  # fmt: skip
