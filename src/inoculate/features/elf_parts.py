"""What a Unix program's structure says, for a worker process: numbers, and lists of names.

Reference:
    The groups of Anderson and Roth, arXiv:1804.04637, section 3.2, and of EMBER2024 (Joyce et al.,
    KDD 2025), whose ELF features are those that LIEF gives for any format; the fields here are
    those of the System V ABI, chapters 4 and 5: segments, the dynamic section and its hardening
    flags, which those references do not have.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import lief
import numpy as np

from inoculate.features.byte_histograms import counted, entropy
from inoculate.features.executable_terms import MOST_NAMES, cut_names

MOST_SECTIONS = 512
MOST_SEGMENTS = 256
_MOST_SYMBOLS = 65_536
_ODD = 7.0
_USUAL_NAMES = (
    ".text .data .rodata .bss .init .fini .plt .plt.got .plt.sec .got .got.plt .dynamic .dynsym"
    " .dynstr .hash .gnu.hash .gnu.version .gnu.version_r .gnu.version_d .rela.dyn .rela.plt"
    " .rel.dyn .rel.plt .relr.dyn .interp .note.abi-tag .note.gnu.build-id .note.gnu.property"
    " .comment .symtab .strtab .shstrtab .eh_frame .eh_frame_hdr .gcc_except_table .init_array"
    " .fini_array .preinit_array .ctors .dtors .jcr .tbss .tdata .data.rel.ro .gnu_debuglink"
    " .gnu_debugaltlink .debug_info .debug_abbrev .debug_line .debug_str .debug_aranges"
    " .debug_ranges .debug_loc .debug_frame"
)
_USUAL = frozenset(_USUAL_NAMES.split())
_MACHINES = {"x86": (3,), "x64": (62,), "arm": (40,), "arm64": (183,), "mips": (8, 10),
             "powerpc": (20, 21), "riscv": (243,), "sparc": (2, 18, 43)}  # fmt: skip
_WRITE, _ALLOC, _EXECUTE = 1, 2, 4
_LOAD, _STACK, _RELRO = 1, 0x6474E551, 0x6474E552
_NEEDED, _RPATH, _RUNPATH, _SONAME, _BIND_NOW, _FLAGS, _FLAGS_1 = 1, 15, 29, 14, 24, 30, 0x6FFFFFFB
_INIT_SIZE, _FINI_SIZE = 27, 28


def elf_parts(data: bytes | bytearray) -> dict[str, Any]:
    """Return numbers by column name and lists of names; empty where it cannot be parsed."""
    lief.logging.disable()
    config = lief.ELF.ParserConfig()
    config.parse_relocations = config.parse_notes = config.parse_overlay = False
    binary = lief.ELF.parse(bytes(data), config)
    if binary is None:
        return {}
    parts: dict[str, Any] = _header(binary.header, len(data))
    parts |= _segments(binary, data)
    parts |= _sections(binary, data)
    parts |= _dynamic(binary)
    parts |= _symbols(binary)
    return parts


def _number(value: Any) -> int:
    """Return a flag set, an enum or a number as a number."""
    return int(getattr(value, "value", value))


def _header(header: Any, size: int) -> dict[str, float]:
    machine = _number(header.machine_type)
    kind = _number(header.file_type)
    numbers = {k: float(machine in v) for k, v in _MACHINES.items()}
    return numbers | {
        "other_machine": float(not any(numbers.values())),
        "bits_64": float(_number(header.identity_class) == 2),
        "big_endian": float(_number(header.identity_data) == 2),
        "relocatable": float(kind == 1),
        "fixed_address": float(kind == 2),
        "shared": float(kind == 3),
        "os_abi": float(_number(header.identity_os_abi)),
        "processor_flags": float(bool(_number(header.processor_flag))),
        "sections_told": float(header.numberof_sections),
        "segments_told": float(header.numberof_segments),
        "section_table_missing": float(not header.section_header_offset),
        "section_table_outside": float(header.section_header_offset > size),
        "entry_zero": float(not header.entrypoint),
    }


def _segments(binary: Any, data: bytes | bytearray) -> dict[str, float]:
    some = list(islice(binary.segments, MOST_SEGMENTS))
    entry = _number(binary.header.entrypoint)
    kinds = [_number(s.type) for s in some]
    flags = [_number(s.flags) for s in some]
    loads = [(s, f) for s, k, f in zip(some, kinds, flags, strict=True) if k == _LOAD]
    bits = [_entropy(data, s.file_offset, s.physical_size) for s, _ in loads]
    swell = [s.virtual_size / max(512, s.physical_size) for s, _ in loads]
    at = next(
        (
            i
            for i, (s, _) in enumerate(loads)
            if s.virtual_address <= entry < s.virtual_address + s.virtual_size
        ),
        -1,
    )
    ends = [s.file_offset + s.physical_size for s in some]
    stack = [f for k, f in zip(kinds, flags, strict=True) if k == _STACK]
    total = max(1, len(data))
    numbers = {
        "segments": float(len(some)),
        "segments_loaded": float(len(loads)),
        "segments_both": float(sum(f & 3 == 3 for _, f in loads)),
        "segments_dense": float(sum(b > _ODD for b in bits)),
        "segment_bits_most": max(bits, default=0.0),
        "loaded_share": min(10.0, sum(s.physical_size for s, _ in loads) / total),
        "swell_most": min(1e6, max(swell, default=0.0)),
        "beyond_segments_share": max(0.0, 1 - max(ends, default=0) / total),
        "stack_runnable": float(bool(stack and stack[0] & 1)),
        "stack_told": float(bool(stack)),
        "relro": float(_RELRO in kinds),
        "interpreter": float(3 in kinds),
        "entry_known": float(at >= 0),
    }
    if at >= 0:
        numbers |= {"entry_bits": bits[at], "entry_writable": float(bool(loads[at][1] & 2))}
    return numbers


def _entropy(data: bytes | bytearray, start: int, size: int) -> float:
    end = min(len(data), start + size)
    return entropy(counted(np.frombuffer(data, np.uint8)[min(start, end) : end]))


def _sections(binary: Any, data: bytes | bytearray) -> dict[str, Any]:
    some = list(islice(binary.sections, MOST_SECTIONS))
    names = [str(s.name) for s in some]
    flags = [_number(s.flags) for s in some]
    # a section of type 8 (NOBITS) has a size, but no bytes in the file
    sizes = [0 if _number(s.type) == 8 else s.size for s in some]
    bits = [_entropy(data, s.file_offset, n) for s, n in zip(some, sizes, strict=True)]
    known = [b for b, n in zip(bits, sizes, strict=True) if n]
    total = max(1, len(data))
    return {
        "sections": float(len(some)),
        "sections_runnable": float(sum(bool(f & _EXECUTE) for f in flags)),
        "sections_both": float(sum(f & 5 == 5 for f in flags)),
        "sections_odd_name": float(sum(n not in _USUAL for n in names if n)),
        "sections_dense": float(sum(b > _ODD for b in known)),
        "section_bits_most": max(known, default=0.0),
        "section_bits_mean": sum(known) / max(1, len(known)),
        "runnable_share": min(
            10.0, sum(n for n, f in zip(sizes, flags, strict=True) if f & _EXECUTE) / total
        ),
        "debug_sections": float(sum(n.startswith((".debug", ".zdebug")) for n in names)),
        "has_symbol_table": float(".symtab" in names),
        "has_build_id": float(".note.gnu.build-id" in names),
        "has_comment": float(".comment" in names),
        "has_go": float(any(n.startswith((".go.", ".gopclntab", ".note.go")) for n in names)),
        "section_names": cut_names(names),
    }


def _dynamic(binary: Any) -> dict[str, Any]:
    entries = [
        (_number(e.tag) & 0xFFFFFFFF, int(e.value)) for e in islice(binary.dynamic_entries, 4_096)
    ]
    tags = [tag for tag, _ in entries]
    values = dict(reversed(entries))
    width = 8 if _number(binary.header.identity_class) == 2 else 4
    now = _BIND_NOW in tags or values.get(_FLAGS, 0) & 8 or values.get(_FLAGS_1, 0) & 1
    return {
        "dynamic_entries": float(len(entries)),
        "libraries": float(tags.count(_NEEDED)),
        "has_search_path": float(_RPATH in tags or _RUNPATH in tags),
        "has_own_name": float(_SONAME in tags),
        "bind_now": float(bool(now)),
        "pie_told": float(bool(values.get(_FLAGS_1, 0) & 0x08000000)),
        "constructors": float(min(1e6, values.get(_INIT_SIZE, 0) / width)),
        "destructors": float(min(1e6, values.get(_FINI_SIZE, 0) / width)),
    }


def _symbols(binary: Any) -> dict[str, Any]:
    imports: list[Any] = []
    exports: list[str] = []
    n_imports = n_exports = 0
    names = [library(str(n)) for n in islice(binary.libraries, MOST_NAMES)]
    for symbol in islice(binary.dynamic_symbols, _MOST_SYMBOLS):
        if symbol.imported:
            n_imports += 1
            if len(imports) < MOST_NAMES:
                imports.append(symbol)
        elif symbol.exported:
            n_exports += 1
            if len(exports) < MOST_NAMES:
                exports.append(str(symbol.name))
    functions = [str(s.name) for s in imports]
    for function, symbol in zip(functions, imports, strict=True):
        names.append(function)
        names += (f"{version}:{function}" for version in _versions(symbol))
    own = [str(s.name) for s in islice(binary.symtab_symbols, _MOST_SYMBOLS)]
    return {
        "import_functions": float(n_imports),
        "export_functions": float(n_exports),
        "own_symbols": float(len(own)),
        "imports": cut_names(names, 3 * MOST_NAMES),
        "functions": cut_names(functions),
        "exports": cut_names(exports),
        "symbols": cut_names(n for n in own if n),
    }


def library(name: str) -> str:
    """Return a library's name without folder and version: ``libc`` for ``/lib/libc.so.6``."""
    return name.rpartition("/")[2].partition(".so")[0].lower()


def _versions(symbol: Any) -> Iterator[str]:
    """Yield the set of versions a symbol is of, ``GLIBC`` for ``GLIBC_2.34``."""
    version = symbol.symbol_version if symbol.has_version else None
    if version is not None and version.has_auxiliary_version:
        yield str(version.symbol_version_auxiliary.name).partition("_")[0]
