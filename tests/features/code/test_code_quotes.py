import polars as pl

from inoculate.features.code.code_quotes import quoted
from inoculate.features.code.code_schema import FACTS
from inoculate.features.hashing import columns_of, token_grams

PYTHON = """def f(self, user):
    name = read(user)
    if name:
        return 1
    x = 2
    self.db.execute(name)
    run(user)
    run(request.args)
"""


def quotes(fact, **record):
    width = len(FACTS.view.columns)
    (row,) = token_grams(pl.Series([[fact]]), width, orders=FACTS.orders)
    names = list(columns_of(FACTS.view))
    return quoted({"text": PYTHON, "language": "python", **record}, names[int(row.argmax())])


def test_ways_of_data_say_the_lines_of_the_file_they_are_about():
    assert "'direct:param->run' line 11 to line 17" in quotes("direct:param->run", start_line=11)
    through = quotes("through:param>read>execute", start_line=1)
    assert "'through:param>read>execute' line 1 to line 6" in through
    assert "line 2 to line 6" in quotes("direct:read->execute", start_line=1)
    assert "line 8 to line 8" in quotes("direct:request->run", start_line=1)
    assert "line 2 to line 6" in quotes("then:read>execute", start_line=1)


def test_the_way_from_a_call_to_the_same_call_begins_at_the_first():
    c = {"text": "void f(char *p) {\n  free(p);\n  g();\n  free(p);\n}", "language": "c"}
    assert "'then:free>free' line 2 to line 4" in quotes("then:free>free", start_line=1, **c)


def test_without_a_first_line_and_for_other_facts_no_line_is_told():
    assert "line" not in quotes("direct:param->run")
    assert "line" not in quotes("exit:name return", start_line=1)


def test_facts_of_callees_are_quoted_without_lines():
    told = quotes("direct:param->system", start_line=1, callees=["direct:param->system"])
    assert "'direct:param->system'" in told and "system' line" not in told
