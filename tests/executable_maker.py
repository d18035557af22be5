"""Builds small executables by hand, byte by byte; nothing of them does anything when run.

``python -m tests.executable_maker`` writes tests/data/pe.exe and tests/data/elf.bin anew.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

ALIGN = 0x200
PAGE = 0x1000
IMPORTS = {
    "KERNEL32.dll": ("CreateFileA", "ReadFile", "ExitProcess"),
    "USER32.dll": ("MessageBoxA",),
}
LIBRARIES = ("libc.so.6",)
FUNCTIONS = ("printf", "open", "exit")


def padded(data: bytes, size: int = ALIGN) -> bytes:
    """Return the data with zeros up to a multiple of ``size``."""
    return data + bytes(-len(data) % size)


def import_table(at: int, imports: Mapping[str, Sequence[str]]) -> tuple[bytes, int]:
    """Return the import section for relative address ``at``, and the size of its directory."""
    directory_size = 20 * (len(imports) + 1)
    names, thunks = b"", b""
    thunks_at = at + directory_size
    n_thunks = sum(len(f) + 1 for f in imports.values())
    names_at = thunks_at + 16 * n_thunks
    directory = b""
    tables: list[bytes] = []
    for library, functions in imports.items():
        entries = b""
        for function in functions:
            entries += struct.pack("<Q", names_at + len(names))
            names += b"\0\0" + function.encode() + b"\0"
        tables.append(entries + bytes(8))
        library_at = names_at + len(names)
        names += library.encode() + b"\0"
        first = thunks_at + sum(len(t) for t in tables[:-1])
        directory += struct.pack("<IIIII", first, 0, 0, library_at, first + 8 * n_thunks)
    thunks = b"".join(tables) * 2
    return directory + bytes(20) + thunks + names, directory_size


def resource_table(at: int, content: bytes) -> bytes:
    """Return a resource section with one raw data resource."""

    def level(number: int, offset: int) -> bytes:
        return struct.pack("<IIHHHH", 0, 0, 0, 0, 0, 1) + struct.pack("<II", number, offset)

    tree = level(10, 24 | 1 << 31) + level(1, 48 | 1 << 31) + level(1033, 72)
    return tree + struct.pack("<IIII", at + 88, len(content), 0, 0) + content


def pe(
    *,
    imports: Mapping[str, Sequence[str]] = IMPORTS,
    code: bytes = b"\xc3" * 64,
    raw_data: bytes = bytes(range(256)) * 2,
    overlay: bytes = b"",
    code_name: bytes = b".text",
    entry: int = PAGE,
) -> bytes:
    """Return a 64-bit Windows console program."""
    table, directory_size = import_table(2 * PAGE, imports)
    parts = [
        (code_name, 0x60000020, code),
        (b".rdata", 0x40000040, table + b"https://example.org/ C:\\Windows\\a.txt\0"),
        (b".rsrc", 0x40000040, resource_table(3 * PAGE, raw_data)),
    ]
    sections, body, offset = b"", b"", 0x400
    for i, (name, flags, content) in enumerate(parts):
        raw = padded(content)
        at = (i + 1) * PAGE
        sections += name.ljust(8, b"\0") + struct.pack(
            "<IIIIIIHHI", len(content), at, len(raw), offset, 0, 0, 0, 0, flags
        )
        body += raw
        offset += len(raw)
    directories = [(0, 0)] * 16
    directories[1], directories[2] = (2 * PAGE, directory_size), (3 * PAGE, len(parts[2][2]))
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(0x20B, 14, 0, len(padded(code)), 0x400, 0, entry, PAGE, 0x140000000, PAGE, ALIGN),
        *(6, 0, 0, 0, 6, 0, 0, (len(parts) + 1) * PAGE, 0x400, 0, 3, 0x8160),
        *(1 << 20, PAGE, 1 << 20, PAGE, 0, 16),
    ) + b"".join(struct.pack("<II", *d) for d in directories)
    coff = struct.pack("<HHIIIHH", 0x8664, len(parts), 0, 0, 0, len(optional), 0x22)
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return padded(dos + b"PE\0\0" + coff + optional + sections, 0x400) + body + overlay


def elf(
    *,
    libraries: Sequence[str] = LIBRARIES,
    functions: Sequence[str] = FUNCTIONS,
    code: bytes = b"\xc3" * 64,
    machine: int = 62,
    stack_flags: int = 6,
    sections: bool = True,
) -> bytes:
    """Return a 64-bit little-endian Unix program with imported and one exported function."""
    base, n_segments = 0x400000, 4
    strings = b"\0" + b"".join(t.encode() + b"\0" for t in (*libraries, *functions, "run_me"))

    def name_at(text: str) -> int:
        return strings.index(b"\0" + text.encode() + b"\0") + 1

    symbols = bytes(24)
    for function in functions:
        symbols += struct.pack("<IBBHQQ", name_at(function), 0x12, 0, 0, 0, 0)
    start = 64 + 56 * n_segments
    interpreter = b"/lib64/ld-linux-x86-64.so.2\0"
    code_at = start + len(interpreter)
    symbols += struct.pack("<IBBHQQ", name_at("run_me"), 0x12, 0, 1, base + code_at, len(code))
    symbols_at = code_at + len(code)
    strings_at = symbols_at + len(symbols)
    hash_at = strings_at + len(strings)
    n_symbols = len(symbols) // 24
    hashes = struct.pack("<III", 1, n_symbols, 0) + bytes(4 * n_symbols)
    dynamic_at = hash_at + len(hashes)
    tags = [(1, name_at(library)) for library in libraries]
    tags += [
        (4, base + hash_at),
        (5, base + strings_at),
        (6, base + symbols_at),
        (10, len(strings)),
    ]
    tags += [(11, 24), (24, 0), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    end = dynamic_at + len(dynamic)
    names = b"\0.text\0.dynsym\0.dynstr\0.dynamic\0.shstrtab\0"
    table = [
        *((1, 1, 6, code_at, len(code), 0), (7, 11, 2, symbols_at, len(symbols), 24)),
        *((15, 3, 2, strings_at, len(strings), 0), (23, 6, 3, dynamic_at, len(dynamic), 16)),
        (32, 3, 0, end, len(names), 0),
    ]
    headers = bytes(64)
    for name, kind, flags, at, size, entry_size in table:
        address = base + at if flags else 0
        link = 3 if kind in (6, 11) else 0
        headers += struct.pack(
            "<IIQQQQIIQQ", name, kind, flags, address, at, size, link, 0, 8, entry_size
        )
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    n_headers = len(table) + 1 if sections else 0
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, base + code_at, 64, end + len(names) if sections else 0,
        0, 64, 56, n_segments, 64 if sections else 0, n_headers, len(table) if sections else 0,
    )  # fmt: skip
    segments = (
        *((3, 4, start, len(interpreter)), (1, 5, 0, end)),
        *((2, 6, dynamic_at, len(dynamic)), (0x6474E551, stack_flags, 0, 0)),
    )
    programs = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, at, base + at, base + at, size, size, 8)
        for kind, flags, at, size in segments
    )
    body = header + programs + interpreter + code + symbols + strings + hashes + dynamic
    return body + names + headers if sections else body


def main() -> None:
    """Write the samples."""
    folder = Path(__file__).parent / "data"
    (folder / "pe.exe").write_bytes(pe())
    (folder / "elf.bin").write_bytes(elf())


if __name__ == "__main__":
    main()
