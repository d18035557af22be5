"""A small table of a user's own, with a threat that hides in two of its columns."""

import numpy as np
import pytest

from inoculate.workflows.adapt import AdaptRequest, adapt

HEADER = "size,rate,tool,verdict\n"


def rows(rng, n, *, threat):
    size = rng.normal(900 if threat else 100, 20, n)
    rate = rng.normal(1 if threat else 5, 0.2, n)
    tool = rng.choice(["curl", "wget"], n)
    verdict = "steal" if threat else "fine"
    return [f"{s:.2f},{r:.3f},{t},{verdict}\n" for s, r, t in zip(size, rate, tool, strict=True)]


def write(path, lines, header=HEADER):
    path.write_text(header + "".join(lines))
    return str(path)


@pytest.fixture
def table(tmp_path):
    """Paths: examples (10 threats), background (300 benign), mixed (200 benign, 40 threats)."""
    rng = np.random.default_rng(0)
    mixed = rows(rng, 200, threat=False) + rows(rng, 40, threat=True)
    return {
        "examples": write(tmp_path / "examples.csv", rows(rng, 10, threat=True)),
        "background": write(tmp_path / "background.csv", rows(rng, 300, threat=False)),
        "mixed": write(tmp_path / "mixed.csv", mixed),
        "folder": tmp_path,
    }


@pytest.fixture
def detector(table):
    """Path of a detector adapted on the table."""
    out = table["folder"] / "steal.detector"
    adapt(
        AdaptRequest(
            examples=(table["examples"],), background=(table["background"],), out=out,
            threats=("steal",), label="verdict", shots=5,
        )
    )  # fmt: skip
    return out


ZEEK_HEADER = """#separator \\x09
#set_separator\t,
#empty_field\t(empty)
#unset_field\t-
#path\tconn
#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\torig_bytes\tresp_bytes\tconn_state\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes
#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tinterval\tcount\tcount\tstring\tcount\tcount\tcount\tcount
"""


def zeek_lines(rng, n, *, threat, start=1_700_000_000.0):
    """Return n lines of a conn.log: threats upload a lot in long flows, the rest do not."""
    lines = []
    for i in range(n):
        sent = int(rng.normal(5e6, 1e5) if threat else rng.normal(900, 200))
        got = int(rng.normal(500, 50) if threat else rng.normal(20_000, 5_000))
        seconds = rng.normal(60, 2) if threat else rng.normal(0.4, 0.05)
        out, back = max(sent // 1400, 1), max(got // 1400, 1)
        lines.append(
            f"{start + 7 * i + rng.random():.6f}\tC{i}\t10.0.0.{rng.integers(2, 200)}\t{40_000 + i}"
            f"\t10.0.1.{rng.integers(2, 9)}\t443\ttcp\t{abs(seconds):.6f}\t{abs(sent)}\t{abs(got)}"
            f"\tSF\t{out}\t{abs(sent) + 40 * out}\t{back}\t{abs(got) + 40 * back}\n"
        )
    return lines


@pytest.fixture
def flow_detector(tmp_path):
    """Path of a detector of uploads, adapted on Zeek logs."""
    rng = np.random.default_rng(3)
    out = tmp_path / "upload.detector"
    examples = write(tmp_path / "few.log", zeek_lines(rng, 5, threat=True), ZEEK_HEADER)
    background = write(tmp_path / "week.log", zeek_lines(rng, 400, threat=False), ZEEK_HEADER)
    adapt(
        AdaptRequest(examples=(examples,), background=(background,), out=out, threats=("upload",))
    )
    return out
