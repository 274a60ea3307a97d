"""Files from an author's own template, as far as no Airflow is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_exia.dag_compiler.exceptions import OutputRefused, TemplateFailed, UnsafeCode
from airflow_provider_exia.dag_compiler.generating import generate_file


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "settings.ini.j2").write_text("{% for key in values %}\n{{ key }} = {{ values[key] }}\n{% endfor %}\n")
    (folder / "evil.py.j2").write_text("import os\nx = {{ x }}\n")
    return folder


def test_a_text_is_rendered_and_put_inside_the_root(templates: Path, tmp_path: Path) -> None:
    values = {"values": {"b": "O'Neil", "a": 1.5}}
    arguments = ([str(templates)], "settings.ini.j2", values, "sub/settings.ini")

    first = generate_file(*arguments, root=str(tmp_path / "out"))
    second = generate_file(*arguments, root=str(tmp_path / "out"))

    assert (first.written, second.written) == (True, False)
    assert first.path.read_text() == "b = O'Neil\na = 1.5\n"


@pytest.mark.parametrize("output", ["../x.ini", "/etc/x.ini", "../x.py"])
def test_a_file_outside_the_root_is_refused(templates: Path, tmp_path: Path, output: str) -> None:
    with pytest.raises(OutputRefused, match="leads out of"):
        generate_file([str(templates)], "settings.ini.j2", {"values": {}}, output, root=str(tmp_path / "out"))


def test_a_template_outside_the_search_path_is_not_found(templates: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.j2").write_text("secret")

    with pytest.raises(TemplateFailed, match=r"\.\./secret\.j2"):
        generate_file([str(templates)], "../secret.j2", {}, "x.ini", root=str(tmp_path / "out"))


def test_code_that_no_dag_needs_is_refused_before_anything_runs(templates: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsafeCode, match="imports 'os'"):
        generate_file([str(templates)], "evil.py.j2", {"x": 1}, "x.py", root=str(tmp_path / "out"))

    assert not (tmp_path / "out").exists()
