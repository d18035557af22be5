import numpy as np
import polars as pl

from inoculate.features.code.code_tree import parse
from inoculate.features.code.code_views import encode_code, tokens_of


def test_the_class_put_around_a_method_is_not_counted_as_its_words():
    tokens = tokens_of(parse("public function f($a) { run($a); }", "php"))
    assert "x" not in tokens["token"] and "run" in tokens["token"]
    assert "class>body" not in tokens["tree"]


def test_records_are_counted_alike_alone_and_among_others():
    texts = [f"int f{i}(int a) {{ return g(a, {i}); }}" for i in range(300)] + [None]
    many = encode_code(pl.Series(texts), pl.Series(["c"] * 301))
    one = encode_code(pl.Series(texts[250:251]), pl.Series(["c"]))
    for name, x in many.items():
        np.testing.assert_array_equal(x[250], one[name][0])
        assert np.isnan(x[300]).all()


def test_a_word_of_one_language_is_told_as_such_beside_a_text_of_another():
    texts, languages = ["x = nginx\n", "image: nginx\n"], ["python", "yaml"]
    many = encode_code(pl.Series(texts), pl.Series(languages))
    for i in range(2):
        one = encode_code(pl.Series(texts[i : i + 1]), pl.Series(languages[i : i + 1]))
        np.testing.assert_array_equal(many["token"][i], one["token"][0])
