"""Lines of a log brought together: those that name one thing, the rest by stretches of the log.

A line belongs to what it names: an HDFS block, a request or session by an id that the line itself
calls so, a UUID, or the process of a syslog header. Lines that name nothing are taken together as
they come.

References:
    Du et al., "DeepLog: Anomaly Detection and Diagnosis from System Logs through Deep Learning",
    CCS 2017, section 2.1 (sessions by identifier). Departure: no pattern is given by the user.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from inoculate.features.hosts.log_headers import without_header

MOST_LINES = 200
"""Lines of one record; a longer session goes on in the next."""
WINDOW_LINES = 100
WINDOW_S = 60.0
"""Lines that name nothing are taken together up to so many, or for so long."""
IDLE_S = 1_800.0
"""A session ends when its log goes on so long without it."""
MOST_OPEN = 20_000
YOUNG_LINES = 2_000
"""Before so many lines were read nothing is told of what is new: everything is."""
MOST_TEMPLATES = 50_000
MOST_KEYS = 8
"""Of the blocks that a line names, so many get it."""

_BLOCK = r"\bblk_-?[0-9]+\b"
_NAMED = (
    r"(?i)\b((?:request|req|session|sess|trace|correlation|transaction|txn|connection|conn|job)"
    r"_?-?id|sid|rid)[\"']?[=:] ?[\"']?([A-Za-z0-9_.:-]{4,64})"
)
_UUID = r"\b(?:req-)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"
_PROCESS = r"^([A-Za-z0-9_./()@-]+\[[0-9]{1,10}\]):"
_HOST = r"([A-Za-z0-9_.-]+) [A-Za-z0-9_./()@-]+\[[0-9]{1,10}\]:"
_OTHERS = 1_024
_MOST_CHARACTERS = 4_096


def session_keys(lines: pl.Series) -> pl.Series:
    """Return what each line names, (n,) List(String); an empty list for nothing.

    Args:
        lines: (n,) String, whole lines; so much of each is looked at as counts.

    Example:
        >>> session_keys(pl.Series(["blk_7 and blk_-8", "session_id=77ab", "up"])).to_list()
        [['blk_7', 'blk_-8'], ['session_id 77ab'], []]
    """
    text = pl.col("text")
    named = text.str.extract_groups(_NAMED)
    process = pl.col("said").str.extract(_PROCESS)
    host = text.str.extract(_HOST)
    blocks = text.str.extract_all(_BLOCK).list.unique(maintain_order=True).list.head(MOST_KEYS)
    one = pl.coalesce(
        named.struct.field("1").str.to_lowercase() + " " + named.struct.field("2"),
        text.str.extract(f"({_UUID})").str.to_lowercase(),
        host.fill_null("") + " " + process,
    )
    single = pl.when(one.is_not_null()).then(pl.concat_list(one.str.strip_chars()))
    some = lines.str.slice(0, _MOST_CHARACTERS)
    frame = pl.DataFrame({"text": some, "said": without_header(some)})
    keys = pl.when(blocks.list.len() > 0).then(blocks).otherwise(single)
    return frame.select(keys.fill_null(pl.lit([], pl.List(pl.String))).alias("keys"))["keys"]


def without_keys(said: pl.Series) -> pl.Series:
    """Return messages in which what a session is called is a plain number."""
    return said.str.replace_all(_BLOCK, "blk_0").str.replace_all(_NAMED, "${1}=0")


@dataclass(slots=True, eq=False)
class Session:
    """Lines that belong together.

    Attributes:
        key: what they name; "" for a stretch of lines that name nothing.
        origin: of the first line; with ``@1`` ... for the second thing and on that it names.
        text: the first line.
        first_s: its time in seconds since 1970; None where unknown.
        codes: the template of each line, as ``Sessions.template`` tells it.
        times: of each line.
        n_new: lines of a template that the source had not had before; None while it is young.
        goes_on: True when further lines are another record.
    """

    key: str
    origin: str
    text: str
    first_s: float | None
    codes: list[int] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)
    n_new: int | None = None
    goes_on: bool = False
    last_s: float | None = None


class Sessions:
    """Brings lines together as they come, in bounded memory.

    Args:
        most_open: sessions open at once; beyond, the one silent longest is ended.
    """

    def __init__(self, *, most_open: int = MOST_OPEN) -> None:
        self.most_open = most_open
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._templates: dict[str, int] = {}
        self._shown: list[str] = []
        self._n_lines = 0
        self._now = -float("inf")

    def template(self, code: int) -> str:
        """Return a template by its code."""
        return self._shown[code] if code < MOST_TEMPLATES else f"other {code - MOST_TEMPLATES}"

    def add(
        self, keys: Sequence[str], origin: str, text: str, template: str, time_s: float | None
    ) -> Iterator[Session]:
        """Take the next line; yield the sessions that have ended before it."""
        code, is_new = self._code(template)
        self._n_lines += 1
        new = None if self._n_lines <= YOUNG_LINES else int(is_new)
        if time_s is not None:
            # a log that goes back so far is another one, say an older file after a newer
            self._now = time_s if time_s < self._now - IDLE_S else max(self._now, time_s)
            yield from self._idle()
        for i, key in enumerate(keys or ("",)):
            part = self._open.get(key)
            if part is not None and _is_full(part, time_s):
                part.goes_on = key != ""
                yield self._open.pop(key)
                part = None
            if part is None:
                place = f"{origin}@{i}" if i else origin
                part = self._open[key] = Session(key, place, text, time_s, n_new=new and 0)
            self._open.move_to_end(key)
            part.codes.append(code)
            part.times.append(time_s)
            part.last_s = part.last_s if time_s is None else time_s
            if new is not None and part.n_new is not None:
                part.n_new += new
        while len(self._open) > self.most_open:
            yield self._open.popitem(last=False)[1]

    def finish(self) -> Iterator[Session]:
        """Yield the sessions that are still open, the one silent longest first."""
        while self._open:
            yield self._open.popitem(last=False)[1]

    def _idle(self) -> Iterator[Session]:
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.last_s is None or oldest.last_s >= self._now - IDLE_S:
                return
            yield self._open.popitem(last=False)[1]

    def _code(self, template: str) -> tuple[int, bool]:
        """Return a template's code, and whether it is met for the first time."""
        code = self._templates.get(template)
        if code is not None:
            return code, False
        if len(self._shown) >= MOST_TEMPLATES:
            return MOST_TEMPLATES + zlib.crc32(template.encode("utf-8", "replace")) % _OTHERS, True
        self._templates[template] = len(self._shown)
        self._shown.append(template)
        return len(self._shown) - 1, True


def _is_full(part: Session, time_s: float | None) -> bool:
    if part.key:
        return len(part.codes) >= MOST_LINES
    first = part.first_s
    late = first is not None and time_s is not None and time_s - first > WINDOW_S
    return late or len(part.codes) >= WINDOW_LINES
