"""Findings by threat, and the files they were found in."""

from inoculate.finding import Family
from inoculate.workflows.families import Families
from tests.render.samples import finding


def made(*pairs):
    return [finding(threat=threat, origin=origin) for threat, origin in pairs]


def test_findings_are_counted_by_threat_most_first_and_each_file_once():
    families = Families()
    families.add(made(("b", "x.log:1"), ("a", "x.log:2"), ("b", "x.log:9")), whole_files=False)
    families.add(made(("b", "x.log:10"), ("b", "a.zip!in/y.pcap#3")), whole_files=False)
    families.add(made(("b", "e.evtx@4096"), ("c", "e.evtx#7")), whole_files=False)
    assert families.ranked() == (Family("b", 5, 3), Family("a", 1, 1), Family("c", 1, 1))


def test_where_a_record_is_a_file_its_whole_name_counts():
    families = Families()
    families.add(made(("a", "x#1"), ("a", "x#2")), whole_files=True)
    assert families.ranked() == (Family("a", 2, 2),)


def test_nothing_found_is_no_family():
    assert Families().ranked() == ()
