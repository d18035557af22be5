"""Watching: followed logs and an interface, findings as they come."""

import os
import socket
import threading
import time

import numpy as np
import pytest

from inoculate.errors import InputError, PrivilegeError
from inoculate.workflows import drift as module
from inoculate.workflows.watch import WatchRequest, watch
from tests.workflows.conftest import ZEEK_HEADER, zeek_lines


class Watching:
    """A watch in a thread of its own, with what it handed over."""

    def __init__(self, request):
        self.findings, self.lines, self.result, self.error = [], [], None, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(request,))
        self._thread.start()

    def _run(self, request):
        try:
            self.result = watch(
                request,
                sink=self.findings.extend,
                stop=self._stop.is_set,
                status=self.lines.append,
            )
        except Exception as err:
            self.error = err

    def wait(self, count, timeout_s=20):
        end = time.monotonic() + timeout_s
        while len(self.findings) < count and time.monotonic() < end:
            time.sleep(0.02)
        return len(self.findings)

    def stop(self):
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error
        return self.result


def test_findings_come_through_rotation_and_a_restart_repeats_none(tmp_path, flow_detector):
    rng = np.random.default_rng(8)
    log, positions = tmp_path / "conn.log", tmp_path / "positions"
    positions.mkdir()
    bad, fine = zeek_lines(rng, 9, threat=True), zeek_lines(rng, 9, threat=False)
    log.write_text(ZEEK_HEADER + "".join(fine[:5] + bad[:1]))
    request = WatchRequest(
        logs=(str(log),), detector=flow_detector, false_alarms=0.01, positions=positions
    )
    first = Watching(request)
    assert first.wait(1) == 1
    with log.open("a") as file:
        file.write("".join(bad[1:3]))
    assert first.wait(3) == 3
    log.rename(tmp_path / "conn.1.log")
    log.write_text(ZEEK_HEADER + "".join(fine[5:7] + bad[3:4]))
    assert first.wait(4) == 4
    result = first.stop()
    assert (result.report.n_findings, result.report.n_records) == (4, 11)
    with log.open("a") as file:
        file.write("".join(bad[4:6]))
    second = Watching(request)
    assert second.wait(2) == 2
    result = second.stop()
    assert result.report.n_records == 2


def test_an_interface_is_read_or_refused_in_one_line(tmp_path, flow_detector):
    request = WatchRequest(interface="lo", detector=flow_detector, false_alarms=0.01)
    if os.geteuid() != 0:
        (error,) = Watching(request).stop().errors
        assert isinstance(error, PrivilegeError)
        return
    watching = Watching(request)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20):
            sender.sendto(b"x" * 50, ("127.0.0.1", 9))
            time.sleep(0.05)
    result = watching.stop()
    assert not result.errors
    assert result.report.n_records >= 1
    assert result.lost["lo"] == 0


def test_a_log_of_another_kind_ends_with_one_clear_line(tmp_path, detector):
    log = tmp_path / "conn.log"
    log.write_text(ZEEK_HEADER + zeek_lines(np.random.default_rng(0), 1, threat=True)[0])
    watching = Watching(WatchRequest(logs=(str(log),), detector=detector, false_alarms=0.01))
    watching._thread.join(20)
    result = watching.stop()
    (error,) = result.errors
    assert "conn.log" in str(error)
    assert any("no longer watched" in line for line in watching.lines)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"logs": ()}, "nothing to scan"),
        ({"interface": "lo", "logs": ("x.log",)}, "not both"),
    ],
)
def test_what_cannot_be_watched_is_refused(detector, changes, words):
    arguments = {"logs": (), "detector": detector, "false_alarms": 0.01} | changes
    with pytest.raises(InputError, match=words):
        Watching(WatchRequest(**arguments)).stop()


def test_a_watch_excepts_and_tells_of_drift_once_a_day_has_passed(
    tmp_path, flow_detector, monkeypatch
):
    rng = np.random.default_rng(8)
    log, exceptions = tmp_path / "conn.log", tmp_path / "e.toml"
    usual = zeek_lines(rng, 300, threat=False)
    other = [line.replace("\tSF\t", "\tREJ\t") for line in usual]
    log.write_text(ZEEK_HEADER + "".join(other + zeek_lines(rng, 2, threat=True)))
    exceptions.write_text(
        '[[exception]]\nwhere = { resp_p = 443 }\nthreat = "*"\nreason = "r"\nauthor = "a"\n'
        "expires = 2999-01-01\n"
    )
    days = iter(range(1, 1_000))
    real = module.Drift.turn
    monkeypatch.setattr(
        module.Drift, "turn", lambda self, _, unit: real(self, 86_400.0 * next(days), unit)
    )
    watching = Watching(
        WatchRequest(
            logs=(str(log),), detector=flow_detector, false_alarms=0.01, exceptions=exceptions
        )
    )
    time.sleep(0.5)
    with log.open("a") as file:
        file.write("".join(other))
    end = time.monotonic() + 20
    while not any("adapting again" in n for n in watching.lines) and time.monotonic() < end:
        time.sleep(0.02)
    report = watching.stop().report
    assert report.n_findings == 0
    assert report.n_excepted >= 2
    notes = [*watching.lines, *report.notes]
    assert sum("adapting again" in line for line in notes) == 1
    assert any("excepted by" in line for line in report.notes)
