"""The columns that code is encoded to."""

from inoculate.domain import Column, View
from inoculate.features.hashing import hashed_view
from inoculate.features.text.text_domain import HashedView

TOKENS = HashedView(hashed_view("token", 192, "words of the code"), (1, 2), of_tokens=True)
TREE = HashedView(hashed_view("tree", 128, "structure of the code"), (1,), of_tokens=True)
CALLS = HashedView(hashed_view("call", 96, "calls"), (1, 2), of_tokens=True)
FACTS = HashedView(hashed_view("fact", 128, "facts of the code"), (1,), of_tokens=True)
HASHED = (TOKENS, TREE, CALLS, FACTS)

ROLES = {
    "calls": ("calls", ("call",)),
    "objects": ("objects made", ("new",)),
    "branches": ("branches", ("if", "switch", "ternary")),
    "elses": ("other branches (else)", ("else",)),
    "cases": ("cases of a switch", ("case",)),
    "loops": ("loops", ("loop",)),
    "returns": ("returns", ("return",)),
    "throws": ("exceptions raised", ("throw",)),
    "tries": ("blocks that catch exceptions", ("try", "catch")),
    "jumps": ("jumps by break, continue or goto", ("break", "continue", "goto")),
    "assignments": ("assignments", ("assign", "augment")),
    "declarations": ("declarations", ("declare",)),
    "statements": ("statements", ("statement",)),
    "functions": ("functions inside", ("func", "lambda")),
    "indices": ("indices into arrays", ("index", "slice")),
    "members": ("members of objects", ("member",)),
    "pointers": ("pointers followed or taken", ("pointer", "op ->")),
    "arrays": ("arrays declared", ("array_type", "array_new")),
    "casts": ("casts", ("cast",)),
    "sizes": ("sizes asked for (sizeof)", ("sizeof",)),
    "strings": ("literal texts", ("string",)),
    "templates": ("values inside texts", ("interpolation",)),
    "numbers": ("literal numbers", ("number",)),
    "truths": ("true and false", ("bool",)),
    "nulls": ("null values", ("null",)),
    "names": ("names", ("name",)),
    "types": ("types", ("type",)),
    "annotations": ("annotations", ("annotation",)),
    "lists": ("lists and maps", ("list", "map")),
    "settings": ("settings", ("setting",)),
    "blocks": ("blocks of configuration", ("block",)),
    "comparisons": (
        "comparisons for size",
        ("op <", "op >", "op <=", "op >="),
    ),
    "equalities": (
        "comparisons for equality",
        ("op ==", "op !=", "op ===", "op !==", "op is", "op is not"),
    ),
    "arithmetic": (
        "arithmetic operators",
        ("op +", "op -", "op *", "op /", "op %", "op +=", "op -=", "op ++", "op --"),
    ),
    "logic": ("logical operators", ("op &&", "op ||", "op and", "op or", "op !", "op not")),
    "bits": ("operators on bits", ("op &", "op |", "op ^", "op ~", "op <<", "op >>")),
    "unread": ("places that could not be parsed", ("unread",)),
}
"""Columns that count nodes: what they say, and the roles that count."""

KINDS = {
    "guards": ("conditions", ("guard",)),
    "early_exits": ("conditions after which it is left", ("exit",)),
    "unchecked": ("calls whose result is dropped", ("unchecked",)),
    "untested": ("results that no condition looks at", ("untested",)),
    "swallowed": ("exceptions swallowed", ("swallowed",)),
    "flows": ("ways of data into calls, indices and pointers", ("direct", "through")),
    "direct": ("ways of data without a call between", ("direct",)),
    "unguarded": ("ways of data that no condition looks at", ("unguarded",)),
    "reached": ("calls that act on raw data from outside", ("reached",)),
    "treated": ("calls that act on escaped or checked data from outside", ("treated",)),
    "fixed": ("calls that act on nothing from outside", ("fixed",)),
    "exposed": ("data from outside that reaches one at all", ("exposed",)),
    "decided": ("conditions that constants decide", ("decided",)),
    "reused": ("calls on a variable that was given to another", ("then",)),
}
"""Columns that count facts: what they say, and the kinds that count."""

SIZES = {
    "lines": ("line", "lines:"),
    "bytes": ("byte", "bytes:"),
    "nodes": ("1", "nodes of the syntax tree:"),
    "depth": ("1", "greatest depth of the syntax tree:"),
    "parameters": ("1", "parameters:"),
    "deepest_block": ("1", "greatest depth of blocks:"),
}
_UNIT = "log2(1+n)"
SHAPE = View(
    "shape",
    (
        *(
            Column(name, _UNIT if unit == "1" else f"log2(1+{unit})", about)
            for name, (unit, about) in SIZES.items()
        ),
        *(Column(name, _UNIT, f"{about}:") for name, (about, _) in (ROLES | KINDS).items()),
    ),
)
VIEWS = (SHAPE, *(h.view for h in HASHED))
