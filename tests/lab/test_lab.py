"""The committed captures against their ground truth, and the lab that makes them."""

import asyncio
import gzip
import hashlib
import json
import random
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from lab import network, normal, packets, payloads, servers
from lab.attacks import ATTACKS, attack, attack_ports
from lab.client import ATTACK_PORTS, Client, TlsLike
from lab.make_captures import Run, Site, label, make, runs
from lab.office import LOOPBACK

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = ROOT / "src/inoculate/workflows/captures"
SIZE_MAX = 3_000_000


def catalogue():
    return json.loads((CAPTURES / "captures.json").read_text())


def truth(capture=None):
    entries = json.loads((CAPTURES / "truth.json").read_text())
    return [e for e in entries if capture in (None, e["capture"])]


@cache
def flows(capture):
    """Every flow (direction-free 5-tuple) of a capture with its packets."""
    found = defaultdict(list)
    for packet in packets.read(CAPTURES / capture):
        found[packets.flow_key(packet)].append(packet)
    return dict(found)


def matches(entry, packet):
    """Whether the flow that starts with this packet is the entry's attack."""
    orig_h, orig_p, resp_h, resp_p = packet.ends
    return (
        orig_h == entry["orig_h"]
        and entry["orig_p"][0] <= orig_p <= entry["orig_p"][1]
        and entry["resp_h"] in (None, resp_h)
        and entry["resp_p"] in (None, resp_p)
        and entry["proto"] == packet.proto
        and entry["first_ts"] <= packet.ts_us / 1e6 <= entry["last_ts"]
    )


def split(capture):
    """The first packets of a capture's flows: by attack, and of the benign rest."""
    by_attack, benign = defaultdict(list), []
    for part in flows(capture).values():
        names = [e["attack"] for e in truth(capture) if matches(e, part[0])]
        assert len(names) <= 1
        (by_attack[names[0]] if names else benign).append(part[0])
    return by_attack, benign


def test_captures_are_small_and_each_is_in_the_catalogue_with_its_hash():
    files = sorted(CAPTURES.glob("*.pcap.gz"))
    entries = {e["capture"]: e for e in catalogue()}
    assert {f.name for f in files} == set(entries)
    assert sum(f.stat().st_size for f in CAPTURES.iterdir()) < SIZE_MAX
    for file in files:
        data = file.read_bytes()
        assert hashlib.sha256(data).hexdigest() == entries[file.name]["sha256"]
        assert data[4:8] == bytes(4), "a time of writing in the gzip header"
        assert gzip.decompress(data)[:4] == b"\xd4\xc3\xb2\xa1"


def test_catalogue_counts_are_the_captures_counts():
    for entry in catalogue():
        found = flows(entry["capture"])
        assert entry["flows"] == len(found)
        assert entry["packets"] == sum(map(len, found.values()))


def test_every_truth_entry_matches_exactly_the_flows_it_counts():
    for entry in truth():
        first = [part[0] for part in flows(entry["capture"]).values()]
        assert sum(matches(entry, packet) for packet in first) == entry["flows"], entry["attack"]


def test_no_flow_outside_the_truth_has_an_attack_source_port():
    low, high = ATTACK_PORTS
    for capture in ("background.pcap.gz", "office.pcap.gz"):
        _, benign = split(capture)
        assert not [p for p in benign if low <= p.ends[1] <= high]


def test_counts_are_those_the_demonstration_needs():
    assert len(flows("background.pcap.gz")) >= 2_000
    hidden, benign = split("office.pcap.gz")
    assert len(benign) >= 3_000
    assert set(hidden) == set(ATTACKS)
    assert all(30 <= len(found) <= 300 for found in hidden.values())


def test_background_and_example_captures_hold_only_what_they_should():
    assert truth("background.pcap.gz") == []
    for name in ATTACKS:
        by_attack, benign = split(f"{name}.pcap.gz")
        assert set(by_attack) == {name}
        assert len(by_attack[name]) >= 25
        assert benign == []


def test_attackers_also_work_normally_and_differ_from_those_of_the_examples():
    _, benign = split("office.pcap.gz")
    examples = {e["orig_h"] for e in truth() if e["capture"] != "office.pcap.gz"}
    for entry in truth("office.pcap.gz"):
        meanwhile = [
            p
            for p in benign
            if p.ends[0] == entry["orig_h"]
            and entry["first_ts"] <= p.ts_us / 1e6 <= entry["last_ts"]
        ]
        assert len(meanwhile) >= 30, entry["attack"]
        assert entry["orig_h"] not in examples


def test_background_comes_before_the_examples_and_those_before_the_office():
    ends = defaultdict(list)
    for entry in catalogue():
        ends[entry["role"]].append((entry["first_ts"], entry["last_ts"]))
    order = [ends["background"], ends["examples"], ends["office"]]
    for earlier, later in pairwise(order):
        assert max(last for _, last in earlier) < min(first for first, _ in later)


def test_only_private_and_documentation_addresses_appear():
    for entry in catalogue():
        for part in flows(entry["capture"]).values():
            hosts = part[0].ends[0], part[0].ends[2]
            assert all(h.startswith(("10.77.0.", "198.51.100.", "203.0.113.")) for h in hosts)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_no_attack_is_told_by_one_constant_size(name):
    by_attack, _ = split("office.pcap.gz")
    found = flows("office.pcap.gz")
    sizes = Counter(
        (len(part), sum(p.payload for p in part))
        for part in (found[packets.flow_key(first)] for first in by_attack[name])
    )
    if name == "port_scan":  # a refused connection has one size: the benign refusals share it
        benign = Counter(
            (len(part), sum(p.payload for p in part))
            for key, part in flows("background.pcap.gz").items()
            if key[0] == "tcp"
        )
        assert benign[sizes.most_common(1)[0][0]] >= 20
    else:
        assert sizes.most_common(1)[0][1] < len(by_attack[name]) / 2


def test_normal_traffic_holds_look_alikes_of_the_attacks():
    found = flows("background.pcap.gz")
    refused = [part for part in found.values() if part[0].syn and len(part) == 2]
    silent = [
        part for part in found.values() if part[0].syn and len({p.ends[0] for p in part}) == 1
    ]
    idle = [part for part in found.values() if part[-1].ts_us - part[0].ts_us > 20_000_000]
    uploads = [
        part
        for part in found.values()
        if sum(p.payload for p in part if p.ends == part[0].ends) > 20_000
    ]
    assert len(refused) >= 20
    assert len(silent) >= 5
    assert len(idle) >= 20
    assert len(uploads) >= 15


def test_cutting_keeps_lengths_and_only_the_first_payload_of_each_direction():
    for part in flows("office.pcap.gz").values():
        for end in {p.ends for p in part}:
            kept = [len(p.frame) > p.headers for p in part if p.ends == end and p.payload]
            assert kept[:1] == [True][: len(kept)]
        assert all(p.length >= p.headers + p.payload for p in part)


def _frame(source, target, flags, payload):
    """An Ethernet, IPv4, TCP frame; the ends are (last octet of 10.77.0.x, port)."""
    size = 40 + len(payload)
    ip = bytes([0x45, 0]) + size.to_bytes(2, "big") + bytes(4) + bytes([64, 6, 0, 0])
    ip += bytes([10, 77, 0, source[0], 10, 77, 0, target[0]])
    tcp = source[1].to_bytes(2, "big") + target[1].to_bytes(2, "big") + bytes(8)
    return bytes(12) + b"\x08\x00" + ip + tcp + bytes([0x50, flags]) + bytes(6) + payload


def test_written_packets_are_cut_as_promised_and_read_back(tmp_path):
    desk, web = (21, 40_000), (3, 80)
    frames = [
        _frame(desk, web, 0x02, b""),
        _frame(desk, web, 0x18, b"a" * 100),
        _frame(web, desk, 0x18, b"b" * 100),
        _frame(desk, web, 0x18, b"c" * 100),
        _frame(desk, web, 0x02, b""),
        _frame(desk, web, 0x18, b"d" * 100),
    ]
    whole = [packets.parse(i * 1_500_000, f, len(f)) for i, f in enumerate(frames)]
    packets.write(tmp_path / "x.pcap.gz", packets.cut(whole, 30))
    back = list(packets.read(tmp_path / "x.pcap.gz"))
    assert [len(p.frame) for p in back] == [54, 84, 84, 54, 54, 84]
    assert [p.length for p in back] == [54, 154, 154, 154, 54, 154]
    assert [p.payload for p in back] == [0, 100, 100, 100, 0, 100]
    assert [p.syn for p in back] == [True, False, False, False, True, False]
    assert back[1].ts_us == 1_500_000
    assert back[2].ends == ("10.77.0.3", 80, "10.77.0.21", 40_000)
    assert len({packets.flow_key(p) for p in back}) == 1


def test_a_packet_is_labelled_by_the_attackers_address_and_source_port():
    port = attack_ports("beacon").start
    attackers = {"beacon": "10.77.0.21", "slow_http": "10.77.0.22"}
    frames = {
        _frame((21, port), (3, 80), 2, b""): "beacon",
        _frame((3, 80), (21, port), 0x12, b""): "beacon",
        _frame((22, port), (3, 80), 2, b""): None,
        _frame((21, 40_000), (3, 80), 2, b""): None,
    }
    for frame, name in frames.items():
        assert label(packets.parse(0, frame, len(frame)), attackers) == name


def test_attack_port_blocks_do_not_overlap_and_stay_below_the_kernels():
    blocks = [set(attack_ports(name)) for name in ATTACKS]
    assert len(set.union(*blocks)) == sum(map(len, blocks))
    assert max(set.union(*blocks)) <= ATTACK_PORTS[1] < 32_768


def test_dns_messages_survive_their_own_reader():
    rng = random.Random(1)
    name = f"{payloads.base32_labels(rng, 90)}.zone.example"
    query = payloads.dns_query(rng, name, payloads.TXT)
    assert payloads.dns_question(query)[:2] == (name, payloads.TXT)
    answer = payloads.dns_answer(query, [payloads.txt(b"x" * 300)], 60)
    assert answer[:2] == query[:2]
    assert len(answer) >= 300 + 2


def test_a_seed_plans_the_same_runs_and_another_seed_others():
    assert runs(7, 1.0) == runs(7, 1.0)
    assert runs(7, 1.0) != runs(8, 1.0)


async def _one_turn_of_everything(seconds):
    """Serve on loopback, let one desk take a turn at every habit, and play every attack."""
    started = [s for role in servers.ROLES for s in await servers.start(role, LOOPBACK, 3)]
    plan = {"start_s": 0.0, "seconds": seconds / 2, "flows": 4, "variant": 1}
    client = Client(random.Random(5), LOOPBACK)
    habits = dict.fromkeys([*normal.DESK, normal.watch_services], 0.2)
    jobs = [attack(name, LOOPBACK, "127.0.0.1", "5", plan) for name in ATTACKS]
    tasks = [asyncio.create_task(job) for job in [*jobs, normal.live(client, habits, turns=1)]]
    async with client.connect(client.address("cloud")) as (reader, writer):
        session = TlsLike(client.rng, reader, writer)
        await session.handshake()
        await session.exchange(30_000, 5_000)
    done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for server in started:
        server.close()
    await asyncio.sleep(0.05)
    return [o for o in outcomes if isinstance(o, Exception)], len(done)


def test_generators_work_on_loopback_without_namespaces():
    errors, done = asyncio.run(_one_turn_of_everything(4.0))
    assert errors == []
    assert done >= 3


def test_a_short_run_in_namespaces_is_labelled_and_leaves_nothing_behind(tmp_path):
    """Where namespaces cannot be made, the program has to say so in one line instead."""
    if not (network.usable() and shutil.which("tcpdump", path="/usr/bin:/usr/sbin:/sbin")):
        command = [sys.executable, "-m", "lab.make_captures", "--out", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith("make_captures: ")
        return
    plan = {"start_s": 0.2, "seconds": 2.0, "flows": 6, "variant": 1}
    run = Run("office", 11, 4.0, 2, dict.fromkeys(ATTACKS, 21), dict.fromkeys(ATTACKS, plan))
    captures, entries = make([run], tmp_path, Site())
    assert {e["attack"] for e in entries} == set(ATTACKS)
    assert all(3 <= e["flows"] <= 8 for e in entries)
    assert captures[0]["flows"] > sum(e["flows"] for e in entries)
    assert not [n for n in network.ip("netns", "list").split() if "office-" in n]
