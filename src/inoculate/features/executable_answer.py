"""What a worker answers about one executable: JSON, small enough and of a known form.

Runs inside ``inoculate.reading.workers``; imports neither Polars nor anything else it has no
need of, so that a worker starts fast.
"""

import json
from collections.abc import Iterator
from typing import Any

from inoculate.features.elf_parts import elf_parts
from inoculate.features.executable_terms import ELF, PE
from inoculate.features.file_bytes import file_bytes
from inoculate.features.pe_parts import pe_parts

_PARSERS = {PE: pe_parts, ELF: elf_parts}


def answer(mode: int, data: bytes | bytearray) -> Iterator[bytes]:
    """Yield one JSON object: numbers by column name, lists of names, and ``unreadable``."""
    parts: dict[str, Any] = {}
    reason = None
    if mode in _PARSERS:
        try:
            parts = _PARSERS[mode](data)
            reason = None if parts else "the parser refuses it"
        except Exception as err:  # whatever a parser raises of hostile bytes
            reason = f"the parser fails: {type(err).__name__}: {str(err)[:200]}"
    parts["parsed"] = float(bool(parts))
    yield json.dumps(parts | file_bytes(data) | {"unreadable": reason}).encode()
