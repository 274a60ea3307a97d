"""Run the DAGs of one file through ``dag.test()``."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

BUNDLE = "docs"


@functools.cache
def prepare_database() -> None:
    """Make Airflow's metadata database in the home of this test run."""
    # The models that are imported now keep the home of the test run, whatever a page calls its own.
    from airflow import settings  # noqa: F401
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    done = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with create_session() as session:
        session.merge(DagBundleModel(name=BUNDLE))


def run_dag_file(path: Path) -> dict[str, str]:
    """Read a DAG file as Airflow does, then run each of its DAGs once, in the order of the file.

    :returns: how each ended
    """
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    bag = DagBag(path, bundle_path=path.parent, bundle_name=BUNDLE)
    assert bag.dags, f"{path.name} is no DAG file: {bag.import_errors or 'it holds no DAG'}"
    assert not bag.import_errors
    sync_bag_to_db(bag, BUNDLE, None)
    source = path.read_text(encoding="utf-8")
    in_order = sorted(bag.dags.items(), key=lambda item: source.index(item[0]))
    return {dag_id: str(dag.test(logical_date=None).state) for dag_id, dag in in_order}
