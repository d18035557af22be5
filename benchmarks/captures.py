"""The main job on real captures: five flows of an attack, found in captures made apart.

For each attack: examples from its train capture, background from the benign train capture,
then the attack's test capture and the benign test capture are scanned. Printed and written:
recall and realised false alarms at the promised rate, for every learner, over support draws.

    python benchmarks/captures.py [--size smoke|full] [--json] [--write docs/measured/captures.md]
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from inoculate.errors import InoculateError
from inoculate.features.flows.flow_schema import FLOW_VIEW
from inoculate.metrics import auroc
from inoculate.registry import LEARNERS
from inoculate.store.artifact import shipped
from inoculate.store.detector import load_prior
from inoculate.task import Encoded, Labelled, Support
from inoculate.workflows.demo import _CAPTURES as CAPTURES
from inoculate.workflows.demo import attacks, label_flows
from inoculate.workflows.fitting import fit
from inoculate.workflows.intake import Intake

DATA = Path(os.environ.get("INOCULATE_DATA", "../shared/datasets")) / "pcap"
SHOTS, RATES, BACKGROUND = 5, (0.01, 0.001), 20_000

MQTT = {
    name: (f"mqttset/{name}-train.{kind}", f"mqttset/{name}-test.{kind}")
    for name, kind in (
        ("bruteforce", "pcapng"),
        ("flood", "pcap"),
        ("malariados", "pcap"),
        ("malformed", "pcap"),
        ("slowite", "pcap"),
    )
}
DNS = ("andiodine-mx", "dns2tcp-key", "dnscat2-cname", "dnscat2-txt", "iodine-cname", "ozymandns")


def flows(name: str) -> Encoded:
    """Return the flows of one capture, encoded, in order of their end."""
    parts = [
        domain.encode(batch, [FLOW_VIEW]) for domain, batch in Intake().read([str(DATA / name)])
    ]
    return Encoded.concat(parts)


def scenarios() -> list[dict]:
    """Return each attack with its four sets of flows."""
    made = []
    benign = [flows(f"mqttset/benign-{side}.pcap") for side in ("train", "test")]
    for attack, (train, test) in MQTT.items():
        made.append(
            {"group": "mqttset", "attack": attack, "train": flows(train), "test": flows(test)}
            | {"background": benign[0], "benign": benign[1]}
        )
    benign = [flows(f"dns_tunnel/normal_{i}.pcap") for i in (0, 1)]
    for attack in DNS:
        x = flows(f"dns_tunnel/{attack}.pcap")
        half = max(x.n_records // 2, 1)
        rows = np.arange(x.n_records)
        # one capture a tool: its earlier half gives the examples, the later is scanned
        train, test = x.take(rows[:half]), x.take(rows[half:] if half < len(rows) else rows)
        made.append(
            {"group": "dns_tunnel", "attack": attack, "train": train, "test": test}
            | {"background": benign[0], "benign": benign[1], "alone": len(rows) == 1}
        )
    return made + lab()


def lab() -> list[dict]:
    """Return the bundled attacks: examples cut out of one run, hidden in another."""
    background, office = bundled("background.pcap.gz"), bundled("office.pcap.gz")
    truth = label_flows(str(CAPTURES / "office.pcap.gz"))["truth"].to_numpy()
    return [
        {"group": "lab", "attack": attack, "train": bundled(f"{attack}.pcap.gz")}
        | {"test": office.take(truth == attack), "benign": office.take(truth == "benign")}
        | {"background": background}
        for attack in attacks()
    ]


def bundled(name: str) -> Encoded:
    return flows(str(CAPTURES / name))


def learners() -> dict:
    """Return every learner by name; meta-trained ones as the shipped priors have them."""
    made = {n: LEARNERS.load(n)() for n in LEARNERS.names() if not LEARNERS.load(n).meta_trained}
    priors = {n: load_prior(n).learner for n in shipped()}
    return made | {f"prior {n}": learner for n, learner in priors.items()}


def run(scenario: dict, learner, seed: int) -> dict:
    """Return recall, realised false alarms and times of one draw of examples."""
    rng = np.random.default_rng(seed)
    n = scenario["train"].n_records
    rows = rng.permutation(n)[:SHOTS]
    x = scenario["train"].take(rows)
    support = Support(
        Labelled(x, np.zeros(len(rows), np.int64)), scenario["background"], (scenario["attack"],)
    )
    start = time.perf_counter()
    fitted = fit(learner, [FLOW_VIEW], support, rate=RATES[0], seed=seed)
    calibration = fitted.calibration
    adapt_s = time.perf_counter() - start
    names = {c.name for c in fitted.views[0].columns}
    columns = np.array([c.name in names for c in FLOW_VIEW.columns])

    def alarm(x: Encoded) -> np.ndarray:
        chosen = Encoded({"flow": x["flow"][:, columns]})
        return fitted.detector.score(chosen).alarm().astype(np.float64)

    attack, benign = alarm(scenario["test"]), alarm(scenario["benign"])
    result = {"adapt_s": adapt_s, "auroc": auroc(benign, attack), "shots": len(rows)}
    result["left out found"] = fitted.found(RATES[0]) / max(len(fitted.left_out), 1)
    for rate in RATES:
        kept, _ = calibration.promise(rate)
        threshold = calibration.threshold(kept)
        result[f"recall@{rate}"] = float((attack >= threshold).mean())
        result[f"realised@{rate}"] = float((benign >= threshold).mean())
        result[f"kept@{rate}"] = kept
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=("smoke", "full"), default="full")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", help="learners to run, with commas between")
    parser.add_argument("--group", help="mqttset, dns_tunnel or lab")
    args = parser.parse_args()
    seeds = range(2 if args.size == "smoke" else 10)
    rows = []
    wanted = {n: learner for n, learner in learners().items() if n in (args.only or n).split(",")}
    for scenario in scenarios():
        if args.group not in (None, scenario["group"]):
            continue
        for name, learner in wanted.items():
            try:
                runs = [run(scenario, learner, seed) for seed in seeds]
            except InoculateError as err:
                sys.exit(f"{scenario['attack']} {name}: {err}")
            mean = {k: float(np.mean([r[k] for r in runs])) for k in runs[0]}
            worst = min(r["recall@0.01"] for r in runs)
            sizes = {k: scenario[k].n_records for k in ("train", "test", "background", "benign")}
            rows.append(
                {"group": scenario["group"], "attack": scenario["attack"], "learner": name}
                | mean
                | {"worst recall@0.01": worst}
                | sizes
            )
            print(line(rows[-1]), flush=True)
    text = markdown(rows, len(seeds))
    if args.write:
        args.write.write_text(text)
        args.write.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    if args.json:
        print(json.dumps({"benchmark": "captures", "rows": rows}))


def line(r: dict) -> str:
    return (
        f"{r['group']:<11}{r['attack']:<15}{r['learner']:<14}"
        f"recall {r['recall@0.01']:.3f} (worst draw {r['worst recall@0.01']:.3f}) at 1 %, "
        f"realised {100 * r['realised@0.01']:.2f} %; {r['recall@0.001']:.3f} at 0.1 %, "
        f"realised {100 * r['realised@0.001']:.2f} %; AUROC {r['auroc']:.3f}"
    )


def markdown(rows: list[dict], n_seeds: int) -> str:
    out = [
        "# Real captures: five flows in, the rest found",
        "",
        f"Means over {n_seeds} draws of the examples. Recall is the share of the attack's flows in "
        "the test capture that were found; realised is the share of the benign test capture's "
        "flows that alarmed, where the promise was 1 % or 0.1 %. A realised rate above the "
        "promise means that the test capture's benign traffic differs from the background's.",
        "",
        "`python benchmarks/captures.py --write docs/measured/captures.md`",
        "",
    ]
    head = "| attack | learner | shots | test flows | recall 1 % | worst draw | realised 1 % | "
    head += "recall 0.1 % | realised 0.1 % | AUROC |"
    for group in dict.fromkeys(r["group"] for r in rows):
        mine = [r for r in rows if r["group"] == group]
        sizes = (
            f"{mine[0]['background']:,} background flows, {mine[0]['benign']:,} benign test flows"
        )
        out += [f"## {group} ({sizes})", "", head, "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
        for r in mine:
            out.append(
                f"| {r['attack']} | {r['learner']} | {r['shots']:.0f} | {r['test']:,} "
                f"| {r['recall@0.01']:.3f} | {r['worst recall@0.01']:.3f} "
                f"| {100 * r['realised@0.01']:.2f} % | {r['recall@0.001']:.3f} "
                f"| {100 * r['realised@0.001']:.2f} % | {r['auroc']:.3f} |"
            )
        out.append("")
        out += ["| mean over attacks | learner | recall 1 % | realised 1 % |", "|---|---|--:|--:|"]
        for name in dict.fromkeys(r["learner"] for r in mine):
            own = [r for r in mine if r["learner"] == name]
            recall = np.mean([r["recall@0.01"] for r in own])
            realised = 100 * np.mean([r["realised@0.01"] for r in own])
            out.append(f"| | {name} | {recall:.3f} | {realised:.2f} % |")
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    main()
