"""Prints nfstream's flows of captures: one JSON line a capture. Runs in a process of its own.

python nfstream_flows.py CAPTURE ...
"""

import json
import sys

from nfstream import NFStreamer

FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")


def main() -> None:
    for path in sys.argv[1:]:
        meter = NFStreamer(
            path, idle_timeout=120, active_timeout=1800, accounting_mode=1, decode_tunnels=False,
            n_meters=1, n_dissections=0, statistical_analysis=True,
        )  # fmt: skip
        flows = [
            [f.src_ip, f.src_port, f.dst_ip, f.dst_port, f.protocol, f.bidirectional_packets,
             f.bidirectional_bytes, f.src2dst_packets, f.src2dst_bytes, f.bidirectional_duration_ms,
             *(getattr(f, f"bidirectional_{flag}_packets") for flag in FLAGS)]
            for f in meter
        ]  # fmt: skip
        sys.stdout.write(json.dumps([path, flows]) + "\n")


if __name__ == "__main__":
    main()
