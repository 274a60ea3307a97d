"""One file from an author's own template, under the same rules as compiled DAGs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader

from airflow_provider_exia.dag_compiler.exceptions import ImportCheckFailed
from airflow_provider_exia.dag_compiler.importing import import_files
from airflow_provider_exia.dag_compiler.rendering import python_environment, render, text_environment
from airflow_provider_exia.dag_compiler.syntax import check_authored, parse_python
from airflow_provider_exia.dag_compiler.writing import confined, locked, write_in_one_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What became of a generated file.

    :param path: where it is
    :param written: whether it was written; False: it held this text already
    """

    path: Path
    written: bool


def generate_file(
    searchpath: Sequence[str],
    template_name: str,
    values: Mapping[str, Any],
    output: str,
    *,
    root: str,
    modules: Sequence[str] = (),
    import_paths: Sequence[str] = (),
) -> Generated:
    """Render a template into a file inside ``root``.

    :param searchpath: folders of the templates
    :param values: of JSON types
    :param output: absolute, or relative to ``root``
    :param modules: what generated Python code may import beside Airflow and this package
    :param import_paths: folders that these modules are in
    :raises TemplateFailed: the template cannot be rendered with these values
    :raises UnsafeCode: generated Python code holds what no DAG needs
    :raises ImportCheckFailed: the installed Airflow does not take generated Python code
    :raises OutputRefused: the file must not, or cannot, be written there
    """
    target = confined(output, Path(root))
    loader = FileSystemLoader([os.fspath(folder) for folder in searchpath])
    if target.suffix.lower() == ".py":
        text = render(python_environment(loader), template_name, values)
        check_authored(parse_python(text), modules=modules)
        _try_out(target.name, text, import_paths)
    else:
        text = render(text_environment(loader), template_name, values)
    with locked(target.parent):
        # Looked at again under the lock: somebody may have put a link there meanwhile.
        return Generated(path=target, written=write_in_one_step(confined(output, Path(root)), text))


def _try_out(name: str, text: str, import_paths: Sequence[str]) -> None:
    found = import_files({name: text}, python_path=os.pathsep.join(import_paths)).get(name)
    if found is None or found.errors or found.unbuilt:
        errors = (*found.errors, *found.unbuilt.values()) if found else ("Airflow did not look at it",)
        raise ImportCheckFailed(
            f"{name} is not put in place, since the installed Airflow does not take it: {errors[0]}"
        )
    if not found.dags:
        raise ImportCheckFailed(f"{name} is not put in place, since Airflow finds no DAG in it")
