"""The files that the monitor commands read: a policy, and a history of points."""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.policy import Policy

if TYPE_CHECKING:
    from airflow_provider_exia.monitoring.backtest import Reading

_SECTIONS = {"model", "monitor", "score"}
_GAPS = ("", "-", "na", "n/a", "none", "null")
_COLUMNS = "event_time and value; samples, version and previous where they are known"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """A policy and the model that it is for.

    :param policy: with thresholds
    :param model: empty where the file does not say
    """

    policy: Policy
    model: str = ""


def read_policy(path: Path) -> NamedPolicy:
    """Read the policy of a pipeline spec with a section ``monitor``, or a plain mapping of a policy's fields.

    :raises InvalidInput: it is neither, or the policy cannot be used
    """
    from airflow_provider_exia.dag_compiler.yaml_lines import UnreadableYaml, read_yaml

    try:
        value = read_yaml(path.read_text(encoding="utf-8-sig")).value
    except UnreadableYaml as error:
        raise InvalidInput(error.problem.sentence(str(path))) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{path}: expected a pipeline spec, or a policy as in 'metric: brier' and 'enter: 0.1975'")
    if value.keys() & _SECTIONS:
        return _of_spec(path)
    try:
        policy = _policy(value)
        policy.require_thresholds()
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    return NamedPolicy(policy=policy)


def _of_spec(path: Path) -> NamedPolicy:
    from airflow_provider_exia.dag_compiler.reading import read_spec

    spec = read_spec(path)
    if spec.monitor is None:
        raise InvalidInput(f"{path}: a section 'monitor' is missing, which says what counts as bad")
    return NamedPolicy(policy=_policy(spec.policy()), model=spec.model)


def _policy(settings: Mapping[str, Any]) -> Policy:
    known = {field.name: field for field in fields(Policy)}
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
            raise InvalidInput(f"{name!r} is no field of a policy; {hint}")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in settings]
    if missing:
        raise InvalidInput(f"{missing[0]!r} is missing: a policy needs it")
    try:
        return Policy(**settings)
    except TypeError as error:
        raise InvalidInput(f"a value of this policy has the wrong type: {error}") from error


def read_readings(file: TextIO, *, name: str) -> list[Reading]:
    """Read a history of points, CSV with a heading or one JSON object a line.

    :param name: what messages call the file
    :raises InvalidInput: a line cannot be used, or there is none
    """
    text = file.read().removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    rows = _json_rows(text, name) if text.lstrip().startswith("{") else _csv_rows(text, name)
    readings = [_reading(row, f"{name}:{line}") for line, row in rows]
    if not readings:
        raise InvalidInput(f"{name} holds no point: expected lines with {_COLUMNS}")
    return readings


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = {"event_time", "value"} - set(reader.fieldnames or ())
    if missing:
        raise InvalidInput(f"{name} has no column {', '.join(sorted(missing))}: expected a heading with {_COLUMNS}")
    for row in reader:
        yield reader.line_num, row


def _json_rows(text: str, name: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InvalidInput(f"{name}:{number}: expected one JSON object: {error}") from error
        if not isinstance(row, dict):
            raise InvalidInput(f"{name}:{number}: expected one JSON object with {_COLUMNS}")
        yield number, row


def _reading(row: Mapping[str, Any], place: str) -> Reading:
    from airflow_provider_exia.monitoring.backtest import Reading

    return Reading(
        event_time=_moment(row.get("event_time"), place),
        value=_value(row, "value", place),
        samples=_whole(row, "samples", place) or 0,
        version=_whole(row, "version", place),
        previous=_value(row, "previous", place),
    )


def _moment(text: object, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text).strip())
    except ValueError:
        raise InvalidInput(f"{place}: event_time {text!r}: expected a date or a moment, as '2026-01-31'") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _value(row: Mapping[str, Any], column: str, place: str) -> float | None:
    from airflow_provider_exia.monitoring.points import usable_value

    value = row.get(column)
    if value is None or str(value).strip().lower() in _GAPS:
        return None
    try:
        float(str(value))
    except ValueError:
        raise InvalidInput(f"{place}: {column} {value!r}: expected a number, or nothing for a gap") from None
    return usable_value(value)


def _whole(row: Mapping[str, Any], column: str, place: str) -> int | None:
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < 0:
        raise InvalidInput(f"{place}: {column} {value!r}: expected a whole number, 0 or more")
    return number
