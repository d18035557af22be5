import pytest

from inoculate.features.code.code_facts import Fact, facts_of

C = """int f(struct s *p, int n)
{
    char b[10];
    char *q = malloc(n * sizeof(int));
    if (n < 301)
        return -1;
    memcpy(b, q, n);
    p->x[n] = *q;
    free(q);
    free(q);
}
"""


def told(text, language):
    return {(f.kind, f.value) for f in facts_of(text, language)}


def test_facts_have_the_line_they_are_on():
    facts = facts_of(C, "c")
    assert Fact("args", "malloc(name*sizeof)", 4) in facts
    assert Fact("guard", "name<large", 5) in facts
    assert Fact("then", "free>free", 10) in facts
    assert [f.line for f in facts] == sorted(f.line for f in facts)


def test_what_a_condition_guards_and_what_follows_is_told():
    facts = told(C, "c")
    assert ("exit", "name<large return") in facts
    assert ("guarded", "param->memcpy") in facts
    assert ("unguarded", "param->malloc") in facts and ("guarded", "param->malloc") not in facts
    assert ("untested", "malloc") in facts
    assert ("unchecked", "memcpy") in facts
    assert ("array", "round") in facts


def test_a_tested_result_is_not_called_untested():
    tested = "void f(void) { char *q = malloc(3); if (!q) return; use(q); }"
    assert ("untested", "malloc") not in told(tested, "c")
    go = "func f() { x, err := db.Query(s)\n if err != nil { return }\n use(x) }"
    assert ("untested", "query") not in told(go, "go")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "def f(self, user):\n    self.db.execute('select ' + user)\n"),
        ("java", 'void f(String user) { db.execute("select " + user); }'),
        ("javascript", "function f(user) { db.execute('select ' + user); }"),
        ("typescript", "function f(user: string) { db.execute('select ' + user); }"),
        ("php", "function f($user) { $this->db->execute('select ' . $user); }"),
        ("go", 'func f(user string) { db.Execute("select " + user) }'),
        ("cpp", 'void f(std::string user) { db->execute("select " + user); }'),
    ],
)
def test_one_bug_gives_the_same_facts_in_every_language(language, text):
    facts = told(text, language)
    assert ("args", "execute(concat)") in facts
    assert ("direct", "param->execute") in facts
    assert ("unguarded", "param->execute") in facts
    assert ("unchecked", "execute") in facts


def test_a_call_on_the_way_is_told_as_such():
    php = "function f($a) { $b = escape($a); query('x' . $b); }"
    facts = told(php, "php")
    assert ("through", "param>escape>query") in facts
    assert ("direct", "param->query") not in facts


def test_swallowed_exceptions_and_named_arguments_are_told():
    python = "try:\n    run(x, shell=True)\nexcept (OSError, ValueError):\n    pass\n"
    facts = told(python, "python")
    assert {("keyword", "shell=true"), ("caught", "os"), ("swallowed", "value")} <= facts
    kept = "try:\n    run(x)\nexcept OSError:\n    log(x)\n"
    assert not any(kind == "swallowed" for kind, _ in told(kept, "python"))


def test_settings_of_configuration_are_told_with_their_place():
    hcl = 'resource "aws_s3_bucket" "b" {\n versioning {\n  enabled = false\n }\n}'
    assert ("setting", "resource.versioning.enabled=false") in told(hcl, "terraform")
    yaml = "spec:\n  ports:\n    - 22\n  securityContext: {privileged: true}\n"
    facts = told(yaml, "yaml")
    assert ("setting", "spec.security_context.privileged=true") in facts
    assert ("setting", "spec.ports=22") in facts
    assert ("setting", "user.string=root") in told("FROM a\nUSER root\n", "dockerfile")


def test_a_method_without_its_class_is_parsed():
    for language, text in (
        ("php", "public static function f($a) { run($a); }"),
        ("java", "@Override\n public Foo(String a) { run(a); }"),
        ("javascript", "async f(a) { run(a); }"),
        ("typescript", "private f(a: string): void { run(a); }"),
        ("python", "    def f(self, a):\n        run(a)\n"),
    ):
        assert ("direct", "param->run") in told(text, language), language


def test_an_unknown_language_and_an_empty_text_have_no_facts():
    assert facts_of("fn main() {}", "rust") == []
    assert facts_of("", "c") == []


def test_text_of_the_deepest_nesting_and_of_the_longest_lines_is_survived():
    for language, text in (
        ("c", "int f() { return " + "(" * 20_000 + "1" + ")" * 20_000 + "; }"),
        ("python", "x = " + "[" * 20_000),
        ("javascript", "f(" * 10_000),
        ("php", "$a = " + "'x' . " * 20_000 + "'y';"),
        ("c", "x = " + "a + " * 30_000 + "b;"),
        ("yaml", "- " * 5_000 + "a"),
        ("java", "class A { " * 3_000),
        ("terraform", "a {\n" * 3_000),
    ):
        assert isinstance(facts_of(text, language), list)


def test_a_text_on_which_the_parser_never_ends_is_given_up_and_the_next_is_read():
    assert facts_of("{[/*/{d'':}}}}}}}", "typescript") == []
    assert ("direct", "param->run") in told("function f(a: string) { run(a); }", "typescript")


def test_yaml_indented_beyond_what_its_parser_holds_is_given_up():
    deep = "\n".join(" " * i + "a:" for i in range(300))
    assert facts_of(deep, "yaml") == []
    assert facts_of("\n".join(" " * i + "a:" for i in range(60)), "yaml") != []
