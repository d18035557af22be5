"""Trees of processes: who belongs to which, when a tree closes, and what bounds them."""

from inoculate.reading.process_tree import MOST_ANCESTORS, MOST_MEMBERS, Trees, start_time
from inoculate.reading.windows_event import Started


def start(pid, parent, at, image="a.exe", parent_image=None, host="h", command="c"):
    time = f"2024-05-01T10:{int(at) // 60:02}:{int(at) % 60:02}Z"
    return Started(host, time, pid, parent, image, command, parent_image, None)


def trees(*starts, **options):
    """Return the pid-named origins of each told tree: root first, then its members."""
    found, state = [], Trees(**options)
    for s in starts:
        for root in state.add(s, f"p{s.pid}"):
            found.append([root.origin, *(m.origin for m in root.members)])
    for root in state.finish():
        found.append([root.origin, *(m.origin for m in root.members)])
    return found


def test_a_process_belongs_to_all_above_it_within_the_window():
    assert trees(start(1, 0, 0), start(2, 1, 10), start(3, 2, 290), start(4, 3, 305)) == [
        ["p1", "p2", "p3"],
        ["p2", "p3", "p4"],
        ["p3", "p4"],
        ["p4"],
    ]


def test_a_tree_is_told_as_soon_as_its_host_goes_on_past_the_window():
    state = Trees()
    assert list(state.add(start(1, 0, 0), "p1")) == []
    assert list(state.add(start(9, 0, 900, host="other"), "p9")) == []
    assert [r.origin for r in state.add(start(2, 0, 306), "p2")] == ["p1"]


def test_parents_are_places_in_the_tree():
    state = Trees()
    for s in (start(1, 0, 0), start(2, 1, 1), start(3, 2, 2), start(4, 1, 3)):
        assert not list(state.add(s, f"p{s.pid}"))
    root = next(state.finish())
    assert root.parents() == [-1, 0, 1, 0]


def test_a_number_used_again_is_another_process():
    first, second = start(7, 0, 0, "old.exe"), start(7, 0, 100, "new.exe")
    child = start(8, 7, 101, "x.exe", parent_image=r"C:\new.exe")
    assert trees(first, second, child) == [["p7"], ["p7", "p8"], ["p8"]]


def test_a_parent_of_another_name_is_not_the_parent():
    found = []
    state = Trees()
    for s in (start(7, 0, 0, "old.exe"), start(8, 7, 5, "x.exe", parent_image=r"C:\new.exe")):
        found += list(state.add(s, f"p{s.pid}"))
    told = [(r.origin, len(r.members), r.ancestors) for r in state.finish()]
    assert told == [("p7", 0, ()), ("p8", 0, (r"C:\new.exe",))]


def test_two_events_of_one_start_count_once_and_complete_each_other():
    bare = start(7, 0, 0, r"C:\x.exe", command=None)
    full = start(7, 0, 1, r"C:\X.EXE", command="x /a")
    state = Trees()
    for s in (bare, full):
        assert not list(state.add(s, "first" if s is bare else "second"))
    root = next(state.finish())
    assert (root.origin, root.command_line) == ("first", "x /a")


def test_processes_above_are_known_by_name_also_when_their_tree_is_closed():
    state = Trees(window_s=1)
    starts = [start(i, i - 1, 10 * i, f"{i}.exe") for i in range(1, 15)]
    told = [(r.origin, r.ancestors) for s in starts for r in state.add(s, f"p{s.pid}")]
    told += [(r.origin, r.ancestors) for r in state.finish()]
    assert told[2] == ("p3", ("2.exe", "1.exe"))
    assert len(told[13][1]) == MOST_ANCESTORS


def test_a_tree_is_cut_at_its_most_members():
    state = Trees()
    for i in range(MOST_MEMBERS + 5):
        assert not list(state.add(start(i + 2, 1, 1) if i else start(1, 0, 0), f"p{i}"))
    root = next(state.finish())
    assert (len(root.members), root.is_cut) == (MOST_MEMBERS, True)


def test_open_trees_and_remembered_processes_are_bounded():
    state = Trees(most_open=10, most_known=5)
    n_told = sum(len(list(state.add(start(i, 0, 0, host=f"h{i}"), "x"))) for i in range(1, 101))
    assert n_told == 90
    assert len(state._known) == 5
    assert len(state._hosts) <= 11


def test_a_chain_without_end_keeps_no_closed_process_alive():
    state = Trees(window_s=30)
    roots = []
    for i in range(1, 1_000):
        time = f"2024-05-01T{10 + i // 360:02}:{i // 6 % 60:02}:{i % 6 * 10:02}Z"
        s = Started("h", time, i, i - 1, "a.exe", "c", None, None)
        roots += list(state.add(s, "x"))
    assert len(roots) > 900
    assert all(r.parent is None and not r.members for r in roots[:900])


def test_a_clock_that_goes_back_an_hour_begins_another_recording():
    late = Started("h", "2024-05-01T20:00:00Z", 1, 0, "a.exe", "c", None, None)
    state = Trees()
    assert not list(state.add(late, "late"))
    assert [r.origin for r in state.add(start(2, 1, 0), "early")] == ["late"]
    (root,) = state.finish()
    assert root.origin == "early"


def test_times_are_utc_unless_they_say_otherwise_and_nonsense_is_unknown():
    assert start_time("2020-09-20T18:16:43+02:00") == start_time("2020-09-20 16:16:43")
    assert start_time("2021-12-16T10:25:32.351835800Z") is not None
    for text in (None, "", "yesterday", "0001-01-01T00:00:00+14:00", "2024-13-01"):
        assert start_time(text) is None or text.startswith("0001")
