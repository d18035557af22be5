"""Records with facts, and rules, for tests."""

from inoculate.domain import Fact
from inoculate.rule import Described, Rule, Term


def record(*pairs, **row):
    """A record with facts of these kinds and values."""
    return Described(row, tuple(Fact(kind, value) for kind, value in pairs))


def rule(kind, *clauses, **more):
    """A rule; a term is (kind, value), with False behind it where it must not hold."""
    return Rule(
        name="made", threat="made up", kind=kind, notes=("made for a test",), **more,
        clauses=tuple(
            tuple(Term(Fact(t[0], t[1]), *t[2:]) for t in clause) for clause in clauses
        ),
    )  # fmt: skip


def agrees(language, made, records):
    """Run a rule with its tool; return what matches, which is what ``holds`` says as well."""
    replay = language.replay(language.write(made), made, records)
    held = language.holds(made.conditions(), records)
    at = {c: i for i, c in enumerate(made.conditions())}
    own = [
        any(all(row[at[t.condition]] == t.holds for t in clause) for clause in made.clauses)
        for row in held
    ]
    assert replay.matched.tolist() == own, (replay.matched.tolist(), own)
    return own
