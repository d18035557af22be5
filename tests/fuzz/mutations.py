"""Seeded changes to sample inputs: of bytes, of words, of lines and cells, of JSON values."""

import random
import struct

MOST_BYTES = 64 * 1024

INTERESTING = (0, 1, 2, 3, 6, 12, 16, 24, 127, 128, 255, 256, 1023, 4096, 65535, 1 << 20,
               (1 << 20) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)  # fmt: skip

TOKENS = (
    *(b"", b"-", b"0", b"-1", b"-0", b"1.5", b"1e308", b"1e400", b"-1e400", b"1e-320", b"nan"),
    *(b"NaN", b"inf", b"-inf", b"Infinity", b"9" * 30, b"1" * 400, b"9223372036854775808"),
    *(b"18446744073709551616", b"0x1b", b"0xfffff", b"65536", b"1,5", b"1_000", b"+1", b" 7 "),
    *(b"true", b"null", b"None", b"(empty)", b"{}", b"[]", b"[[[[", b'{"a":', b'"', b'""', b'"a'),
    *(b"\\ud800", b"\\u0000", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\r"),
    *(b"\x1b[31m", b"\xe2\x80\xa8", b"\x85", b"\xc2\xa0", b"\xd9\xa3", b"=1+1", b"%s", b"../.."),
    *(b"1970-01-01T00:00:00.000000+0000", b"9999-12-31T23:59:59.999999+2359", b"0000-00-00"),
    *(b"-262144-01-01T00:00:00", b"2024-02-30 25:61:61", b"32/13/2018 08:31:01 PM", b"1/1/1 1:1"),
    *(b"10.0.0.1", b"::1", b"tcp", b"UDP", b"icmp", b"17", b"58", b"S0", b"SF", b"ShADadFf"),
    *(b"origin", b"origin_source", b"ts", b"__line__", b"_key", b"_row", b"_label", b"literal"),
    *(b"orig_h", b"id.orig_h", b"proto", b"duration", b"label", b"label   detailed-label", b"len"),
    *(b"flow", b"flow.start", b"tcp", b"tcp.state", b"tcp_flags", b"orig_bytes", b"bytes_per_s"),
    *(b"size.length", b"column_1", b"flow_id", b"event_type", b"#fields", b"#separator \\x2c"),
    *(b"#separator \\x00", b"#separator \\x0a", b"#separator \\x22", b"#unset_field\t", b"Summary"),
    *(b"flows,bytes,packets", b"\n", b"\n\n", b"\r\n", b"\t", b",", b";", b"|", b":", b"}", b"{"),
)

_SEPARATORS = (b",", b"\t", b";", b"|")


class Mutator:
    """Makes new inputs of known ones.

    Args:
        rng: every draw comes from it.
    """

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._of_bytes = (
            *(self._flip, self._set_byte, self._number, self._number, self._remove),
            *(self._repeat, self._insert, self._cut, self._splice, self._swap),
        )
        self._of_text = (
            *(self._line, self._line, self._cell, self._cell, self._cell, self._column),
            *(self._header, self._header, self._value, self._value, self._insert),
        )

    def __call__(self, data: bytes, others: list[bytes]) -> bytes:
        """Return ``data`` with one to six changes; ``others`` lend parts."""
        self._others = others
        for _ in range(min(1 + int(self.rng.expovariate(0.7)), 6)):
            is_text = b"\0" not in data[:400]
            kinds = self._of_text if is_text and self.rng.random() < 0.8 else self._of_bytes
            data = self.rng.choice(kinds)(data)
        return data[:MOST_BYTES]

    def _place(self, data: bytes) -> int:
        # headers lie at the front, and most of what decides a parse with them
        most = len(data) if self.rng.random() < 0.7 else min(len(data), 128)
        return self.rng.randrange(most) if most else 0

    def _span(self, data: bytes) -> tuple[int, int]:
        begin = self._place(data)
        return begin, min(len(data), begin + int(self.rng.expovariate(1 / 24)) + 1)

    def _flip(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + bytes(b ^ 1 << self.rng.randrange(8) for b in data[at : at + 1]) + (
            data[at + 1 :]
        )  # fmt: skip

    def _set_byte(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + bytes([self.rng.randrange(256)]) + data[at + 1 :]

    def _number(self, data: bytes) -> bytes:
        at = self._place(data)
        if self.rng.random() < 0.7:
            at -= at % 4
        kind = self.rng.choice(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
        size = struct.calcsize(kind)
        value = self.rng.choice(INTERESTING)
        if self.rng.random() < 0.3 and len(data) >= at + size:
            (value,) = struct.unpack_from(kind, data, at)
            value += self.rng.choice((-16, -4, -1, 1, 4, 16))
        packed = struct.pack(kind, value % (1 << 8 * size))
        return data[:at] + packed + data[at + size :]

    def _remove(self, data: bytes) -> bytes:
        begin, end = self._span(data)
        return data[:begin] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        begin, end = self._span(data)
        return data[:end] + data[begin:end] * self.rng.choice((1, 1, 2, 30)) + data[end:]

    def _insert(self, data: bytes) -> bytes:
        at = self._place(data)
        return data[:at] + self.rng.choice(TOKENS) + data[at:]

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _splice(self, data: bytes) -> bytes:
        other = self.rng.choice(self._others)
        return data[: self._place(data)] + other[self._place(other) :]

    def _swap(self, data: bytes) -> bytes:
        (a, b), (c, d) = sorted((self._span(data), self._span(data)))
        return data if b > c else data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]

    def _line(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = self.rng.randrange(len(lines))
        match self.rng.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(self.rng.randrange(len(lines)), lines[at])
            case 2:
                lines.insert(at, self.rng.choice(TOKENS))
            case 3:
                lines[at] = self._cut(lines[at])
            case 4:
                lines[at] = lines[at] + b"\r"
            case 5:
                lines.insert(at, self.rng.choice(self.rng.choice(self._others).split(b"\n")))
            case _:
                lines[at : at + 2] = [b"".join(lines[at : at + 2])]
        return b"\n".join(lines)

    def _separator(self, line: bytes) -> bytes:
        return max(_SEPARATORS, key=line.count)

    def _cell(self, data: bytes) -> bytes:
        lines = data.split(b"\n")
        at = self.rng.randrange(len(lines))
        separator = self._separator(lines[at])
        cells = lines[at].split(separator)
        cells[self.rng.randrange(len(cells))] = self.rng.choice(TOKENS)
        lines[at] = separator.join(cells)
        return b"\n".join(lines)

    def _column(self, data: bytes) -> bytes:
        """Set, drop or double one column of every line."""
        lines = data.split(b"\n")
        separator = self._separator(data[:2000])
        width = max(1, max(line.count(separator) for line in lines[:10]) + 1)
        at, kind = self.rng.randrange(width), self.rng.randrange(3)
        token, keep_first = self.rng.choice(TOKENS), self.rng.randrange(2)
        for i, line in enumerate(lines[keep_first:], start=keep_first):
            cells = line.split(separator)
            if at < len(cells):
                cells[at : at + 1] = ([token], [], [cells[at]] * 2)[kind]
                lines[i] = separator.join(cells)
        return b"\n".join(lines)

    def _header(self, data: bytes) -> bytes:
        """Rename, double or empty a name of the header."""
        lines = data.split(b"\n")
        at = next((i for i, x in enumerate(lines) if x.startswith(b"#fields")), 0)
        separator = self._separator(lines[at])
        names = lines[at].split(separator)
        new = self.rng.choice((*TOKENS[-50:], self.rng.choice(names), b""))
        names[self.rng.randrange(len(names))] = new
        lines[at] = separator.join(names)
        return b"\n".join(lines)

    def _value(self, data: bytes) -> bytes:
        """Replace what stands after some colon or equals sign, up to the next break."""
        places = [i for i, b in enumerate(data[:MOST_BYTES]) if b in b":="]
        if not places:
            return self._insert(data)
        begin = self.rng.choice(places) + 1
        end = begin
        while end < len(data) and data[end] not in b",}\n":
            end += 1
        quote = self.rng.choice((b"", b"", b'"'))
        return data[:begin] + quote + self.rng.choice(TOKENS) + quote + data[end:]
