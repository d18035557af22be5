import contextlib

import pytest

from inoculate.features.code.code_expressions import Spent
from inoculate.features.code.code_facts import facts_of, raw_facts
from inoculate.features.code.code_reach import MOST_STEPS, _Run
from inoculate.features.code.code_tree import parse

KINDS = ("reached", "treated", "fixed", "exposed", "decided")


def told(text, language):
    return {(f.kind, f.value) for f in facts_of(text, language) if f.kind in KINDS}


def java(body):
    return told(f"class A {{ void f(Request request, String p) throws E {{ {body} }} }}", "java")


def python(body):
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return told(f"def f(p):\n{lines}", "python")


REACHES = {("reached", "exec"), ("exposed", "raw")}
DROPPED = {("fixed", "exec")}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("run.exec(p);", REACHES),
        ("run.exec(\"ls\");", DROPPED),
        ("String b; int n = 106; if ((7*18)+n > 200) b = \"a\"; else b = p; run.exec(b);", DROPPED),
        ("String b; int n = 86; if ((7*42)-n > 300) b = \"a\"; else b = p; run.exec(b);", REACHES),
        ("String b = 7*18+106 > 200 ? \"a\" : p; run.exec(b);", DROPPED),
        ("String b = \"a\"; if (other()) b = p; run.exec(b);", REACHES),
        ("String b = p; if (other()) b = \"a\"; else b = \"b\"; run.exec(b);", DROPPED),
        ("String b = \"x\"; while (more()) { b = p; break; } run.exec(b);", REACHES),
        ("String b = \"x\"; for (String s : p) { b = s; } run.exec(b);", REACHES),
        ("String b = \"x\"; try { b = p; } catch (E e) { } run.exec(b);", REACHES),
        ("String b = p; return; run.exec(b);", set()),
    ],
)  # fmt: skip
def test_conditions_that_constants_decide_are_decided(body, found):
    assert {f for f in java(body) if f[0] != "decided"} == found


@pytest.mark.parametrize(("at", "found"), [(0, REACHES), (1, DROPPED), (2, REACHES), (3, DROPPED)])
def test_a_switch_over_a_constant_takes_its_arm_and_falls_through(at, found):
    body = f"""String b; char t = "ABCX".charAt({at});
        switch (t) {{ case 'A': b = p; break; case 'B': b = "x"; break;
        case 'C': case 'D': b = p; break; default: b = "y"; }} run.exec(b);"""
    assert java(body) == found | {("decided", "switch")}
    unknown = body.replace('"ABCX".charAt', "other")
    assert java(unknown) == REACHES


@pytest.mark.parametrize(("at", "found"), [(0, REACHES), (1, DROPPED)])
def test_elements_of_lists_and_maps_are_kept_apart(at, found):
    body = f"""List<String> l = new ArrayList<String>(); l.add("s"); l.add(p); l.add("m");
        l.remove(0); run.exec(l.get({at}));"""
    assert java(body) == found
    key = "ab"[at]
    assert (
        java(f"""Map m = new HashMap(); m.put("a", p); m.put("b", "x");
        run.exec((String) m.get("{key}"));""")
        == found
    )
    assert python(f"m = {{}}\nm['a'] = p\nm['b'] = 'x'\nos.exec(m['{key}'])") == found


def test_a_list_that_anything_may_have_happened_to_is_not_known():
    body = 'List<String> l = new ArrayList<String>(); l.add("s"); l.add(p); {} run.exec(l.get(0));'
    assert java(body.replace("{}", "")) == DROPPED
    assert java(body.replace("{}", "Collections.sort(l); l.sort(null);")) == REACHES
    assert java(body.replace("{}", "while (more()) { l.remove(0); }")) == REACHES


def test_functions_of_the_text_are_gone_into_and_what_they_are_given_counts():
    text = """class A {
        void f(Request request) { String b = g(request.get("x"), "y"); run.exec(b); }
        String g(String p, String q) { return %s; } }"""
    assert told(text % "p", "java") == REACHES
    assert told(text % "q", "java") == DROPPED
    assert told(text % "g(q, p)", "java") >= {("reached", "exec")}  # into itself it is not gone


def test_escaped_and_converted_data_is_told_apart():
    found = {("treated", "exec")}
    assert python("os.exec(escape(p))") == python("os.exec(int(p))") == found
    assert python("os.exec(p.replace(\"'\", ''))") == found
    assert python("os.exec(p.replace('a', 'b'))") == REACHES
    assert python("os.exec(unquote(p))") == REACHES


def test_data_that_is_tested_before_going_on_was_checked():
    assert python("if '../' in p:\n    return 1\nos.exec(p)") == {("treated", "exec")}
    assert python("u = parse(p)\nif u.host not in ok:\n    return 1\nos.exec(p)") == {
        ("treated", "exec")
    }
    assert python("if p == 1:\n    return 1\nos.exec(p)") == REACHES
    assert python("if '../' in p:\n    log()\nos.exec(p)") == REACHES


def test_what_a_handler_returns_goes_out():
    text = "@app.{}('/x')\ndef f():\n    return 'a' + request.form\n"
    assert told(text.format("route"), "python") == {("reached", "return"), ("exposed", "raw")}
    assert told(text.format("cached"), "python") == set()


def test_a_match_in_python_takes_one_arm():
    arms = ["case 'A':", "    b = p", "case 'B' | 'C':", "    b = 'x'", "case _:", "    b = p"]
    lines = ["g = 'ABC'[{}]", "match g:", *(f"    {line}" for line in arms), "os.exec(b)"]
    body = "\n".join(lines)
    assert python(body.format(0)) == REACHES | {("decided", "switch")}
    assert python(body.format(2)) == DROPPED | {("decided", "switch")}


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ('void f(char *p) { char b[9]; if (0) strcpy(b, p); strcpy(b, "x"); }', "c", "fixed"),
        ("void f(char *p) { char b[9]; strcpy(b, p); }", "c", "reached"),
        ("function f($p) { $b = 1 > 2 ? $p : 'x'; system($b); }", "php", "fixed"),
        ("function f($p) { system('ls ' . $p); }", "php", "reached"),
        ("function f(p) { let b = ['x', p]; eval(b[0]); }", "javascript", "fixed"),
        ("function f(p) { let b = ['x', p]; eval(b[1]); }", "javascript", "reached"),
        ('func f(p string) { b := "x"; if 1 > 2 { b = p }; run(b) }', "go", "fixed"),
        ("func f(p string) { b := p; run(b) }", "go", "reached"),
    ],
)
def test_it_is_the_same_in_all_languages(text, language, found):
    kinds = {kind for kind, _ in told(text, language)} - {"decided", "exposed"}
    assert kinds == {found}


def test_a_run_ends_after_so_many_steps_and_keeps_what_it_told():
    calls = " ".join(f"void g{i}(String p) {{ {f'g{i + 1}(p); ' * 20} }}" for i in range(20))
    text = f"class A {{ void f(String p) {{ run.exec(p); g0(p); run.exec(p); }} {calls} }}"
    nodes = parse(text, "java")
    raw_facts(nodes)
    short, long = _Run(nodes, 60), _Run(nodes, MOST_STEPS)
    with pytest.raises(Spent):
        short.all()
    assert [fact[:2] for fact in short.told] == [("reached", "exec")]
    with contextlib.suppress(Spent):
        long.all()
    assert len(long.told) >= len(short.told)


def test_what_is_deep_is_read_flat():
    deep = "run.exec(" + "g(" * 100 + "p" + ")" * 100 + ");"
    assert java(deep) == REACHES
    assert java("run.exec(p" + " + p" * 100 + ");") == REACHES
    assert java("if (a()) { " * 100 + "run.exec(p);" + "}" * 100) == set()


@pytest.mark.parametrize(
    "language", ["c", "cpp", "python", "java", "javascript", "typescript", "php", "go"]
)
def test_broken_code_is_run_as_far_as_it_goes(language):
    text = "exec( = [ { case 'x' switch ( if else ) for while try catch ? : f( return )( } ]"
    for cut in range(0, len(text), 3):
        facts_of(text[cut:] + text[:cut], language)
        facts_of(f"def f(p):\n  exec(p)\n  {text[cut:]}", language)
