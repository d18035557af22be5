import pytest

from inoculate.features.code.code_comments import comments_in
from inoculate.features.code.code_languages import grammar, tree_of


def found(text, language):
    data = text.encode()
    return comments_in(tree_of(data, grammar(language)), data)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "# inoculate: ignore[sqli] why"),
        ("c", "/* inoculate: ignore[sqli] why */"),
        ("cpp", "// inoculate: ignore[sqli] why"),
        ("java", "// inoculate: ignore[sqli] why"),
        ("javascript", "/* inoculate: ignore[sqli] why */"),
        ("typescript", "// inoculate: ignore[sqli] why"),
        ("php", "# inoculate: ignore[sqli] why"),
        ("go", "//inoculate:ignore[sqli] why"),
        ("terraform", "# inoculate: ignore[sqli] why"),
        ("yaml", "# inoculate: ignore[sqli]: why"),
        ("dockerfile", "# inoculate: ignore[sqli] why\nFROM a"),
    ],
)
def test_comments_are_read_as_each_language_has_them(language, text):
    assert found(text, language) == [(1, True, "sqli", "why")]


def test_a_comment_in_html_around_php_is_none_of_php():
    assert found("<!-- inoculate: ignore[*] why -->\n<?php f(); ?>", "php_tagged") == []


def test_texts_that_look_like_comments_are_none():
    assert found("x = '# inoculate: ignore[*] why'\n", "python") == []
    assert found('s := "// inoculate: ignore[*] why"', "go") == []
    assert found('"""\n# inoculate: ignore[*] why\n"""\n', "python") == []


def test_what_stands_before_it_and_what_is_missing_is_told():
    assert found("f(x)  # inoculate: ignore[*]\n", "python") == [(1, False, "*", "")]
    assert found("\n# inoculate: ignore because\n", "python") == [(2, True, "", "because")]
    assert found("/* inoculate: ignore[a, b] one */ f();", "c") == [(1, True, "a, b", "one")]
