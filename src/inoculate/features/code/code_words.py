"""Names and literals of code in the form in which they may be learned from.

A name as a whole belongs to one project; its parts (``get``, ``user``, ``id``) are shared by
all. A literal's value is mostly accident; its shape (a path, an SQL text, a power of two) is not.
"""

import re
from functools import lru_cache

_PART = re.compile(rb"(?:[A-Z]+(?![a-z])|[A-Z]?[a-z]+)(?:[0-9]{1,3}(?![0-9]))?|[0-9]+")
_MOST_PARTS = 8
_PART_BYTES = 20
_SHORT_STRING = 40
_SIMPLE = re.compile(r"[A-Za-z][\w ./:+*-]*")
_SHAPES = (
    ("sql", re.compile(r"(?i)\s*\(?(?:select\s.+\sfrom|insert\s+into|update\s.+\sset|delete\s+from"
                       r"|create\s+table|drop\s+table|where\s|and\s+\w+\s*=)")),
    ("any_address", re.compile(r"(?:0\.0\.0\.0(?:/0)?|::(?:/0)?)")),
    ("address", re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?")),
    ("http", re.compile(r"(?i)(?:http|ftp|ws|ldap|telnet)://")),
    ("url", re.compile(r"(?i)[a-z][a-z0-9+.-]{1,12}://")),
    ("markup", re.compile(r"(?s).*</?[A-Za-z!][^>]*>?")),
    ("format", re.compile(r"(?s).*%[-+ #0]*[\d*]*(?:\.[\d*]+)?[hlzjtL]*[sdiufxXcpn@]")),
    ("format", re.compile(r"(?s).*\{[\w.]*(?:![rs])?(?::[^{}]*)?\}")),
    ("path", re.compile(r"(?:\.{0,2}/|[A-Za-z]:\\|~/)[^\s]*")),
    ("shell", re.compile(r"(?:sh|cmd|bash|rm|ls|cat|ping|curl|wget|chmod|cp|mv)\b\s")),
    ("wildcard", re.compile(r"\*")),
    ("secret", re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+/=_-]{16,}")),
    ("word", re.compile(r"[A-Za-z_][\w.-]*")),
    ("number", re.compile(r"[-+]?\d[\d.,]*")),
)  # fmt: skip


@lru_cache(maxsize=65_536)
def parts(name: bytes) -> tuple[str, ...]:
    """Return the parts of a name in small letters, ``("get", "user", "id")`` of ``getUserID``."""
    found = _PART.findall(name[:200])[:_MOST_PARTS]
    return tuple(p[:_PART_BYTES].lower().decode() for p in found if not p.isdigit() or len(p) < 4)


@lru_cache(maxsize=65_536)
def tail(name: bytes) -> str:
    """Return the last two parts of a name, which say most of what is called: ``"user id"``."""
    return " ".join(parts(name)[-2:]) or "?"


@lru_cache(maxsize=65_536)
def string_shape(literal: bytes) -> str:
    """Return what kind of text a literal holds: ``empty``, ``sql``, ``format``, ``path`` ..."""
    text = unquoted(literal)
    if not text:
        return "empty"
    for name, pattern in _SHAPES:
        if pattern.match(text[:300]):
            whole = name in ("any_address", "address", "wildcard", "secret", "word", "number")
            if not whole or pattern.fullmatch(text[:300]):
                return name
    return "letter" if len(text) == 1 else "text"


@lru_cache(maxsize=65_536)
def string_words(literal: bytes) -> tuple[str, ...]:
    """Return the words of a short literal, which may be a choice: ``("aes", "ecb")``."""
    text = unquoted(literal)
    if len(text) > _SHORT_STRING or not _SIMPLE.fullmatch(text):
        return ()
    return parts(text.encode())


@lru_cache(maxsize=65_536)
def number_shape(literal: bytes) -> str:
    """Return a number's size: itself to 2, else ``small``, ``power``, ``round``, ``large`` ..."""
    text = literal.decode("ascii", "replace").lower().rstrip("ulz").replace("_", "")
    try:
        value = int(text, 0) if not (text.isdigit() and text[0] == "0") else int(text, 8)
    except ValueError:
        return "fraction" if any(c in text for c in ".ep") else "number"
    if value <= 2:
        return str(value)
    if value & (value - 1) == 0:
        return "power"
    if value >= 1 << 31:
        return "huge"
    if value >= 255 and value & (value + 1) == 0:
        return "mask"
    return "round" if value % 10 == 0 else "small" if value < 64 else "large"


def unquoted(literal: bytes) -> str:
    """Return a literal's text without quotes and what stands before them."""
    text = literal[:400].decode("utf-8", "replace").strip()
    start = 0
    while start < min(3, len(text)) and text[start].isalpha() and text[start + 1 : start + 2] in (
        "'", '"', "`",
    ):  # fmt: skip
        start += 1
    return text[start:].strip("\"'`") if text[start : start + 1] in ("'", '"', "`") else text
