r"""Undoes percent, base64, entity and backslash encoding of text, in layers and within limits.

Attackers wrap what they send so that rules do not see it; what wraps it is a sign in itself. So
the decoded text and the counts of what was undone are both returned, and the caller keeps the
text as it came. Nothing is interpreted beyond the encodings: no script runs, no name is
resolved, nothing is decompressed.

A layer undoes each encoding once, in the order percent, entity, backslash, base64; layers follow
until nothing changes or ``MOST_LAYERS`` are undone. No step makes a text longer, and every step
is linear in a text of at most ``MOST_CHARS`` characters, so a text that is wrapped a thousand
times costs no more than one that is wrapped three times.

References:
    RFC 3986, section 2.1 (percent-encoding). Departures: ``%uXXXX``, which some servers accept,
    is undone too; bytes that are no UTF-8 are read as Latin-1, and the overlong forms C0/C1 xx as
    the ASCII character they stand for, as careless servers do.
    RFC 4648, sections 4 and 5 (base64, both alphabets). Departures: padding may lack, and what
    does not decode to text (UTF-8 or, as PowerShell writes it, UTF-16LE) is left as it is.
    HTML Living Standard, section 13.5 (names of characters). Departure: a semicolon is required
    after a name, or query strings would change.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html.entities import html5

import numpy as np
import polars as pl

from inoculate.domain import Column
from inoculate.features.text.text_shape import MOST_CHARS, stacked
from inoculate.task import FloatArray

MOST_LAYERS = 3

_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_PERCENT_U = re.compile(r"(?:%u[0-9a-fA-F]{4})+", re.IGNORECASE)
_OVERLONG = re.compile(rb"[\xc0\xc1][\x80-\xbf]")
_ENTITY = re.compile(r"&(?:#(\d{1,7});?|#[xX]([0-9a-fA-F]{1,6});?|([A-Za-z]{2,24});)")
# one \x41 alone may be a folder of a Windows path, as in C:\x86
_ESCAPE = re.compile(
    r"(?:\\x[0-9a-fA-F]{2}){2,}|(?:\\[0-3][0-7]{2}){2,}|(?:\\u[0-9a-fA-F]{4})+"
    r"|\\u\{([0-9a-fA-F]{1,6})\}"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{14,}={0,2}")
_BASE64_PIECE = re.compile(r"[A-Za-z0-9+]{14,}={0,2}")
_MAY_BE_ENCODED = (
    r"%[0-9a-fA-Fu][0-9a-fA-F]|&[#A-Za-z][^;&]{0,24};|&#[0-9xX]"
    r"|\\[xu0-3][0-9a-fA-F{]|[A-Za-z0-9+/_-]{14}"
)
_LEAST_PRINTABLE = 0.95
_ENCODINGS = ("percent", "entity", "escape", "base64")

DECODING_COLUMNS: tuple[Column, ...] = (
    Column("layers", "1", "layers of encoding undone:"),
    Column("percent_runs", "1", "percent-encoded pieces:"),
    Column("entities", "1", "HTML entities:"),
    Column("escapes", "1", "backslash-escaped pieces:"),
    Column("base64_runs", "1", "base64-encoded pieces:"),
    Column("decoded_share", "1", "length after decoding as a share of the length before"),
)
"""What ``decoding_shape`` returns."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with its encodings undone.

    Attributes:
        text: at most ``MOST_CHARS`` characters.
        layers: how many were undone, 0 to ``MOST_LAYERS``.
        counts: pieces undone as percent, entity, escape and base64, over all layers.
    """

    text: str
    layers: int
    counts: tuple[int, int, int, int]


def decode(text: str, *, plus: bool = False) -> Decoded:
    r"""Return a text with its layers of encoding undone.

    Args:
        text: the first ``MOST_CHARS`` characters count.
        plus: a ``+`` stands for a blank, as in a query or a form.

    Example:
        >>> decode("%2527%20or%201=1").text, decode("%2527%20or%201=1").layers
        ("' or 1=1", 2)
        >>> decode(r"echo d2hvYW1pIC9hbGw= \u003b").text
        'echo whoami /all ;'
    """
    text = text[:MOST_CHARS]
    if plus:
        text = text.replace("+", " ")
    total, layers = [0, 0, 0, 0], 0
    for _ in range(MOST_LAYERS):
        before = sum(total)
        for i, undo in enumerate(_UNDO):
            text, n = undo(text)
            total[i] += n
        if sum(total) == before:
            break
        layers += 1
    percent, entity, escape, base = total
    return Decoded(text, layers, (percent, entity, escape, base))


def decode_texts(texts: pl.Series, *, plus: pl.Series | None = None) -> pl.DataFrame:
    """Return each text decoded, as ``decode`` does, with the figures of how.

    Args:
        texts: (n,) String; null stays null.
        plus: (n,) Boolean, see ``decode``; None for false.

    Returns:
        ``text``, ``layers``, ``percent``, ``entity``, ``escape`` and ``base64``; n rows.
    """
    has_plus = pl.repeat(False, len(texts), eager=True) if plus is None else plus
    marked = texts.str.contains(_MAY_BE_ENCODED) | (
        has_plus & texts.str.contains("+", literal=True)
    )
    rows = np.flatnonzero(marked.fill_null(False).to_numpy())
    some = zip(texts.gather(rows), has_plus.gather(rows), strict=True)
    found = [decode(text, plus=bool(of_form)) for text, of_form in some]
    decoded = texts.str.head(MOST_CHARS).alias("text")
    figures = np.zeros((len(texts), 1 + len(_ENCODINGS)), np.int64)
    if found:
        decoded = decoded.clone().scatter(rows, [d.text for d in found])
        figures[rows] = [(d.layers, *d.counts) for d in found]
    columns = {name: figures[:, i] for i, name in enumerate(("layers", *_ENCODINGS))}
    return pl.DataFrame([decoded, *(pl.Series(name, v) for name, v in columns.items())])


def decoding_shape(texts: pl.Series, decoded: pl.DataFrame) -> FloatArray:
    """Return ``DECODING_COLUMNS``, (n, 6); null gives NaN.

    Args:
        texts: (n,) as they came.
        decoded: what ``decode_texts`` returned for them.
    """
    before = texts.str.len_chars().clip(0, MOST_CHARS).fill_null(0).to_numpy()
    after = decoded["text"].str.len_chars().fill_null(0).to_numpy()
    grown = np.where(before > 0, after / np.maximum(before, 1), 1.0)
    counts = [decoded[name].to_numpy() for name in ("layers", *_ENCODINGS)]
    return stacked([*counts, grown], texts.is_null().to_numpy())


def _undo_percent(text: str) -> tuple[str, int]:
    if "%" not in text:
        return text, 0
    text, n = _PERCENT_U.subn(lambda m: _utf16(m.group()[2:].lower().replace("%u", "")), text)
    text, more = _PERCENT.subn(lambda m: _octets(m.group().replace("%", "")), text)
    return text, n + more


def _undo_entities(text: str) -> tuple[str, int]:
    if "&" not in text:
        return text, 0
    return _counted(_ENTITY, _entity, text)


def _undo_escapes(text: str) -> tuple[str, int]:
    if "\\" not in text:
        return text, 0
    return _counted(_ESCAPE, _escape, text)


def _undo_base64(text: str) -> tuple[str, int]:
    return _counted(_BASE64, partial(_base64, piecewise=True), text)


_UNDO: tuple[Callable[[str], tuple[str, int]], ...] = (
    _undo_percent,
    _undo_entities,
    _undo_escapes,
    _undo_base64,
)


def _counted(
    pattern: re.Pattern[str], undo: Callable[[re.Match[str]], str], text: str
) -> tuple[str, int]:
    """Replace what a pattern finds; return the text and how many pieces changed."""
    n_changed = 0

    def replace(found: re.Match[str]) -> str:
        nonlocal n_changed
        new = undo(found)
        n_changed += new != found.group()
        return new

    return pattern.sub(replace, text), n_changed


def _octets(digits: str) -> str:
    data = bytes.fromhex(digits)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        plain = _OVERLONG.sub(lambda m: bytes([(m[0][0] & 3) << 6 | m[0][1] & 0x3F]), data)
        return plain.decode("latin-1")


def _utf16(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-16-be", "replace")


def _point(number: int) -> str:
    is_character = number < 0x110000 and not 0xD800 <= number < 0xE000
    return chr(number) if is_character else "\ufffd"


def _entity(found: re.Match[str]) -> str:
    decimal, hexadecimal, name = found.groups()
    if name:
        return html5.get(f"{name};", found.group())
    return _point(int(decimal) if decimal else int(hexadecimal, 16))


def _escape(found: re.Match[str]) -> str:
    text = found.group()
    if found.group(1):
        return _point(int(found.group(1), 16))
    if text.startswith("\\x"):
        return _octets(text.replace("\\x", ""))
    if text.startswith("\\u"):
        return _utf16(text.replace("\\u", ""))
    return _octets("".join(f"{int(octal, 8):02x}" for octal in text[1:].split("\\")))


def _base64(found: re.Match[str], *, piecewise: bool) -> str:
    text = found.group()
    if text.islower() or text.isupper():  # a path, a word; base64 of a text has both
        return text
    core = text.rstrip("=")
    spare = len(core) % 4
    if spare == 1:
        core = core[:-1]
    padded = core.replace("-", "+").replace("_", "/") + "=" * (-len(core) % 4)
    try:
        data = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    plain = _as_text(data)
    if plain is not None:
        return plain
    if piecewise and any(mark in text for mark in "/_-"):
        return _BASE64_PIECE.sub(partial(_base64, piecewise=False), text)
    return text


def _as_text(data: bytes) -> str | None:
    """Return bytes as UTF-16LE or UTF-8 where that is mostly printable, else None."""
    if len(data) < 4:
        return None
    for encoding in ("utf-16-le", "utf-8"):
        # every second byte zero: UTF-16 of ASCII, what PowerShell's -EncodedCommand takes
        if encoding == "utf-16-le" and data[1::2].count(0) * 2 < len(data[1::2]):
            continue
        try:
            text = data[: len(data) // 2 * 2 if encoding == "utf-16-le" else None].decode(encoding)
        except UnicodeDecodeError:
            continue
        shown = sum(c.isprintable() or c in "\t\r\n" for c in text)
        if shown >= _LEAST_PRINTABLE * len(text):
            return text
    return None
