"""YAML as plain values, with the line of every key. The words of YAML 1.2: ``no`` is a text, ``1e-3`` a number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from airflow_provider_exia.dag_compiler.exceptions import Problem

Path: TypeAlias = tuple[str | int, ...]

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 50


class UnreadableYaml(Exception):
    """The text is no YAML that specs may use.

    :param problem: where and why
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(problem.what)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document.

    :param value: of JSON types only
    :param lines: path of a key or item to its line, from 1
    """

    value: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int | None:
        """Return the line of a key, or of the nearest key around it."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return line
        return None


class _Loader(yaml.SafeLoader):
    """Resolves plain words as the core schema of YAML 1.2 does, and nothing else."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # filled below, per class


_INTEGER = re.compile(r"[-+]?[0-9]+")
for _tag, _pattern, _first in (
    ("null", re.compile(r"null|Null|NULL|~|"), ["n", "N", "~", ""]),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    ("int", _INTEGER, list("-+0123456789")),
    (
        "float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern.pattern})\Z"), _first)


def read_yaml(text: str) -> Document:
    """Read one YAML document.

    Refused are anchors, tags, several documents, a key given twice, keys that are no texts, and endless depth: none of
    them has a use in a spec, and each has been used to surprise a reader.

    :raises UnreadableYaml: it cannot be read, or uses one of these
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(None, f"longer than {MAX_CHARACTERS:,} characters: is this a spec?")
    lines: dict[Path, int] = {}
    try:
        _refuse_special_events(text)
        loader = _Loader(text)
        root = loader.get_single_node()
        value = None if root is None else _value(loader, root, (), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(filter(None, (error.context, error.problem)))
        raise _refused(mark, f"not readable as YAML: {what}") from error
    except yaml.YAMLError as error:
        raise _refused(None, f"not readable as YAML: {error}") from error
    return Document(value, lines)


def _refuse_special_events(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor is not None:
            raise _refused(event.start_mark, f"anchors and aliases ({anchor!r}) are not used in specs: write it out")
        if tag is not None:
            raise _refused(event.start_mark, f"tags ({tag!r}) are not used in specs: leave it out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _refused(event.start_mark, f"nested deeper than {MAX_DEPTH} levels")


def _value(loader: _Loader, node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*path, index), lines) for index, item in enumerate(node.value)]
    return _scalar(loader, node)


def _mapping(loader: _Loader, node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(loader, key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            raise _refused(key_node.start_mark, "expected a text as key; put it in quotes")
        if key in mapping:
            raise _refused(key_node.start_mark, f"{key!r} is given twice, first in line {lines[(*path, key)]}")
        lines[(*path, key)] = key_node.start_mark.line + 1
        mapping[key] = _value(loader, value_node, (*path, key), lines)
    return mapping


def _scalar(loader: _Loader, node: yaml.Node) -> Any:
    if node.tag == "tag:yaml.org,2002:int":
        if len(node.value) > 19:
            raise _refused(node.start_mark, "an integer of more than 18 digits: put it in quotes if it is a text")
        return int(node.value)  # not YAML 1.1, where 010 is 8
    if node.tag == "tag:yaml.org,2002:float" and _has_digit(node.value):
        return float(node.value)
    value: Any = loader.construct_object(node)
    return value


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _refused(mark: Any, what: str) -> UnreadableYaml:
    line = None if mark is None else mark.line + 1
    return UnreadableYaml(Problem(line=line, field="", what=" ".join(what.split())))
