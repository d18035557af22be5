"""What is looked up once counts as what it would count as anew."""

import numpy as np
import polars as pl

from inoculate.features.code import code_known
from inoculate.features.code.code_facts import raw_facts
from inoculate.features.code.code_known import Known
from inoculate.features.code.code_schema import FACTS
from inoculate.features.code.code_tree import parse
from inoculate.features.code.code_views import CodeEncoder
from inoculate.features.hashing import token_grams


def encoded(texts, known=None):
    encoder = CodeEncoder(known)
    for row, text in enumerate(texts):
        nodes = parse(text, "c")
        encoder.add(row, nodes, raw_facts(nodes), ["callee:args g(name)"])
    return encoder.finish(len(texts)), encoder.known


def test_a_fact_counts_in_the_column_of_its_text():
    known = Known()
    numbers = np.array([known.facts["args"]["f(name)"], known.facts[""]["callee:guard x"]])
    columns = known.columns(numbers)
    width = len(FACTS.view.columns)
    told = token_grams(pl.Series([["args:f(name)"], ["callee:guard x"]]), width, orders=(1,))
    assert columns.tolist() == told.argmax(axis=1).tolist()
    assert known.columns(np.array([known.facts["call"]["f"]])).tolist() == [-1]
    assert known.texts() == ["args:f(name)", "callee:guard x", "call:f"]


def test_code_is_encoded_the_same_after_other_code(monkeypatch):
    one = ["int f(char *p) { return strlen(p) + 12; }"]
    others = [f'void g{i}(int a) {{ if (a > {i}) x{i}.y(a, "s"); }}' for i in range(40)]
    alone, _ = encoded(one)
    _, known = encoded(others)
    for most in (1 << 16, 10):
        monkeypatch.setattr(code_known, "_MOST", most)
        after, its = encoded(one, known)
        assert (its is known) == (most > 10)
        for name, x in alone.items():
            np.testing.assert_array_equal(x, after[name])
