import pytest

from inoculate.features.code.code_patterns import MOST_PATTERNS, patterns_of


def values(text, language):
    return {(f.kind, f.value) for f in patterns_of(text, language)}


@pytest.mark.parametrize(
    ("language", "text", "pattern"),
    [
        ("c", "void f(char *s) { if (s != NULL) use(s); }", "$A != NULL"),
        ("c", "void f(int n) { char *p = malloc(n * sizeof(char)); }", "malloc($A * sizeof(char))"),
        ("cpp", "void f(int n) { int *p = new int[n]; }", "new int[$A]"),
        ("python", "def f(x):\n    os.run(x, shell=True)", "os.run(..., shell=True, ...)"),
        ("python", "def f(x):\n    self.db.cur.execute('a' % x)", "$A.execute(...)"),
        ("java", 'void m() { Hash.of("MD5"); }', 'Hash.of("MD5")'),
        ("java", 'void m() { Hash.of("MD5"); }', 'Hash.of("...")'),
        ("php", "function f($q) { query('a' . $q); }", "query('a' . $A)"),
        ("php", "function f($q) { system($_GET['c']); }", "system($_GET['c'])"),
        ("javascript", "function f(q) { eval('a' + q); }", "eval($A)"),
    ],
)  # fmt: skip
def test_an_expression_is_told_with_its_variables_taken_away(language, text, pattern):
    assert ("expression", pattern) in values(text, language)


def test_the_same_variable_is_the_same_metavariable():
    found = values("void f(char *s) { copy(s, s); copy(s, t); }", "c")
    assert ("expression", "copy($A, $A)") in found and ("expression", "copy($A, $B)") in found


def test_names_of_variables_do_not_matter():
    one = values("int f(int a) { int b = g(a); return b + 1; }", "c")
    assert one == values("int f(int zz) { int yy = g(zz); return yy + 1; }", "c") and one


def test_declarations_and_returns_are_statements_but_not_in_the_head_of_a_loop():
    found = values("int f() { char b[10]; for (int i = 0; i < 9; i++) g(i); return 0; }", "c")
    assert ("statement", "char $A[10]") in found and ("statement", "return 0") in found
    assert not any("int $A" in value for _, value in found)


def test_lines_are_counted_in_the_text():
    (fact,) = [f for f in patterns_of("void f() {\n\n  g();\n}", "c") if f.value == "g(...)"]
    assert fact.line == 3


def test_what_has_no_pattern_has_none():
    assert patterns_of("", "c") == [] and patterns_of("x", "cobol") == []
    assert patterns_of("FROM debian", "dockerfile") == []


def test_a_long_function_is_bounded():
    body = "".join(f"g{i}(a{i}, b{i}); x{i} = y{i} * {i};\n" for i in range(3_000))
    found = patterns_of(f"void f() {{ {body} }}", "c")
    assert MOST_PATTERNS <= len(found) < MOST_PATTERNS + 50
    assert all(len(f.value) <= 100 for f in found)
