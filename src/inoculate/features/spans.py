"""Pieces of text that a rule may look for: words and marks as they stand, a few in a row."""

import re
from functools import lru_cache

MOST_CHARACTERS = 4_096
"""Of each text, so many characters are looked at."""
SHORTEST, LONGEST = 3, 48
"""Characters of a piece."""

_PIECE = re.compile(r"[A-Za-z0-9_]+|[^A-Za-z0-9_\s]+|\s+")
_COUNTER = re.compile(r"\d{4,}|0x[0-9a-f]{3,}|[0-9a-f]*\d[0-9a-f]{10,}", re.IGNORECASE)
_MOST_IN_A_ROW = 5


@lru_cache(maxsize=20_000)
def spans(text: str) -> tuple[str, ...]:
    """Return the pieces of a text in small letters, without repeats, in order.

    A piece is up to five words, marks and blanks in a row, printable ASCII, not blank at its
    ends. What counts or numbers (four digits and more) is in none, for it tells one record from
    all others.

    Example:
        >>> spans("cmd /c dir")[:4]
        ('cmd', 'cmd /', 'cmd /c', '/c dir')
    """
    tokens = _PIECE.findall(text[:MOST_CHARACTERS].lower())
    found: dict[str, None] = {}
    for i, first in enumerate(tokens):
        if first.isspace():
            continue
        run = ""
        for token in tokens[i : i + _MOST_IN_A_ROW]:
            run += token
            if len(run) > LONGEST or _COUNTER.fullmatch(token) or not _is_plain(token):
                break
            if len(run) >= SHORTEST and not token.isspace():
                found[run] = None
    return tuple(found)


def _is_plain(piece: str) -> bool:
    return piece.isascii() and piece.isprintable()
