"""Names of API calls: the same call under one name, by hand and by what must hold for all."""

import numpy as np
import polars as pl
import pytest

from inoculate.features.api_names import (
    CATEGORIES,
    THEN_COLUMNS,
    category,
    longest_run,
    looks_like_call,
    one_then_other,
    same_call,
)

ONE = {
    "createfile": "CreateFileA CreateFileW NtCreateFile ZwCreateFile createfilew zwcreatefile",
    "regopenkey": "RegOpenKeyA RegOpenKeyExW regopenkeyexa RegOpenKey regopenkeyw",
    "openkey": "NtOpenKey NtOpenKeyEx ntopenkeyex API:NtOpenKey ntdll.dll!ZwOpenKey",
    "createmutant": "CreateMutexW CreateMutexExA NtCreateMutant createmutexa createmutex",
    "writevirtualmemory": "WriteProcessMemory NtWriteVirtualMemory",
    "createprocess": "CreateProcessInternalW CreateProcessA NtCreateUserProcess",
    "dnsquery": "DnsQuery_A dnsquery_w DnsQuery",
    "findwindow": "FindWindowW findwindowa findwindowexw FindWindowExA",
    "getforegroundwindow": "GetForegroundWindow getforegroundwindow",
    "wsasocket": "WSASocketA wsasocketw",
    "ntohs": "ntohs",
    "getaddrinfo": "getaddrinfo GetAddrInfoW GetAddrInfoExW",
    "createindex": "createindex",
    "close": "NtClose CloseHandle ntclose",
    "litstr": "LitStr",
    "22": "22",
    "permission::android.permission.send_sms": "permission::android.permission.SEND_SMS",
    "": "",
}


@pytest.mark.parametrize("same", ONE)
def test_one_call_has_one_name(same):
    names = ONE[same].split() or [""]
    assert {n: same_call(n) for n in names} == dict.fromkeys(names, same)


@pytest.mark.parametrize("name", [n for names in ONE.values() for n in names.split()])
def test_the_one_name_of_a_name_is_itself(name):
    assert same_call(same_call(name)) == same_call(name)


@pytest.mark.parametrize("odd", ["A", "W", "Ex", "_A", "ExW", "Nt", "NtA", "!", "a!", "!b", "api:"])
def test_no_name_is_taken_down_to_nothing(odd):
    assert same_call(odd)


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("NtCreateFile", "file"),
        ("RegSetValueExA", "registry"),
        ("NtQueryValueKey", "registry"),
        ("CreateRemoteThread", "process"),
        ("VirtualAllocEx", "memory"),
        ("InternetOpenUrlA", "network"),
        ("URLDownloadToFileW", "network"),
        ("CryptEncrypt", "crypto"),
        ("NtDelayExecution", "synchronisation"),
        ("FindWindowA", "window"),
        ("RegisterHotKey", "window"),
        ("OpenSCManagerW", "service"),
        ("LdrLoadDll", "module"),
        ("DeviceIoControl", "device"),
        ("IsDebuggerPresent", "system"),
        ("LitStr", None),
        ("permission::a.b", None),
    ],
)
def test_categories_by_hand(name, of):
    assert category(same_call(name)) == of
    assert of is None or of in CATEGORIES


def test_real_names_agree_whatever_their_case_and_nearly_all_have_a_category(data_dir):
    traces = pl.read_parquet(data_dir / "malware/malbehavd_v1_api.parquet")["api_sequence"]
    names = traces.str.split(" ").explode().unique().to_list()
    assert [n for n in names if same_call(n) != same_call(n.lower())] == []
    assert [n for n in names if category(same_call(n)) is None] == []


def test_names_of_api_calls_are_told_from_those_of_system_calls_and_words():
    assert all(
        map(looks_like_call, ["NtCreateFile", "ldrloaddll", "RegOpenKeyExW", "CryptEncrypt"])
    )
    words = "open read getpid create_module reader window process registry http internet sets"
    assert not any(map(looks_like_call, words.split()))


def test_a_name_of_a_megabyte_is_no_call():
    long = "ReadFileA" * 100_000
    assert same_call(long) == long.lower()
    assert category(long.lower()) is None
    assert not looks_like_call("NtCreateFile" + long)


def test_one_call_and_later_another():
    calls = [
        ["openprocess", "x", "writevirtualmemory", "queueapcthread"],
        ["writevirtualmemory", "openprocess"],
        [],
        None,
        ["recv", None, "createprocess"],
        ["recv"],
        ["createprocess"],
    ]
    found = one_then_other(pl.Series(calls))
    assert [c.name for c in THEN_COLUMNS] == [
        *("opens_writes", "writes_runs", "unmaps_writes", "downloads_starts")
    ]
    expected = np.zeros((7, 4))
    expected[0, :2] = expected[4, 3] = 1
    np.testing.assert_array_equal(found, expected)


def test_the_longest_run():
    calls = [["a", "a", "b", "b", "b", "a"], ["a"], [], None, ["a", None, None], ["a"], ["a", "a"]]
    assert longest_run(pl.Series(calls)).tolist() == [3, 1, 0, 0, 2, 1, 2]
    assert longest_run(pl.Series([[], None], dtype=pl.List(pl.String))).tolist() == [0, 0]
