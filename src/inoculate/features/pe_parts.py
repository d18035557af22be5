"""What a Windows program's structure says, for a worker process: numbers, and lists of names.

Reference:
    Anderson and Roth, arXiv:1804.04637, section 3.2 and Joyce et al., "EMBER2024", KDD 2025: the
    groups general, header, section, imports, exports, data directories, rich header and
    signature. Departures: no timestamp and no checksum; sections are summed up, not hashed each
    with its size; resources in more detail; no Authenticode verification and no parser warnings.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import lief
import numpy as np

from inoculate.features.byte_histograms import counted, entropy
from inoculate.features.executable_terms import MOST_NAMES, cut_names

MOST_SECTIONS = 256
MOST_RESOURCES = 2_000
_ODD = 7.0
_USUAL_NAMES = (
    ".text .data .rdata .bss .idata .edata .rsrc .reloc .pdata .xdata .tls .crt .didat .code"
    " code data .ndata .sdata .debug .gfids .00cfg .buildid .eh_fram .sxdata .init .fini"
    " _rdata .rodata .voltbl .retplne .gxfg .giats"
)
_USUAL = frozenset(_USUAL_NAMES.split())
_EXECUTE, _READ, _WRITE, _CODE = 0x20000000, 0x40000000, 0x80000000, 0x20
_DIRECTORIES = {
    **{"exports": 0, "imports": 1, "resources": 2, "exceptions": 3, "signature": 4},
    **{"relocations": 5, "debug": 6, "tls": 9, "load_config": 10, "bound_imports": 11},
    **{"delay_imports": 13, "dotnet": 14},
}
_DLL_FLAGS = {
    **{"high_entropy": 0x20, "dynamic_base": 0x40, "force_integrity": 0x80, "nx": 0x100},
    **{"no_seh": 0x400, "app_container": 0x1000, "driver_model": 0x2000, "guard_cf": 0x4000},
    **{"terminal_server": 0x8000},
}
_FLAGS = {
    **{"relocs_stripped": 1, "runnable": 2, "large_address": 0x20, "debug_stripped": 0x200},
    **{"system_file": 0x1000, "dll": 0x2000},
}
_RESOURCE_KINDS = {1: "cursors", 2: "bitmaps", 3: "icons", 5: "dialogs", 6: "string_tables",
                   10: "raw_data", 16: "versions", 24: "manifests"}  # fmt: skip


def pe_parts(data: bytes | bytearray) -> dict[str, Any]:
    """Return numbers by column name and lists of names; empty where it cannot be parsed."""
    lief.logging.disable()
    config = lief.PE.ParserConfig()
    for part in ("exceptions", "reloc", "signature", "arm64x_binary"):
        setattr(config, f"parse_{part}", False)
    binary = lief.PE.parse(bytes(data), config)
    if binary is None:
        return {}
    parts: dict[str, Any] = _header(binary, len(data))
    parts |= _sections(binary, data)
    parts |= _links(binary)
    parts |= _resources(binary, len(data))
    rich = binary.rich_header
    entries = list(islice(rich.entries, MOST_NAMES)) if rich is not None else []
    parts["rich"] = [name for e in entries for name in (f"{e.id}", f"{e.id}.{e.build_id}")]
    return parts


def _number(value: Any) -> float:
    """Return a flag set, an enum or a number as a number."""
    return float(int(getattr(value, "value", value)))


def _header(binary: Any, size: int) -> dict[str, float]:
    header, optional = binary.header, binary.optional_header
    numbers = {
        name: _number(getattr(optional, attribute))
        for name, attribute in {
            "code_size": "sizeof_code",
            "data_size": "sizeof_initialized_data",
            "zeroed_size": "sizeof_uninitialized_data",
            "headers_size": "sizeof_headers",
            "image_size": "sizeof_image",
            "section_alignment": "section_alignment",
            "file_alignment": "file_alignment",
            "stack_reserve": "sizeof_stack_reserve",
            "stack_commit": "sizeof_stack_commit",
            "heap_reserve": "sizeof_heap_reserve",
            "directories": "numberof_rva_and_size",
        }.items()
    }
    for name in ("linker", "operating_system", "image", "subsystem"):
        major = _number(getattr(optional, f"major_{name}_version"))
        numbers[f"{name}_version"] = (
            major + _number(getattr(optional, f"minor_{name}_version")) / 100
        )
    machine, subsystem = _number(header.machine), _number(optional.subsystem)
    flags, dll_flags = (
        int(_number(header.characteristics)), int(_number(optional.dll_characteristics))
    )  # fmt: skip
    numbers |= {f"flag_{k}": float(bool(flags & bit)) for k, bit in _FLAGS.items()}
    numbers |= {f"dll_{k}": float(bool(dll_flags & bit)) for k, bit in _DLL_FLAGS.items()}
    sizes = [d.size for d in islice(binary.data_directories, 16)]
    sizes += [0] * (16 - len(sizes))
    numbers |= {f"has_{k}": float(sizes[i] > 0) for k, i in _DIRECTORIES.items()}
    tls = binary.tls if binary.has_tls else None
    overlay = max(0, size - binary.overlay_offset) if binary.overlay_offset else 0
    return numbers | {
        "x86": float(machine == 0x14C),
        "x64": float(machine == 0x8664),
        "arm": float(machine in (0x1C0, 0x1C4, 0xAA64)),
        "bits_64": float(_number(optional.magic) == 0x20B),
        "gui": float(subsystem == 2),
        "console": float(subsystem == 3),
        "native": float(subsystem == 1),
        "symbols": _number(header.numberof_symbols),
        "header_offset": _number(binary.dos_header.addressof_new_exeheader),
        "tls_callbacks": float(len(list(islice(tls.callbacks, 1_000)))) if tls else 0.0,
        "overlay_size": float(overlay),
        "overlay_share": overlay / max(1, size),
    }


def _sections(binary: Any, data: bytes | bytearray) -> dict[str, Any]:
    some = list(islice(binary.sections, MOST_SECTIONS))
    entry = _number(binary.optional_header.addressof_entrypoint)
    raw = [(s.pointerto_raw_data, s.sizeof_raw_data) for s in some]
    bits = [_entropy(data, start, size) for start, size in raw]
    flags = [int(_number(s.characteristics)) for s in some]
    virtual = [max(0, s.virtual_size) for s in some]
    at = next(
        (
            i
            for i, s in enumerate(some)
            if s.virtual_address <= entry < s.virtual_address + max(virtual[i], raw[i][1])
        ),
        -1,
    )
    sizes = [size for _, size in raw]
    runnable = [bool(f & (_EXECUTE | _CODE)) for f in flags]
    writable = [bool(f & _WRITE) for f in flags]
    known = [b for b, size in zip(bits, sizes, strict=True) if size]
    total = max(1, len(data))
    numbers = {
        "sections": float(len(some)),
        "sections_empty": float(sum(not s for s in sizes)),
        "sections_runnable": float(sum(runnable)),
        "sections_writable": float(sum(writable)),
        "sections_both": float(sum(a and b for a, b in zip(runnable, writable, strict=True))),
        "sections_odd_name": float(sum(_name(s).lower() not in _USUAL for s in some)),
        "sections_dense": float(sum(b > _ODD for b in known)),
        "section_bits_most": max(known, default=0.0),
        "section_bits_least": min(known, default=0.0),
        "section_bits_mean": sum(known) / max(1, len(known)),
        "section_size_most": float(max(sizes, default=0)),
        "runnable_share": sum(s for s, r in zip(sizes, runnable, strict=True) if r) / total,
        "dense_share": sum(s for s, b in zip(sizes, bits, strict=True) if b > _ODD) / total,
        "swell_most": max(
            (v / max(512, s) for v, s in zip(virtual, sizes, strict=True)), default=0.0
        ),
        "entry_known": float(at >= 0),
        "entry_section": float(at),
        "entry_last": float(at >= 0 and at == len(some) - 1),
    }
    if at >= 0:
        numbers |= {
            "entry_bits": bits[at],
            "entry_writable": float(writable[at]),
            "entry_share": sizes[at] / total,
        }
    names = cut_names(_name(s) for s in some)
    return {**numbers, "section_names": names}


def _name(section: Any) -> str:
    name = section.name
    return name if isinstance(name, str) else bytes(name).decode("latin-1")


def _entropy(data: bytes | bytearray, start: int, size: int) -> float:
    end = min(len(data), start + size)
    return entropy(counted(np.frombuffer(data, np.uint8)[min(start, end) : end]))


def _links(binary: Any) -> dict[str, Any]:
    names: list[str] = []
    functions: list[str] = []
    counts = {"libraries": 0, "functions": 0, "ordinals": 0, "delayed": 0}
    for delayed, library, entries in _imports(binary):
        counts["libraries"] += 1
        names.append(library)
        for entry in entries:
            counts["functions"] += 1
            counts["delayed"] += delayed
            counts["ordinals"] += entry.is_ordinal
            function = f"#{entry.ordinal}" if entry.is_ordinal else str(entry.name)
            if len(functions) < MOST_NAMES:
                functions.append(function)
                names += (function, f"{library}:{function}")
    exports = list(islice(_exports(binary), 65_536))
    return {
        **{f"import_{k}": float(v) for k, v in counts.items()},
        "export_functions": float(len(exports)),
        "export_forwarded": float(sum(e.is_forwarded for e in exports)),
        "export_nameless": float(sum(not e.name for e in exports)),
        "imports": cut_names(names, 3 * MOST_NAMES),
        "functions": cut_names(f for f in functions if not f.startswith("#")),
        "exports": cut_names(str(e.name) for e in exports if e.name),
    }


def _imports(binary: Any) -> Iterator[tuple[bool, str, Iterable[Any]]]:
    for delayed, libraries in ((False, binary.imports), (True, binary.delay_imports)):
        for library in islice(libraries, MOST_NAMES):
            name = str(library.name).lower()
            yield delayed, name.removesuffix(".dll"), islice(library.entries, MOST_NAMES)


def _exports(binary: Any) -> Iterator[Any]:
    table = binary.get_export() if binary.has_exports else None
    return iter(table.entries) if table else iter(())


def _resources(binary: Any, size: int) -> dict[str, float]:
    leaves = list(_leaves(binary.resources)) if binary.has_resources else []
    sizes = [len(content) for _, _, content in leaves]
    dense = [entropy(counted(np.frombuffer(c, np.uint8))) for _, _, c in leaves if len(c) >= 256]
    kinds = [_RESOURCE_KINDS.get(kind, "others") for kind, _, _ in leaves]
    numbers = {
        f"resource_{k}": float(kinds.count(k)) for k in (*_RESOURCE_KINDS.values(), "others")
    }
    return numbers | {
        "resource_parts": float(len(leaves)),
        "resource_size": float(sum(sizes)),
        "resource_share": math.fsum(sizes) / max(1, size),
        "resource_size_most": float(max(sizes, default=0)),
        "resource_bits_most": max(dense, default=0.0),
        "resource_bits_mean": sum(dense) / max(1, len(dense)),
        "resource_languages": float(len({language for _, language, _ in leaves})),
    }


def _leaves(root: Any) -> Iterator[tuple[int, int, Any]]:
    """Yield kind, language and content of at most ``MOST_RESOURCES`` resources."""
    left = MOST_RESOURCES
    for kind in islice(root.childs, MOST_RESOURCES):
        for named in islice(kind.childs, left):
            for leaf in islice(named.childs, left):
                if left and leaf.is_data:
                    left -= 1
                    yield int(kind.id), int(leaf.id), leaf.content
