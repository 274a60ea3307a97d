"""A DAG file is replaced in one step: for a reader at any moment, and after SIGKILL at any step of writing it."""

from __future__ import annotations

import ast
import re
import signal
from pathlib import Path

import pytest

import airflow_provider_exia
from airflow_provider_exia.dag_compiler.compiling import compile_specs
from tests.processes import all_at_once, exit_code
from tests.unit.dag_compiler.conftest import SPEC, believe

POINTS = ("compile.half-written", "compile.written", "compile.synced", "compile.replaced")
REWRITES = 200


def write_spec(folder: Path, *, window: int) -> Path:
    path = folder / "one.yaml"
    path.write_text(SPEC.replace("flight_delay", "one").replace("window: 3", f"window: {window}"))
    return path


def compile_window(folder: str, window: int) -> None:
    spec = write_spec(Path(folder), window=window)
    compile_specs([spec], Path(folder) / "dags", import_check=believe)


def window_in(text: str) -> int:
    ast.parse(text)
    (window,) = re.findall(r"window=(\d+)", text)
    assert text.endswith("one_infer()\n")
    return int(window)


def test_every_crash_point_of_the_compiler_has_its_trial() -> None:
    sources = (Path(airflow_provider_exia.__file__).parent / "dag_compiler").glob("*.py")
    points = {name for path in sources for name in re.findall(r'crash_point\("([^"]+)"\)', path.read_text())}

    assert points == set(POINTS)


@pytest.mark.parametrize("point", POINTS)
def test_killed_while_writing_the_last_good_file_or_the_new_one_is_there(tmp_path: Path, point: str) -> None:
    target = tmp_path / "dags" / "one.py"
    compile_window(str(tmp_path), 3)
    for window in range(4, 9):  # five for each of four points: twenty kills
        ended = exit_code(compile_window, str(tmp_path), window, environment={"EXIA_CRASH_POINT": point})

        assert ended == -signal.SIGKILL
        expected = window if point == "compile.replaced" else 3
        assert window_in(target.read_text()) == expected
        assert [path.name for path in target.parent.glob("*.py")] == ["one.py"]  # nothing more for Airflow to parse

        compile_window(str(tmp_path), 3)
        assert [path.name for path in target.parent.iterdir()] == ["one.py"]


def rewrite(folder: str, index: int) -> int:
    for number in range(REWRITES):
        compile_window(folder, 3 + number % 2)
    (Path(folder) / "done").touch()
    return REWRITES


def read_again_and_again(folder: str, index: int) -> tuple[int, set[int]]:
    target, done = Path(folder) / "dags" / "one.py", Path(folder) / "done"
    reads, windows = 0, set()
    while not done.exists():
        windows.add(window_in(target.read_text()))
        reads += 1
    return reads, windows


def test_a_reader_during_200_rewrites_never_sees_half_a_file(tmp_path: Path) -> None:
    compile_window(str(tmp_path), 3)

    rewrites, (reads, windows) = all_at_once(
        [(rewrite, (str(tmp_path), 0)), (read_again_and_again, (str(tmp_path), 1))]
    )

    assert rewrites == REWRITES
    assert windows == {3, 4}
    assert reads > REWRITES


def compile_model(folder: str, index: int) -> list[str]:
    specs = Path(folder) / f"specs-{index}"
    specs.mkdir()
    path = specs / f"m{index}.yaml"
    path.write_text(SPEC.replace("flight_delay", f"m{index}"))
    for _ in range(20):
        compile_specs([path], Path(folder) / "dags", import_check=believe)
    return [path.name]


def test_compilers_of_other_specs_at_the_same_time_do_not_disturb_each_other(tmp_path: Path) -> None:
    all_at_once([(compile_model, (str(tmp_path), index)) for index in range(4)])

    files = sorted(path.name for path in (tmp_path / "dags").iterdir())
    assert files == [f"m{index}.py" for index in range(4)]
