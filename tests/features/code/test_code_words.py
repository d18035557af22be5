import pytest

from inoculate.features.code.code_words import number_shape, parts, string_shape, string_words, tail


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"getUserID", ("get", "user", "id")),
        (b"HTTPServer_v2", ("http", "server", "v2")),
        (b"$_GET", ("get",)),
        (b"md5", ("md5",)),
        (b"x12345", ("x",)),
        (b"___", ()),
        (b"\xff\xfe", ()),
    ],
)
def test_names_are_told_by_their_parts(name, expected):
    assert parts(name) == expected


def test_a_call_is_told_by_the_last_two_parts_of_its_name():
    assert tail(b"ff_alloc_frame_buffer") == "frame buffer" and tail(b"__") == "?"


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (b'""', "empty"),
        (b"'SELECT a FROM b'", "sql"),
        (b'"0.0.0.0/0"', "any_address"),
        (b'"10.1.2.3"', "address"),
        (b"'%s is'", "format"),
        (b"b'x{}'", "format"),
        (b'"/etc/passwd"', "path"),
        (b'"http://a.example"', "http"),
        (b'"<b>"', "markup"),
        (b'"a b"', "text"),
        (b'"AES"', "word"),
    ],
)
def test_literal_texts_have_a_shape(literal, expected):
    assert string_shape(literal) == expected


def test_only_short_plain_texts_have_words():
    assert string_words(b'"AES/ECB/PKCS5Padding"') == ("aes", "ecb", "pkcs5", "padding")
    assert string_words(b'"' + b"a" * 60 + b'"') == ()


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        (b"0", "0"),
        (b"1024", "power"),
        (b"0xFFFF", "mask"),
        (b"100", "round"),
        (b"7", "small"),
        (b"777", "large"),
        (b"0777", "mask"),
        (b"5000000001", "huge"),
        (b"1.5e3", "fraction"),
        (b"12ULL", "small"),
        (b"abc", "number"),
    ],
)
def test_numbers_are_told_by_size(literal, expected):
    assert number_shape(literal) == expected
