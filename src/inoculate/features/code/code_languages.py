"""The languages that are parsed: endings of files, grammars, other names.

Grammars: https://tree-sitter.github.io/tree-sitter/, one package a language.
"""

import importlib
import re
import warnings
from dataclasses import dataclass
from functools import cache

from tree_sitter import Language, Parser, Tree

from inoculate.features.code.code_roles import is_text, role, role_names, role_of

SUFFIXES = {
    **dict.fromkeys((".c", ".h"), "c"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".inl"), "cpp"),
    **dict.fromkeys((".py", ".pyw"), "python"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".mts", ".cts"), "typescript"),
    **dict.fromkeys((".php", ".php5", ".phtml", ".inc"), "php"),
    **dict.fromkeys((".tf", ".hcl", ".tfvars"), "terraform"),
    **dict.fromkeys((".yaml", ".yml"), "yaml"),
    **dict.fromkeys((".dockerfile", ".containerfile"), "dockerfile"),
    ".java": "java",
    ".go": "go",
    ".tsx": "tsx",
}
"""Language by the ending of a file's name."""

_GRAMMARS = {
    "c": ("c", "language"),
    "cpp": ("cpp", "language"),
    "python": ("python", "language"),
    "java": ("java", "language"),
    "csharp": ("java", "language"),
    "javascript": ("javascript", "language"),
    "typescript": ("typescript", "language_typescript"),
    "tsx": ("typescript", "language_tsx"),
    "php": ("php", "language_php_only"),
    "php_tagged": ("php", "language_php"),
    "go": ("go", "language"),
    "terraform": ("hcl", "language"),
    "yaml": ("yaml", "language"),
    "json": ("yaml", "language"),
    "dockerfile": ("dockerfile", "language"),
}
"""C# and JSON are read by the nearest grammar: most of a function, and all of JSON, fits."""

LANGUAGES = tuple(sorted(set(_GRAMMARS) - {"php_tagged"}))
CONFIGURATION = frozenset(("terraform", "yaml", "json", "dockerfile"))
_ALSO = {
    **dict.fromkeys(("c++", "cc", "cxx"), "cpp"),
    **dict.fromkeys(("py", "python3", "python2"), "python"),
    **dict.fromkeys(("js", "jsx", "node"), "javascript"),
    **dict.fromkeys(("hcl", "tf"), "terraform"),
    **dict.fromkeys(("c#", "cs"), "csharp"),
    **dict.fromkeys(("yml", "kubernetes", "compose"), "yaml"),
    "ts": "typescript",
    "golang": "go",
    "docker": "dockerfile",
}

ERROR = 65_535
"""What the parser calls a node that it could not read."""


def language_named(name: object) -> str | None:
    """Return the language a label means, None for one that is not parsed."""
    plain = str(name or "").strip().lower()
    plain = _ALSO.get(plain, plain)
    return plain if plain in LANGUAGES else None


_CHUNK_BYTES = 1 << 16
_LEVELS = 100
_MARK = re.compile(rb"[-?:](?=[ \t]|$)")


def _is_safe(data: bytes, language: str) -> bool:
    """Return whether the parser can take a text; the one of YAML fails far down.

    The YAML grammar's own reader (0.7.2) writes 4 bytes a level of indentation into 1,024 bytes
    and looks at nothing: beyond 253 levels it takes the process with it.
    """
    if language not in ("yaml", "json"):
        return True
    levels: list[int] = []
    for line in re.split(rb"[\r\n]", data):
        text = line.lstrip(b" \t")
        if not text or text.startswith(b"#"):
            continue
        column = len(line) - len(text)
        while levels and levels[-1] >= column:
            levels.pop()
        levels.append(column)
        for found in _MARK.finditer(text):
            levels.append(column + found.start())
        if len(levels) > _LEVELS and len(set(levels)) > _LEVELS:
            return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """One language's parser.

    Attributes:
        language: what it parses.
        parser: of tree-sitter.
        roles: role by number of a node's kind, or ``SKIP`` or ``THROUGH``.
        fields: name of each field by its number, "" for 0.
        texts: roles of nodes that are told by what stands in the code.
    """

    language: str
    parser: Parser
    roles: dict[int, int]
    fields: tuple[str, ...]
    texts: frozenset[int]


@cache
def grammar(language: str) -> Grammar | None:
    """Return the parser of a language, None where there is none.

    Args:
        language: one of ``LANGUAGES``, or ``php_tagged`` for PHP inside HTML.
    """
    if language not in _GRAMMARS:
        return None
    package, entry = _GRAMMARS[language]
    with warnings.catch_warnings():
        # some grammars still hand over a number in place of a capsule
        warnings.simplefilter("ignore", DeprecationWarning)
        made = Language(getattr(importlib.import_module(f"tree_sitter_{package}"), entry)())
    roles = {ERROR: role("unread")}
    for number in range(made.node_kind_count):
        kind = made.node_kind_for_id(number) or ""
        roles[number] = role_of(kind, made.node_kind_is_named(number), package)
    fields = tuple(made.field_name_for_id(i) or "" for i in range(made.field_count + 1))
    names = role_names()
    texts = frozenset(code for code in roles.values() if code >= 0 and is_text(names[code]))
    return Grammar(language, Parser(made), roles, fields, texts)


def tree_of(data: bytes, used: Grammar) -> Tree | None:
    """Return the syntax tree of a text, None where the parser cannot be trusted with it.

    The parser never ends on some texts (``{[/*/{d'':}}}}}}}`` as TypeScript, tree-sitter 0.26),
    so that its steps are counted: real code takes at most 24 in 1,000 bytes.
    """
    if not _is_safe(data, used.language):
        return None
    most, n_told = 100 + len(data) // 16, 0

    def is_over(_place: int, _is_wrong: bool) -> bool:
        nonlocal n_told
        n_told += 1
        return n_told > most

    try:
        return used.parser.parse(
            lambda start, _: data[start : start + _CHUNK_BYTES], progress_callback=is_over
        )
    except ValueError:
        # what it left half done would be gone on with
        used.parser.reset()
        return None
