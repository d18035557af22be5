"""The columns of executables: what each is called, its unit, and how a reason begins with it."""

from inoculate.domain import Column, View
from inoculate.features.byte_histograms import SHARES
from inoculate.features.hashing import hashed_view

IMPORTS, IMPORT_NAMES, SMALL = 256, 64, 32
"""Widths of the hashed views."""


def numbers_view(name: str, table: str) -> View:
    """Return a view from a table of ``name unit about`` lines."""
    columns = []
    for line in table.strip().splitlines():
        column, unit, about = line.split(maxsplit=2)
        columns.append(Column(column, unit, about))
    return View(name, tuple(columns))


STRINGS = numbers_view(
    "strings",
    """
    file_size byte file size
    parsed yes/no structure readable by the parser
    byte_bits bit entropy of all bytes
    strings string printable strings of 5 characters or more
    string_length byte mean length of strings
    string_bits bit entropy of the characters in strings
    string_share 1 share of the file that is strings
    printable_share 1 share of bytes that are printable
    wide_strings string strings of 16-bit characters
    mz_marks mark beginnings of Windows programs inside ("MZ")
    elf_marks mark beginnings of Unix programs inside
    urls mark URLs in strings
    windows_paths mark beginnings of Windows paths in strings
    unix_paths mark Unix folders in strings
    addresses address IPv4 addresses in strings
    base64_runs run long runs of base64 characters
    registry_keys mark registry keys in strings
    shells mark names of shells in strings
    programs mark names of programs and scripts in strings
    web_requests mark parts of web requests in strings
    onion_names mark onion names in strings
    """,
)


def _byte_views() -> tuple[View, View]:
    step = 256 // SHARES
    shares = tuple(
        Column(
            f"byte_{i:02}", "1", f"share of bytes 0x{i * step:02x} to 0x{i * step + step - 1:02x}"
        )
        for i in range(SHARES)
    )
    windows = tuple(
        Column(
            f"byte_entropy_{4 * i + j:02}",
            "1",
            f"share of bytes 0x{64 * j:02x} to 0x{64 * j + 63:02x} where entropy is"
            f" {i / 2:g} to {i / 2 + 0.5:g} bits",
        )
        for i in range(16)
        for j in range(4)
    )
    return View("bytes", shares), View("byte_entropy", windows)


BYTES, BYTE_ENTROPY = _byte_views()
IMPORT = hashed_view("import", IMPORTS, "imported libraries and functions")
IMPORT_NAME = hashed_view("import_name", IMPORT_NAMES, "parts of imported functions' names")
EXPORT = hashed_view("export", SMALL, "exported functions")
SECTION_NAME = hashed_view("section_name", SMALL, "section names")
RICH = hashed_view("rich", SMALL, "build tools in the rich header")
SYMBOL = hashed_view("symbol", SMALL, "names in the program's own symbol table")

PE_HEADER = numbers_view(
    "header",
    """
    x86 yes/no for 32-bit x86
    x64 yes/no for 64-bit x86
    arm yes/no for ARM
    bits_64 yes/no 64-bit header
    gui yes/no graphical program
    console yes/no console program
    native yes/no native program or driver
    symbols symbol COFF symbols
    header_offset byte offset of the PE header
    code_size byte size of code
    data_size byte size of initialised data
    zeroed_size byte size of uninitialised data
    headers_size byte size of headers
    image_size byte size in memory
    section_alignment byte section alignment
    file_alignment byte file alignment
    stack_reserve byte stack reserved
    stack_commit byte stack committed
    heap_reserve byte heap reserved
    directories entry data directories
    linker_version 1 linker version
    operating_system_version 1 operating system version
    image_version 1 image version
    subsystem_version 1 subsystem version
    flag_relocs_stripped yes/no relocations stripped
    flag_runnable yes/no marked runnable
    flag_large_address yes/no handles large addresses
    flag_debug_stripped yes/no debug information stripped
    flag_system_file yes/no marked as system file
    flag_dll yes/no library (DLL)
    dll_high_entropy yes/no high-entropy addresses
    dll_dynamic_base yes/no address randomised (ASLR)
    dll_force_integrity yes/no integrity check forced
    dll_nx yes/no data not runnable (DEP)
    dll_no_seh yes/no no structured exceptions
    dll_app_container yes/no runs in an app container
    dll_driver_model yes/no WDM driver
    dll_guard_cf yes/no control-flow guard
    dll_terminal_server yes/no aware of terminal servers
    has_exports yes/no has exports
    has_imports yes/no has imports
    has_resources yes/no has resources
    has_exceptions yes/no has an exception table
    has_signature yes/no has a signature (not verified)
    has_relocations yes/no has relocations
    has_debug yes/no has a debug directory
    has_tls yes/no has thread-local storage
    has_load_config yes/no has a load configuration
    has_bound_imports yes/no has bound imports
    has_delay_imports yes/no has delayed imports
    has_dotnet yes/no .NET program
    tls_callbacks function functions run before the entry point (TLS)
    overlay_size byte bytes after the last section
    overlay_share 1 share of the file after the last section
    """,
)

PE_SECTIONS = numbers_view(
    "sections",
    """
    sections section sections
    sections_empty section sections without bytes in the file
    sections_runnable section runnable sections
    sections_writable section writable sections
    sections_both section sections both writable and runnable
    sections_odd_name section sections with an unusual name
    sections_dense section sections packed or encrypted (over 7 bits)
    section_bits_most bit entropy of the densest section
    section_bits_least bit entropy of the least dense section
    section_bits_mean bit mean entropy of sections
    section_size_most byte largest section
    runnable_share 1 share of the file that is runnable
    dense_share 1 share of the file in dense sections
    swell_most 1 largest ratio of a section's size in memory to that in the file
    entry_known yes/no entry point lies in a section
    entry_section 1 number of the entry point's section
    entry_last yes/no entry point lies in the last section
    entry_bits bit entropy of the entry point's section
    entry_writable yes/no entry point's section is writable
    entry_share 1 entry point's section as a share of the file
    """,
)

PE_LINKS = numbers_view(
    "links",
    """
    import_libraries library imported libraries
    import_functions function imported functions
    import_ordinals function functions imported by number
    import_delayed function functions imported when first called
    export_functions function exported functions
    export_forwarded function exports passed on to another library
    export_nameless function exports without a name
    """,
)

PE_RESOURCES = numbers_view(
    "resources",
    """
    resource_parts resource resources
    resource_size byte size of resources
    resource_share 1 share of the file that is resources
    resource_size_most byte largest resource
    resource_bits_most bit entropy of the densest resource
    resource_bits_mean bit mean entropy of resources
    resource_languages language languages of resources
    resource_cursors resource cursors
    resource_bitmaps resource bitmaps
    resource_icons resource icons
    resource_dialogs resource dialogs
    resource_string_tables resource string tables
    resource_raw_data resource raw data resources
    resource_versions resource version resources
    resource_manifests resource manifests
    resource_others resource resources of other kinds
    """,
)

ELF_HEADER = numbers_view(
    "header",
    """
    x86 yes/no for 32-bit x86
    x64 yes/no for 64-bit x86
    arm yes/no for 32-bit ARM
    arm64 yes/no for 64-bit ARM
    mips yes/no for MIPS
    powerpc yes/no for PowerPC
    riscv yes/no for RISC-V
    sparc yes/no for SPARC
    other_machine yes/no for another processor
    bits_64 yes/no 64-bit header
    big_endian yes/no most significant byte first
    relocatable yes/no object file
    fixed_address yes/no program at a fixed address
    shared yes/no library or position-independent program
    os_abi 1 number of the operating system
    processor_flags yes/no flags of its processor set
    sections_told section sections told in the header
    segments_told segment segments told in the header
    section_table_missing yes/no no section table
    section_table_outside yes/no section table outside of the file
    entry_zero yes/no no entry point
    segments segment segments
    segments_loaded segment segments loaded
    segments_both segment segments both writable and runnable
    segments_dense segment segments packed or encrypted (over 7 bits)
    segment_bits_most bit entropy of the densest segment
    loaded_share 1 share of the file that is loaded
    swell_most 1 largest ratio of a segment's size in memory to that in the file
    beyond_segments_share 1 share of the file after the last segment
    stack_runnable yes/no stack is runnable
    stack_told yes/no says whether the stack is runnable
    relro yes/no relocations made read-only
    interpreter yes/no needs a loader
    entry_known yes/no entry point lies in a loaded segment
    entry_bits bit entropy of the entry point's segment
    entry_writable yes/no entry point's segment is writable
    """,
)

ELF_SECTIONS = numbers_view(
    "sections",
    """
    sections section sections
    sections_runnable section runnable sections
    sections_both section sections both writable and runnable
    sections_odd_name section sections with an unusual name
    sections_dense section sections packed or encrypted (over 7 bits)
    section_bits_most bit entropy of the densest section
    section_bits_mean bit mean entropy of sections
    runnable_share 1 share of the file in runnable sections
    debug_sections section debug sections
    has_symbol_table yes/no has a symbol table
    has_build_id yes/no has a build id
    has_comment yes/no names its compiler
    has_go yes/no has sections of a Go program
    """,
)

ELF_LINKS = numbers_view(
    "links",
    """
    dynamic_entries entry entries of the dynamic section
    libraries library imported libraries
    has_search_path yes/no has a search path for libraries
    has_own_name yes/no names itself as a library
    bind_now yes/no imports bound at the start
    pie_told yes/no says it is position-independent
    constructors function functions run before main
    destructors function functions run at the end
    import_functions function imported functions
    export_functions function exported functions
    own_symbols symbol symbols in its own table
    """,
)

_BYTES = (STRINGS, BYTES, BYTE_ENTROPY)
PE_VIEWS = (
    *(PE_HEADER, PE_SECTIONS, SECTION_NAME, PE_LINKS, IMPORT, IMPORT_NAME, EXPORT, PE_RESOURCES),
    *(RICH, *_BYTES),
)
ELF_VIEWS = (
    *(ELF_HEADER, ELF_SECTIONS, SECTION_NAME, ELF_LINKS, IMPORT, IMPORT_NAME, EXPORT, SYMBOL),
    *_BYTES,
)
