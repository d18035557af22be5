"""Writes YAML 1.1 of dicts, lists, texts and numbers, so that every reader reads the same."""

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][\w./()-]*(?: [\w./()-]+)*")
_WORDS = frozenset(("true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"))


def to_yaml(value: Any, indent: int = 0) -> str:
    r"""Return a value in block style, with its newline.

    Example:
        >>> to_yaml({"a": ["x", 1], "b": {"c": "it's\\"}}).splitlines()
        ['a:', '- x', '- 1', 'b:', "  c: 'it''s\\'"]
    """
    pad = " " * indent
    if isinstance(value, dict):
        return "".join(f"{pad}{scalar(k)}:{_below(v, indent)}" for k, v in value.items())
    return "".join(f"{pad}-{_item(v, indent)}" for v in value)


def _below(value: Any, indent: int) -> str:
    if isinstance(value, dict) and value:
        return "\n" + to_yaml(value, indent + 2)
    if isinstance(value, list) and value:
        return "\n" + to_yaml(value, indent)
    return _one(value, indent)


def _item(value: Any, indent: int) -> str:
    if isinstance(value, dict | list) and value:
        return to_yaml(value, indent + 2)[indent + 1 :]
    return _one(value, indent)


def _one(value: Any, indent: int) -> str:
    if isinstance(value, str) and "\n" in value and _is_block(value):
        pad = " " * (indent + 2)
        return " |\n" + "".join(f"{pad}{line}\n" for line in value.rstrip("\n").split("\n"))
    return f" {scalar(value)}\n"


def _is_block(text: str) -> bool:
    return text.isascii() and not text[0].isspace() and all(
        c.isprintable() or c == "\n" for c in text
    )  # fmt: skip


def scalar(value: Any) -> str:
    """Return a text, number, flag or empty list or dict in one line."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.isascii() and value.lower() not in _WORDS:
        return value
    if value.isascii() and value.isprintable() and value:
        return "'" + value.replace("'", "''") + "'"
    return json.dumps(value.encode("utf-8", "replace").decode())
