"""Made-up input of each format for ``benchmarks/formats.py``: seeded, varied as real logs are.

Each maker writes a file. Words, hosts, users and numbers are drawn with few that are frequent and
many that are rare, so that caches help as much as they do in a real log, and no more.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inoculate.made_names import _WORDS as WORDS
from inoculate.made_names import name_families

sys.path.insert(0, str(Path(__file__).parents[1]))

_IMAGES = (
    *("svchost.exe", "explorer.exe", "chrome.exe", "cmd.exe", "powershell.exe", "lsass.exe"),
    *("msiexec.exe", "rundll32.exe", "wmiprvse.exe", "taskhostw.exe", "backgroundtask.exe"),
)
_SHELL = (
    "ls -la /{a}/{b}", "sudo systemctl restart {a}.service", "cd /srv/{a} && git pull --rebase",
    "curl -fsSL https://{a}.example.com/{b}.sh -o /tmp/{c}", "grep -rn '{a}' /etc/{b} | head -{n}",
    "docker run --rm -v /{a}:/{b} {c}:{n} python -m {a} --port {n}", "tar czf {a}-{n}.tgz /var/{b}",
    "powershell.exe -NoProfile -Command \"Get-ChildItem C:\\{a}\\{b} | Where Name -like '*{c}*'\"",
    "reg query HKLM\\Software\\{a}\\{b} /v {c}", "schtasks /create /tn {a} /tr C:\\{b}\\{c}.exe",
)  # fmt: skip
_SYSLOG = (
    "sshd[{p}]: Accepted publickey for {u} from {ip} port {n} ssh2: RSA SHA256:{x}",
    "sshd[{p}]: Failed password for invalid user {u} from {ip} port {n} ssh2",
    "sshd[{p}]: pam_unix(sshd:session): session closed for user {u}",
    "CRON[{p}]: ({u}) CMD (/usr/lib/{w}/{v} --{w} {n})",
    "systemd[1]: Started {w}.service - {w} {v}.",
    "systemd[1]: {w}.service: Deactivated successfully.",
    "kernel: [{n}.{p}] {w}: port {p}({v}) entered blocking state",
    "dhclient[{p}]: DHCPACK of {ip} from {ip} (xid=0x{x})",
    "nginx[{p}]: {ip} - - \"GET /{w}/{v}?id={n} HTTP/1.1\" 200 {p}",
    "postfix/smtpd[{p}]: connect from {w}.example.com[{ip}]",
    "app[{p}]: level=info msg=\"request done\" path=/{w}/{v} took={n}ms trace={x}",
    "app[{p}]: level=error msg=\"cannot open {w}\" file=/var/{v}/{n}.db errno={p}",
)  # fmt: skip
_CALLS = (
    'openat(AT_FDCWD, "/usr/lib/{a}/{b}.so", O_RDONLY|O_CLOEXEC) = {n}',
    'read({n}, "\\177ELF\\2\\1\\1\\0"..., 832) = 832', "close({n}) = 0",
    "mmap(NULL, {n}, PROT_READ, MAP_PRIVATE, 3, 0) = 0x7f42{n}00", "futex(0x{n}, FUTEX_WAIT) = 0",
    "epoll_wait({n}, [{{events=EPOLLIN}}], 512, -1) = 1", 'write(1, "{a} {b}"..., {n}) = {n}',
    "recvfrom({n}, 0x7ffc, 4096, 0, NULL, NULL) = {n}", "clock_gettime(CLOCK_REALTIME) = 0",
    'newfstatat({n}, "{a}", {{st_mode=S_IFREG|0644, st_size={n}}}, 0) = 0', "getpid() = {n}",
)  # fmt: skip
_API_NAMES = (
    "NtCreateFile NtReadFile NtWriteFile NtClose RegOpenKeyExW RegQueryValueExW RegCloseKey "
    "LdrLoadDll LdrGetProcedureAddress NtAllocateVirtualMemory NtProtectVirtualMemory socket "
    "connect send recv closesocket InternetOpenA InternetReadFile NtOpenProcess GetSystemTime "
    "WriteProcessMemory CreateRemoteThread NtResumeThread NtDelayExecution CreateMutexW "
    "FindFirstFileExW GetFileAttributesW CryptAcquireContextW DrawTextExW MessageBoxTimeoutW"
)
_API = _API_NAMES.split()
_CLOUD = (
    ("s3", "GetObject"), ("s3", "PutObject"), ("ec2", "DescribeInstances"), ("iam", "GetUser"),
    ("sts", "AssumeRole"), ("kms", "Decrypt"), ("logs", "PutLogEvents"), ("iam", "ListRoles"),
    ("lambda", "Invoke20150331"), ("ec2", "AuthorizeSecurityGroupIngress"),
)  # fmt: skip


class Drawn:
    """Draws of one seed, many at once: words, users, hosts and numbers, a few of them frequent."""

    def __init__(self, n: int, seed: int) -> None:
        self.n, self.rng = n, np.random.default_rng(seed)

    def of(self, choices, a: float = 1.4) -> list:
        """Return n of some choices, the first ones often."""
        return [choices[i] for i in (self.rng.zipf(a, self.n) % len(choices)).tolist()]

    def words(self) -> list[str]:
        return [WORDS[i] for i in self.rng.integers(len(WORDS), size=self.n).tolist()]

    def numbers(self, most: int) -> list[int]:
        return self.rng.integers(1, most, self.n).tolist()

    def addresses(self) -> list[str]:
        ends = self.rng.zipf(1.3, self.n) % 60_000
        return [f"10.7.{e >> 8}.{e & 255}" for e in ends.tolist()]

    def hexes(self) -> list[str]:
        return [f"{i:016x}" for i in self.rng.integers(0, 1 << 62, self.n).tolist()]


def domain_names(path: Path, n: int) -> None:
    """Half of the names of made-up families, half of ordinary words."""
    families = name_families(40, n // 80 + 1, seed=3)
    made = [name for names in families.values() for name in names]
    d = Drawn(n, 0)
    first, last = d.of(("www", "mail", "api", "cdn", "img")), d.of(("com", "net", "org"))
    rows = zip(first, d.words(), d.words(), last, strict=True)
    plain = [f"{a}.{b}{c}.{e}" for a, b, c, e in rows]
    names = [m for pair in zip(made, plain, strict=False) for m in pair]
    _write(path, (names * (n // len(names) + 1))[:n])


def urls(path: Path, n: int) -> None:
    """Addresses of pages, a third with a query, some with percent escapes."""
    d = Drawn(n, 1)
    query = d.of(("", "", "?q=%20{}", "?id={}&page=2", "?session={}&lang=en"), 1.2)
    rows = zip(d.words(), d.words(), d.words(), d.words(), query, d.hexes(), strict=True)
    _write(path, [f"https://{a}{b}.com/{c}/{e}.html{q.format(h)}" for a, b, c, e, q, h in rows])


def http_requests(path: Path, n: int) -> None:
    """An access log in the combined format."""
    d = Drawn(n, 2)
    agent = d.of([f"Mozilla/5.0 (X11; Linux) rv:{i}.0 Firefox/{i}.0" for i in range(70, 130)])
    rows = zip(d.addresses(), d.words(), d.words(), d.hexes(), d.numbers(90_000), agent,
               strict=True)  # fmt: skip
    _write(path, [
        f'{ip} - - [02/Jan/2026:03:04:05 +0100] "GET /{a}/{b}?id={h} HTTP/1.1" 200 {size}'
        f' "https://shop.example/{a}" "{agent}"' for ip, a, b, h, size, agent in rows
    ])  # fmt: skip


def commands(path: Path, n: int) -> None:
    """A shell's history with PowerShell in it; 3 in 100 are encoded."""
    _write(path, command_lines(n, 3))


def command_lines(n: int, seed: int) -> list[str]:
    """Return n command lines."""
    d = Drawn(n, seed)
    made = d.rng.random(n) < 0.03
    out = []
    for form, a, b, c, k, hide in zip(
        d.of(_SHELL, 1.1), d.words(), d.words(), d.words(), d.numbers(9_000), made, strict=True
    ):
        line = form.format(a=a, b=b, c=c, n=k)
        if hide:
            line = "powershell -enc " + base64.b64encode(line.encode("utf-16-le")).decode()
        out.append(line)
    return out


def log_lines(path: Path, n: int) -> None:
    """Syslog of some programs; with what varies masked, most lines repeat."""
    d = Drawn(n, 4)
    users = [*WORDS[:30], "root", "www-data"]
    words = WORDS[:120]
    rows = zip(d.of(_SYSLOG, 1.2), d.numbers(90_000), d.of(users), d.addresses(), d.of(words),
               d.of(words), d.hexes(), d.numbers(60_000), strict=True)  # fmt: skip
    _write(path, [
        f"Nov {1 + i * 25 // n:2} {i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02} host{p % 9} "
        + form.format(p=p, u=u, ip=ip, w=w, v=v, x=x, n=k)
        for i, (form, p, u, ip, w, v, x, k) in enumerate(rows)
    ])  # fmt: skip


def events(n: int, seed: int) -> list[dict[str, Any]]:
    """Return Windows events of about 1 KB as flat keys, most of Sysmon, some of Security.

    A process makes many events and most of its fields come again with it, so that 1.3 to 1.5
    fields an event are new, as in the Mordor recordings (1.3).
    """
    d = Drawn(max(n // 12, 20), seed)
    rows = zip(d.of(_IMAGES), d.of(_IMAGES), d.words(), d.words(), d.numbers(20_000), d.hexes(),
               command_lines(d.n, seed + 1), d.addresses(), strict=True)  # fmt: skip
    processes = [Process(*row) for row in rows]
    each = Drawn(n, seed + 2)
    which = each.of(processes, 1.05)
    rows = zip(which, each.of((10, 7, 1, 4624, 13, 3, 4688), 1.3), each.words(), strict=True)
    return [_event(i, *row) for i, row in enumerate(rows)]


class Process(NamedTuple):
    """What the events of one process have in common."""

    image: str
    parent: str
    folder: str
    user: str
    pid: int
    mark: str
    line: str
    address: str


def _event(i: int, process: Process, number: int, word: str) -> dict[str, Any]:
    image, parent, a, b, pid, mark, line, ip = process
    system = "C:\\Windows\\System32\\"
    guid = f"{{{mark[:8]}-59de-5f2b-2300-{mark[4:]}}}"
    known = {"ProcessGuid": guid, "ProcessId": str(pid), "Image": system + image}
    signed = {
        "Signed": "true", "SignatureStatus": "Valid", "Signature": "Microsoft Windows",
        "FileVersion": "10.0.18362.1 (WinBuild.160101.0800)", "Company": "Microsoft",
        "Hashes": f"SHA1={mark}{mark},MD5={mark}", "Product": "Microsoft Windows",
    }  # fmt: skip
    data = {
        1: {**known, "CommandLine": line, "CurrentDirectory": f"C:\\{a}\\", "User": "DOM\\" + b,
            "ParentImage": system + parent, "ParentCommandLine": f"{parent} -k {b}",
            "IntegrityLevel": "Medium", "Description": f"{a} host", **signed},
        3: {**known, "Protocol": "tcp", "Initiated": "true", "SourceIp": ip,
            "SourcePort": str(40_000 + i % 20_000), "DestinationIp": ip[::-1],
            "DestinationHostname": f"{word}.example", "DestinationPort": "443"},
        7: {**known, "ImageLoaded": f"{system}{word}{a[:1]}.dll", **signed},
        10: {"SourceImage": system + image, "TargetImage": system + parent,
             "SourceProcessGUID": guid, "TargetProcessGUID": guid, "SourceThreadId": str(i),
             "GrantedAccess": "0x1410", "CallTrace": f"{system}ntdll.dll+9d204|{system}KERNELBASE"
             f".dll+2c13e|{system}{word}.dll+{mark[:5]}"},
        13: {**known, "EventType": "SetValue", "Details": f"DWORD (0x{i % 4096:08x})",
             "TargetObject": f"HKLM\\Software\\{a}\\{b}\\{word}"},
        4624: {"SubjectUserSid": "S-1-5-18", "TargetUserName": b, "TargetDomainName": "DOM",
               "LogonType": str(i % 9 + 2), "IpAddress": ip, "WorkstationName": a,
               "AuthenticationPackageName": "Kerberos", "LogonGuid": guid, "KeyLength": "0",
               "ProcessName": system + image, "ElevatedToken": "%%1842"},
        4688: {"SubjectUserName": b, "NewProcessName": system + image, "CommandLine": line,
               "NewProcessId": f"0x{i:x}", "TokenElevationType": "%%1938",
               "ParentProcessName": system + parent, "MandatoryLabel": "S-1-16-8192"},
    }[number]  # fmt: skip
    provider = "Microsoft-Windows-" + ("Sysmon" if number < 100 else "Security-Auditing")
    channel = provider + "/Operational" if number < 100 else "Security"
    message = " ".join(f"{k}: {v}" for k, v in data.items())
    head = {"EventID": number, "Channel": channel, "SourceName": provider, "RecordNumber": i,
            "Hostname": "ws2.example", "@timestamp": "2020-09-20T16:16:43.849Z", "Version": 1,
            "ThreadID": pid, "Severity": "INFO", "Keywords": "0x8000000000000000"}  # fmt: skip
    return head | {"Message": message} | data


def windows_json(path: Path, n: int) -> None:
    """JSON Lines of flat keys, as the Mordor data sets have them."""
    _write(path, [json.dumps(event, separators=(",", ":")) for event in events(n, 5)])


def windows_evtx(path: Path, n: int) -> None:
    """The same events as EVTX; plain binary XML, every name written out, no templates."""
    from tests.domains.hosts.evtx_maker import chunk, event, evtx

    head = {"EventID", "Channel", "SourceName", "RecordNumber", "Hostname", "@timestamp",
            "Version", "ThreadID", "Severity", "Keywords", "Message"}  # fmt: skip
    chunks, held, size = [], [], 0
    for i, one in enumerate(events(n, 5)):
        data = {k: v for k, v in one.items() if k not in head}
        own = event(one["EventID"], one["Channel"], one["SourceName"], data)
        cost = 900 + sum(2 * len(v) + 2 * len(k) + 90 for k, v in data.items())
        if size + cost > 64_000:
            chunks.append(chunk(held, i - len(held) + 1))
            held, size = [], 0
        held.append(own)
        size += cost
    chunks.append(chunk(held, n - len(held) + 1))
    path.write_bytes(evtx(*chunks))


def syscalls(path: Path, n: int) -> None:
    """One strace with four threads; a record is a window of 200 calls, so n * 100 lines."""
    d = Drawn(100 * n, 6)
    pids, forms, numbers = d.of((11, 12, 13, 14)), d.of(_CALLS, 1.2), d.numbers(9_999)
    rows = zip(pids, forms, d.words(), d.words(), numbers, strict=True)
    _write(path, [f"{pid} " + f.format(a=a, b=b, n=k) for pid, f, a, b, k in rows])


def cloud_audit(path: Path, n: int) -> None:
    """CloudTrail events of about 1 KB, one a line."""
    d = Drawn(n, 7)
    rows = zip(d.of(_CLOUD, 1.2), d.words(), d.words(), d.hexes(), d.addresses(), strict=True)
    _write(path, [json.dumps(_trail(*row), separators=(",", ":")) for row in rows])


def _trail(call, a, b, mark, ip) -> dict[str, object]:
    service, name = call
    return {
        "eventVersion": "1.08", "eventTime": "2024-05-01T10:00:00Z", "awsRegion": "us-east-1",
        "eventSource": f"{service}.amazonaws.com", "eventName": name, "sourceIPAddress": ip,
        "userAgent": "aws-cli/2.4.1 Python/3.8.8 Linux/5.4 exe/x86_64.ubuntu.20 prompt/off",
        "userIdentity": {
            "type": "AssumedRole", "principalId": f"AROA{mark}:{a}", "accountId": "111122223333",
            "arn": f"arn:aws:sts::111122223333:assumed-role/{a}/{b}", "accessKeyId": f"ASIA{mark}",
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": a},
                               "attributes": {"mfaAuthenticated": "false"}}},
        "requestParameters": {"bucketName": f"{a}-{b}", "key": f"{b}/{mark}.parquet",
                              "roleSessionName": b, "filterSet": {"items": [{"name": a}]}},
        "responseElements": {"assumedRoleUser": {"arn": f"arn:aws:sts::1:{a}"}, "status": "ok"},
        "requestID": mark, "eventID": mark * 2, "readOnly": True, "eventType": "AwsApiCall",
        "managementEvent": True, "recipientAccountId": "111122223333", "tlsDetails":
            {"tlsVersion": "TLSv1.2", "cipherSuite": "ECDHE-RSA-AES128-GCM-SHA256"},
    }  # fmt: skip


def api_calls(path: Path, n: int) -> None:
    """Traces of 20 to 400 calls, one a line, with runs of the same call."""
    d = Drawn(n, 8)
    lines = []
    for size in d.numbers(380):
        picked = np.repeat(d.rng.zipf(1.2, size + 20), d.rng.geometric(0.7, size + 20))[: size + 20]
        calls = [_API[i] for i in (picked % len(_API)).tolist()]
        lines.append(json.dumps({"sample": f"s{len(lines)}.exe", "calls": calls}))
    _write(path, lines)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
