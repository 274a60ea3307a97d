"""What a training function keeps back to be judged on, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.blobs import sha256_of


def holdout_file(holdout: Any, folder: Path, *, data: str | None) -> Path:
    """Return the file of a holdout; a data frame is written to ``folder`` as parquet.

    :param holdout: a path, or a data frame
    :param data: the training data, which the holdout must not be
    :raises InvalidInput: it is neither, no file is there, or it is the training data itself
    """
    if hasattr(holdout, "to_parquet"):
        source = folder / "holdout.parquet"
        holdout.to_parquet(source)
        return source
    if not isinstance(holdout, str | Path):
        raise InvalidInput(
            f"the holdout is a {type(holdout).__name__}: return a path, or a data frame that can be kept as parquet"
        )
    source = Path(holdout)
    if not source.is_file():
        raise InvalidInput(f"the holdout {str(source)!r} is not a file that this worker can read")
    if digest_of_data(str(source)) == digest_of_data(data):
        raise InvalidInput(
            f"the holdout {str(source)!r} is the training data itself: keep rows back that train() does not use"
        )
    return source


def digest_of_data(data: str | None) -> str | None:
    """Return the SHA-256 of data where it is a file of this machine; None where it is something else, as a query."""
    try:
        if data is None or not Path(data).is_file():
            return None
    except (OSError, TypeError):  # longer than any path, or no text at all
        return None
    with Path(data).open("rb") as stream:
        return sha256_of(stream)[0]
