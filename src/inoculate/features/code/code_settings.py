"""What a block of configuration sets: Terraform, YAML and JSON, Dockerfile."""

from inoculate.features.code.code_roles import role, role_names
from inoculate.features.code.code_tree import Nodes
from inoculate.features.code.code_words import number_shape, parts, string_shape, string_words

_DEEP = 3
_MOST_WORDS = 40
_BLOCK, _SETTING, _ITEM, _STRING, _NUMBER = map(
    role, ("block", "setting", "item", "string", "number")
)
_BOOL, _NULL, _NAME, _LIST, _PAIR = map(role, ("bool", "null", "name", "list", "pair"))
Found = list[tuple[str, str, int]]


def settings(nodes: Nodes, found: Found) -> None:
    """Add the facts of a block of configuration to ``found``."""
    if nodes.language == "dockerfile":
        _instructions(nodes, found)
        return
    path: list[tuple[int, str]] = []
    for i, code in enumerate(nodes.role):
        while path and nodes.stop[path[-1][0]] <= i:
            path.pop()
        if code == _BLOCK:
            words = _labels(nodes, i)
            path.append((i, words[0] if words else "?"))
            for word in words:
                found.append(("block", word, i))
        elif code in (_SETTING, _PAIR):
            key = _key(nodes, i)
            path.append((i, key))
            found.append(("has", key, i))
            found.append(("has", ".".join(k for _, k in path[-2:]), i))
            _value(nodes, i, path, found)
        elif code in (_STRING, _NUMBER, _BOOL) and nodes.role[nodes.parent[i]] in (_LIST, _ITEM):
            _tell(nodes, i, [k for _, k in path] or ["?"], found)


def _key(nodes: Nodes, i: int) -> str:
    return "_".join(parts(nodes.text(i + 1))) or "?" if nodes.stop[i] > i + 1 else "?"


def _labels(nodes: Nodes, i: int) -> list[str]:
    """Return the words before a block's body: its type and what kind of resource it is."""
    words: list[str] = []
    for j in nodes.children(i)[:2]:
        if nodes.role[j] in (_NAME, _STRING):
            words.append("_".join(parts(nodes.text(j))) or "?")
    return words


def _value(nodes: Nodes, i: int, path: list[tuple[int, str]], found: Found) -> None:
    children = nodes.children(i)
    if len(children) > 1:
        _tell(nodes, children[-1], [k for _, k in path], found)


def _tell(nodes: Nodes, i: int, path: list[str], found: Found) -> None:
    for value in _told(nodes, i):
        found.append(("setting", f"{path[-1]}={value}", i))
        if len(path) > 1:
            found.append(("setting", f"{'.'.join(path[-_DEEP:])}={value}", i))


def _told(nodes: Nodes, i: int) -> list[str]:
    """Return a value in words."""
    code, text = nodes.role[i], nodes.text(i)
    if code == _STRING:
        if nodes.stop[i] > i + 1:
            return ["template"]
        words = "-".join(string_words(text))
        its = string_shape(text)
        return [its, words] if words else [its]
    if code == _NUMBER:
        digits = text.decode("ascii", "replace")
        return [digits[:6], number_shape(text)]
    if code in (_BOOL, _NULL):
        return [text.decode("ascii", "replace").lower()[:5]]
    return ["map" if code == _SETTING else role_names()[code]]


def _instructions(nodes: Nodes, found: Found) -> None:
    names = role_names()
    top = ""
    for i, code in enumerate(nodes.role):
        name = names[code]
        if name.endswith("_instruction"):
            top = name.removesuffix("_instruction")
            found.append(("block", top, i))
        elif top and nodes.stop[i] == i + 1:
            for word in nodes.text(i)[:2_000].split()[:_MOST_WORDS]:
                told = "-".join(parts(word)) or string_shape(word)
                found.append(("setting", f"{top}.{name.split('_')[-1]}={told}", i))
                if word.startswith(b"-"):
                    found.append(("has", f"{top}.{word[:16].decode('utf-8', 'replace')}", i))
