r"""Command lines of shells and of PowerShell, one a line, or a column of a table.

What attackers do on a host they mostly do with commands: discovery, downloads, scheduled tasks,
registry changes, stolen passwords; and they hide them in base64, escapes, carets and joined
strings. Command lines come from process events (Sysmon 1, Windows 4688, auditd, EDR exports),
shell histories and script logs.

Forms: plain lines, and CSV or JSON Lines with one of ``COLUMNS``; a JSON text may have several
lines. Letters and words are those of the command decoded (see ``features.text.decoding``), in small
letters, with carets, backticks and joints of strings taken out. Addresses, GUIDs, hashes and the
names of users' folders are replaced by a word for each, so that nothing is learned from them.

Reference:
    Hendler, Kels and Rubin, "Detecting Malicious PowerShell Commands using Deep Neural
    Networks", ASIACCS 2018, section 4 (decoding base64 arguments first; character n-grams).
    Departures: all shells, and n-grams are hashed into a fixed number of columns.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import polars as pl

from inoculate.domain import Batch, Column, Fact, OnBad, Source, View, raise_bad
from inoculate.features.hashing import hashed_view
from inoculate.features.text.decoding import DECODING_COLUMNS, decode_texts, decoding_shape
from inoculate.features.text.text_domain import HashedView, TextDomain, finished
from inoculate.features.text.text_shape import GENERAL_COLUMNS, general_shape, matches
from inoculate.reading.delimited import LINE
from inoculate.reading.text_rows import first_lines, head_cells, read_text_rows, text_form
from inoculate.task import FloatArray

COLUMNS = (
    *("CommandLine", "command_line", "ProcessCommandLine", "process.command_line"),
    *("cmdline", "command", "text"),
)
"""Names of a column or key that holds the command lines, the likeliest first."""

_EVENT_KEYS = frozenset(("EventID", "Channel", "event_id", "winlog", "event", "@metadata"))
_KNOWN = """
    adduser apt apt-get arp attrib auditctl awk aws az base64 bash bcdedit bitsadmin cat cd
    certutil chattr chmod chown cipher cmd cmdkey cmstp copy cp crontab csc cscript curl cut dd
    defaults del df dig dir diskshadow dism dnf docker du echo env esentutl eval exec export find
    findstr for fsutil gcc gcloud getent git gpresult grep gwmi gzip head history hostname icacls
    id iex if ifconfig insmod installutil invoke-command ip ipconfig iptables iwr java kill
    kubectl launchctl ln ls lsmod make mavinject mimikatz mkdir modprobe mount move msbuild mshta
    msiexec mv nc ncat net net1 netsh netstat nltest nmap node nohup npm nslookup ntdsutil
    odbcconf openssl osascript passwd perl php ping pip pip3 pkill powershell printf procdump ps
    psexec pwsh python python3 quser qwinsta reg regsvr32 rm rmdir robocopy route rsync ruby
    rundll32 sc schtasks scp sed service set sh sleep sort source ss ssh start su sysctl systemctl
    systeminfo tail tar taskkill tasklist tee touch type ufw umount uname unzip useradd usermod
    vssadmin wevtutil wget while whoami wmic wscript wsl xargs xcopy xxd yum zip zsh
"""
_PROGRAMS = frozenset(_KNOWN.split())
_CMDLET = re.compile(
    r"[A-Za-z]{2,12}-[A-Z][A-Za-z]{2,40}|\$[A-Za-z_]\w{0,60}|\[[A-Za-z][\w.]{0,80}\].*"
)

_CHARACTER = "character"
_COUNTED = {
    "lines": ("1", "line ends inside it:", "\n"),
    "pipes": (_CHARACTER, "pipes:", r"\|"),
    "redirections": (_CHARACTER, "redirections:", "[<>]"),
    "separators": ("1", "commands after another, by ; or &:", ";|&&?"),
    "quotes": (_CHARACTER, "single quotes:", "'"),
    "double_quotes": (_CHARACTER, "double quotes:", '"'),
    "backslashes": (_CHARACTER, "backslashes:", r"\\"),
    "slashes": (_CHARACTER, "slashes:", "/"),
    "dollars": (_CHARACTER, "dollar signs:", r"\$"),
    "percents": (_CHARACTER, "percent signs:", "%"),
    "parentheses": (_CHARACTER, "parentheses:", "[()]"),
    "braces": (_CHARACTER, "braces and square brackets:", r"[\[\]{}]"),
    "equals": (_CHARACTER, "equals signs:", "="),
    "carets": ("1", "carets inside words:", r"\^[A-Za-z]"),
    "backticks": ("1", "backticks inside words:", "[A-Za-z]`[A-Za-z]"),
    "joints": ("1", "strings joined with +:", r"""['"]\s*\+\s*['"]"""),
    "flags": ("1", "flags of one dash:", r"(?:^|\s)-[A-Za-z]"),
    "long_flags": ("1", "flags of two dashes:", r"(?:^|\s)--[A-Za-z]"),
    "switches": ("1", "switches with a slash:", r"(?:^|\s)/[A-Za-z?]{1,12}(?:[\s:=]|$)"),
    "variables": ("1", "variables:", r"\$\{?[A-Za-z_]|%[A-Za-z_]\w*%"),
    "urls": ("1", "URLs:", r"(?i)\b(?:https?|ftp|ldap|tcp)://"),
    "addresses": ("1", "IP addresses:", r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"),
    "shares": ("1", "names of network shares:", r"(?:^|[\s\"'=])\\\\[A-Za-z0-9]"),
    "registry": ("1", "registry keys:", r"(?i)\bhk(?:lm|cu|cr|u|cc|ey_[a-z_]+)\b"),
    "hidden": ("1", "hidden files:", r"/\.[A-Za-z]"),
    "mixed": ("1", "capitals after small letters:", "[a-z][A-Z]"),
    "cmdlets": ("1", "PowerShell cmdlets:", r"\b[A-Za-z]{2,12}-[A-Z][A-Za-z]{2,}"),
    "members": ("1", "members of classes:", r"\]?::[A-Za-z]"),
}
_ENCODED_RUN = r"[A-Za-z0-9+/]{16,}={0,2}"
SHAPE = View(
    "shape",
    (
        *(Column(name, unit, about) for name, (unit, about, _) in _COUNTED.items()),
        Column("base64_share", "1", "share of characters that may be base64"),
        *GENERAL_COLUMNS,
        *DECODING_COLUMNS,
    ),
)
GRAMS = HashedView(hashed_view("gram", 256, "character sequences, decoded,"))
TOKENS = HashedView(hashed_view("token", 256, "words, decoded,"), (1, 2), of_tokens=True)

_WORD = (
    r"--?[a-z][a-z0-9_-]{0,24}|/[a-z?]{1,3}\b|\.[a-z][a-z0-9]{0,4}\b|[a-z_][a-z0-9_]{0,30}"
    r"|\b0\b|[|<>&;$%@{}()=*]"
)
_FOLDER_OF = re.compile(r"(?i)(?:[\\/]users|[\\/]home)[\\/]([^\\/\s\"';|&]{1,60})[\\/]")
_REPLACED = (
    (r"""['"]\s*\+\s*['"]""", ""),
    (r"[\^`]([a-z])", "$1"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "guid"),
    (r"\b[0-9a-f]{32,128}\b", "hash"),
    (r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b", "address"),
    (r"""([\\/](?:users|home)[\\/])[^\\/\s"';|&]+""", "${1}user"),
)


class Commands(TextDomain):
    """Command lines, however they are listed."""

    kind: ClassVar[str] = "command"
    unit: ClassVar[str] = "command"
    shape_view: ClassVar[View] = SHAPE
    hashed: ClassVar[tuple[HashedView, ...]] = (GRAMS, TOKENS)

    def sniff(self, source: Source) -> float:
        """Return 0.4 to 0.6 where most first lines begin with a well-known program."""
        form = text_form(source, COLUMNS)
        if form.kind == "plain":
            return 0.5 * _are_commands(first_lines(source))
        if _EVENT_KEYS & set(form.names) or len(form.names) > 12:
            return 0.0
        named = str(form.column).lower().replace("_", "").endswith(("commandline", "cmdline"))
        return 0.6 if named else 0.6 * _are_commands(head_cells(source, form))

    def read(self, source: Source, *, on_bad: OnBad = raise_bad) -> Iterator[Batch]:
        """Yield batches of commands; see the base class.

        Raises:
            RecordError: also for a header that cannot be split or has a name twice.
        """
        form = text_form(source, COLUMNS)
        for frame, bad in read_text_rows(source, form, on_bad=on_bad):
            if frame.height:
                yield Batch(finished(frame, source.name, LINE))
            for error in bad:
                on_bad(error)

    def parts(self, frame: pl.DataFrame) -> tuple[FloatArray, Mapping[str, pl.Series]]:
        """Return the structure of commands, and the letters and words of what they hide."""
        texts = frame["text"]
        decoded = decode_texts(texts)
        plain = decoded["text"].str.to_lowercase()
        for pattern, word in _REPLACED:
            plain = plain.str.replace_all(pattern, word)
        words = plain.str.replace_all(r"\b[0-9]+\b", "0").str.extract_all(_WORD)
        shape = np.hstack(
            [
                matches(texts, tuple(pattern for _, _, pattern in _COUNTED.values())),
                _base64_share(texts),
                general_shape(texts),
                decoding_shape(texts, decoded),
            ]
        )
        return shape, {"gram": plain, "token": words}

    def facts(self, record: Mapping[str, Any]) -> tuple[Fact, ...]:
        """Return the command line as it came, and whose folders it names."""
        text = str(record.get("text") or "")
        who = (Fact("who", name) for name in _FOLDER_OF.findall(text))
        return (Fact("field:CommandLine", text), *who) if text else ()


def _are_commands(cells: list[str]) -> float:
    """Return 1 where at least 60 % of texts begin with a well-known program, 0 otherwise."""
    cells = [c for c in cells if not c.lstrip().startswith("#")]
    fits = sum(map(_is_command, cells))
    return float(bool(cells) and fits >= 0.6 * len(cells))


def _is_command(text: str) -> bool:
    words = (w.strip("\"'()&;|{}") for w in text[:500].replace("=", " = ").split()[:4])
    for word in words:
        name = re.split(r"[\\/]", word)[-1].lower()
        known = name.removesuffix(".exe") in _PROGRAMS
        if known or name.endswith((".exe", ".bat", ".ps1", ".sh")) or _CMDLET.fullmatch(word):
            return True
        if name not in ("sudo", "", "."):
            return False
    return False


def _base64_share(texts: pl.Series) -> FloatArray:
    """Return the share of each text that may be base64, (n, 1); NaN for none or an empty text."""
    runs = texts.str.extract_all(_ENCODED_RUN).list.join("").str.len_chars()
    share = runs.cast(pl.Float32) / texts.str.len_chars()
    found = share.fill_null(float("nan")).to_numpy().astype(np.float32)
    return found.reshape(-1, 1)
