"""What a file's bytes say without knowing its format: histograms, entropy, counts of strings.

Reference:
    Anderson and Roth, arXiv:1804.04637, section 3.2, and Joyce et al., "EMBER2024 - A Benchmark
    Dataset for Holistic Evaluation of Malware Classifiers", KDD 2025: strings of at least five
    printable characters, and how many look like paths, URLs or registry keys. Departures: our
    own, fewer patterns; a count a megabyte is left to the learner; no histogram of characters;
    text in 16-bit characters is counted too; a
    string over the border of two blocks of 8 MiB counts as two.
"""

import re
from string import ascii_letters, digits

import numpy as np
import numpy.typing as npt

from inoculate.features.byte_histograms import Bytes, byte_entropy, byte_shares, counted, entropy

MOST_BYTES = 64 << 20
"""Of each file, so many bytes are looked at."""

_SHORTEST = 5
_BLOCK = 8 << 20
_ADDRESS = re.compile(rb"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_SHORTEST_ADDRESS, _SHORTEST_BASE64 = 7, 48
_PARTS = {
    "urls": (b"://",),
    "windows_paths": (b":\\", b"%\\"),
    "unix_paths": (b"/dev/", b"/etc/", b"/home/", b"/proc/", b"/tmp/", b"/usr/", b"/var/"),
    "registry_keys": (b"hkey_", b"hklm\\", b"hkcu\\", b"software\\", b"currentversion\\run"),
    "shells": (b"cmd.exe", b"powershell", b"/bin/sh", b"/bin/bash", b"wscript", b"busybox"),
    "programs": (b".exe", b".dll", b".bat", b".vbs", b".ps1", b".scr"),
    "web_requests": (b"user-agent", b"http/1.", b"content-type", b"mozilla/"),
    "onion_names": (b".onion",),
}  # fmt: skip


def _members(characters: bytes) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, bool)
    table[np.frombuffer(characters, np.uint8)] = True
    return table


_IN_ADDRESS = _members(b"0123456789.")
_IN_BASE64 = _members((ascii_letters + digits + "+/").encode())


def file_bytes(data: bytes | bytearray) -> dict[str, float]:
    """Return every column of the views ``bytes``, ``byte_entropy`` and ``strings`` by name."""
    array = np.frombuffer(data, np.uint8)
    counts = counted(array)
    numbers = {"byte_bits": entropy(counts)}
    numbers |= {f"byte_{i:02}": float(v) for i, v in enumerate(byte_shares(counts))}
    numbers |= {f"byte_entropy_{i:02}": float(v) for i, v in enumerate(byte_entropy(array))}
    return numbers | _strings(data, array, int(counts[0x20:0x7F].sum()))


def _strings(data: bytes | bytearray, array: Bytes, n_printable: int) -> dict[str, float]:
    text, n_strings = printable(array)
    lower = text.lower()
    characters = np.frombuffer(text, np.uint8)
    counts = counted(characters)
    counts[10] = 0  # what joins them
    n_bytes = int(counts.sum())
    numbers = {
        "strings": n_strings,
        "string_length": n_bytes / max(1, n_strings),
        "string_bits": entropy(counts),
        "string_share": n_bytes / max(1, len(data)),
        "printable_share": n_printable / max(1, len(data)),
        "wide_strings": wide_strings(array),
        "mz_marks": data.count(b"MZ"),
        "elf_marks": data.count(b"\x7fELF"),
        "addresses": addresses(text),
        "base64_runs": len(_runs(_IN_BASE64[characters], _SHORTEST_BASE64)[0]),
    }
    for name, parts in _PARTS.items():
        numbers[name] = sum(lower.count(part) for part in parts)
    return {name: float(value) for name, value in numbers.items()}


def printable(data: Bytes) -> tuple[bytes, int]:
    """Return all strings of five or more printable characters, a newline after each; their number.

    Args:
        data: (n,) bytes; printable is 0x20 to 0x7e.
    """
    pieces, n = [], 0
    for start, end in _blocks(data):
        part = data[start:end]
        first, last = _runs((part - np.uint8(0x20)) < 0x5F)
        n += len(first)
        if len(first):
            lengths = last - first + 1
            place = np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
            text = part[np.minimum(place + np.arange(len(place)), len(part) - 1)]
            text[np.cumsum(lengths) - 1] = 10
            pieces.append(text.tobytes())
    return b"".join(pieces), n


def addresses(text: bytes) -> int:
    """Return the number of runs of digits and dots that read as an IPv4 address."""
    first, last = _runs(_IN_ADDRESS[np.frombuffer(text, np.uint8)], _SHORTEST_ADDRESS)
    runs = (text[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True))
    return sum(_ADDRESS.fullmatch(run.rstrip(b".")) is not None for run in runs)


def wide_strings(data: Bytes) -> int:
    """Return the number of runs of five or more printable characters of two bytes each."""
    n = 0
    for odd in (0, 1):
        pairs = data[odd : len(data) - (len(data) - odd) % 2].reshape(-1, 2)
        zero = pairs[:, 1] == 0
        n += len(_runs(zero & ((pairs[:, 0] - np.uint8(0x20)) < 0x5F))[0])
    return n


def _blocks(data: Bytes) -> list[tuple[int, int]]:
    return [(i, min(len(data), i + _BLOCK)) for i in range(0, len(data), _BLOCK)]


def _runs(
    mask: npt.NDArray[np.bool_], shortest: int = _SHORTEST
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return where each run of at least so many begins, and the place after its end."""
    edged = np.zeros(len(mask) + 2, np.int8)
    edged[1:-1] = mask
    turns = np.flatnonzero(edged[1:] != edged[:-1])
    first, last = turns[::2], turns[1::2]
    long = last - first >= shortest
    return first[long], last[long]
