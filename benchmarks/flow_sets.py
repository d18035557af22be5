"""Labelled flow sets of the data catalogue, in the canonical flow columns."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from inoculate.domain import Batch
from inoculate.features.flows.flow_schema import FLOW_VIEW
from inoculate.features.flows.host_context import CONTEXT_COLUMNS
from inoculate.sampling import Pool, distinct
from inoculate.task import Encoded
from inoculate.workflows.intake import Intake

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets"))

TRAIN = ("DoS Hulk", "DDoS", "FTP-Patator", "Portscan", "DoS Slowloris")
VALIDATION = ("DoS GoldenEye", "Botnet", "Web Attack - Brute Force", "DoS Slowhttptest")
SAME = {"Infiltration - Portscan": "Portscan"}  # one behaviour under two names
BENIGN = {"BENIGN", "Benign", "normal", "Background"}

CIC = ("cicids2017_improved", "cicddos2019_sample", "cseids2018_sample")
ZEEK = ("ton_iot_network", "ctu_zeek_conn")

# samples of a few flows a class say nothing of what else a host did
CONTEXT = [c.name for c in CONTEXT_COLUMNS]

TON_TO_ZEEK = {
    "src_ip": "id.orig_h",
    "src_port": "id.orig_p",
    "dst_ip": "id.resp_h",
    "dst_port": "id.resp_p",
    "src_bytes": "orig_bytes",
    "dst_bytes": "resp_bytes",
    "src_pkts": "orig_pkts",
    "src_ip_bytes": "orig_ip_bytes",
    "dst_pkts": "resp_pkts",
    "dst_ip_bytes": "resp_ip_bytes",
}
CONN = (
    *("ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service"),
    *("duration", "orig_bytes", "resp_bytes", "conn_state", "history", "orig_pkts"),
    *("orig_ip_bytes", "resp_pkts", "resp_ip_bytes", "label"),
)


@dataclass(frozen=True)
class FlowSet:
    """Records and the class of each, exact duplicates removed."""

    name: str
    x: Encoded
    label: np.ndarray

    def pool(self) -> Pool:
        """Return the records by class."""
        benign = np.array([c in BENIGN or c.startswith("Benign/") for c in self.label])
        threats = sorted(set(self.label[~benign].tolist()) - {"Unknown"})
        rows = {c: np.flatnonzero(self.label == c) for c in threats}
        return Pool(self.x, rows, np.flatnonzero(benign), self.name)


def load(name: str) -> FlowSet:
    """Return one set of the catalogue."""
    path = DATA / "net" / f"{name}.parquet"
    if name in CIC:
        return _deduplicated(name, *_read(path, "cicflowmeter"))
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "conn.log"
        _write_conn_log(pl.read_parquet(path), log)
        return _deduplicated(name, *_read(log, "zeek_conn"))


def _read(path: Path, form: str) -> tuple[Encoded, np.ndarray]:
    parts, labels = [], []
    for domain, batch in Intake(format=form).read([str(path)]):
        parts.append(domain.encode(Batch(batch.frame.drop(CONTEXT, strict=False)), (FLOW_VIEW,)))
        column = next(c for c in batch.frame.columns if c.lower() == "label")
        labels.append(batch.frame[column].cast(pl.String).fill_null("").to_numpy())
    return Encoded.concat(parts), np.concatenate(labels).astype(str)


def _write_conn_log(frame: pl.DataFrame, log: Path) -> None:
    """Write rows as Zeek would; hosts and times left unset, so that no context is made of them."""
    frame = frame.rename({k: v for k, v in TON_TO_ZEEK.items() if k in frame.columns})
    unset = {"ts", "uid", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"}
    columns = []
    for c in CONN:
        if c in unset or c not in frame.columns:
            columns.append(pl.lit("-").alias(c))
            continue
        text = pl.col(c).cast(pl.String)
        if c in ("orig_bytes", "resp_bytes"):
            text = pl.col(c).cast(pl.Float64).cast(pl.Int64, strict=False).cast(pl.String)
        columns.append(pl.when(text == "").then(None).otherwise(text).fill_null("-").alias(c))
    header = "#separator \\x09\n#unset_field\t-\n#fields\t" + "\t".join(CONN) + "\n"
    body = frame.select(columns).write_csv(
        separator="\t", include_header=False, quote_style="never"
    )
    log.write_text(header + body)


def _deduplicated(name: str, x: Encoded, label: np.ndarray) -> FlowSet:
    keep = distinct(x)
    label = np.array([SAME.get(c, c) for c in label[keep].tolist()])
    return FlowSet(name, x.take(keep), label)
