"""Lines of any text log: syslog, the logs of servers and applications, the kernel's.

What no other format knows is still a log, and what an intruder does leaves lines that the
background does not have. A record is a line. JSON and delimited logs are not read here: each
key or column of theirs means something of its own.

What is encoded is what the line says by itself: without its time, priority and host, and with
numbers, addresses, identifiers and named users replaced by their kind
(``features.hosts.log_masks``, which also says what that cannot see). So a line encodes the same
alone, in a batch, and in any order. Templates are learned from line to line by Drain and do depend
on what was read before, so
they are never encoded: the column ``template`` shows and groups findings, as the line stood to
the templates known when its batch was read. Of each batch no more than ``MOST_NEW`` masked
texts not met before go into Drain; a further one is its own template.

The value of a number is lost with its digits: a threat that differs from the background by a
number alone (a status code, a port) is not seen, but how many numbers of what length is.

Reference:
    He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS 2017.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Fact, OnBad, Source, View, raise_bad
from inoculate.features.hashing import hashed_view, in_views
from inoculate.features.hosts.drain import Drain
from inoculate.features.hosts.log_headers import log_likeness, times
from inoculate.features.hosts.log_masks import masked, messages, readable, words
from inoculate.features.hosts.log_shape import OF_MASK, OF_MESSAGE, mask_shape, message_shape
from inoculate.features.text.text_domain import HashedView, TextDomain, with_text
from inoculate.reading.lines import read_blocks
from inoculate.reading.log_rows import log_rows, written_at
from inoculate.reading.text_rows import first_lines
from inoculate.task import Encoded, FloatArray

MOST_NEW = 1_000
MOST_LINES = 20_000
"""Most records in one batch."""

MASKED = "__masked__"
"""Frame column: what ``encode`` would find again in ``text``."""

SHAPE = View("shape", (*OF_MESSAGE, *OF_MASK))
WORDS = HashedView(hashed_view("word", 256, "words in the message"), (1, 2), of_tokens=True)
GRAMS = HashedView(hashed_view("gram", 256, "character sequences in the message"), (3,))

_BLOCK_BYTES = 2 * 1024 * 1024
_MOST_KNOWN = 50_000
_TEMPLATE_CHARACTERS = 300


class LogLines(TextDomain):
    """Lines of a text log."""

    kind: ClassVar[str] = "log_line"
    unit: ClassVar[str] = "line"
    identity: ClassVar[tuple[str, ...]] = ("template", "text")
    shape_view: ClassVar[View] = SHAPE
    hashed: ClassVar[tuple[HashedView, ...]] = (WORDS, GRAMS)

    def sniff(self, source: Source) -> float:
        """Return 0.4 where most lines begin with a time or a priority, 0.05 for other text."""
        return log_likeness(first_lines(source))

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of lines that are not blank; see the base class.

        Raises:
            RecordError: through ``on_bad``, also for a line with a null byte.
        """
        latest, templates = written_at(source), _Templates()
        for block in read_blocks(source, on_bad=on_bad, block_bytes=_BLOCK_BYTES):
            frame, bad = log_rows(block, source.name)
            for some in frame.iter_slices(MOST_LINES):
                if some.height:
                    texts, which = masked(messages(some["text"]))
                    yield Batch(
                        some.with_columns(
                            times(some["text"], latest=latest),
                            templates.of(texts).gather(which).alias("template"),
                            texts.gather(which).alias(MASKED),
                        )
                    )
            for error in bad:
                on_bad(error)

    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the shape of lines, their words, and the text with what varies masked."""
        said = messages(frame["text"])
        texts, which = masked(said)
        found = words(texts)
        shape = np.hstack([message_shape(said), mask_shape(texts, found)[which]])
        return shape, {"word": found.gather(which), "gram": texts.gather(which)}

    def encode(self, batch: Batch, views: Sequence[View]) -> Encoded:
        """Return the lines in the columns of ``views``, each masked text encoded once.

        Raises:
            RecordError: there is no column ``text``.
        """
        frame = with_text(batch.frame)
        said = messages(frame["text"])
        if MASKED in frame.columns:
            names = frame[MASKED].to_list()
            places = {text: i for i, text in enumerate(dict.fromkeys(names))}
            texts = pl.Series(list(places), dtype=pl.String)
            which = np.fromiter(map(places.__getitem__, names), np.int64, len(names))
        else:
            texts, which = masked(said)
        found, unknown = words(texts), frame["text"].is_null().to_numpy()
        once = {"word": WORDS.counts(found), "gram": GRAMS.counts(texts)}
        out = {name: np.take(x, which, axis=0) for name, x in once.items()}
        out["shape"] = np.hstack([message_shape(said), mask_shape(texts, found)[which]])
        for x in out.values():
            x[unknown] = np.nan
        return in_views(out, self.views(batch), views)

    def facts(self, record: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Return the line without its time, priority and host."""
        text = str(record.get("text") or "")
        said = messages(pl.Series([text], dtype=pl.String))[0] if text else ""
        return (Fact("text", said),) if said else ()


class _Templates:
    """Templates of masked texts, learned from batch to batch."""

    def __init__(self) -> None:
        self._drain = Drain()
        self._known: dict[str, int] = {}

    def of(self, texts: pl.Series) -> pl.Series:
        """Return the template of each of some different masked texts."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        shown, n_new = readable(texts).to_list(), 0
        for text in shown:
            if n_new == MOST_NEW:
                break
            if text not in self._known:
                self._known[text] = self._drain.add(text)
                n_new += 1
        found = (self._drain.template(self._known.get(text, -1)) or text for text in shown)
        return pl.Series([t[:_TEMPLATE_CHARACTERS] for t in found], dtype=pl.String)
