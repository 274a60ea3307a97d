"""How a command reads an Airflow connection: with its answer on standard output and everything else beside it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from airflow_provider_exia.exceptions import InvalidInput


@contextlib.contextmanager
def reading_connection(conn_id: str) -> Iterator[None]:
    """Let the block find an Airflow connection, in the database too.

    :param conn_id: the connection, for the error
    :raises InvalidInput: the connection cannot be used
    """
    # Airflow reads connections from its database only in a process that says it is no task; 'airflow' itself does so.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with contextlib.redirect_stdout(sys.stderr):  # standard output belongs to the command's own answer
        from airflow.sdk.exceptions import AirflowException

        try:
            yield
        except AirflowException as error:
            raise InvalidInput(
                f"the Airflow connection {conn_id!r} cannot be used: {error}; 'airflow connections list' shows those "
                "there"
            ) from error
