r"""Named values of events, ``Image=C:\Windows\cmd.exe``, as hashed shapes and words.

Of each field two things are counted. Its *shape*: the name with the kind of the value, a length
and the classes of its characters, whatever the value says. And its *words*: parts of paths, of
command lines and of registry keys, short enumerations with their field's name, image names with
their field's name. What only tells one host, user or moment from another (GUIDs, SIDs of a
domain, addresses, names of users and hosts, hashes, times, counters) is never a word.

Reference:
    The field names and values are those of Windows events and Sysmon,
    https://learn.microsoft.com/sysinternals/downloads/sysmon; those of other sources fit as well.
"""

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from inoculate.features.hashing import token_grams
from inoculate.task import FloatArray

MOST_FIELDS = 256
"""Of each record, so many fields are counted."""
MOST_CHARACTERS = 4_096
"""Of each value, so many characters are looked at."""
_MOST_WORDS = 200
_MOST_REMEMBERED = 200
_ROWS_AT_ONCE = 1_024

Ints = npt.NDArray[np.int64]
TokensOf = Callable[[str, str], Sequence[str]]

_KIND = re.compile(
    r"""(?P<none>-?|N/A|null|None|\(null\))
    |(?P<flag>(?i:true|false|yes|no))
    |(?P<guid>\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?)
    |(?P<sid>S-1-\d{1,14}(?:-\d{1,10}){0,15})
    |(?P<time>\d{4}-\d\d-\d\d[T ][\d:.,+Z-]{5,30})
    |(?P<address>(?:::ffff:)?(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d{1,5})?
      |(?=[0-9a-fA-F]*:[0-9a-fA-F:.]*:)[0-9a-fA-F:.]{2,45}(?:%\w{1,8})?(?:/\d{1,3})?)
    |(?P<number>[+-]?\d[\d,.]{0,30})
    |(?P<hex>0[xX][0-9a-fA-F]{1,32})
    |(?P<hash>[0-9a-fA-F]{32,128}|(?:[A-Z0-9]{3,9}=[0-9a-fA-F]{16,128}[,;]?\s?){1,6})
    |(?P<codes>(?:%%\d{1,6}\s*){1,200})
    |(?P<registry>(?i:HKLM|HKU|HKCU|HKCR|HKEY_\w{1,20}|\\REGISTRY)\\.*)
    |(?P<share>\\\\(?![.?]\\).*)
    |(?P<path>"?(?:[A-Za-z]:\\|\\\\[.?]\\|\\(?:Device|\?\?|SystemRoot)\\|%\w{1,30}%\\|/\w)[^"]*"?)
    |(?P<url>[a-z]{2,10}://\S*)
    |(?P<base64>(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])[A-Za-z0-9+/]{24,}={0,2})
    |(?P<word>[^\s\\/]*)
    |(?P<text>.*)""",
    re.VERBOSE | re.DOTALL,
)
_WITH_LENGTH = frozenset(("registry", "share", "path", "url", "base64", "word", "text"))
_NO_WORDS = frozenset(("none", "guid", "time", "address", "hash"))
_WHO = re.compile(
    r"(?:user|account|computer|host|domain|workstation|member|server|client|owner|machine|dnshost"
    r"|caller|query|principal|target|sam|sender|recipient|netbios)_?(?:name|names|results?|id)?$"
    r"|address$|^(?:subject|target)?user\w{0,12}$|password|secret|token$|session_?name$",
    re.IGNORECASE,
)
_BUILT_IN = re.compile(
    r"(?i)(?:nt authority\\|builtin\\|window manager\\)?"
    r"(system|local service|network service|anonymous logon|administrators?|guest|dwm-\d|umfd-\d)"
)
_ENUM = re.compile(
    r"(?:type|status|mask|access|level|protocol|code|flags?|options|rights|reason|state|class"
    r"|attributes|encryption\w{0,8}|operation|opcode|value|version|number|duration\w{0,10})$",
    re.IGNORECASE,
)
_VOLATILE = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|s-1-5-21(?:-\d{1,10}){3,4}"
    r"|(?:\d{1,3}\.){3}\d{1,3}|0x[0-9a-f]{3,}|[0-9a-f]{16,}"
)
_OFFSET = re.compile(r"(\.(?:dll|exe|sys))\+[0-9a-f]{1,12}$")
_PERSONAL = {  # by what must be in a text for the pattern to be worth a search
    "\\users\\": (re.compile(r"\\users\\[^\\]{1,60}"), r"\\user!"),
    "\\\\": (re.compile(r"^\\\\[^\\*]{1,80}"), r"\\host!"),
    "dc=": (re.compile(r"\bdc=[\w-]{1,60}"), " "),
    "cn=": (re.compile(r"\bcn=[^,]{1,80}"), " "),
    "user": (re.compile(r"\b(user(?:id|name)?\s{0,3}[=:])\s{0,3}\S{1,80}"), r"\1 "),
    " id = ": (re.compile(r"\b(id = )\S{1,80}"), r"\1 "),
}
_BASE64 = re.compile(r"(?<![\w\\/.+-])[A-Za-z0-9+/]{32,}={0,2}(?![\w\\.-])")
_MIXED = re.compile(r"(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9+/=]*[0-9+/=])")
_WORD = re.compile(r"(?<!\S)/[a-z?]\w{0,20}|[a-z0-9_.%$@!~#*^`+-]+")
_DIGITS = re.compile(r"\d{3,}")
_DIGIT = re.compile("[0-9]")
_HOST = re.compile(r"(?:[\w-]{1,63}\.){2,6}(?:lan|local\w*|corp|internal|home|com|net|org|io)$")
_TITLE = re.compile(r"^[^|=;]{0,300} \| ")
_NAMED = re.compile(r"[A-Za-z_@][\w.\-@/#\[\] ]{0,79}=")


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """The fields of n records, one after another, m in all.

    Attributes:
        n: records.
        row: (m,) the record of each field, ascending.
        code: (m,) which of ``distinct`` each field is.
        distinct: ``name=value``, each that occurs once.
    """

    n: int
    row: Ints
    code: Ints
    distinct: list[str]

    def counts(self) -> Ints:
        """Return the number of fields of each record, (n,)."""
        return np.bincount(self.row, minlength=self.n).astype(np.int64)

    def pairs(self) -> list[tuple[str, str]]:
        """Return name and value of each field, (m,)."""
        parts = [piece.partition("=") for piece in self.distinct]
        return [(parts[c][0], parts[c][2]) for c in self.code]


def split_fields(text: pl.Series) -> Fields:
    """Return the fields of texts ``Name=value; Name=value``; null and "" have none.

    A part that has no name belongs to the field before it, for values may hold ``; `` as well.
    What stands before a first `` | `` is a title and is left out.
    """
    title = text.str.replace(r"^[^|=;]{0,300} \| ", "")
    frame = pl.DataFrame({"piece": title.str.split("; ").list.head(MOST_FIELDS)})
    frame = frame.with_row_index("row").explode("piece").filter(pl.col("piece") != "")
    distinct = frame["piece"].unique(maintain_order=True)
    index = pl.DataFrame({"piece": distinct, "code": np.arange(len(distinct), dtype=np.int64)})
    code = frame.join(index, on="piece", how="left", maintain_order="left")["code"].to_numpy()
    row = frame["row"].to_numpy().astype(np.int64)
    return _with_names(Fields(len(text), row, code, distinct.to_list()))


def _with_names(fields: Fields) -> Fields:
    """Return the fields, those without a name with that of the field before."""
    has_name = [_NAMED.match(piece) is not None for piece in fields.distinct]
    named = np.array(has_name, bool)[fields.code]
    if named.all():
        return fields
    m = len(named)
    before = np.maximum.accumulate(np.where(named, np.arange(m), -1))
    pieces, code, known = list(fields.distinct), fields.code.copy(), dict[str, int]()
    for at in np.flatnonzero(~named):
        owner = before[at]
        has_owner = owner >= 0 and fields.row[owner] == fields.row[at]
        name = pieces[fields.code[owner]].partition("=")[0] if has_owner else ""
        piece = f"{name}={pieces[fields.code[at]]}"
        code[at] = known.setdefault(piece, len(pieces))
        if code[at] == len(pieces):
            pieces.append(piece)
    return Fields(fields.n, fields.row, code, pieces)


def told_fields(text: str) -> list[tuple[str, str, bool]]:
    r"""Return name and value of a text's fields, and whether it names a host or user.

    What only tells a process, moment, address or file from another is left out.

    Example:
        >>> told_fields(r"Image=C:\a.exe; User=CORP\ann; ProcessId=7; LogonType=3")
        [('Image', 'C:\\a.exe', False), ('User', 'CORP\\ann', True), ('LogonType', '3', False)]
    """
    values: dict[str, str] = {}
    name = ""
    for piece in _TITLE.sub("", text).split("; ")[:MOST_FIELDS]:
        if _NAMED.match(piece):
            name, _, value = piece.partition("=")
            values[name] = value
        elif name:
            values[name] += f"; {piece}"
    return [
        (name, value, is_who)
        for name, value in ((n, v[:MOST_CHARACTERS].strip()) for n, v in values.items())
        if (is_who := bool(_WHO.search(name)) and not _BUILT_IN.fullmatch(value))
        or _tells(name, _kind(value))
    ]


def _tells(name: str, kind: str) -> bool:
    if kind in _NO_WORDS or kind == "sid" or name.lower().endswith(("id", "guid")):
        return kind in ("number", "flag") and bool(_ENUM.search(name))
    return kind not in ("number", "hex") or bool(_ENUM.search(name))


def shape_token(name: str, value: str) -> str:
    r"""Return a field's name with the shape of its value.

    Example:
        >>> shape_token("Image", r"C:\Windows\cmd.exe"), shape_token("LogonType", "3")
        ('image path 5 aA.', 'logontype number')
    """
    value = value[:MOST_CHARACTERS].strip()
    kind = _kind(value)
    if kind not in _WITH_LENGTH:
        return f"{name.lower()} {kind}"
    return f"{name.lower()} {kind} {len(value).bit_length()} {_classes(value)}"


def shape_tokens(name: str, value: str) -> list[str]:
    """Return the token of ``shape_token``, for ``count_tokens``."""
    return [shape_token(name, value)]


def field_words(name: str, value: str) -> list[str]:
    r"""Return the words of one field, without repeats; none that tell who, where or when.

    Example:
        >>> field_words("Image", r"C:\Users\ann\cmd.exe")
        ['c', 'user!', 'cmd.exe', 'image>cmd.exe']
        >>> field_words("LogonType", "3"), field_words("ProcessId", "4242")
        (['logontype=3'], [])
    """
    value = value[:MOST_CHARACTERS].strip()
    kind, key = _kind(value), name.lower()
    if kind in _NO_WORDS:
        return []
    if kind == "flag" or (kind in ("number", "hex") and _ENUM.search(name)):
        return [f"{key}={value[:12].lower()}"]
    if kind in ("number", "hex"):
        return []
    if kind == "sid":
        parts = value.split("-")
        return [f"{key}={value}"] if len(parts) <= 5 else []
    if kind == "codes":
        return list(dict.fromkeys(value.split()))
    if _WHO.search(name):
        known = _BUILT_IN.fullmatch(value)
        return [f"{key}={known[1].lower()}"] if known else []
    words = _words(value)
    if kind in ("path", "share", "registry", "word") and words:
        words.append(f"{key}>{words[-1]}")
    return words


def named_field(fields: Fields, names: Sequence[str]) -> pl.Series:
    """Return the value of the first of the named fields that each record has, (n,); else null.

    Parts of a value that was split are joined again.
    """
    rank = {name: i for i, name in enumerate(names)}
    ranks = np.array([rank.get(p.partition("=")[0], -1) for p in fields.distinct], np.int64)
    at = np.flatnonzero(ranks[fields.code] >= 0) if len(ranks) else np.zeros(0, np.int64)
    best: dict[int, tuple[int, list[str]]] = {}
    for row, code in zip(fields.row[at].tolist(), fields.code[at].tolist(), strict=True):
        known = best.get(row)
        if known is None or ranks[code] < known[0]:
            known = best[row] = (int(ranks[code]), [])
        if ranks[code] == known[0]:
            known[1].append(fields.distinct[code].partition("=")[2][:MOST_CHARACTERS])
    values = [
        "; ".join(best[i][1])[:MOST_CHARACTERS] if i in best else None for i in range(fields.n)
    ]
    return pl.Series(values, dtype=pl.String)


def _kind(value: str) -> str:
    found = _KIND.fullmatch(value)
    return (found.lastgroup if found else None) or "text"


def _classes(value: str) -> str:
    """Return which of lower case, upper case, digits and others there are, as ``aA0.``."""
    some = value[:256]
    lower, upper = some.lower(), some.upper()
    return (
        ("a" if some != upper else "")
        + ("A" if some != lower else "")
        + ("0" if _DIGIT.search(some) else "")
        + ("." if not some.isalnum() else "")
    )


def _decoded(found: re.Match[str]) -> str:
    """Return a mark for what is Base64, with what it hides where that is text."""
    run = found[0]
    try:
        data = base64.b64decode(run[: len(run) // 4 * 4])
    except ValueError:
        data = b"\0"
    wide = data[1:40:2].count(0) >= 12
    text = data.decode("utf-16-le" if wide else "latin-1", "replace")
    if text.isascii() and all(c.isprintable() or c.isspace() for c in text):
        return f" base64! {text} "
    return " base64! " if _MIXED.match(run) else run


def _words(value: str) -> list[str]:
    text = (_BASE64.sub(_decoded, value) if len(value) > 32 else value).lower()
    for mark, (pattern, instead) in _PERSONAL.items():
        if mark in text:
            text = pattern.sub(instead, text)
    words = dict.fromkeys(map(_word, _WORD.findall(text)[:_MOST_WORDS]))
    words.pop("", None)
    return list(words)


@lru_cache(maxsize=65_536)
def _word(word: str) -> str:
    """Return one word as it is counted; "" for one that tells who, where or when."""
    word = _OFFSET.sub(r"\1", word).strip(".")
    if _VOLATILE.fullmatch(word):
        return ""
    if len(word) > 40:
        return "long!"
    if word.isdecimal() and len(word) > 2:
        return "number!"
    return "host!" if _HOST.match(word) else _DIGITS.sub("#", word)


def count_tokens(fields: Fields, width: int, tokens_of: TokensOf) -> FloatArray:
    """Return log2(1 + count) of the hashed tokens of all fields of each record, (n, width).

    Args:
        fields: of the records.
        width: columns.
        tokens_of: tokens of a field by its name and value; called once for each that differs.
    """
    columns: list[int] = []
    sizes = np.zeros(len(fields.distinct), np.int64)
    known: dict[str, int] = {}
    for i, piece in enumerate(fields.distinct):
        # what comes once comes again in later batches; long values seldom do
        known_as = _remembered if len(piece) <= _MOST_REMEMBERED else _tokens
        tokens = known_as(tokens_of, piece)
        sizes[i] = len(tokens)
        columns += [known.setdefault(t, len(known)) for t in tokens]
    bucket = token_columns(list(known), width)
    return _counted(fields, sizes, bucket[np.array(columns, np.int64)], width)


def _tokens(tokens_of: TokensOf, piece: str) -> tuple[str, ...]:
    name, _, value = piece.partition("=")
    return tuple(tokens_of(name, value))


_remembered = lru_cache(maxsize=65_536)(_tokens)


def _counted(fields: Fields, sizes: Ints, buckets: Ints, width: int) -> FloatArray:
    """Return the counts, given the buckets of each distinct piece one after another."""
    first = np.cumsum(sizes) - sizes
    out = np.empty((fields.n, width), np.float32)
    for start in range(0, fields.n, _ROWS_AT_ONCE):  # few enough for the processor's cache
        stop = min(fields.n, start + _ROWS_AT_ONCE)
        some = slice(*np.searchsorted(fields.row, (start, stop)))
        code = fields.code[some]
        n_tokens = sizes[code]
        before = np.cumsum(n_tokens) - n_tokens
        place = np.repeat(first[code] - before, n_tokens) + np.arange(n_tokens.sum())
        keys = np.repeat(fields.row[some] - start, n_tokens) * width + buckets[place]
        counts = np.bincount(keys, minlength=(stop - start) * width)
        out[start:stop] = np.log2(1 + counts.astype(np.float32)).reshape(-1, width)
    return out


def token_columns(tokens: Sequence[str], width: int) -> Ints:
    """Return the column ``token_grams`` counts each single token in, (n,)."""
    out = np.zeros(len(tokens), np.int64)
    for start in range(0, len(tokens), 4_096):
        alone = pl.Series("token", tokens[start : start + 4_096], dtype=pl.String)
        some = alone.to_frame().select(pl.concat_list("token"))["token"]
        out[start : start + len(some)] = token_grams(some, width, orders=(1,)).argmax(axis=1)
    return out


def quoted(
    pairs: Sequence[tuple[str, str]],
    column: int,
    width: int,
    tokens_of: TokensOf,
) -> str:
    """Return up to four tokens of a record's fields that fall into one column, quoted."""
    tokens = list(dict.fromkeys(t for name, value in pairs for t in tokens_of(name, value)))
    found = [t for t, c in zip(tokens, token_columns(tokens, width), strict=True) if c == column]
    return " ".join(f"'{t[:24]}'" for t in found[:4])
