"""An address that is none is refused, and nothing of what it may hold is repeated."""

from __future__ import annotations

import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.storage.opening import open_blobs, open_documents


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://ann:secret@host/bucket", "http"),
        ("http://ann:sec[ret@host/bucket", "http"),
        ("ann:secret@host/bucket", "ann"),
        ("file://ann:secret@host/blobs", "file"),
        ("file://ann:sec[ret@host/blobs", "file"),
        ("/var/lib/blobs", "/var/lib/blobs"),
    ],
)
def test_what_is_no_blob_store_is_named_by_its_kind_only(url: str, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"begins with '{kind}' is no blob store: expected a folder") as refused:
        open_blobs(url)

    assert "sec" not in str(refused.value)


@pytest.mark.parametrize(("url", "kind"), [("http://ann:secret@host/exia", "http"), ("ann:sec[ret@host/exia", "ann")])
def test_what_is_no_document_store_is_named_by_its_kind_only(url: str, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"^'{kind}' is no document store") as refused:
        open_documents(url)

    assert "sec" not in str(refused.value)
