"""Compiled DAGs in a real Airflow: tried out, read by the DAG processor, run from training to watching."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from airflow_provider_exia.dag_compiler.compiling import check_specs, compile_specs
from airflow_provider_exia.dag_compiler.exceptions import ImportCheckFailed, OutputRefused, TemplateFailed, UnsafeCode
from airflow_provider_exia.dag_compiler.importing import Imported, import_files
from airflow_provider_exia.operators.generate_dag import GenerateDagOperator
from airflow_provider_exia.operators.model_data import ModelDataOperator
from tests.airflow.running import run_dag
from tests.unit.dag_compiler.conftest import SPEC

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "example_dags"
FLIGHTS = ROOT / "airflow_provider_exia" / "demo" / "flight_delay.yaml"
TRAINING_ONLY = "".join(line for line in SPEC.splitlines(keepends=True) if not line.startswith(("infer", "monitor")))


# One pass of the DAG processor over a fleet with one wrong spec and a file with one pipeline that cannot be built


class Processed:
    """What a DAG processor left in its metadata database."""

    def __init__(self, database: Path) -> None:
        with sqlite3.connect(database) as rows:
            self.errors: dict[str, str] = dict(rows.execute("select filename, stacktrace from import_error"))
            self.loaded = {dag_id for (dag_id,) in rows.execute("select dag_id from serialized_dag")}
            healthy = "select dag_id from dag where not is_stale and not has_import_errors"
            self.healthy = {dag_id for (dag_id,) in rows.execute(healthy)}
        rows.close()


@pytest.fixture(scope="module")
def processed(metadata_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    folder = tmp_path_factory.mktemp("fleet")
    specs = []
    for number in range(50):
        path = folder / f"m{number:02d}.yaml"
        wrong = "min_gian" if number == 7 else "min_gain"
        path.write_text(TRAINING_ONLY.replace("flight_delay", path.stem).replace("min_gain", wrong))
        specs.append(path)
    done = compile_specs(specs, folder / "dags")
    assert [error.source for error in done.wrong] == [str(specs[7])]
    (folder / "dags" / "half_broken.py").write_text(dedent(HALF_BROKEN))
    process(folder / "dags", folder / "home", metadata_database)
    return Processed(folder / "home" / "airflow.db")


HALF_BROKEN = """
    from airflow.sdk import dag

    from airflow_provider_exia.compiled.guard import build_each
    from airflow_provider_exia.operators.model_data import ModelDataOperator


    def good_dags():
        @dag(schedule=None)
        def good_train():
            ModelDataOperator(task_id="x", extract="a.b:c")

        good_train()


    def bad_dags():
        @dag(schedule=None)
        def bad_train():
            ModelDataOperator(task_id="x", extract="a.b:c")

        @dag(schedule=None)
        def bad_infer():
            ModelDataOperator(task_id="x", extract="a.b:c")
            ModelDataOperator(task_id="y", extrakt="a.b:c")

        bad_train()
        bad_infer()


    build_each(bad_dags, good_dags)
"""


def process(dags: Path, home: Path, template: Path) -> None:
    home.mkdir()
    shutil.copyfile(template, home / "airflow.db")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    command = [sys.executable, "-m", "airflow", "dag-processor", "--num-runs", "1"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=240)


def test_one_wrong_spec_of_50_is_an_import_error_and_49_dags_load(processed: Processed) -> None:
    fleet = {f"m{number:02d}_train" for number in range(50)} - {"m07_train"}
    (shown,) = [text for name, text in processed.errors.items() if name.startswith("exia_error_m07_")]

    assert len(fleet) == 49
    assert fleet <= processed.loaded
    assert fleet <= processed.healthy
    assert "m07_train" not in processed.loaded
    assert "m07.yaml:5: gate.min_gian: no such field; did you mean 'min_gain'?" in shown


def test_a_pipeline_that_cannot_be_built_is_an_import_error_and_its_file_loads(processed: Processed) -> None:
    assert "good_train" in processed.healthy
    assert "missing keyword argument 'extract'" in processed.errors["half_broken.py (bad_dags)"]
    # Neither half a DAG nor the other half of its pipeline, which Airflow would run.
    assert not {dag_id for dag_id in processed.loaded if dag_id.startswith("bad_")}
    assert len(processed.errors) == 2


# The import check


BAD_FILES = {
    "connects.py": "import socket\nsocket.socket().connect(('127.0.0.1', 9))",
    "looks_up.py": "import socket\nsocket.getaddrinfo('example.invalid', 80)",
    "opens_a_database.py": "import sqlite3\nsqlite3.connect(':memory:')",
    "starts_a_process.py": "import subprocess\nsubprocess.run(['true'])",
    "writes.py": "open('here.txt', 'w')",
    "reads_a_connection.py": "from airflow.sdk import Connection\nConnection.get('x')",
    "raises.py": "raise ValueError('on purpose')",
    "imports_what_is_not_there.py": "import not_there_at_all",
}
GOOD_FILE = """
from airflow.sdk import dag
@dag(schedule=None)
def fine(): pass
fine()
"""
BAD_CRON = """
from airflow.sdk import DAG
with DAG('bad_cron', schedule='61 * * * *'): pass
"""
UNKNOWN_TIMETABLE = """
from airflow.sdk import DAG
from airflow.timetables.simple import NullTimetable
class Unknown(NullTimetable): pass
with DAG('unknown_timetable', schedule=Unknown()): pass
"""


@pytest.fixture(scope="module")
def tried() -> dict[str, Imported]:
    files = {"fine.py": GOOD_FILE}
    files |= {name: f"from airflow.sdk import dag\n{code}\n{GOOD_FILE}" for name, code in BAD_FILES.items()}
    files |= {"bad_cron.py": BAD_CRON, "cannot_be_serialized.py": UNKNOWN_TIMETABLE}
    return import_files(files)


def test_a_good_file_is_taken_whatever_lies_beside_it(tried: dict[str, Imported]) -> None:
    assert tried["fine.py"] == Imported(dags=("fine",), unbuilt={}, errors=())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("connects.py", "parsing it calls socket.connect"),
        ("looks_up.py", "parsing it calls socket.getaddrinfo"),
        ("opens_a_database.py", "parsing it calls sqlite3.connect"),
        ("starts_a_process.py", "parsing it calls subprocess.Popen"),
        ("writes.py", "parsing it calls open"),
        ("reads_a_connection.py", ""),
        ("raises.py", "on purpose"),
        ("imports_what_is_not_there.py", "No module named 'not_there_at_all'"),
        ("bad_cron.py", "61"),
        ("cannot_be_serialized.py", "unknown_timetable: SerializationError"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(tried: dict[str, Imported], name: str, says: str) -> None:
    (error,) = tried[name].errors

    assert tried[name].dags == ()
    assert says in error


def test_a_file_that_does_not_end_is_given_up() -> None:
    with pytest.raises(ImportCheckFailed, match="did not end importing the files within 3 s"):
        import_files({"endless.py": "import airflow\nfrom airflow.sdk import dag\nwhile True: pass"}, timeout=1.0)


# The pipelines run


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DAG]:
    """The DAGs of the demo's own spec."""
    folder = tmp_path_factory.mktemp("flights")
    assert not compile_specs([FLIGHTS], folder).wrong
    bag = DagBag(folder)
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.mark.usefixtures("metadata_database")
def test_the_demos_pipeline_trains_promotes_predicts_and_watches(
    flights: dict[str, DAG], library: ModelLibrary
) -> None:
    trained = run_dag(flights["flight_delay_train"])
    used = run_dag(flights["flight_delay_infer"])

    assert trained.state == used.state == "success"
    assert trained.result("promote_if_better.promote") == "flight_delay/1"
    assert used.xcoms["predict", "model_version"] == "flight_delay/1"
    assert used.tasks["watch.evaluate"] == "success"
    assert used.tasks["watch.retrain"] == "skipped"
    assert Path(used.result("predict")).exists()
    lineage = library.resolve("flight_delay/1").lineage
    assert lineage.data_digest is not None  # extract() was called inside the training task


def test_a_parameter_with_airflows_template_marks_reaches_the_function_as_it_was_written(
    metadata_database: Path, library: ModelLibrary, tmp_path: Path
) -> None:
    spec = tmp_path / "line.yaml"
    spec.write_text(
        dedent("""
            model: line
            score: {function: "tests.airflow.test_compiled_dags:score", metric: error}
            train:
              function: "tests.airflow.test_compiled_dags:train"
              format: json
              parameters: {text: "{{ ds }} {% raw %}", nested: [{deep: "{{ 7 * 7 }}"}]}
        """)
    )
    compile_specs([spec], tmp_path / "dags")

    run = run_dag(DagBag(tmp_path / "dags").dags["line_train"])

    assert run.tasks["train"] == "success"
    assert library.load("line/1") == {"text": "{{ ds }} {% raw %}", "nested": [{"deep": "{{ 7 * 7 }}"}]}


def train(context: Any) -> Any:
    """Make a model of the parameters."""
    from airflow_provider_exia.loop import TrainedModel

    return TrainedModel(dict(context.parameters))


def score(model: Any, data: str) -> Any:
    """Never called: the first champion of a model without a holdout is not scored."""
    raise AssertionError


def test_the_compiled_example_is_what_its_spec_says() -> None:
    specs = sorted((EXAMPLES / "specs").glob("*.yaml"))

    assert specs
    assert check_specs(specs, EXAMPLES / "compiled") == ([], [])


def test_the_compiled_example_trains_promotes_predicts_and_watches(
    metadata_database: Path, library: ModelLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)  # as Airflow does with its DAGs folder
    dags = DagBag(EXAMPLES / "compiled").dags

    runs = [run_dag(dags[f"example_watched_{kind}"]) for kind in ("train", "infer")]

    assert [run.state for run in runs] == ["success", "success"]
    assert runs[0].result("promote_if_better.promote") == "example_watched/1"
    assert runs[1].xcoms["predict", "model_version"] == "example_watched/1"
    assert runs[1].tasks["watch.score"] == "success"


def test_extract_must_return_a_path(metadata_database: Path) -> None:
    with DAG("extracts", schedule=None) as dag:
        ModelDataOperator(task_id="path", extract=lambda as_of: Path(f"/data/{as_of:%Y}"))
        ModelDataOperator(task_id="rows", extract=lambda as_of: [1, 2, 3])

    run = run_dag(dag)

    assert run.result("path").startswith("/data/20")
    assert run.tasks == {"path": "success", "rows": "failed"}


# GenerateDagOperator: the 2020 call


TEMPLATE = """\
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator

with DAG(dag_id={{ dag_id }}, schedule={{ schedule }}, description={{ description }}) as {{ dag_id | name }}:
    for task_id in {{ tasks }}:
        EmptyOperator(task_id=task_id)
"""
VALUES = {"dag_id": "made", "schedule": None, "description": "'); import os #\nimport os", "tasks": ["a", "b"]}


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "made.py.j2").write_text(TEMPLATE)
    (folder / "cron.py.j2").write_text(TEMPLATE.replace("{{ schedule }}", "'61 * * * *'"))
    (folder / "open.py.j2").write_text(TEMPLATE + "open('/etc/passwd')\n")
    (folder / "none.py.j2").write_text("from airflow.sdk import DAG\n")
    (folder / "made.json.j2").write_text('{"model": "{{ model }}"}\n')
    return folder


def test_the_call_of_2020_makes_a_dag_and_any_other_file(
    metadata_database: Path, templates: Path, tmp_path: Path
) -> None:
    shared = {"searchpath": str(templates), "root": str(tmp_path / "out")}
    with DAG("generates", schedule=None, params={"model": "churn"}) as dag:
        GenerateDagOperator(
            task_id="dag", template_name="made.py.j2", parameter_dict=VALUES, output_filepath="made.py", **shared
        )
        GenerateDagOperator(
            task_id="text", template_name="made.json.j2", parameter_dict={"model": "{{ params.model }}"},
            output_filepath="{{ params.model }}.json", **shared,
        )  # fmt: skip

    run = run_dag(dag)

    assert run.state == "success"
    made = DagBag(tmp_path / "out").dags["made"]
    assert (made.description, sorted(made.task_ids)) == (VALUES["description"], ["a", "b"])
    assert json.loads(Path(run.result("text")).read_text()) == {"model": "churn"}


@pytest.mark.parametrize(
    ("template", "values", "output", "error"),
    [
        ("made.py.j2", VALUES | {"dag_id": "x; import os"}, "made.py", TemplateFailed),
        ("made.py.j2", VALUES | {"schedule": object()}, "made.py", TemplateFailed),
        ("cron.py.j2", VALUES, "made.py", ImportCheckFailed),
        ("none.py.j2", VALUES, "made.py", ImportCheckFailed),
        ("open.py.j2", VALUES, "made.py", UnsafeCode),
        ("made.py.j2", VALUES, "../made.py", OutputRefused),
    ],
)
def test_what_is_not_fit_never_replaces_what_is_there(
    templates: Path, tmp_path: Path, template: str, values: dict[str, Any], output: str, error: type[Exception]
) -> None:
    root = tmp_path / "out"
    root.mkdir()
    (root / "made.py").write_text("last good")
    operator = GenerateDagOperator(
        task_id="dag", searchpath=[str(templates)], template_name=template, parameter_dict=values,
        output_filepath=output, root=str(root),
    )  # fmt: skip

    with pytest.raises(error):
        operator.execute({})

    assert [(path.name, path.read_text()) for path in root.iterdir()] == [("made.py", "last good")]
