"""The page: complete, readable without network or script, and deaf to hostile text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from inoculate.finding import Family, ScoreHistogram
from inoculate.render.html import Html
from tests.render.samples import (
    assert_safe_for_a_terminal,
    finding,
    hostile_report,
    reason,
    report,
)

VOID = {"meta", "br", "path", "rect"}
EXPECTED = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "p", "div", "section",
    "span", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "svg", "path", "text", "g",
    "rect", "br", "footer",
}  # fmt: skip


class Page(HTMLParser):
    """Checks nesting, and collects tags, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(self.texts)


def test_the_page_says_what_was_found_and_why():
    made = report(
        [finding(i) for i in range(3)],
        skipped={"bad number": 3},
        notes=("cut capture",),
        truth={"recall": 0.98, "false_alarms": 0.0004},
    )
    page = Page(Html().end(made))
    assert set(page.tags) <= EXPECTED
    for part in (
        "slowite.detector",
        "12,345",
        "at most 0.1 % of benign flows alarm",
        "10.0.0.5:50022 -> 10.0.0.9:1883 tcp",
        "2026-01-01 00:00:00",
        "bytes sent 1.2 MB: above 99.8 % of background",
        "orig_bytes",
        "threshold 0.9",
        "3 flows skipped: bad number",
        "cut capture",
        "Against the ground truth",
        "98 %",
        "0.04 %",
    ):
        assert part in page.text


def test_findings_are_counted_by_threat_where_that_says_more():
    ranked = (Family("worm<b>", 1_234, 12), Family("slowite", 1, 1))
    made = report([finding()], threats=("slowite", "worm<b>"), families=ranked, n_files=40)
    text = Html().end(made)
    page = Page(text)
    assert set(page.tags) <= EXPECTED
    assert "1,234" in page.text
    assert "worm<b>" in page.text
    assert text.index("worm&lt;b&gt;</td>") < text.index("10.0.0.5")
    assert "in how many files" not in Page(Html().end(report([finding()]))).text
    many = tuple(Family(f"t{i}", 1, 1) for i in range(60))
    assert "and 10 threats more" in Html().end(report(threats=("a", "b"), families=many))


@pytest.mark.parametrize("made", [report(), report([finding()]), hostile_report()])
def test_nothing_loads_and_nothing_runs(made):
    text = Html().end(made)
    page = Page(text)
    assert set(page.tags) <= EXPECTED
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "srcset", "style", "action", "data", "background", "xmlns"}
    assert not [n for n in names if n.startswith("on")]
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text, re.I)


def test_the_policy_allows_its_own_style_sheet_only():
    text = Html().end(report())
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (css,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_hostile_text_is_shown_and_does_nothing():
    text = Html().end(hostile_report())
    assert_safe_for_a_terminal(text)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_light_and_dark_have_every_colour():
    text = Html().end(report())
    light, dark = (set(re.findall(r"(--\w+):", part)) for part in text.split("@media", 2)[:2])
    assert light == dark
    assert set(re.findall(r"var\((--\w+)\)", text)) <= light


def test_ten_thousand_findings_stay_small_and_are_counted_in_full():
    long = reason("words " * 100)
    made = report(
        finding(i, origin="x" * 500, threat=f"threat {i % 30}", reasons=(long,) * 20)
        for i in range(10_000)
    )
    text = Html().end(made)
    page = Page(text)
    assert len(text.encode()) < 5_000_000
    assert "the 200 strongest of 10,000 findings" in page.text
    assert page.tags.count("tr") < 260
    assert "others" in page.text


def test_excepted_findings_are_counted():
    assert "finding, 12 excepted<" in Html().end(report([finding()], n_excepted=12))


def test_one_finding_and_none():
    assert "1 finding;" in Page(Html().end(report([finding()]))).text
    page = Page(Html().end(report()))
    assert "No flow scored that high." in page.text
    assert "When" not in page.text


def test_findings_without_time_have_no_timeline():
    page = Page(Html().end(report([finding(ts=None), finding(1, ts=1e300)])))
    assert "When" not in page.text
    assert "No flow scored" not in page.text


@pytest.mark.parametrize(
    "histogram",
    [
        None,
        ScoreHistogram((), (), ()),
        ScoreHistogram((0.0,), (), ()),
        ScoreHistogram((0.0, 0.0), (0,), (0,)),
        ScoreHistogram((0.0, 1.0), (10**12,), (1,)),
    ],
)
def test_any_histogram_is_survived(histogram):
    Page(Html().end(report([finding()], histogram=histogram, threshold=float("inf"), seconds=0.0)))


def test_the_columns_that_spoke_are_ranked_by_weight():
    reasons = (
        reason(column="small", weight=0.1),
        reason("not much", column="large", weight=0.1),
        reason("very much", column="large", weight=0.2),
        reason(column="against", weight=-1.0),
        reason(column="nothing", weight=1e-9),
    )
    text = Page(Html(n_reasons=0).end(report([finding(reasons=reasons)]))).text
    assert text.index("large") < text.index("small")
    assert "75 %" in text
    assert "very much" in text
    assert not {
        w for w in ("not much", "against", "nothing") if w in text.replace("loads nothing", "")
    }
