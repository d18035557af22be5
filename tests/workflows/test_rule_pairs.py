"""A rule from code before and after its fix."""

import json

import pytest

from inoculate.errors import InputError
from inoculate.workflows.adapt import AdaptRequest, adapt
from inoculate.workflows.rule import make_rule
from inoculate.workflows.rule_request import RuleRequest

TABLES = ("users", "orders", "items", "notes")
VULNERABLE = """def find_{0}(db, {0}_id):
    query = "SELECT * FROM {0} WHERE id = '%s'" % {0}_id
    return db.execute(query).fetchall()
"""
FIXED = """def find_{0}(db, {0}_id):
    query = "SELECT * FROM {0} WHERE id = ?"
    return db.execute(query, [{0}_id]).fetchall()
"""
OTHER = """def total_{0}(rows, start):
    count = start + {0}
    for row in rows:
        count += row.price * {0}
    return count


def show_{0}(page, name):
    page.write("Hello %s, this is page {0}" % name)
    return page.render(title=name)


def load_{0}(db, ids):
    return db.execute("SELECT * FROM t{0} WHERE id = ?", [ids]).fetchone()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pairs")
    (made / "fixes").mkdir()
    (made / "src").mkdir()
    for i, table in enumerate(TABLES):
        (made / "fixes" / f"{i}.vuln.py").write_text(VULNERABLE.format(table))
        (made / "fixes" / f"{i}.fixed.py").write_text(FIXED.format(table))
    for i in range(20):
        (made / "src" / f"m{i}.py").write_text(OTHER.format(i))
    adapt(
        AdaptRequest(
            examples=(),
            pairs=(str(made / "fixes"),),
            background=(str(made / "src"),),
            threats=("cwe-89",),
            out=made / "cwe-89.detector",
        )
    )
    return made


def request(folder, **more):
    how = {"pairs": (str(folder / "fixes"),), "examples": (), "format": "json"} | more
    return RuleRequest(
        detector=folder / "cwe-89.detector", background=(str(folder / "src"),), **how
    )


def test_the_vulnerable_sides_match_and_neither_the_fixed_ones_nor_the_background_do(folder):
    report = make_rule(request(folder))
    assert report.examples == len(TABLES)
    assert report.alarms == (0, 60)
    assert report.left_out.n_contrary == len(TABLES) and report.left_out.wrong == 0
    assert "--pairs fixes" in json.dumps(json.loads(report.text))


def test_pairs_the_wrong_way_round_give_another_rule(folder, tmp_path):
    for i, table in enumerate(TABLES):
        (tmp_path / f"{i}.vuln.py").write_text(FIXED.format(table))
        (tmp_path / f"{i}.fixed.py").write_text(VULNERABLE.format(table))
    turned = json.loads(make_rule(request(folder, pairs=(str(tmp_path),))).text)
    rule = json.loads(make_rule(request(folder)).text)
    assert turned["clauses"] != rule["clauses"]


@pytest.mark.parametrize("more", [{"examples": ("x.py",)}, {"contrary": ("x.py",)}])
def test_pairs_do_not_go_with_examples(folder, more):
    with pytest.raises(InputError, match="--pairs go without"):
        make_rule(request(folder, **more))


@pytest.mark.parametrize("background", [True, False])
def test_the_rule_of_a_detector_of_pairs_needs_no_source_again(folder, tmp_path, background):
    more = {"background": (str(folder / "src"),)} if background else {}
    out = tmp_path / "cwe-89.detector"
    adapt(AdaptRequest(pairs=(str(folder / "fixes"),), threats=("cwe-89",), out=out, **more))
    report = make_rule(RuleRequest(detector=out, format="json"))
    assert report.examples == len(TABLES) and report.alarms[0] == 0
    assert report.left_out.n_contrary == len(TABLES) and report.left_out.wrong == 0
    assert json.loads(report.text)["languages"] == ["python"]
    assert str(folder) not in report.text and str(tmp_path) not in report.text
