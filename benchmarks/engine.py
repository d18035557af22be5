"""The meta-learning engine beside its peers: meta-iterations, memory, sampling, one run.

MAML on a perceptron 78-128-128-n with 5 inner steps, 5 shots and 15 queries a class; an iteration
is the meta-gradient of 16 or 32 tasks and a step of Adam. Contenders take turns; medians over
rounds. With one thread the clock is the process's own time, with two it is the wall's, which
other work on the machine slows; threads that wait then sleep (``OMP_WAIT_POLICY``). Before,
all gradients are held against ours in double precision.

"Share of sgemm": operations of the plain algorithm (formula in ``flop``), whatever a contender
really does, over time, over what ``torch.mm`` of 1024 x 1024 reaches in the same rounds, with
the same threads and clock. How peers are installed: see ``engine_peers``.

    LEARN2LEARN=folder python benchmarks/engine.py --json
    LEARN2LEARN=folder python benchmarks/engine.py --write docs/measured
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # else threads that wait eat what others need

import engine_peers as peers
import numpy as np
import torch

from inoculate.features.space import problems
from inoculate.nn import encoders
from inoculate.nn.meta_learner import MetaLearner
from inoculate.nn.outer_loop import pack
from inoculate.registry import LEARNERS
from inoculate.sampling import Pool, Shape, sample_task
from inoculate.task import Encoded, Task

WIDTHS = (78, 128, 128)
ORDERS = {"second order": False, "first order": True}


def flop(n_way: int, n_tasks: int, *, first_order: bool) -> int:
    """Return operations of one meta-gradient, products only, 2 a multiply-add.

    S sums inputs x outputs over layers, T the same without the first, through which no slope
    passes. A record costs 2 S forward, 2 S for the weights' slopes, 2 T for the slopes passed
    down: a step ``2 m (2 S + T)`` for m support records, the query ``2 q (2 S + T)``, and the
    way back through a step ``2 m (2 S + 4 T)``: tangents forward S + T, back 2 T, and of the
    weights' slopes S + T.
    """
    sizes = [a * b for a, b in pairwise((*WIDTHS, n_way))]
    s, t, m, q = sum(sizes), sum(sizes[1:]), 5 * n_way, 15 * n_way
    back = 0 if first_order else 2 * m * (2 * s + 4 * t)
    return n_tasks * (peers.STEPS * (2 * m * (2 * s + t) + back) + 2 * q * (2 * s + t))


def batch(n_tasks: int, n_way: int, dtype: torch.dtype = torch.float32) -> peers.Batch:
    """Return tasks whose classes are noise around a centre; the same each time."""
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(n_tasks, n_way, WIDTHS[0]))
    parts = []
    for n in (5, 15):
        y = np.tile(np.arange(n_way), (n_tasks, n))
        noise = rng.normal(size=(n_tasks, n * n_way, WIDTHS[0]))
        x = np.take_along_axis(centre, y[..., None], axis=1) + noise
        parts += [torch.tensor(x, dtype=dtype), torch.from_numpy(y)]
    return peers.Batch(*parts)


def installed(first_order: bool) -> tuple[list[str], dict[str, str]]:
    """Return contenders that can run, and why the others cannot."""
    names, missing = [], {}
    for name, make in peers.CONTENDERS.items():
        try:
            make(peers.network(2, torch.float32), first_order=first_order)
            names.append(name)
        except ModuleNotFoundError as err:
            missing[name] = str(err)
    return names, missing


def largest_difference(names: Iterable[str], *, first_order: bool) -> dict[str, float]:
    """Return each peer's largest difference from our gradient, relative, in double precision."""
    found, ours = {}, None
    for name in names:
        worst = []
        for n_way in (5, 2):
            net = peers.network(n_way, torch.float64)
            peers.CONTENDERS[name](net, first_order=first_order)(batch(16, n_way, torch.float64))
            worst.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
        ours = ours or worst
        pairs = zip(worst, ours, strict=True)
        found[name] = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
        if not found[name] < 1e-4:
            raise AssertionError(f"{name}'s gradient differs from ours: {found[name]:.2g}")
    return found


def iteration(name: str, n_way: int, n_tasks: int, **how: bool | int) -> Callable[[], None]:
    """Return one contender's meta-iteration: gradient and step of Adam."""
    net = peers.network(n_way, torch.float32, gelu=bool(how.pop("gelu", False)))
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    backward, tasks = peers.CONTENDERS[name](net, **how), batch(n_tasks, n_way)

    def run() -> None:
        optimiser.zero_grad()
        backward(tasks)
        optimiser.step()

    return run


def matrix_product() -> Callable[[], None]:
    """Return a plain large matrix product."""
    a, out = torch.randn(1024, 1024), torch.empty(1024, 1024)
    return lambda: torch.mm(a, a, out=out)


def rates(
    works: dict[str, Callable[[], None]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Return runs a second of each, the median over rounds in which all take turns."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            n, began, until = 0, clock(), time.perf_counter() + 0.25
            while not n or time.perf_counter() < until:
                work()
                n += 1
            found[name].append(n / (clock() - began))
    return {name: median(each) for name, each in found.items()}


def speed(rounds: int) -> Iterator[dict[str, object]]:
    """Yield one row a contender, case and number of threads."""
    cases = [(5, 16, False), (5, 32, False), (2, 16, False), (2, 32, False), (5, 16, True)]
    for threads, clock in ((1, time.process_time), (2, time.perf_counter)):
        torch.set_num_threads(threads)
        for order, first_order in ORDERS.items():
            names = installed(first_order)[0]
            for n_way, n_tasks, gelu in cases:
                how = {"first_order": first_order, "threads": threads, "gelu": gelu}
                works = {n: iteration(n, n_way, n_tasks, **how) for n in names}
                found = rates(works | {"sgemm": matrix_product()}, rounds, clock)
                sgemm = found.pop("sgemm") * 2 * 1024**3
                for name, rate in found.items():
                    share = rate * flop(n_way, n_tasks, first_order=first_order) / sgemm
                    peer = found.get("learn2learn")
                    row = {"contender": name, "order": order, "n_way": n_way, "tasks": n_tasks}
                    row |= {"gelu": gelu, "threads": threads, "per_s": round(rate, 2)}
                    row |= {"times_learn2learn": round(rate / peer, 2) if peer else None}
                    yield row | {"share_of_sgemm": round(share, 3), "sgemm_gflops": sgemm // 1e9}


def memory(names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return MB that a second-order iteration adds at its peak, by contender and tasks."""
    found: dict[str, dict[str, float]] = {}
    for name in names:
        for n_tasks in (16, 32):
            command = [sys.executable, __file__, "--memory", name, str(n_tasks)]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.setdefault(name, {})[str(n_tasks)] = float(out)
    return found


def peak(name: str, n_tasks: int) -> float:
    """Return the peak of resident memory over what there was before, in MB."""
    torch.set_num_threads(1)
    matrix_product()()
    run = iteration(name, 5, n_tasks, first_order=False)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the old peak
    before = _status("VmRSS")
    for _ in range(3):
        run()
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))


def table(n: int = 200_000, n_classes: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Return records (n, 78) and labels: half benign, the rest a long tail of classes."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_classes + 1)
    tail = rng.choice(n_classes, n // 2, p=share / share.sum())
    y = np.concatenate([np.zeros(n - n // 2, np.int64), tail + 1])
    return rng.normal(size=(n, WIDTHS[0])).astype(np.float32) + 0.1 * y[:, None] % 1, y


def pool(x: np.ndarray, y: np.ndarray) -> Pool:
    """Return the table as a pool."""
    classes = {str(c): np.flatnonzero(y == c) for c in range(1, int(y.max()) + 1)}
    return Pool(Encoded({"flow": x.astype(np.float32)}), classes, np.flatnonzero(y == 0), "made")


def draw(source: Pool, shape: Shape, n: int, n_way: int = 5) -> list[Task]:
    """Return tasks of random classes."""
    rng, names = np.random.default_rng(0), sorted(source.classes)
    return [
        sample_task(source, rng.choice(names, n_way, replace=False), shape, rng) for _ in range(n)
    ]


def sampling() -> dict[str, float | None]:
    """Return tasks a second, 5 classes of 20 records; ours add 20 benign ones of each half."""
    x, y = table()
    source, shape = pool(x, y), Shape(5, 20, 15, 20)
    found: dict[str, float | None] = {"ours": 100 / seconds(lambda: draw(source, shape, 100))}
    try:
        found["learn2learn"] = 30 / seconds(_taskset(x, y))
    except ModuleNotFoundError:
        found["learn2learn"] = None
    return {k: v and round(v, 1) for k, v in found.items()}


def _taskset(x: np.ndarray, y: np.ndarray) -> Callable[[], list[object]]:
    peers.learn2learn_part("utils")
    data = peers.learn2learn_part("data")
    rows = torch.utils.data.TensorDataset(torch.from_numpy(x).float(), torch.from_numpy(y))
    dataset = data.MetaDataset(rows)
    steps = [data.transforms.NWays(dataset, n=5), data.transforms.KShots(dataset, k=20)]
    tasks = data.Taskset(dataset, [*steps, data.transforms.LoadData(dataset)], num_tasks=10_000)
    return lambda: [tasks.sample() for _ in range(30)]


def seconds(work: Callable[[], object]) -> float:
    """Return the process's time of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


LEARNT = {
    "maml": {},
    "maml, torch.func": {"meta_sgd": True},
    "maml, first order": {"first_order": True},
    "anil": {},
    "reptile": {},
    "protonet": {},
    "ridge": {},
    "evidence": {"batch_size": 16},
}


def learners(steps: int = 4) -> dict[str, dict[str, float | None]]:
    """Return steps a second of 16 binary problems: the gradient alone, and all of ``meta_fit``."""
    tasks = draw(pool(*table(20_000, 8)), Shape(5, 200, 15, 75), 16 * steps, n_way=1)
    found: dict[str, dict[str, float | None]] = {}
    for name, options in LEARNT.items():
        learner = LEARNERS.load(name.split(",")[0])(**options)
        alone = steps / seconds(_gradients(learner, tasks, steps)) if name != "evidence" else None
        whole = steps / seconds(lambda made=learner: made.meta_fit(tasks))
        found[name] = {"gradient": alone and round(alone, 1), "meta_fit": round(whole, 1)}
    return found


def _gradients(learner: MetaLearner, tasks: list[Task], steps: int) -> Callable[[], None]:
    packed = pack(list(problems(tasks[:16])))
    layout = learner.layout(packed.support.shape[-1])
    parameters = {k: v.requires_grad_() for k, v in encoders.draw(layout, seed=0).items()}

    def run() -> None:
        for _ in range(steps):
            learner.meta_loss(parameters, packed).backward()

    run()
    return run


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--write", type=Path, help="folder of engine.md and engine.json")
    parser.add_argument("--memory", nargs=2, metavar=("CONTENDER", "TASKS"), help="that alone")
    arguments = parser.parse_args()
    if arguments.memory:
        print(peak(arguments.memory[0], int(arguments.memory[1])))
        return
    names, missing = installed(first_order=False)
    load = os.getloadavg()[0]
    torch.set_num_threads(1)
    found = {
        "missing": missing,
        "largest_relative_difference": {
            order: largest_difference(installed(first)[0], first_order=first)
            for order, first in ORDERS.items()
        },
        "peak_mb": memory(names),
        "tasks_per_s": sampling(),
        "learner_steps_per_s": learners(),
        "speed": list(speed(arguments.rounds)),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "load": [load, os.getloadavg()[0]],
        },
    }
    text = report(found)
    print(text)
    if arguments.write:
        (arguments.write / "engine.md").write_text(text, encoding="utf-8")
        (arguments.write / "engine.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    if arguments.json:
        print(json.dumps(found))


if __name__ == "__main__":
    from engine_report import report

    main()
