from inoculate.features.code.code_calls import MOST_TOLD, callees
from inoculate.features.code.code_facts import raw_facts
from inoculate.features.code.code_tree import parse

WRAPPER = "def run(command):\n    system(command)\n"


def told(*functions, names=None):
    parsed = [parse(f, "python") for f in functions]
    names = names or [f.split("(")[0].removeprefix("def ") for f in functions]
    return callees([(n, p, raw_facts(p)) for n, p in zip(names, parsed, strict=True)])


def test_a_wrapper_around_a_call_looks_like_it_to_who_calls_the_wrapper():
    (its, own) = told("def f(request):\n    run(request)\n", WRAPPER)
    assert {"direct:param->system", "unguarded:param->system"} <= set(its)
    assert "callee:args system(name)" in its
    assert own == []


def test_a_look_on_either_side_guards_the_way():
    guarded = "def f(request):\n    if request:\n        run(request)\n"
    assert "guarded:param->system" in told(guarded, WRAPPER)[0]
    checked = "def run(command):\n    if command:\n        system(command)\n"
    its = told("def f(request):\n    run(request)\n", checked)[0]
    assert "guarded:param->system" in its and "unguarded:param->system" not in its


def test_only_one_step_is_followed_and_nobody_calls_himself():
    chain = ["def f(a):\n    g(a)\n", "def g(a):\n    h(a)\n", "def h(a):\n    system(a)\n"]
    assert not any("system" in fact for fact in told(*chain)[0])
    assert told("def f(a):\n    f(a)\n    system(a)\n") == [[]]


def test_a_name_that_many_functions_have_is_not_followed():
    many = ["def f(a):\n    run(a)\n", *[WRAPPER] * 4]
    assert told(*many)[0] == []
    assert told(*many[:4])[0]


def test_methods_are_found_by_their_own_name():
    assert told("def f(a):\n    self.run(a)\n", WRAPPER, names=["A.f", "A.run"])[0]


def test_what_is_told_is_bounded():
    long = "def run(a):\n" + "".join(
        f"    call_{chr(97 + i % 26)}{i}(a, {i})\n" for i in range(300)
    )
    assert len(told("def f(a):\n    run(a)\n", long)[0]) <= MOST_TOLD
