"""From a spec's text to a :class:`PipelineSpec`, or to sentences that say what is wrong, where, and what is right."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from airflow_provider_exia.dag_compiler import yaml_lines
from airflow_provider_exia.dag_compiler.exceptions import Problem, WrongSpec
from airflow_provider_exia.dag_compiler.spec import Monitor, PipelineSpec, Score, Section

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from airflow_provider_exia.dag_compiler.yaml_lines import Document
    from airflow_provider_exia.dag_compiler.yaml_lines import Path as KeyPath

_SHOWN_CHARACTERS = 60
_MONITOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|credential", re.IGNORECASE
)
_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30}|\b[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@",
    re.IGNORECASE,
)


def read_spec(path: Path, *, source: str | None = None) -> PipelineSpec:
    """Read a spec from a file.

    :param source: what messages call the file; default: its path
    :raises WrongSpec: it cannot be read or used
    """
    source = str(path) if source is None else source
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise WrongSpec(source, [_of_file(f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        raise WrongSpec(source, [_of_file("is not encoded in UTF-8")]) from error
    return parse_spec(text, source=source)


def parse_spec(text: str, *, source: str) -> PipelineSpec:
    """Read a spec.

    :param source: what messages call it
    :raises WrongSpec: it cannot be used
    """
    try:
        document = yaml_lines.read_yaml(text)
    except yaml_lines.UnreadableYaml as error:
        raise WrongSpec(source, [error.problem]) from error
    if not isinstance(document.value, dict):
        raise WrongSpec(source, [_of_file("expected a mapping that begins with 'model: <name>'")])
    try:
        spec = PipelineSpec.model_validate(document.value)
    except ValidationError as error:
        raise WrongSpec(source, list(_problems(error, document))) from None
    found = [*_between_fields(spec), *_in_free_values(spec)]
    if found:
        raise WrongSpec(source, _located(found, document))
    return spec


def _of_file(what: str) -> Problem:
    return Problem(line=None, field="", what=what)


def _problems(error: ValidationError, document: Document) -> list[Problem]:
    found: dict[KeyPath, str] = {}
    for detail in error.errors(include_url=False, include_context=False):
        path, expected = _field(detail["loc"])
        found.setdefault(path, _what(detail, path, expected, document))
    return _located(found.items(), document)


def _located(found: Any, document: Document) -> list[Problem]:
    problems = [Problem(line=document.line_of(path), field=_dotted(path), what=what) for path, what in found]
    return sorted(problems, key=lambda problem: problem.line or 0)


def _what(detail: ErrorDetails, path: KeyPath, expected: str, document: Document) -> str:
    if detail["type"] == "missing":
        return f"missing; expected {expected}"
    if detail["type"] == "extra_forbidden":
        return f"no such field; {_nearest(path)}"
    return f"{_shown(detail['input'])}: expected {expected}"


def _field(location: KeyPath) -> tuple[KeyPath, str]:
    """Return the path that an author knows, and what is expected there."""
    section: type[Section] | None = PipelineSpec
    path: list[str | int] = []
    expected = "a mapping"
    for step in location:
        if section is None:  # inside a value: an item's number is of use, the branch of a union is not
            if isinstance(step, int):
                path.append(step)
            continue
        path.append(step)
        field = section.model_fields.get(str(step))
        if field is None:
            break
        expected = field.description or expected
        section = _section_of(field.annotation)
        if section is not None:
            expected = f"a section with {', '.join(section.model_fields)}"
    return tuple(path), expected


def _section_of(annotation: Any) -> type[Section] | None:
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def _nearest(path: KeyPath) -> str:
    *around, wrong = map(str, path)
    section: type[Section] = PipelineSpec
    for step in around:
        section = _section_of(section.model_fields[step].annotation) or section
    here = difflib.get_close_matches(wrong, section.model_fields, n=1, cutoff=0.6)
    if here:
        return f"did you mean {here[0]!r}?"
    for name, field in PipelineSpec.model_fields.items():
        other = _section_of(field.annotation)
        if other is not None and wrong in other.model_fields:
            return f"did you mean '{name}.{wrong}'?"
    return f"expected one of {', '.join(section.model_fields)}"


def _between_fields(spec: PipelineSpec) -> Iterator[tuple[KeyPath, str]]:
    for section, needed in (("train", "score"), ("gate", "train"), ("monitor", "score"), ("monitor", "infer")):
        if getattr(spec, section) is not None and getattr(spec, needed) is None:
            yield (section,), f"needs a section {needed!r} too"
    if spec.train is None and spec.infer is None:
        yield (), "makes no DAG: expected a section 'train', a section 'infer', or both"
    if spec.alias == "latest":
        yield ("alias",), "'latest' always means the newest version and cannot be moved; expected an alias"
    if spec.monitor is not None and spec.score is not None:
        yield from _of_monitor(spec, spec.monitor, spec.score)


def _of_monitor(spec: PipelineSpec, monitor: Monitor, score: Score) -> Iterator[tuple[KeyPath, str]]:
    if spec.train is None and monitor.retrain is None:
        yield ("monitor",), "needs a section 'train', or 'retrain' with the id of the DAG that trains"
    if monitor.scored == "data" and spec.data is None:
        yield ("monitor", "scored"), "'data' needs a section 'data' too"
    if monitor.name is None and not _MONITOR_NAME.fullmatch(score.metric):
        yield ("monitor", "name"), f"missing; the metric's name {score.metric!r} cannot name a monitor"
    if monitor.breaches > monitor.window:
        yield ("monitor", "breaches"), f"{monitor.breaches}: expected at most 'window', which is {monitor.window}"
    problem = _threshold_problem(score.direction, monitor.enter, monitor.exit)
    if problem:
        yield ("monitor", "enter" if monitor.exit is None else "exit"), problem


def _threshold_problem(direction: str, enter: Any, leave: Any) -> str | None:
    leave = enter if leave is None else leave
    pairs = [isinstance(limit, tuple) for limit in (enter, leave)]
    if direction == "band":
        nested = all(pairs) and enter[0] <= leave[0] <= leave[1] <= enter[1]
        return None if nested else "a band needs two limits [low, high] each, those of 'exit' inside those of 'enter'"
    if any(pairs):
        return f"two limits are for direction 'band', and 'score.direction' is {direction!r}"
    if leave == enter or (leave < enter) == (direction == "lower"):
        return None
    side = "below" if direction == "lower" else "above"
    return f"{leave!r}: expected at or {side} 'enter', which is {enter!r}, since {direction} is better"


def _in_free_values(spec: PipelineSpec) -> Iterator[tuple[KeyPath, str]]:
    """Look at everything whose words are the author's own: secrets have no place in a file of code."""
    for section in ("train", "infer"):
        part = getattr(spec, section)
        if part is not None:
            yield from _of_json(part.parameters, (section, "parameters"))
    texts: dict[KeyPath, str | None] = {
        ("defaults", "owner"): spec.defaults.owner,
        ("score", "metric"): spec.score.metric if spec.score else None,
        ("score", "block"): spec.score.block if spec.score else None,
        **{("tags", index): tag for index, tag in enumerate(spec.tags)},
    }
    for path, text in texts.items():
        if text is not None and _SECRET_VALUE.search(text):
            yield path, _NO_SECRETS


_NO_SECRETS = "looks like a credential: keep it in an Airflow connection and name the connection"


def _of_json(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and item and _SECRET_KEY.search(key):
                yield (*path, key), _NO_SECRETS
            else:
                yield from _of_json(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _of_json(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"{value!r}: expected a finite number"
    elif isinstance(value, str) and _SECRET_VALUE.search(value):
        yield path, _NO_SECRETS


def _dotted(path: KeyPath) -> str:
    text = ""
    for step in path:
        if isinstance(step, str) and re.fullmatch(r"\w+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{step!r}]"
    return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
