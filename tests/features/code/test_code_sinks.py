import pytest

from inoculate.features.code import code_sinks as names


@pytest.mark.parametrize("name", ["prepareStatement", "pg_query", "exec", "FileWriter", "XPath"])
def test_what_acts_is_known_by_its_parts(name):
    assert names.acts(name.encode())


@pytest.mark.parametrize("name", ["getWriter", "escape_for_html", "StringBuilder", "_", "toString"])
def test_what_only_reads_or_escapes_does_not_act(name):
    assert not names.acts(name.encode())


@pytest.mark.parametrize("name", ["encodeForHTML", "html_escape", "intval", "secure_filename"])
def test_what_makes_data_harmless_is_known(name):
    assert names.treats(name.encode())


@pytest.mark.parametrize("name", ["unescape", "unquote_plus", "decode", "encodeBase64", "getBytes"])
def test_what_undoes_that_or_only_changes_form_is_not(name):
    assert not names.treats(name.encode())


def test_the_other_kinds_of_names():
    assert names.acts_on_object(b"read_text") and not names.acts_on_object(b"read")
    assert names.measures(b"isEmpty") and not names.measures(b"substring")
    assert names.replaces(b"replaceAll") and not names.replaces(b"place")
    assert names.tests(b"startsWith") and not names.tests(b"find")
    assert names.routes(b"route") and not names.routes(b"property")
    assert names.holds(b"session") and not names.holds(b"sessions")
