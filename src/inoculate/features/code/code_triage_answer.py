"""What a worker answers about functions: what looks like a weakness in them.

Runs inside ``inoculate.reading.workers``, as ``code_answer`` does and for the same reasons.
"""

import json
from collections.abc import Iterator
from dataclasses import astuple

from inoculate.features.code.code_form import requested
from inoculate.features.code.code_languages import LANGUAGES, grammar
from inoculate.features.code.code_tree import parse
from inoculate.features.code.code_triage import Hit, hits

for _name in (*LANGUAGES, "php_tagged"):
    grammar(_name)  # a worker that has begun can open no file


def answer(_mode: int, data: bytes | bytearray) -> Iterator[bytes]:
    """Yield the one part of an answer; see ``code_triage_form``."""
    found = [_of(text, str(its[0])) for text, its in requested(data)]
    yield json.dumps([[astuple(hit) for hit in some] for some in found]).encode()


def _of(text: bytes, language: str) -> list[Hit]:
    nodes = parse(text.decode("utf-8", "replace"), language) if language in LANGUAGES else None
    return hits(nodes) if nodes is not None else []
