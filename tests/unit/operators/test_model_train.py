"""A training task publishes what the function returns, once, and refuses what could not be judged or loaded."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import FormatRefused, SignatureRefused
from airflow_provider_exia.model_library.records import Role
from airflow_provider_exia.model_library.signing import generate_key
from airflow_provider_exia.model_library.training import TrainedModel, TrainingContext
from airflow_provider_exia.operators.model_train import ModelTrainOperator
from tests.unit.operators.conftest import NOON, context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


class Trainer:
    """A training function that counts its calls and returns one value after the other."""

    def __init__(self, *results: Any) -> None:
        self.results = list(results)
        self.contexts: list[TrainingContext] = []

    def __call__(self, context: TrainingContext) -> Any:
        self.contexts.append(context)
        return self.results.pop(0)


def operator_of(train: Callable[..., Any] | str | None, **values: Any) -> ModelTrainOperator:
    return ModelTrainOperator(**{"task_id": "train", "model": "delay", "format": "json", "train": train, **values})


def configure_keys(monkeypatch: pytest.MonkeyPatch, *, signing: str = "", accepted: Sequence[str] = ()) -> None:
    connection = json.loads(os.environ["AIRFLOW_CONN_EXIA_DEFAULT"])
    extra = {**connection["extra"], "public_keys": list(accepted)}
    monkeypatch.setenv("AIRFLOW_CONN_EXIA_DEFAULT", json.dumps({**connection, "password": signing, "extra": extra}))


def test_what_was_trained_is_published_with_its_lineage(library: ModelLibrary, tmp_path: Path) -> None:
    data = tmp_path / "weeks.csv"
    data.write_text("x,late\n1,0\n")
    trained = TrainedModel(
        {"slope": 2.0},
        metrics={"brier": 0.2},
        holdout=pandas.DataFrame({"x": [1.0]}),
        training_blocks=["tue", "mon", "mon"],
        input_schema={"x": "float"},
    )
    operator = operator_of(Trainer(trained), data=str(data), parameters={"depth": 3}, code_version="v7")

    reference = operator.execute(context_of("train"))

    version = library.resolve(reference)
    assert library.load(reference) == {"slope": 2.0}
    assert {file.path: file.role for file in version.files} == {
        "model.json": Role.MODEL,
        "holdout.parquet": Role.HOLDOUT,
    }
    assert (version.metrics, version.input_schema) == ({"brier": 0.2}, {"x": "float"})
    assert version.lineage.data_digest == hashlib.sha256(data.read_bytes()).hexdigest()
    assert version.lineage.training_blocks == ("mon", "tue")
    assert (version.lineage.parameters, version.lineage.code_version) == ({"depth": 3}, "v7")
    assert version.lineage.as_of == NOON
    assert version.lineage.environment["airflow-provider-exia"]
    assert version.lineage.dag_run == {"dag_id": "delay", "run_id": "week-9", "task_id": "train", "map_index": -1}


@pytest.mark.parametrize("data", ["SELECT " + ", ".join(["a_column"] * 1000), "\0", ["one.csv", "two.csv"]])
def test_data_that_is_no_file_has_no_digest(library: ModelLibrary, data: Any) -> None:
    train = Trainer(TrainedModel({"slope": 1}, holdout=pandas.DataFrame({"x": [1.0]})))

    reference = operator_of(train, data=data).execute(context_of("train"))

    assert train.contexts[0].data == data
    assert library.resolve(reference).lineage.data_digest is None


def test_the_digest_of_the_data_is_that_of_what_the_training_was_given(library: ModelLibrary, tmp_path: Path) -> None:
    data = tmp_path / "weeks.csv"
    data.write_text("x,late\n1,0\n")
    given = hashlib.sha256(data.read_bytes()).hexdigest()

    def train(_context: TrainingContext) -> TrainedModel:
        data.write_text("x,late\n2,1\n")  # as an export that goes on beside the training
        return TrainedModel({"slope": 1})

    reference = operator_of(train, data=str(data)).execute(context_of("train"))

    assert library.resolve(reference).lineage.data_digest == given


def test_the_function_is_told_what_it_may_know(library: ModelLibrary) -> None:
    train = Trainer(TrainedModel({"slope": 1}), TrainedModel({"slope": 2}))
    operator = operator_of(train, as_of="2026-02-01T00:00:00+02:00", parameters={"depth": 3}, data="s3://weeks")
    operator.execute(context_of("train"))
    library.promote("delay/1")

    operator.execute(context_of("train", run_id="week-10"))

    as_of = datetime(2026, 1, 31, 22, tzinfo=UTC)
    expected = {"model": "delay", "as_of": as_of, "data": "s3://weeks", "parameters": {"depth": 3}}
    assert train.contexts == [
        TrainingContext(**expected, champion=None),
        TrainingContext(**expected, champion="delay/1"),
    ]
    assert library.resolve("delay/2").lineage.champion == "delay/1"


def test_a_retry_after_publishing_trains_nothing(library: ModelLibrary) -> None:
    train = Trainer(TrainedModel({"slope": 1}))
    first = operator_of(train).execute(context_of("train"))

    again = operator_of(train).execute(context_of("train", try_number=2))

    assert (again, len(train.contexts), len(library.versions("delay"))) == (first, 1, 1)


def test_a_retry_before_publishing_trains_again(library: ModelLibrary) -> None:
    train = Trainer("nothing that can be published", TrainedModel({"slope": 1}))
    with pytest.raises(InvalidInput):
        operator_of(train).execute(context_of("train"))

    assert operator_of(train).execute(context_of("train", try_number=2)) == "delay/1"


def test_a_cleared_task_trains_anew(library: ModelLibrary) -> None:
    train = Trainer(TrainedModel({"slope": 1}), TrainedModel({"slope": 1}))
    operator_of(train).execute(context_of("train"))

    assert operator_of(train).execute(context_of("train", clear_number=1)) == "delay/2"


def test_the_mapped_tasks_of_one_run_train_a_version_each(library: ModelLibrary) -> None:
    train = Trainer(TrainedModel({"slope": 1}), TrainedModel({"slope": 1}))

    references = [operator_of(train).execute(context_of("train", map_index=index)) for index in (0, 1)]

    assert references == ["delay/1", "delay/2"]


def test_without_a_code_version_the_digest_of_the_functions_file_is_kept(library: ModelLibrary) -> None:
    def train(context: TrainingContext) -> TrainedModel:
        return TrainedModel({"as of": str(context.as_of)})

    reference = operator_of(train).execute(context_of("train"))

    digest = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    assert library.resolve(reference).lineage.code_version == f"sha256:{digest}"


def test_the_models_own_parameters_win_over_the_tasks(library: ModelLibrary) -> None:
    reference = operator_of(Trainer(TrainedModel({}, parameters={"depth": 5})), parameters={"depth": "auto"}).execute(
        context_of("train")
    )

    assert library.resolve(reference).lineage.parameters == {"depth": 5}


@pytest.mark.parametrize(
    ("trained", "problem"),
    [
        (None, r"the training function of 'delay' returned NoneType: return TrainedModel\(model, metrics=..., "),
        ({"slope": 1}, r"the training function of 'delay' returned dict"),
        (TrainedModel({1, 2}), "a model of type set cannot be written as json .*: return JSON values, or choose"),
        (TrainedModel(float("nan")), "a model of type float cannot be written as json"),
        (
            TrainedModel({}, metrics={"brier": float("nan")}),
            "metric 'brier' of 'delay' is nan: expected a finite number",
        ),
        (TrainedModel({}, metrics={"brier": None}), "metric 'brier' of 'delay' is None: expected a finite"),
        (TrainedModel({}, parameters={"since": NOON}), "parameter 'since' of 'delay' is .*: expected a JSON value"),
        (TrainedModel({}, holdout=[1, 2]), "the holdout is a list: return a path, or a data frame"),
        (TrainedModel({}, holdout="/no/such/week.csv"), "the holdout '/no/such/week.csv' is not a file"),
    ],
)
def test_what_cannot_be_published_is_refused_by_name(library: ModelLibrary, trained: Any, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        operator_of(Trainer(trained)).execute(context_of("train"))

    assert library.models() == []


def test_an_empty_holdout_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    (tmp_path / "week.csv").touch()

    with pytest.raises(InvalidInput, match="week.csv: the file is empty"):
        operator_of(Trainer(TrainedModel({}, holdout=tmp_path / "week.csv"))).execute(context_of("train"))


@pytest.mark.parametrize("same", ["weeks.json", "copy.json"])
def test_a_holdout_that_is_the_training_data_is_refused(library: ModelLibrary, tmp_path: Path, same: str) -> None:
    for name in ("weeks.json", "copy.json"):
        (tmp_path / name).write_text(json.dumps([1, 2, 3]))
    operator = operator_of(Trainer(TrainedModel({}, holdout=str(tmp_path / same))), data=str(tmp_path / "weeks.json"))

    with pytest.raises(InvalidInput, match=f"{same}' is the training data itself: keep rows back"):
        operator.execute(context_of("train"))


@pytest.mark.parametrize("file", ["weeks.json", "absent.json"])
def test_data_that_is_no_file_here_has_no_digest(library: ModelLibrary, tmp_path: Path, file: str) -> None:
    (tmp_path / "week.json").write_text("[1]")
    trained = TrainedModel({}, holdout=tmp_path / "week.json")

    reference = operator_of(Trainer(trained), data=str(tmp_path / file)).execute(context_of("train"))

    assert library.resolve(reference).lineage.data_digest is None


def test_raw_models_are_bytes(library: ModelLibrary) -> None:
    reference = operator_of(Trainer(TrainedModel(b"bytes")), format="raw").execute(context_of("train"))

    assert library.load(reference) == b"bytes"
    with pytest.raises(InvalidInput, match="a model of type dict cannot be written as raw: return bytes"):
        operator_of(Trainer(TrainedModel({})), format="raw").execute(context_of("other"))


def test_what_skops_cannot_write_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(InvalidInput, match="a model of type .* cannot be written as skops .*: return a scikit-learn"):
        operator_of(Trainer(TrainedModel({"rows": (row for row in ())})), format="skops").execute(context_of("train"))


@pytest.mark.parametrize("format_name", ["pickle", "joblib"])
def test_pickle_is_refused_before_an_hour_of_training(library: ModelLibrary, format_name: str) -> None:
    train = Trainer(TrainedModel({}))

    with pytest.raises(FormatRefused, match="reading such a file runs whatever code its writer put into it"):
        operator_of(train, format=format_name).execute(context_of("train"))

    assert train.contexts == []


@pytest.mark.parametrize("format_name", ["pickle", "joblib"])
def test_a_pickle_is_trained_and_read_where_it_is_allowed_and_signed(
    library: ModelLibrary, monkeypatch: pytest.MonkeyPatch, format_name: str
) -> None:
    configure_keys(monkeypatch, signing=generate_key("hmac")[0])
    training = operator_of(Trainer(TrainedModel({"slope": 2})), format=format_name, allow_pickle=True)

    reference = training.execute(context_of("train"))

    assert library.resolve(reference).format == format_name
    assert training.library.load(reference) == {"slope": 2}


@pytest.mark.parametrize(
    ("format_name", "accepted", "problem"),
    [
        ("pickle", [], "a pickle file of 'delay' is refused without a signing key"),
        ("json", [generate_key("ed25519")[1]], "keys are configured here: publish with a signing key"),
    ],
)
@pytest.mark.usefixtures("library")
def test_a_missing_signing_key_is_noticed_before_an_hour_of_training(
    monkeypatch: pytest.MonkeyPatch, format_name: str, accepted: list[str], problem: str
) -> None:
    configure_keys(monkeypatch, accepted=accepted)
    train = Trainer(TrainedModel({}))

    with pytest.raises((FormatRefused, SignatureRefused), match=problem):
        operator_of(train, format=format_name, allow_pickle=True).execute(context_of("train"))

    assert train.contexts == []


@pytest.mark.parametrize(
    ("train", "problem"),
    [
        (None, "ModelTrainOperator of 'delay': 'train' is missing; give a function"),
        ("no_such_package:train", "train 'no_such_package:train': no module 'no_such_package'"),
        ("json:train", "train 'json:train': module 'json' has no function 'train'"),
        ("train", "train 'train': expected a function or 'package.module:function'"),
    ],
)
def test_a_missing_function_is_named(library: ModelLibrary, train: str | None, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        operator_of(train).execute(context_of("train"))


@pytest.mark.parametrize(
    ("as_of", "problem"),
    [
        ("last week", "as_of 'last week': expected an ISO moment"),
        ("2026-03-01T00:00:00", r"as_of '2026-03-01T00:00:00' has no time zone: write one, as in '2026.*\+00:00'"),
    ],
)
def test_a_moment_that_cannot_be_read_is_refused(library: ModelLibrary, as_of: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        operator_of(Trainer(TrainedModel({})), as_of=as_of).execute(context_of("train"))


def test_an_error_of_the_function_is_its_own(library: ModelLibrary) -> None:
    def train(_context: TrainingContext) -> TrainedModel:
        raise ConnectionError("the author's database is away")

    with pytest.raises(ConnectionError, match="the author's database is away"):
        operator_of(train).execute(context_of("train"))
