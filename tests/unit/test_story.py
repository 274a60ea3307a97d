"""The life of a model, from its first version to the day it is taken back. Read it aloud."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_exia.model_library.exceptions import (
    AliasMoved,
    DamagedFile,
    NothingToRollBackTo,
    UnknownModel,
    VersionIsLive,
    VersionRetired,
)
from airflow_provider_exia.model_library.formats import format_named
from airflow_provider_exia.model_library.library import ModelLibrary, open_library
from airflow_provider_exia.model_library.records import Lineage, Version


@pytest.fixture
def library(tmp_path: Path) -> Iterator[ModelLibrary]:
    """A library in a folder, as a notebook opens it."""
    with open_library(f"sqlite:///{tmp_path}/exia.db", blobs=f"file://{tmp_path}/blobs", by="ann") as opened:
        yield opened


def train(threshold: float) -> Any:
    """Train a small classifier of delays."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit([[threshold - 1], [threshold + 1]], [0, 1])


def test_the_life_of_a_model(library: ModelLibrary, tmp_path: Path) -> None:
    def publish(threshold: float, brier: float, work: str) -> Version:
        format_named("skops").save(train(threshold), tmp_path / "model.skops")
        return library.publish(
            "flight_delay",
            tmp_path / "model.skops",
            format="skops",
            metrics={"brier": brier},
            lineage=Lineage(as_of=datetime(2013, 2, 1, tzinfo=UTC), parameters={"threshold": threshold}),
            work=work,
        )

    # In the beginning there is nothing, and the library says so.
    with pytest.raises(UnknownModel, match="nothing was published under that name"):
        library.load("flight_delay@champion")

    # Ann trains a model and publishes it. It is version 1, and nobody uses it yet.
    first = publish(10, brier=0.19, work="january")
    assert first.reference == "flight_delay/1"
    assert library.aliases("flight_delay") == {}

    # She makes it the champion. Whoever asks for the champion is given it.
    library.promote("flight_delay/1", reason="the first one")
    assert library.load("flight_delay@champion").predict([[20.0]]) == [1]

    # In March she trains again. The new version waits as challenger while a weekly run goes on with the champion.
    library.resolve_pinned("flight_delay@champion", scope="week 11")
    seen = library.alias("flight_delay").since
    second = publish(15, brier=0.17, work="march")
    library.promote(second.reference, alias="challenger")
    assert library.resolve("flight_delay@champion") == first
    assert library.select("flight_delay", best="brier") == second

    # The gate finds it better, and it becomes champion, on the decision that was made about the first.
    library.promote("flight_delay@challenger", expected=seen, by="gate", reason="brier 0.17 against 0.19")
    assert library.resolve("flight_delay@champion") == second

    # The run that began before goes on with the version it began with.
    assert library.resolve_pinned("flight_delay@champion", scope="week 11") == first
    assert library.resolve_pinned("flight_delay@champion", scope="week 12") == second

    # Bob, who decided on what he saw before, is told that he comes too late and who was first.
    with pytest.raises(AliasMoved, match="version 2, promote by gate"):
        library.promote("flight_delay/1", expected=seen, by="bob")

    # In April somebody promotes a bad model by hand.
    bad = publish(500, brier=0.40, work="april")
    library.promote(bad.reference, by="bob", reason="looks fine to me")
    assert library.load("flight_delay").predict([[20.0]]) == [0]

    # It is taken back: the champion is the one from March again.
    moved = library.rollback("flight_delay", reason="calls every flight punctual")
    assert moved.version == 2
    assert library.load("flight_delay").predict([[20.0]]) == [1]

    # The bad one is retired, so that nobody promotes it again; the live one cannot be retired.
    library.retire(bad.reference, reason="useless")
    with pytest.raises(VersionRetired, match="restore it first"):
        library.promote(bad.reference)
    with pytest.raises(VersionIsLive, match="live as"):
        library.retire("flight_delay@champion")
    assert library.resolve("flight_delay@latest") == second

    # Another rollback goes on to January; before that there is nothing.
    assert library.rollback("flight_delay").version == 1
    with pytest.raises(NothingToRollBackTo):
        library.rollback("flight_delay")

    # All of it is in the history, with who and why, and any moment can be asked about.
    told = [(entry.action.value, entry.alias, entry.version, entry.by) for entry in library.history("flight_delay")]
    assert told == [
        ("rollback", "champion", 1, "ann"),
        ("retire", None, 3, "ann"),
        ("rollback", "champion", 2, "ann"),
        ("promote", "champion", 3, "bob"),
        ("promote", "champion", 2, "gate"),
        ("promote", "challenger", 2, "ann"),
        ("promote", "champion", 1, "ann"),
    ]
    by_sequence = {entry.sequence: entry for entry in library.history("flight_delay")}
    assert library.as_of("flight_delay", by_sequence[3].at).number == 2
    assert library.as_of("flight_delay", by_sequence[4].at) == bad

    # A task that is run again after all this finds the version it has published, and trains nothing.
    assert library.find_ready("flight_delay", "march") == second

    # And should the disk ever lie, nobody is given a model that is not the one that was published.
    stored = next((tmp_path / "blobs").rglob(f"{first.publication}/1/model.skops"))
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")
    with pytest.raises(DamagedFile, match="not the one that was published"):
        library.load("flight_delay@champion")
