"""The table of system calls: numbers that are known by heart, and names that agree."""

import pytest

from inoculate.features.hosts.linux_calls import (
    ARCHITECTURES,
    CATEGORIES,
    call_categories,
    call_name,
    same_calls,
)


@pytest.mark.parametrize(
    "number, x86_64, i386",
    [
        (0, "read", "restart_syscall"),
        (11, "munmap", "execve"),
        (59, "execve", "oldolduname"),
        (102, "getuid", "socketcall"),
        (192, "lgetxattr", "mmap2"),
        (231, "exit_group", "fgetxattr"),
        (252, "ioprio_get", "exit_group"),
        (257, "openat", "remap_file_pages"),
        (435, "clone3", "clone3"),
        (462, "mseal", "mseal"),
        (100_000, "#100000", "#100000"),
    ],
)
def test_numbers_are_those_of_the_kernel(number, x86_64, i386):
    assert call_name(number) == x86_64
    assert call_name(number, "i386") == i386


def test_names_of_one_call_agree_and_lead_to_a_known_one():
    same, known = same_calls(), call_categories()
    assert (same["mmap2"], same["fstat64"], same["_llseek"]) == ("mmap", "fstat", "lseek")
    assert same["clock_gettime64"] == "clock_gettime"
    assert not {"pread64", "prlimit64", "openat", "wait4"} & same.keys()
    assert set(same.values()) <= known.keys()
    assert not same.keys() & known.keys()


def test_every_call_in_use_has_a_category():
    none = {n for n, kind in call_categories().items() if not kind}
    assert none == {
        *("afs_syscall", "break", "getpmsg", "gtty", "lock", "mpx", "prof", "profil"),
        *("putpmsg", "security", "stty", "tuxcall", "ulimit", "vserver"),
    }
    assert set(call_categories().values()) == {"", *CATEGORIES}
    assert call_categories()["execve"] == "process" and call_categories()["connect"] == "network"
    assert len(ARCHITECTURES) == 2
