"""Elastic Common Schema documents: field names, types and what is left out."""

import json
from datetime import UTC, datetime

import pytest

from inoculate.finding import NOVELTY
from inoculate.render.ecs import Ecs
from tests.render.samples import (
    FLOW,
    assert_safe_for_a_terminal,
    finding,
    hostile_finding,
    report,
)


def document(made):
    (line,) = Ecs(now=lambda: datetime(2027, 1, 1, tzinfo=UTC)).rows([made]).splitlines()
    return json.loads(line)


def test_an_alert_by_the_schema():
    doc = document(finding(ts=1767225600.25))
    assert doc["@timestamp"] == "2026-01-01T00:00:00.250Z"
    assert doc["event"]["kind"] == "alert"
    assert doc["event"]["category"] == ["intrusion_detection", "network"]
    assert doc["event"]["type"] == ["info"]
    assert doc["event"]["risk_score_norm"] == 99.96
    assert doc["event"]["reason"].startswith("bytes sent 1.2 MB")
    assert doc["rule"]["name"] == "slowite"
    assert doc["threat"]["indicator"]["description"] == "slowite"
    assert doc["source"] == {"address": "10.0.0.5", "ip": "10.0.0.5", "port": 50022}
    assert doc["destination"] == {"address": "10.0.0.9", "ip": "10.0.0.9", "port": 1883}
    assert doc["network"] == {"transport": "tcp", "type": "ipv4"}
    assert doc["related"]["ip"] == ["10.0.0.5", "10.0.0.9"]
    assert doc["inoculate"]["origin"] == "traffic.pcap#1"


@pytest.mark.parametrize("host", ["printer.local", "999.1.1.1", "", "10.0.0.5/8"])
def test_what_is_no_address_is_not_put_in_an_ip_field(host):
    doc = document(finding(record={**FLOW, "orig_h": host}))
    assert "ip" not in doc["source"]
    assert doc["source"]["address"] == host


@pytest.mark.parametrize("port", [-1, 65536, float("nan"), "80; drop", None])
def test_what_is_no_port_is_left_out(port):
    assert "port" not in document(finding(record={**FLOW, "orig_p": port}))["source"]


def test_a_row_of_a_table_is_no_network_event():
    doc = document(finding(record={"user": "ann", "n": 3}, ts=None, reasons=()))
    assert doc["event"]["category"] == ["intrusion_detection"]
    assert not {"source", "destination", "network", "related"} & set(doc)
    assert doc["inoculate"]["record"] == {"user": "ann", "n": "3"}
    assert doc["@timestamp"] == "2027-01-01T00:00:00.000Z"


def test_novelty_names_no_indicator():
    assert "threat" not in document(finding(threat=NOVELTY))


def test_ipv6_and_its_icmp():
    doc = document(finding(record={**FLOW, "orig_h": "fe80::1", "proto": "icmp6"}))
    assert doc["network"] == {"transport": "ipv6-icmp", "type": "ipv6"}


def test_hostile_text_is_cleaned():
    text = Ecs().rows([hostile_finding()])
    assert_safe_for_a_terminal(text)
    assert "\\u001b" not in text
    assert "ip" not in json.loads(text)["source"]


def test_it_streams():
    assert Ecs.streams
    assert Ecs().begin() == Ecs().end(report()) == Ecs().rows([]) == ""
