"""Templates are code, values are data: a value reaches a template's output only as a literal."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, TemplateError, TemplateSyntaxError, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from airflow_provider_exia.dag_compiler.exceptions import TemplateFailed

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AIRFLOW_TEMPLATE = re.compile(r"\{[{%#]")


class _Identifier:
    """A text that was found to be the name of a variable, and nothing more."""

    def __init__(self, text: object) -> None:
        if not isinstance(text, str) or not _IDENTIFIER.fullmatch(text) or keyword.iskeyword(text):
            raise ValueError(f"{text!r} cannot be a name in Python code")
        self.text = text


def python_literal(value: Any) -> str:
    """Write a value of JSON types (and tuples of them) so that ``ast.literal_eval`` returns the same value.

    :raises ValueError: it is of another type, or a number that is not finite
    """
    kind = type(value)
    if kind is dict:
        if not all(type(key) is str for key in value):
            raise ValueError("a mapping has a key that is no text")
        return "{" + ", ".join(f"{key!r}: {python_literal(item)}" for key, item in value.items()) + "}"
    if kind is list:
        return "[" + ", ".join(map(python_literal, value)) + "]"
    if kind is tuple:
        return "(" + "".join(f"{python_literal(item)}, " for item in value) + ")"
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return repr(value)
    raise ValueError(f"a {kind.__name__} has no literal: hand in texts, finite numbers, true, false, null, and "
                     "lists and mappings of them")  # fmt: skip


def python_environment(loader: BaseLoader) -> ImmutableSandboxedEnvironment:
    """Return an environment for templates of Python code.

    Whatever an expression yields is written as a literal; ``| name`` writes a checked identifier instead.
    """

    def write(value: Any) -> str:
        return value.text if isinstance(value, _Identifier) else python_literal(value)

    environment = _environment(loader, write)
    environment.filters["name"] = _Identifier
    environment.tests["for_airflow_templates"] = _holds_airflow_template
    return environment


def text_environment(loader: BaseLoader) -> ImmutableSandboxedEnvironment:
    """Return an environment for templates of any other text: values are written as they read."""

    def write(value: Any) -> str:
        python_literal(value)  # the same types as in Python code, and no others
        return str(value)

    return _environment(loader, write)


def render(environment: ImmutableSandboxedEnvironment, template: str, values: Mapping[str, Any]) -> str:
    """Render a template.

    :raises TemplateFailed: there is no such template, it is broken, or a value cannot be written
    """
    try:
        return environment.get_template(template).render(values)
    except TemplateSyntaxError as error:
        raise TemplateFailed(f"template {error.name or template}, line {error.lineno}: {error.message}") from error
    except TemplateError as error:
        raise TemplateFailed(f"template {template}: {error.message or type(error).__name__}") from error
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise TemplateFailed(f"template {template}: {error}") from error


def _environment(loader: BaseLoader, write: Callable[[Any], str]) -> ImmutableSandboxedEnvironment:
    def finalize(value: Any) -> str:
        # As a text, an undefined value raises its own message: which name, or which attribute, was looked for.
        return str(value) if isinstance(value, Undefined) else write(value)

    return ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        finalize=finalize,
        autoescape=False,  # no HTML is made here; entities inside Python code would change its values
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _holds_airflow_template(value: Any) -> bool:
    """Say whether Airflow would render something in a value when the task runs."""
    if isinstance(value, Mapping):
        return any(map(_holds_airflow_template, (*value.keys(), *value.values())))
    if isinstance(value, list | tuple):
        return any(map(_holds_airflow_template, value))
    return isinstance(value, str) and _AIRFLOW_TEMPLATE.search(value) is not None
