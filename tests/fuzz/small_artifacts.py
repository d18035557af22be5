"""A detector of every learner and a prior, of a few records, as their files."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from inoculate.checks import toy_tasks
from inoculate.domain import Column, View
from inoculate.registry import LEARNERS
from inoculate.store.detector import load_detector, save_detector, save_prior, save_version
from inoculate.store.labels import Label
from inoculate.store.manifest import LearnerEntry, Manifest, describe_views
from inoculate.task import Support

_SMALL = {"hidden": 4, "embedding": 2, "n_trees": 5, "n_points": 4}


def small_artifacts() -> dict[str, Mapping[str, bytes]]:
    """Return the files of each artifact by its learner's name."""
    tasks = list(toy_tasks(2, seed=0, n_shot=2, n_background=12))
    support = tasks[0].support
    scores = np.arange(9, dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        found = {}
        for name in LEARNERS.names():
            cls = LEARNERS.load(name)
            usual = cls().hyperparameters()
            learner = cls(**{k: v for k, v in _SMALL.items() if k in usual}).meta_fit(tasks)
            entry = LearnerEntry(name=name, hyperparameters=learner.hyperparameters())
            manifest = _manifest("detector", entry, support)
            save_detector(path, manifest, support, scores, state=learner.state())
            found[name] = {p.name: p.read_bytes() for p in path.iterdir()}
        # the last learner's: arrays, but no support set
        save_prior(path, _manifest("prior", entry, support), learner.state())
        found["prior"] = {p.name: p.read_bytes() for p in path.iterdir()}
    return found


def whole_detector() -> dict[str, bytes]:
    """Return the files of a detector with a held-out background and labels."""
    task = next(iter(toy_tasks(1, seed=0, n_shot=2, n_background=12)))
    support, scores = task.support, np.arange(9, dtype=np.float32)
    entry = LearnerEntry(name="k_nearest", hyperparameters={})
    said = {"author": "ann", "time": "2026-01-02T03:04:05Z", "version": 2}
    labels = [
        Label(finding_id="0123", origin="a:1", label="benign", reason="a \u00e4", copies=3, **said),
        Label(finding_id="4567", origin="a:2", label="threat", threat=support.classes[0], **said),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a"
        manifest = _manifest("detector", entry, support)
        save_detector(path, manifest, support, scores, held_out=support.background)
        stored = load_detector(path, whole=True)
        extra = {"n_own": np.array(10), "plain": scores}
        save_version(stored, stored.manifest, support, scores, extra=extra, labels=labels)
        return {p.name: p.read_bytes() for p in path.iterdir() if p.is_file()}


def _manifest(artifact: str, entry: LearnerEntry, support: Support) -> Manifest:
    views = [
        View(name, tuple(Column(f"c{i}", "s", "x") for i in range(x.shape[1])))
        for name, x in support.background.items()
    ]
    return Manifest(
        artifact=artifact, name="small", inoculate_version="0", kind="flow", unit="flow",
        domain="pcap", views=describe_views(views), learner=entry,
        classes=support.classes if artifact == "detector" else (), promises={"loo_recall": 0.5},
    )  # fmt: skip
