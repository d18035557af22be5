"""The terminal table: what it shows, at 80 columns, with and without a terminal."""

import re

import pytest

from inoculate.finding import Family
from inoculate.render import table as module
from inoculate.render.table import Table
from tests.render.samples import assert_safe_for_a_terminal, finding, hostile_report, report


def shown(made, **options):
    return Table(width=80, color=False, **options).end(made)


def test_one_finding_says_who_when_where_and_why():
    text = shown(report([finding()]))
    for part in (
        "slowite.detector looks for slowite",
        "traffic.pcap: 12,345 flows",
        "scanned 12,345 flows in 2 s (6,172 flows/s); the threshold is 0.9",
        "1 finding; at most 0.1 % of benign flows alarm (about 12.3 of 12,345)",
        "slowite  10.0.0.5:50022 -> 10.0.0.9:1883 tcp",
        "0.0004",
        "2026-01-01 00:00:00  traffic.pcap#1",
        "· bytes sent 1.2 MB: above 99.8 % of background",
    ):
        assert part in text


def test_no_finding_says_so():
    text = shown(report())
    assert "no finding; at most" in text
    assert "→" not in text
    assert "threat" not in text


def test_excepted_findings_are_counted():
    assert "1 finding, 12 excepted; at most" in shown(report([finding()], n_excepted=12))


def test_ten_thousand_findings_show_the_strongest_and_count_the_rest():
    text = shown(report(finding(i) for i in range(10_000)))
    assert text.count("slowite  10.0.0.5") == 20
    assert "traffic.pcap#10000" in text
    assert "traffic.pcap#9980\n" not in text
    assert "9,980 weaker findings not shown" in text


def test_findings_that_were_not_kept_count_too():
    assert "98 weaker findings not shown" in shown(report([finding(), finding(1)], n_findings=100))


def test_reasons_are_cut_to_the_strongest():
    many = finding(reasons=finding().reasons * 9)
    assert shown(report([many]), n_reasons=2).count("·") == 2
    assert "·" not in shown(report([finding(reasons=())]))


def test_skipped_records_notes_and_truth_end_the_table():
    made = report(
        [finding()],
        skipped={"bad number": 3},
        notes=("promise cannot be kept",),
        truth={"recall": 0.98, "adapt_seconds": 0.2},
    )
    lines = shown(made).splitlines()
    assert "note: 3 flows skipped: bad number" in lines
    assert "note: promise cannot be kept" in lines
    assert "  recall: 98 %" in lines
    assert "  adapt seconds: 0.2" in lines


def test_files_left_out_are_told_as_files():
    made = report(skipped={"bad number": 1}, left_out={"not of kind pe": 12, "encrypted": 1})
    lines = shown(made).splitlines()
    assert lines[-3:] == [
        "note: 1 flow skipped: bad number",
        "note: 12 files left out: not of kind pe",
        "note: 1 file left out: encrypted",
    ]


def test_findings_are_counted_by_threat_where_that_says_more():
    ranked = (Family("worm", 1_234, 12), Family("slowite", 1, 1))
    made = report([finding()], threats=("slowite", "worm"), families=ranked, n_files=40)
    lines = shown(made).splitlines()
    at = lines.index("  worm     1,234 findings  in 12 files")
    assert lines[at + 1] == "  slowite       1 finding  in 1 file"
    assert at < next(i for i, line in enumerate(lines) if "10.0.0.5" in line)
    one_file = shown(report([finding()], threats=("slowite", "worm"), families=ranked, n_files=1))
    assert "  worm     1,234 findings\n" in one_file
    folder = shown(report([finding()], families=ranked[1:], n_files=2))
    assert "  slowite  1 finding  in 1 file\n" in folder
    plain = shown(report([finding()], families=ranked[1:], n_files=1))
    assert "in 1 file" not in plain
    assert plain == shown(report([finding()]))


def test_many_threats_are_bounded_and_made_safe():
    ranked = tuple(Family(f"threat {i}", 9, 3) for i in range(1_000))
    made = report([finding()], threats=tuple(f.threat for f in ranked), families=ranked, n_files=3)
    text = shown(made)
    assert text.count("9 findings  in 3 files") == 20
    assert "  and 980 threats more" in text
    bad = (Family("\x1b[31mevil\n[bold]" + "x" * 500, 1, 1),)
    text = shown(report([finding()], threats=("a", "b"), families=bad, n_files=2))
    assert_safe_for_a_terminal(text)
    assert max(map(len, text.splitlines())) <= 80


def test_of_a_long_origin_the_end_is_shown():
    text = shown(report([finding(origin="/a/long/way/" * 9 + "traffic.pcap#12")]))
    assert "long/way/traffic.pcap#12" in text
    assert len(text.splitlines()) == len(shown(report([finding()])).splitlines())


def test_many_sources_and_notes_are_bounded():
    made = report(sources=tuple((f"{i}.pcap", 1) for i in range(500)), notes=("x",) * 500)
    text = shown(made)
    assert "and 480 sources more" in text
    assert "note: and 480 more" in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize("width", [60, 80, 160])
def test_no_line_is_wider_than_asked(width):
    wide = finding(
        threat="distributed denial of service",
        record={
            f"{s}_{k}": "2001:db8:85a3:1111:2222:8a2e:370:7334"
            for s in ("orig", "resp")
            for k in "hp"
        },
        origin="/very/long/" * 20,
        reasons=(finding().reasons[0],) * 3,
    )
    made = report([wide], notes=("words " * 100,))
    text = Table(width=width, color=False).end(made)
    assert max(len(line) for line in text.splitlines()) <= width


def test_hostile_text_is_shown_and_does_nothing():
    text = shown(hostile_report())
    assert_safe_for_a_terminal(text)
    assert "[bold]x[/bold]" in text


def test_colour_only_where_it_is_wanted(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(module.sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in Table().end(report([finding()]))
    assert "\x1b[" not in Table(color=False).end(report([finding()]))
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b[" not in Table().end(report([finding()]))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in Table().end(report([finding()]))


def test_colour_changes_nothing_but_colour():
    made = report([finding(i) for i in range(3)], notes=("n",))
    colored = Table(width=80, color=True).end(made)
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in stripped.splitlines()] == shown(made).splitlines()


def test_everything_waits_for_the_end():
    assert not Table.streams
    assert Table().begin() == Table().rows([finding()]) == ""
