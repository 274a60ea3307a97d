"""Publishing: one version per piece of work and bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_exia.exceptions import InvalidInput, OutcomeUnknown
from airflow_provider_exia.model_library.exceptions import FormatRefused, VersionCollected, WrongFormat
from airflow_provider_exia.model_library.manifest import digest_of, publication_of
from airflow_provider_exia.model_library.publishing import Publication, SourceFile
from airflow_provider_exia.model_library.publishing import publish as publish_files
from airflow_provider_exia.model_library.records import VERSIONS, Lineage, Role, State, Version
from airflow_provider_exia.storage.codec import to_document
from airflow_provider_exia.storage.documents import DocumentStore, StoreUnavailable, WriteConflict, WriteUnknown
from tests.unit.model_library.conftest import START, MakeFile, ManualClock, Publish

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.model_library.resources import Resources
    from airflow_provider_exia.storage.blobs import BlobStore


class Wrapped:
    """A store with some calls replaced; a reply that gets lost cannot be had from a healthy disk."""

    def __init__(self, store: DocumentStore | BlobStore, **replaced: Callable[..., Any]) -> None:
        self.store, self.replaced = store, replaced

    def __getattr__(self, name: str) -> Any:
        return self.replaced.get(name) or getattr(self.store, name)


def test_a_published_version_is_ready_and_says_what_it_is(
    library: ModelLibrary, make_file: MakeFile, clock: ManualClock
) -> None:
    source = make_file(content={"threshold": 0.4})
    lineage = Lineage(as_of=START, data_digest="d", parameters={"depth": 3}, code_version="abc")

    version = library.publish(
        "delay",
        source,
        format="json",
        metrics={"brier": 0.17},
        lineage=lineage,
        input_schema={"dep_delay": "float"},
        work="task-1",
    )

    assert version.state is State.READY
    assert (version.reference, version.work, version.format) == ("delay/1", "task-1", "json")
    assert (version.metrics, version.lineage) == ({"brier": 0.17}, lineage)
    assert version.input_schema == {"dep_delay": "float"}
    assert [(file.path, file.role, file.size) for file in version.files] == [("model.json", Role.MODEL, 18)]
    assert version.digest == digest_of(version.files, "json")
    assert version.publication == publication_of("task-1", version.digest)
    assert version.created_at == version.ready_at == clock.moment
    assert library.resolve("delay/1") == version


def test_the_stored_bytes_are_the_files_bytes(
    library: ModelLibrary, make_file: MakeFile, blob_path: Callable[[Version], Path]
) -> None:
    source = make_file(content=[1, 2])

    version = library.publish("delay", source, format="json")

    assert blob_path(version).read_bytes() == source.read_bytes()


def test_the_same_work_with_the_same_bytes_is_the_version_it_already_is(
    publish: Publish, library: ModelLibrary
) -> None:
    first = publish(value=1, work="task-1", metrics={"brier": 0.1})

    again = publish(value=1, work="task-1", metrics={"brier": 0.9})

    assert again == first
    assert library.versions("delay") == [first]


def test_the_same_work_with_other_bytes_is_a_new_version_that_supersedes(publish: Publish) -> None:
    first = publish(value=1, work="task-1")

    second = publish(value=2, work="task-1")
    third = publish(value=3, work="task-1")

    assert (first.supersedes, second.supersedes, third.supersedes) == (None, first.number, second.number)
    assert first.number < second.number < third.number


def test_other_work_with_the_same_bytes_is_a_new_version(publish: Publish) -> None:
    first = publish(value=1, work="task-1")

    second = publish(value=1, work="task-2")

    assert second.number > first.number
    assert second.digest == first.digest
    assert second.supersedes is None


def test_without_a_work_key_the_bytes_are_the_work(publish: Publish) -> None:
    first, again, other = publish(value=1), publish(value=1), publish(value=2)

    assert first == again
    assert first.work == first.digest
    assert other.number > first.number


def test_models_count_their_versions_apart(publish: Publish) -> None:
    numbers = [publish("a").number, publish("a_b").number, publish("ab").number, publish("a").number]

    assert numbers == [1, 1, 1, 2]


def test_a_version_may_have_several_files_with_roles(
    library: ModelLibrary, make_file: MakeFile, tmp_path: Path
) -> None:
    files = [
        SourceFile(source=make_file("model.json", {"a": 1})),
        SourceFile(source=make_file("rows.bin", b"rows"), path="holdout/rows.bin", role=Role.HOLDOUT),
        SourceFile(source=make_file("words.txt", b"words"), path="text/tokenizer/words.txt", role=Role.OTHER),
    ]

    version = library.publish("delay", files, format="json")
    library.fetch(version, tmp_path / "out")

    roles = [(file.path, file.role) for file in version.files]
    assert roles == [
        ("holdout/rows.bin", Role.HOLDOUT),
        ("model.json", Role.MODEL),
        ("text/tokenizer/words.txt", Role.OTHER),
    ]
    assert (tmp_path / "out" / "holdout" / "rows.bin").read_bytes() == b"rows"
    assert (tmp_path / "out" / "text" / "tokenizer" / "words.txt").read_bytes() == b"words"


def test_the_order_of_files_makes_no_other_version(library: ModelLibrary, make_file: MakeFile) -> None:
    files = [
        SourceFile(source=make_file("model.json", 1)),
        SourceFile(source=make_file("rows.bin", b"rows"), role=Role.HOLDOUT),
    ]

    first = library.publish("delay", files, format="json")
    second = library.publish("delay", files[::-1], format="json")

    assert second == first


def test_numpy_numbers_are_metrics_too(publish: Publish, library: ModelLibrary) -> None:
    import numpy

    version = publish(metrics={"brier": numpy.float32(0.5), "rows": numpy.int64(7)})

    assert library.resolve(version.reference).metrics == {"brier": 0.5, "rows": 7.0}


# What cannot be used, and what is said about it. Nothing is stored and no number is taken.


@pytest.fixture
def nothing_stored(library: ModelLibrary, tmp_path: Path, publish: Publish) -> Callable[[], bool]:
    """Whether the refused publication left no trace."""

    def check() -> bool:
        return library.models() == [] and not (tmp_path / "blobs").exists() and publish().number == 1

    return check


def test_a_missing_file_is_refused_by_its_path(
    library: ModelLibrary, tmp_path: Path, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match=r"no-such\.json: no such file to publish as 'no-such\.json' of 'delay'"):
        library.publish("delay", tmp_path / "no-such.json", format="json")

    assert nothing_stored()


def test_a_folder_is_no_file(library: ModelLibrary, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such file to publish"):
        library.publish("delay", tmp_path, format="json")


def test_an_empty_file_is_refused(
    library: ModelLibrary, make_file: MakeFile, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match=r"model\.json: the file is empty"):
        library.publish("delay", make_file(content=b""), format="json")

    assert nothing_stored()


def test_a_file_of_another_format_is_refused(
    library: ModelLibrary, make_file: MakeFile, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(WrongFormat, match=r"model\.skops is not a skops file"):
        library.publish("delay", make_file("model.skops", b"no archive"), format="skops")

    assert nothing_stored()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("pickle", "without a signing key: reading it runs code"), ("dill", "runs whatever code its writer")],
)
def test_pickle_is_refused_with_the_reason(
    library: ModelLibrary, make_file: MakeFile, nothing_stored: Callable[[], bool], name: str, reason: str
) -> None:
    with pytest.raises(FormatRefused, match=reason):
        library.publish("delay", make_file("model.pkl", b"x"), format=name)

    assert nothing_stored()


@pytest.mark.parametrize("path", ["../model.json", "/etc/passwd", "a/../../b", "a\\b", ".hidden", "a\x00b"])
def test_a_path_that_plays_tricks_is_refused(
    library: ModelLibrary, make_file: MakeFile, path: str, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match="cannot name a file of a version"):
        library.publish("delay", [SourceFile(source=make_file(content=1), path=path)], format="json")

    assert nothing_stored()


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (("model.json", "model.json"), "two files have the path 'model.json'"),
        (("model.json", "model.json/rows"), "'model.json' cannot be a file and the folder of 'model.json/rows'"),
    ],
)
def test_files_that_get_in_each_others_way_are_refused(
    library: ModelLibrary,
    make_file: MakeFile,
    paths: tuple[str, str],
    problem: str,
    nothing_stored: Callable[[], bool],
) -> None:
    files = [
        SourceFile(source=make_file(content=1), path=paths[0]),
        SourceFile(source=make_file("rows.bin", b"rows"), path=paths[1], role=Role.OTHER),
    ]

    with pytest.raises(InvalidInput, match=problem):
        library.publish("delay", files, format="json")

    assert nothing_stored()


@pytest.mark.parametrize(("roles", "count"), [([], 0), ([Role.OTHER], 0), ([Role.MODEL, Role.MODEL], 2)])
def test_a_version_has_exactly_one_model_file(
    library: ModelLibrary, make_file: MakeFile, roles: list[Role], count: int
) -> None:
    files = [SourceFile(source=make_file(f"{n}.json", 1), role=role) for n, role in enumerate(roles)]

    with pytest.raises(InvalidInput, match=f"exactly one file with the role 'model', not {count}"):
        library.publish("delay", files, format="json")


def test_a_role_may_be_written_as_its_word_and_another_word_is_refused(
    library: ModelLibrary, make_file: MakeFile
) -> None:
    word: Any = "model"
    version = library.publish("delay", [SourceFile(source=make_file("a.json", 1), role=word)], format="json")
    word = "label"

    with pytest.raises(InvalidInput, match=r"b\.json: its role is 'label', expected one of model, holdout, other"):
        library.publish("delay", [SourceFile(source=make_file("b.json", 2), role=word)], format="json")

    assert library.load(version) == 1


def test_metrics_that_are_no_names_and_numbers_are_refused(
    library: ModelLibrary, make_file: MakeFile, nothing_stored: Callable[[], bool]
) -> None:
    metrics: Any = "brier=0.2"

    with pytest.raises(InvalidInput, match="the metrics of 'delay' are a str: expected names and numbers"):
        library.publish("delay", make_file("model.json", 1), format="json", metrics=metrics)

    assert nothing_stored()


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), None, "good", "0.3", True, [1], 10**400],
    ids=lambda value: str(value)[:8],
)
def test_a_metric_that_is_no_finite_number_is_refused_by_its_name(
    publish: Publish, value: Any, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match="metric 'brier' of 'delay' is .*: expected a finite number"):
        publish(metrics={"auc": 0.5, "brier": value})

    assert nothing_stored()


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), datetime(2013, 1, 1), b"x"], ids=repr)
def test_a_parameter_that_is_no_json_value_is_refused_by_its_name(
    publish: Publish, value: Any, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match="parameter 'depth' of 'delay' is .*: expected a JSON value"):
        publish(lineage=Lineage(parameters={"depth": value}))

    assert nothing_stored()


def test_a_moment_without_a_time_zone_is_refused_by_its_name(
    publish: Publish, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match="'as_of' of 'delay' is 2013-05-01T00:00:00, without a time zone"):
        publish(lineage=Lineage(as_of=datetime(2013, 5, 1)))

    assert nothing_stored()


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"lineage": Lineage(environment={"python": 3.11})}, "lineage.environment.python"),
        ({"lineage": Lineage(dag_run={"run": object()})}, "unknown type"),
        ({"lineage": Lineage(dag_run={"run": float("nan")})}, "not JSON compliant"),
        ({"input_schema": {"dep_delay": float}}, "input_schema|unknown type"),
    ],
)
def test_a_fact_that_could_not_be_read_back_is_refused_before_anything_is_stored(
    publish: Publish, facts: dict[str, Any], field: str, nothing_stored: Callable[[], bool]
) -> None:
    with pytest.raises(InvalidInput, match=f"this Version cannot be stored: .*({field})"):
        publish(**facts)

    assert nothing_stored()


@pytest.mark.parametrize("name", ["", "Delay", "flight-delay", "../delay", "delay/1", "delay@champion"])
def test_a_model_name_outside_the_rule_is_refused(publish: Publish, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no model name"):
        publish(name)


# Retries, and what earlier tries left behind.


def leave_behind(library: ModelLibrary, version: Version, state: State) -> Version:
    """Let the store say that a version got no further than ``state``, as a collector or a killed process leaves it."""
    changed = replace(version, state=state, ready_at=None)
    library.resources.documents.swap(VERSIONS, to_document(changed), revision=version.revision)
    return replace(changed, revision=version.revision + 1)


def test_a_retry_finishes_what_was_pending_under_its_number(publish: Publish, library: ModelLibrary) -> None:
    pending = leave_behind(library, publish(value=1, work="w"), State.PENDING)

    ready = publish(value=1, work="w")

    assert ready.number == pending.number
    assert library.versions("delay") == [ready]
    assert library.load("delay/1") == 1


def test_a_retry_of_an_abandoned_publication_takes_a_new_number_and_new_keys(
    publish: Publish, library: ModelLibrary, blob_path: Callable[[Version], Path]
) -> None:
    abandoned = leave_behind(library, publish(value=1, work="w"), State.ABANDONED)

    ready = publish(value=1, work="w")
    blob_path(abandoned).unlink()  # the collector's delete arrives late

    assert ready.number > abandoned.number
    assert library.versions("delay") == [ready]
    assert library.load(ready.reference) == 1


def test_a_publication_that_was_collected_is_refused(publish: Publish, library: ModelLibrary) -> None:
    collected = leave_behind(library, publish(value=1, work="w"), State.COLLECTED)

    with pytest.raises(VersionCollected, match=rf"{collected.reference} was retired and its files were collected"):
        publish(value=1, work="w")


def test_the_number_of_a_version_is_never_given_again(publish: Publish, library: ModelLibrary) -> None:
    leave_behind(library, publish(value=1, work="w"), State.ABANDONED)

    numbers = [publish(value=2).number, publish(value=1, work="w").number]

    assert numbers == [2, 3]


def test_what_a_retry_finds_is_the_newest_ready_version_of_its_work(publish: Publish, library: ModelLibrary) -> None:
    publish(value=1, work="w")
    second = publish(value=2, work="w")
    leave_behind(library, publish(value=3, work="w"), State.PENDING)
    publish(value=4, work="other")

    found = library.find_ready("delay", "w"), library.find_ready("delay", "never"), library.find_ready("no_model", "w")

    assert found == (second, None, None)


def file_publication(make_file: MakeFile, value: Any = 1, work: str = "w") -> Publication:
    return Publication(model="delay", files=[SourceFile(source=make_file(content=value))], format="json", work=work)


@pytest.mark.parametrize("call", ["insert", "swap", "next_number"])
@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("error", [WriteUnknown("no answer"), WriteConflict(collection="versions", key=("model",))])
def test_a_reply_that_is_lost_once_leaves_one_ready_version(
    resources: Resources, library: ModelLibrary, make_file: MakeFile, call: str, landed: bool, error: Exception
) -> None:
    lost: list[str] = []

    def lose_first_reply(*arguments: Any, **named: Any) -> Any:
        if lost:
            return getattr(resources.documents, call)(*arguments, **named)
        lost.append(call)
        if landed:
            getattr(resources.documents, call)(*arguments, **named)
        raise error

    lossy = replace(resources, documents=Wrapped(resources.documents, **{call: lose_first_reply}))

    version = publish_files(lossy, file_publication(make_file))

    assert lost == [call]
    assert library.versions("delay") == [version]
    assert library.load(version.reference) == 1


def test_a_put_that_the_store_acknowledged_and_did_not_keep_is_put_again(
    resources: Resources, library: ModelLibrary, make_file: MakeFile
) -> None:
    forgotten: list[str] = []

    def forget_first(key: str, source: Path, **digest: Any) -> None:
        if forgotten:
            resources.blobs.put(key, source, **digest)
        forgotten.append(key)

    forgetful = replace(resources, blobs=Wrapped(resources.blobs, put=forget_first))

    version = publish_files(forgetful, file_publication(make_file))

    assert len(forgotten) == 2
    assert library.load(version.reference) == 1


def test_a_store_that_stays_away_is_said_to_be_away(resources: Resources, make_file: MakeFile) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the server is away")

    publication = file_publication(make_file)
    gone = replace(resources, blobs=Wrapped(resources.blobs, put=away), patience=timedelta(seconds=1))

    with pytest.raises(StoreUnavailable, match="the server is away"):
        publish_files(gone, publication)


def test_replies_that_stay_lost_end_as_unknown_with_the_work_key(resources: Resources, make_file: MakeFile) -> None:
    def no_answer(*_: Any, **__: Any) -> None:
        raise WriteUnknown("no answer")

    publication = file_publication(make_file, work="task-1")
    silent = replace(resources, documents=Wrapped(resources.documents, swap=no_answer), patience=timedelta(seconds=1))

    with pytest.raises(OutcomeUnknown, match="publish a version of delay; repeat .* 'task-1'") as unknown:
        publish_files(silent, publication)

    assert unknown.value.token == "task-1"
    assert publish_files(resources, publication).state is State.READY


def test_a_file_that_is_still_being_written_is_refused_and_never_ready(
    resources: Resources, library: ModelLibrary, make_file: MakeFile
) -> None:
    publication = file_publication(make_file, {"part": 1})
    source = publication.files[0].source

    def write_on(key: str, path: Path, **digest: Any) -> None:
        source.write_text(json.dumps({"part": 2, "more": 3}))
        resources.blobs.put(key, path, **digest)

    busy = replace(resources, blobs=Wrapped(resources.blobs, put=write_on))

    with pytest.raises(InvalidInput, match=r"model\.json: the file changed while it was published as delay/1"):
        publish_files(busy, publication)

    assert [version.state for version in library.versions("delay")] == [State.PENDING]


def test_creation_and_readiness_are_told_by_the_librarys_clock(publish: Publish, clock: ManualClock) -> None:
    clock.moment = datetime(2013, 6, 1, tzinfo=UTC)

    version = publish()

    assert (version.created_at, version.ready_at) == (clock.moment, clock.moment)
