"""The calls of one sandbox report, as CAPE and Cuckoo write it."""

from collections.abc import Mapping
from typing import Any

MOST_CALLS = 100_000
"""Calls kept of one record."""

_NAME_CHARACTERS = 200


def of_report(report: object) -> dict[str, Any]:
    """Return the sample's name, its label and its calls.

    Raises:
        ValueError: it is no report, with the reason in plain words.
    """
    if not isinstance(report, dict):
        raise ValueError(f"expected a report, found {type(report).__name__}")
    calls: list[str] = []
    for process in _processes(report):
        listed = process.get("calls") if isinstance(process, dict) else None
        if not isinstance(listed, list):
            raise ValueError("a process without a list of calls")
        for call in listed[: MOST_CALLS - len(calls)]:
            name = call.get("api") if isinstance(call, dict) else None
            if not isinstance(name, str):
                raise ValueError("a call without the name of its api")
            calls.append(name[:_NAME_CHARACTERS])
    label = report.get("label")
    return {
        "sample": _sample(report),
        "label": label if isinstance(label, str) else None,
        "calls": calls,
    }


def _processes(report: Mapping[str, Any]) -> list[Any]:
    behavior = report.get("behavior")
    processes = behavior.get("processes") if isinstance(behavior, dict) else None
    if not isinstance(processes, list):
        raise ValueError("a report without behavior.processes")
    return processes


def _sample(report: Mapping[str, Any]) -> str | None:
    target = report.get("target")
    file = target.get("file") if isinstance(target, dict) else None
    names = [file.get(k) for k in ("name", "sha256")] if isinstance(file, dict) else []
    names.append(target.get("url") if isinstance(target, dict) else None)
    return next((n[:_NAME_CHARACTERS] for n in names if isinstance(n, str)), None)
