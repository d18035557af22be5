"""One Windows event from any of the shapes in which it is written as JSON."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

MOST_TEXT = 32_768
"""Characters of an event's text."""
_MOST_VALUE = 8_192
_DEEPEST = 4
_LARGEST_NUMBER = 9_999_999_999
_MOST_FIELDS = 256
_NOT_DATA = frozenset(
    (
        *("EventID", "Channel", "SourceName", "Hostname", "Message", "EventTime", "Keywords"),
        *("EventReceivedTime", "EventType", "SeverityValue", "Severity", "ProviderGuid"),
        *("Version", "Task", "OpcodeValue", "Opcode", "RecordNumber", "ProcessID", "ThreadID"),
        *("ExecutionProcessID", "ExecutionThreadID", "Category", "SourceModuleName", "host"),
        *("SourceModuleType", "port", "tags", "@version", "@timestamp", "Domain", "UserID"),
        *("AccountName", "AccountType", "RuleName", "UtcTime", "TimeCreated", "Computer"),
        *("ActivityID", "RelatedActivityID", "label", "type", "_id", "_index", "_type"),
        *("ProviderName", "Provider", "Level", "EventRecordID", "ERROR_EVT_UNRESOLVED"),
    )
)
COMMANDS = (
    *("CommandLine", "ProcessCommandLine", "ScriptBlockText", "HostApplication", "Payload"),
    *("ServiceFileName", "ImagePath", "TaskContent", "Command", "ContextInfo", "Data"),
)
"""Fields that hold what was run, the surest first."""
_IMAGES = ("Image", "NewProcessName", "SourceImage", "ProcessName", "Application")


class Event(NamedTuple):
    """What is known of one event; None where it is not."""

    channel: str | None
    provider: str | None
    event_id: str | None
    computer: str | None
    time: str | None
    image: str | None
    command_line: str | None
    text: str
    label: str | None


def event_of(record: Mapping[str, Any]) -> Event:
    """Return the event in a JSON object.

    Raises:
        ValueError: it is none, or its number is no number, with the reason in plain words.
    """
    channel, provider, event_id, computer, time, data = _parts(record)
    pairs: dict[str, str] = {}
    _collect(data, pairs)
    return Event(
        _text(channel),
        _text(provider),
        _number(event_id),
        _text(computer),
        _text(time),
        next((pairs[k] for k in _IMAGES if k in pairs), None),
        next((pairs[k][:1000] for k in COMMANDS if k in pairs), None),
        "; ".join(f"{k}={v}" for k, v in pairs.items())[:MOST_TEXT],
        _text(record.get("label")),
    )


class Started(NamedTuple):
    """A process that an event tells the start of; None where it does not say."""

    computer: str | None
    time: str | None
    pid: int | None
    parent_pid: int | None
    image: str | None
    command_line: str | None
    parent_image: str | None
    label: str | None


def started_process(record: Mapping[str, Any]) -> Started | None:
    """Return the process that an event of Sysmon (1) or Security (4688) tells the start of.

    Returns:
        None for every other event.

    Raises:
        ValueError: as ``event_of``.
    """
    channel, provider, event_id, computer, time, data = _parts(record)
    number = _number(event_id)
    is_sysmon = number == "1" and "sysmon" in f"{channel} {provider}".lower()
    if not is_sysmon and number != "4688":
        return None
    pairs: dict[str, str] = {}
    _collect(data, pairs)
    names = _SYSMON if is_sysmon else _SECURITY
    pid, parent_pid, image, parent_image = (pairs.get(name) for name in names)
    return Started(
        _text(computer),
        _text(time),
        _process_id(pid),
        _process_id(parent_pid),
        image,
        pairs.get("CommandLine"),
        parent_image,
        _text(record.get("label")),
    )


_SYSMON = ("ProcessId", "ParentProcessId", "Image", "ParentImage")
_SECURITY = ("NewProcessId", "ProcessId", "NewProcessName", "ParentProcessName")


def _process_id(text: str | None) -> int | None:
    try:
        value = int(text[:20], 0) if text else 0
    except ValueError:
        return None
    return value if 0 < value < 1 << 32 else None


_Parts = tuple[object, object, object, object, object, Any]


def _parts(record: Mapping[str, Any]) -> _Parts:
    if isinstance(record.get("Event"), dict):
        return _of_xml(record["Event"])
    if "winlog" in record or "winlog.event_id" in record:
        return _of_winlogbeat(record)
    if "event_id" in record and isinstance(record.get("event_data", {}), dict):
        return _of_old_winlogbeat(record)
    if "EventID" in record:
        return _of_flat(record)
    raise ValueError("no Windows event: none of 'winlog', 'Event' and 'EventID'")


def _of_xml(event: Mapping[str, Any]) -> _Parts:
    system = event.get("System")
    if not isinstance(system, dict):
        raise ValueError("an event without its 'System'")
    created = _attribute(system.get("TimeCreated"), "SystemTime")
    provider = _attribute(system.get("Provider"), "Name")
    data = event.get("EventData") or event.get("UserData") or {}
    number = system.get("EventID")
    return system.get("Channel"), provider, number, system.get("Computer"), created, data


def _attribute(value: Any, name: str) -> object:
    if isinstance(value, dict):
        inner = value.get("#attributes", value)
        return inner.get(name) if isinstance(inner, dict) else None
    return value


def _of_winlogbeat(record: Mapping[str, Any]) -> _Parts:
    log = record.get("winlog")
    if not isinstance(log, dict):
        start = "winlog."
        log = {k[len(start) :]: v for k, v in record.items() if k.startswith(start)}
        event_data = {
            k.removeprefix("event_data."): v for k, v in log.items() if k.startswith("event_data.")
        }
        log = {**log, "event_data": log.get("event_data") or event_data}
    data = log.get("event_data") or log.get("user_data") or {}
    number = log.get("event_id")
    time = record.get("@timestamp")
    provider = log.get("provider_name", log.get("source_name"))
    return log.get("channel"), provider, number, log.get("computer_name"), time, data


def _of_old_winlogbeat(record: Mapping[str, Any]) -> _Parts:
    data = record.get("event_data") or record.get("user_data") or {}
    channel = record.get("log_name", record.get("channel"))
    provider = record.get("source_name", record.get("provider"))
    computer = record.get("computer_name", record.get("computer"))
    return channel, provider, record["event_id"], computer, record.get("@timestamp"), data


def _of_flat(record: Mapping[str, Any]) -> _Parts:
    inner = record.get("EventData")
    data = inner if isinstance(inner, dict) else record
    data = {k: v for k, v in data.items() if k not in _NOT_DATA}
    provider = record.get("SourceName", record.get("ProviderName", record.get("Provider")))
    computer = record.get("Hostname", record.get("Computer"))
    keys = ("EventTime", "TimeCreated", "UtcTime", "@timestamp")
    time = next((record[k] for k in keys if isinstance(record.get(k), str)), None)
    return record.get("Channel"), provider, record["EventID"], computer, time, data


def _collect(data: Any, pairs: dict[str, str], name: str = "Data", depth: int = 0) -> None:
    """Add the leaves of an event's data to ``pairs``, by name; attributes are left out."""
    if not isinstance(data, dict):
        pairs[name] = _leaf(data)
        return
    for key, value in islice(data.items(), _MOST_FIELDS):
        if type(value) is str and key[:1] not in "#x":
            pairs[key[:80]] = value[:_MOST_VALUE]
        elif key not in ("#attributes", "xmlns"):
            inner = name if key == "#text" else key[:80]
            if isinstance(value, dict) and depth < _DEEPEST:
                _collect(value, pairs, inner, depth + 1)
            else:
                pairs[inner] = _leaf(value)


def _leaf(value: Any) -> str:
    if isinstance(value, str):
        return value[:_MOST_VALUE]
    if isinstance(value, list):
        return " ".join(_leaf(v) for v in value[:100] if not isinstance(v, dict | list))
    if isinstance(value, dict) or value is None:
        return ""
    return str(value)[:400].lower() if isinstance(value, bool) else str(value)[:400]


def _text(value: object) -> str | None:
    if type(value) is str:
        return value[:500]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:500]


def _number(value: object) -> str | None:
    if type(value) is int and 0 <= value <= _LARGEST_NUMBER:
        return str(value)
    if type(value) is str and value.isdecimal() and value.isascii() and len(value) <= 10:
        return str(int(value))
    if isinstance(value, dict):
        value = value.get("#text")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str | float):
        raise ValueError(f"the event's number is {str(value)[:40]!r}, expected 0 to 65535")
    text = str(value).strip()
    text = text.removesuffix(".0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ValueError(f"the event's number is {text[:40]!r}, expected 0 to 65535")
    return str(int(text))
