"""Imports DAG files as the DAG processor does, in a process that may not reach anything: run by the compiler.

``python -m airflow_provider_exia.compiled.import_check FOLDER RESULT`` imports every ``*.py`` of FOLDER and writes to
RESULT, as JSON, what each file holds or why it cannot be imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_CALLS = (
    "ctypes.dlopen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.remove", "os.rename", "os.rmdir",
    "os.system", "shutil.rmtree", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto",
    "sqlite3.connect", "subprocess.Popen",
)  # fmt: skip


class CallAtParse(Exception):
    """A file reaches out of its process when it is parsed.

    :param event: Python's name for what it does
    """

    def __init__(self, event: str) -> None:
        super().__init__(
            f"parsing it calls {event}: a DAG file is parsed every few seconds and must reach no file, process, "
            "database or network; do it in a task"
        )


def main(folder: Path, result: Path) -> None:
    """Import every file of a folder and write what was found."""
    from airflow.dag_processing.dagbag import DagBag

    import airflow_provider_exia.compiled.guard
    import airflow_provider_exia.loop
    import airflow_provider_exia.operators.model_data
    import airflow_provider_exia.operators.model_gate
    import airflow_provider_exia.operators.model_predict
    import airflow_provider_exia.operators.model_train  # noqa: F401 - what is loaded before is not the file's doing

    files = sorted(folder.glob("*.py"))
    DagBag(dag_folder=str(result), collect_dags=False)  # whatever Airflow itself sets up at its first use
    state = {"watching": False}

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if state["watching"] and (event in _CALLS or _writes(event, arguments)):
            raise CallAtParse(event)

    sys.addaudithook(watch)
    found: dict[str, Any] = {}
    for file in files:
        state["watching"] = True
        try:
            bag = DagBag(dag_folder=str(file), bundle_path=folder, bundle_name="exia-compile", safe_mode=True)
        finally:
            state["watching"] = False
        found[file.name] = _describe(bag)
    result.write_text(json.dumps(found))


def _describe(bag: Any) -> dict[str, Any]:
    from airflow.serialization.serialized_objects import DagSerialization

    from airflow_provider_exia.compiled.guard import UnbuiltPipeline

    dags: list[str] = []
    unbuilt: dict[str, str] = {}
    errors = [_last_line(text) for text in bag.import_errors.values()]
    for dag_id, dag in bag.dags.items():
        if isinstance(dag, UnbuiltPipeline):
            unbuilt[dag_id] = _sentence(dag.error)
            continue
        try:
            DagSerialization.to_dict(dag)
        except Exception as error:  # whatever it is, the DAG processor would show it
            errors.append(f"{dag_id}: {_sentence(error)}")
        else:
            dags.append(dag_id)
    return {"dags": sorted(dags), "unbuilt": unbuilt, "errors": errors}


def _writes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event != "open" or isinstance(arguments[0], int):
        return False
    path, mode, _ = arguments
    writing = any(letter in (mode or "") for letter in "wax+")
    return writing and not str(path).endswith((".pyc", "/dev/null")) and "__pycache__" not in str(path)


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "unknown error"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
