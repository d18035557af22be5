"""Replaces what varies in a log line by its kind: numbers, addresses, identifiers, times, users.

What is left says what kind of event a line tells of, and lines of one kind mostly become the
same text, so that all further work is done once for each different text. A text is masked by
itself alone: the result never depends on other lines, as a learned template would.

Two steps. Over the bytes of all lines at once: runs of letters and digits become ``0`` each
run of digits within, or one mark when the whole run is a hexadecimal number (at least 4
characters with both a digit and a letter, or after ``0x``) or an identifier (at least 16, of
digits and of letters beyond f). Then, by regular expressions over the few different texts left:
addresses, UUIDs, times, mail addresses, and users where the line itself calls them so
(``user=``, a folder below ``/home``).

Paths, URLs and names stay as they are: ``/etc/shadow`` is what a line is about. A user or a host
that nothing marks as one stays too. A number loses its value: ``status 200`` and ``status 500``
are the same text.

References:
    He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017, section
    III-B (preprocessing by regular expressions), here without any given by the user.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.features.hosts.log_headers import without_header

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

MOST_CHARACTERS = 4_096
"""Of each line, so many characters count."""

KINDS = {
    "hex": "\x01",
    "id": "\x02",
    "ip": "\x03",
    "mac": "\x04",
    "uuid": "\x05",
    "time": "\x06",
    "mail": "\x07",
    "user": "\x08",
}
"""The mark of each kind in a masked text; a number's is ``0``."""

DIGIT, HEX_LETTER, LETTER, UPPER, WIDE = 1, 2, 4, 8, 16
"""Classes of bytes, as bits; ``WIDE`` is a byte of a character beyond ASCII."""

_H, _I = KINDS["hex"], KINDS["id"]
_HEXES = rf"[{_H}0-9a-fA-F]"
_SHORT = r"[0a-fA-F]{1,4}"
_GROUP = rf"(?:{_SHORT}|{_H})"
_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = r"0:0(?::0)?(?:[.,]0)?(?: ?(?:AM|PM))?"
_RULES = (
    (rf"{_H}(?:-{_GROUP}){{3}}-{_HEXES}{{1,12}}|{_HEXES}{{1,8}}(?:-{_GROUP}){{3}}-{_H}", "uuid"),
    (r"\b[0-9a-fA-F]{1,2}(?:[:-][0-9a-fA-F]{1,2}){5}\b", "mac"),
    (
        rf"\b0(?:[-/]0){{2}}(?:(?:[ -]|0?T)(?:{_CLOCK}|0\.0\.0(?:\.0)?))?"
        r"(?:0?Z\b| ?[+-]0(?::0)?\b)?"
        rf"|(?:0 {_MONTH} 0|{_MONTH} 0|0[/-]{_MONTH}[/-]0)[ :]{_CLOCK}(?: 0\b| ?[+-]0)?",
        "time",
    ),
    (rf"(?:{_GROUP}?:){{4,7}}{_GROUP}?|(?:{_GROUP}:){{1,6}}(?::{_GROUP}){{1,6}}|\B::0\b", "ip"),
    (r"\b0(?:\.0){3}\b", "ip"),
    (rf"\b{_CLOCK}\b", "time"),
    (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "mail"),
)
_USERS = (
    (r"(?i)((?:/home|/Users|\\Users)[/\\])[^/\\\s\"',;:]+", rf"${{1}}{KINDS['user']}"),
    (
        r"(?i)\b([rae]?user(?:_?name)?|ruser|acct|account|logname|login)=([\"']?)[^\s\"',;]+",
        rf"${{1}}=${{2}}{KINDS['user']}",
    ),
)


def _class_of(byte: int) -> int:
    text = chr(byte)
    if byte > 127:
        return WIDE
    if text.isdigit():
        return DIGIT
    letter = HEX_LETTER if text in "abcdefABCDEF" else LETTER
    return (letter | UPPER * text.isupper()) * text.isalpha()


_CLASSES = bytes(_class_of(byte) for byte in range(256))
_WORD = np.uint8(DIGIT | HEX_LETTER | LETTER)
_DROPPED = np.uint8(255)  # no byte of UTF-8
_PLAIN = bytes(
    ord("0") if 48 <= i < 58 else i if i == 10 or 31 < i != 127 else 32 for i in range(256)
)


def classes_of(data: Bytes) -> Bytes:
    """Return the classes of each byte."""
    return np.frombuffer(bytearray(data.tobytes().translate(_CLASSES)), np.uint8)


def messages(texts: pl.Series) -> pl.Series:
    """Return what lines say: without their header, and no more than ``MOST_CHARACTERS``."""
    return without_header(texts.str.slice(0, MOST_CHARACTERS))


def joined(said: pl.Series) -> tuple[Bytes, Places]:
    """Return the bytes of texts one after another, each ended by a newline, and where each ends.

    Args:
        said: (n,) String; null counts as "".
    """
    said = said.fill_null("")
    data = np.frombuffer((said.str.join("\n").item() + "\n").encode(), np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if len(ends) > len(said):
        return joined(said.str.replace_all("\n", " ", literal=True))
    return data, ends


def runs(classes: Bytes) -> tuple[Places, Places, Bytes]:
    """Return begin, end and all classes of each run of ASCII letters and digits."""
    inside = (classes & _WORD) != 0
    change = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    if inside[:1].any():
        change = np.concatenate([[0], change])
    begins, ends = change[::2], change[1::2]  # the last byte is a newline, so runs do end
    kinds = np.bitwise_or.reduceat(classes, begins) if len(begins) else np.zeros(0, np.uint8)
    return begins, ends, kinds


def masked(said: pl.Series) -> tuple[pl.Series, Places]:
    """Return the different masked texts, and for each message which one is its own.

    Args:
        said: (n,) messages; null counts as "".
    """
    if not len(said):
        return pl.Series([], dtype=pl.String), np.zeros(0, np.int64)
    rough = _without_digits(joined(said)[0]).split(b"\n")[:-1]
    places = {text: i for i, text in enumerate(dict.fromkeys(rough))}
    first = np.fromiter(map(places.__getitem__, rough), np.int64, len(rough))
    fine = _by_rules(pl.Series([t.decode("utf-8", "replace") for t in places], dtype=pl.String))
    names = fine.to_list()
    last = {text: i for i, text in enumerate(dict.fromkeys(names))}
    second = np.fromiter(map(last.__getitem__, names), np.int64, len(names))
    return pl.Series(list(last), dtype=pl.String), second[first]


def _without_digits(data: Bytes) -> bytes:
    """Return the bytes with every run of digits as one 0, numbers and identifiers as marks."""
    classes = classes_of(data)
    prefix = np.flatnonzero((data[1:] | 0x20 == ord("x")) & (data[:-1] == ord("0"))) + 1
    prefix = prefix[(prefix < 2) | (classes[prefix - 2] & _WORD == 0)]
    classes[prefix] = 0  # what follows 0x is a run of its own
    begins, ends, kinds = runs(classes)
    kinds &= _WORD
    sizes = ends - begins
    in_hex = (kinds == DIGIT | HEX_LETTER) & (sizes >= 4)
    after_x = np.searchsorted(begins, prefix + 1)
    after_x = after_x[begins[np.minimum(after_x, len(begins) - 1)] == prefix + 1]
    in_hex[after_x] |= kinds[after_x] & LETTER == 0
    in_id = (kinds & (DIGIT | LETTER) == DIGIT | LETTER) & (sizes >= 16)
    out = np.frombuffer(bytearray(data.tobytes().translate(_PLAIN)), np.uint8)
    digit = (classes & DIGIT).view(bool)
    out[1:] |= _DROPPED * (digit[1:] & digit[:-1])
    for chosen, kind in ((in_hex, "hex"), (in_id, "id")):
        size = sizes[chosen]
        inside = np.repeat(begins[chosen] - (np.cumsum(size) - size), size)
        out[inside + np.arange(len(inside))] = _DROPPED
        out[begins[chosen]] = ord(KINDS[kind])
    return out.tobytes().translate(None, bytes([_DROPPED]))


def _by_rules(texts: pl.Series) -> pl.Series:
    for pattern, kind in _RULES:
        texts = texts.str.replace_all(pattern, KINDS[kind])
    for pattern, replacement in _USERS:
        texts = texts.str.replace_all(pattern, replacement)
    return texts


def words(masked_texts: pl.Series) -> pl.Series:
    """Return the words of masked texts in lower case, each kind as a word such as ``<ip>``."""
    found = masked_texts.str.to_lowercase().str.extract_all(
        r"[\x01-\x08]|[\w$%.-]*\w|[{}\[\]|;<>&]"
    )
    return found.list.eval(pl.element().replace(_WORDS))


def readable(masked_texts: pl.Series) -> pl.Series:
    """Return masked texts with each kind as ``<kind>``.

    Example:
        >>> readable(pl.Series([f"from {KINDS['ip']} port 0"])).item()
        'from <ip> port <num>'
    """
    marks = {mark: f"<{kind}>" for kind, mark in KINDS.items()}
    return masked_texts.str.replace_all(r"\b0\b", "<num>").str.replace_many(marks)


_WORDS = {mark: f"<{kind}>" for kind, mark in KINDS.items()} | {"0": "<num>"}


def mask(texts: Sequence[str]) -> list[str]:
    """Return each line masked, in readable form.

    Example:
        >>> mask(["Jun 14 15:16:01 combo sshd[199]: Failed password from 10.1.2.3 port 22"])
        ['sshd[<num>]: Failed password from <ip> port <num>']
    """
    found, which = masked(messages(pl.Series(texts, dtype=pl.String)))
    return readable(found).gather(which).to_list()
