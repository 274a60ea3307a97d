"""Pages with DAGs use the metadata database of the tests in ``tests/airflow``."""

from tests.airflow.conftest import metadata_database

__all__ = ["metadata_database"]
