"""What a worker does with chunks of an EVTX file: the ``evtx`` package parses them.

Imported by the worker alone, for it may open no file after that. The package has been hung by
damaged files before, so never call it from the process that the user waits for.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import evtx

CHUNK_BYTES = 65_536
HEADER_BYTES = 4_096
MAGIC = b"ElfFile\0"
MOST_CHARACTERS = 8 << 20
"""Of the events of one chunk; real ones are some hundred thousand."""

_CHUNK_MAGIC = b"ElfChnk\0"
_MOST_RECORDS = 3_000
_TABLES = slice(128, 512)
_MOST_ERRORS = 20


def answer(_mode: int, data: bytes | bytearray) -> Iterator[bytes]:
    """Yield one part for each chunk of 64 KiB: a line for each event or problem.

    A line is ``E``, the event's number, a blank and its JSON, or ``P`` and a problem.
    """
    for start in range(0, len(data), CHUNK_BYTES):
        yield b"\n".join(_lines(bytearray(data[start : start + CHUNK_BYTES])))


def _lines(chunk: bytearray) -> Iterator[bytes]:
    if not any(chunk):
        return
    if not chunk.startswith(_CHUNK_MAGIC):
        yield _problem("no chunk of events, it does not begin as one does")
        return
    # tables of where names and templates lie only save time, and chains in them may be rings
    chunk[_TABLES] = bytes(_TABLES.stop - _TABLES.start)
    file = io.BytesIO(_file_header() + bytes(chunk).ljust(CHUNK_BYTES, b"\0"))
    try:
        records: Any = iter(evtx.PyEvtxParser(file, number_of_threads=1).records_json())
    except Exception as err:  # the Rust parser raises what it likes of hostile bytes
        yield _problem(f"a chunk of events that cannot be parsed: {err}")
        return
    n_characters = n_errors = 0
    for _ in range(_MOST_RECORDS):
        try:
            record = next(records)
        except StopIteration:
            return
        except Exception as err:  # whatever the parser finds
            n_errors += 1
            if n_errors <= _MOST_ERRORS:
                yield _problem(f"an event that cannot be parsed: {err}")
            continue
        text = record["data"].replace("\n", " ").encode("utf-8", "replace")
        n_characters += len(text)
        if n_characters > MOST_CHARACTERS:
            yield _problem(f"the chunk's events are over {MOST_CHARACTERS >> 20} MiB of text")
            return
        yield b"E%d " % record["event_record_id"] + text


def _problem(text: str) -> bytes:
    return b"P" + " ".join(text.split())[:160].encode("utf-8", "replace")


def _file_header() -> bytes:
    fields = struct.pack("<8sQQQIHHHH", MAGIC, 0, 0, 1, 128, 1, 3, HEADER_BYTES, 1)
    start = fields.ljust(120, b"\0")
    return (start + struct.pack("<II", 0, zlib.crc32(start))).ljust(HEADER_BYTES, b"\0")
