"""CloudTrail: the ways it is delivered, what is encoded, and what is refused."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from inoculate.domain import Batch, Source
from inoculate.domains.hosts.cloud_audit import VIEWS, CloudAudit
from inoculate.errors import RecordError
from inoculate.reading.sources import open_source

SAMPLES = Path(__file__).parents[2] / "data" / "cloud_audit"
SHAPE = {c.name: i for i, c in enumerate(VIEWS[0].columns)}
EVENT = {"eventSource": "s3.amazonaws.com", "eventName": "PutObject"}


def source_of(data: bytes | str) -> Source:
    data = data.encode() if isinstance(data, str) else data
    return Source("t", None, data[:65536], io.BytesIO(data))


def read(data: bytes | str, bad: list | None = None) -> pl.DataFrame:
    skip = {} if bad is None else {"on_bad": bad.append}
    parts = [b.frame for b in CloudAudit().read(source_of(data), **skip)]
    return pl.concat(parts, how="diagonal") if parts else pl.DataFrame()


def encode(*events: dict, **columns: list) -> dict:
    if events:
        return CloudAudit().encode(Batch(read(json.dumps(list(events)))), VIEWS)
    return CloudAudit().encode(Batch(pl.DataFrame(columns)), VIEWS)


def with_parameters(**parameters) -> dict:
    return {**EVENT, "requestParameters": parameters}


def test_a_document_of_records_is_read_compressed_or_not(tmp_path):
    plain = SAMPLES / "trail.json"
    packed = tmp_path / "trail.json.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        with open_source(path) as source:
            assert CloudAudit().sniff(source) == 0.95
            (batch,) = CloudAudit().read(source)
        assert batch.frame["origin"].to_list() == [f"{path}#{i}" for i in (1, 2, 3)]
    first = batch.frame.row(0, named=True)
    assert first["eventName"] == "AttachUserPolicy" and first["ts"] == 1714557600.0
    assert first["user"] == "arn:aws:iam::111122223333:user/ann"
    assert batch.frame["readOnly"].to_list() == [False, True, True]
    assert batch.frame["errorCode"].to_list() == [None, "Client.UnauthorizedOperation", None]
    assert batch.frame["identity_type"].to_list() == ["IAMUser", "AssumedRole", "Root"]
    assert batch.frame["requestParameters"][2] is None and "label" not in batch.frame.columns


def test_lines_are_read_with_their_labels_and_events_that_eventbridge_wraps():
    with open_source(SAMPLES / "lines.jsonl") as source:
        assert CloudAudit().sniff(source) == 1
        (batch,) = CloudAudit().read(source)
    assert batch.frame["label"].to_list() == ["T1530", "T1562"]
    assert batch.frame["eventName"].to_list() == [
        "PutBucketPolicy",
        "AuthorizeSecurityGroupIngress",
    ]
    assert batch.frame["readOnly"].to_list() == [False, None]
    assert batch.frame["user"].to_list() == ["ann", None]
    assert batch.frame["origin"][1].endswith("lines.jsonl:2")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([EVENT]),
        json.dumps({"Records": [EVENT]}, indent=1),
        json.dumps(EVENT),
        json.dumps(EVENT, indent=2),
        json.dumps({"detail": EVENT}),
        "\ufeff" + json.dumps([EVENT]),
    ],
)
def test_every_way_of_delivery_gives_the_same_event(text):
    assert CloudAudit().sniff(source_of(text)) >= 0.95
    assert read(text).select("eventName", "eventSource").rows() == [
        ("PutObject", "s3.amazonaws.com")
    ]


@pytest.mark.parametrize(
    "text, problem",
    [
        ("[1]", "t#1: no CloudTrail event"),
        ('[{"eventName": 1, "eventSource": "x"}]', "t#1: no CloudTrail event"),
        (
            '{"Records": {"a": 1}}',
            "t#1: no CloudTrail event|t: 'Records' is no array|t:1: no Cloud",
        ),
        ('{"Records":\n {"a": 1}}', "t: 'Records' is no array"),
        ('{"Records": [', "t:1: not JSON"),
        ("[" * 500 + "]" * 500, "t: JSON nested more than 100 deep"),
        ('{"a": 1}\n', "t:1: no CloudTrail event"),
        (json.dumps(EVENT) + "\nnonsense\n", "t:2: not JSON"),
    ],
)
def test_a_bad_document_or_event_names_its_place(text, problem):
    with pytest.raises(RecordError, match=problem):
        read(text)


def test_events_after_a_bad_one_are_read():
    bad: list = []
    assert len(read(json.dumps({"Records": [EVENT, None, EVENT]}), bad)) == 2
    assert [e.origin for e in bad] == ["t#2"]


def test_who_where_and_which_resource_are_not_encoded():
    a = {
        **with_parameters(
            instanceId="i-0123456789abcdef0",
            userName="ann",
            roleArn="arn:aws:iam::111122223333:role/a",
            keyName="k1",
            ip="192.0.2.7",
            bucketName="mine",
        ),
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/ann"},
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-cli",
        "awsRegion": "us-east-1",
    }
    b = {
        **with_parameters(
            instanceId="i-fedcba98765432100",
            userName="bob",
            roleArn="arn:aws:iam::999988887777:role/b",
            keyName="k2",
            ip="198.51.100.1",
            bucketName="your",
        ),
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::999988887777:user/bob"},
        "sourceIPAddress": "198.51.100.1",
        "userAgent": "evil",
        "awsRegion": "eu-west-1",
    }
    x = encode(a, b)
    for view in ("event", "parameter", "word"):
        np.testing.assert_array_equal(x[view][0], x[view][1], err_msg=view)


def test_what_was_asked_for_is_encoded():
    policy = '{"Statement": [{"Effect": "%s", "Principal": "*"}]}'
    x = encode(
        EVENT,
        {**EVENT, "errorCode": "AccessDenied"},
        with_parameters(policyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
        with_parameters(policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess"),
        with_parameters(policyDocument=policy % "Allow"),
        with_parameters(policyDocument=policy % "Deny"),
        with_parameters(documentName="AWS-RunShellScript"),
        with_parameters(cidrIp="0.0.0.0/0"),
        with_parameters(cidrIp="192.0.2.0/24"),
    )
    assert len({row.tobytes() for row in x["word"]}) == 9 - 1  # an address says nothing
    assert (x["shape"][:2, SHAPE["failed"]] == [0, 1]).all()
    assert x["shape"][4, SHAPE["n_parameters"]] == 2


def test_columns_of_a_labelled_table_are_enough():
    x = encode(
        eventSource=["ec2.amazonaws.com", "ec2.amazonaws.com"],
        eventName=["GetPasswordData", "GetPasswordData"],
        errorCode=[None, "Denied"],
        readOnly=[True, None],
        requestParameters=['{"instanceId": "i-0123456789abcdef0"}', '{"instanceId": "i-01234567'],
    )
    assert x["shape"][:, SHAPE["failed"]].tolist() == [0, 1]
    assert x["shape"][0, SHAPE["read_only"]] == 1 and np.isnan(x["shape"][1, SHAPE["read_only"]])
    assert x["shape"][:, SHAPE["n_parameters"]].tolist() == [1, 1]  # also where it was cut off
    alone = encode(eventName=["GetPasswordData"])
    assert np.isnan(alone["shape"]).all() and np.isnan(alone["parameter"]).all()
    assert (alone["event"] > 0).sum() == 1 and (alone["word"] > 0).sum() == 3
    assert np.isnan(encode(origin=["x"])["event"]).all()


def test_no_parameters_are_none_and_not_unknown():
    x = encode(eventName=["A"], requestParameters=[None])
    assert x["shape"][0, SHAPE["n_parameters"]] == 0 and (x["parameter"] == 0).all()


def test_reasons_quote_what_a_column_counted():
    with open_source(SAMPLES / "trail.json") as source:
        (batch,) = CloudAudit().read(source)
    domain, x = CloudAudit(), CloudAudit().encode(batch, VIEWS)
    for i, record in enumerate(batch.frame.to_dicts()):
        for view in ("event", "parameter", "word"):
            width = x[view].shape[1]
            digits = len(str(width - 1))
            quotes = [domain.quote(record, f"{view}_{c:0{digits}}") for c in range(width)]
            assert [bool(q) for q in quotes] == (x[view][i] > 0).tolist(), view
    assert domain.quote({}, "word_001") == "" and domain.quote(record, "failed") == ""


@pytest.mark.parametrize("text", ['{"a": 1}', "[]", "a,b\n", '{"eventName": 1}', "{", ""])
def test_other_data_is_not_taken_for_it(text):
    assert CloudAudit().sniff(source_of(text)) == 0


def test_halves_of_surrogates_and_absurd_parameters_are_survived():
    deep: object = "x"
    for _ in range(20):
        deep = {"d": [deep]}
    many = {f"k{i}": i for i in range(5000)}
    data = json.dumps([with_parameters(a="\ud800", b='{"\ud800": "\\udc00"}', c=deep, **many)])
    frame = read(data)
    x = CloudAudit().encode(Batch(frame), VIEWS)
    assert x["shape"][0, SHAPE["n_parameters"]] <= 256
    assert len(frame["requestParameters"][0]) < 20_000
