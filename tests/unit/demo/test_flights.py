"""The demo's functions tell the story they are known to tell: who is refused, who is promoted, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pandas
import pytest
import skops.io

from airflow_provider_exia.demo import flights
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.loop import Scores, TrainedModel, TrainingContext
from airflow_provider_exia.testing import check_predict, check_score, check_train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One demo folder, so that the year is prepared once."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def champion(folder: Path) -> TrainedModel:
    """The first champion."""
    return flights.train(context_of(folder, flights.FIRST_CHAMPION_WEEK))


def context_of(folder: Path, week: int, parameters: Mapping[str, Any] | None = None) -> TrainingContext:
    as_of = flights.week_end(week)
    return TrainingContext(
        model="flight_delay",
        as_of=as_of,
        data=flights.extract(as_of, folder),
        parameters=parameters or {},
        episode=None,
        champion=None,
    )


def lower_bound_of_gain(champion: Scores, challenger: Scores) -> float:
    """Return the 5 % quantile of the gain over days drawn with replacement, as the gate judges it."""
    by_day: dict[Any, list[float]] = defaultdict(list)
    for block, old, new in zip(champion.block, champion.loss, challenger.loss, strict=True):
        by_day[block].append(old - new)
    sums = numpy.array([sum(gains) for gains in by_day.values()])
    counts = numpy.array([len(gains) for gains in by_day.values()])
    drawn = numpy.random.default_rng(0).integers(0, len(sums), (2000, len(sums)))
    return float(numpy.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), 0.05))


def test_the_year_holds_every_flown_flight_with_its_six_features(folder: Path) -> None:
    flights.extract(flights.week_end(11), folder)

    year = pandas.read_parquet(folder / "flights-2013.parquet")

    assert len(year) == 327_346
    assert set(flights.FEATURES) < set(year.columns)
    silent = year["week"].isin(flights.SILENT_WEEKS)
    assert year.loc[silent, "late"].isna().all()
    assert year.loc[~silent, "late"].mean() == pytest.approx(0.2396, abs=0.001)
    assert not year[list(flights.FEATURES)].isna().any().any()


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        (datetime(2013, 1, 8, tzinfo=UTC), 0),
        (datetime(2013, 1, 14, 23, 59, tzinfo=UTC), 0),
        (datetime(2013, 1, 15, tzinfo=UTC), 1),
        (datetime(2013, 1, 15, tzinfo=timezone(timedelta(hours=2))), 0),
        (datetime(2013, 12, 31, tzinfo=UTC), 51),
        (datetime(2014, 6, 1, tzinfo=UTC), 51),
    ],
)
def test_the_latest_complete_week_ended_at_or_before_the_moment(moment: datetime, week: int) -> None:
    assert flights.latest_complete_week(moment) == week


@pytest.mark.parametrize("moment", [datetime(2013, 1, 7, 23, tzinfo=UTC), datetime(2013, 5, 1)])
def test_a_moment_that_names_no_complete_week_is_refused(moment: datetime) -> None:
    with pytest.raises(InvalidInput, match="give"):
        flights.latest_complete_week(moment)


def test_an_extract_holds_nothing_from_its_moment_on_and_at_most_nine_weeks(folder: Path) -> None:
    path = flights.extract(flights.week_end(15), folder)

    frame = pandas.read_parquet(path)

    assert (frame["week"].min(), frame["week"].max()) == (7, 15)
    assert frame["day"].max() == "2013-04-22"
    assert [file.name for file in folder.iterdir() if file.name.startswith(".")] == []


def test_an_extract_is_written_once(folder: Path) -> None:
    first = flights.extract(flights.week_end(15), folder)
    Path(first).write_bytes(b"as it was")

    again = flights.extract(flights.week_end(15) + timedelta(days=3), folder)

    assert again == first
    assert Path(again).read_bytes() == b"as it was"
    Path(first).unlink()


def test_the_first_champion_learns_from_weeks_0_to_3_and_keeps_week_4(champion: TrainedModel) -> None:
    assert champion.parameters["training_weeks"] == [0, 3]
    assert champion.parameters["holdout_week"] == 4
    assert champion.training_blocks is not None
    assert len(champion.training_blocks) == 28
    assert set(champion.training_blocks).isdisjoint(champion.holdout["day"])


@pytest.mark.parametrize(
    ("week", "old", "new", "gain", "lower"),
    [
        (flights.REFUSED_WEEK, 0.2000, 0.1933, 0.0068, -0.0015),
        (flights.PROMOTED_WEEK, 0.2423, 0.2270, 0.0153, 0.0027),
    ],
    ids=["refused", "promoted"],
)
def test_a_challenger_gains_what_the_story_tells(
    folder: Path, champion: TrainedModel, week: int, old: float, new: float, gain: float, lower: float
) -> None:
    challenger = flights.train(context_of(folder, week))

    before = flights.score(champion.model, challenger.holdout)
    after = flights.score(challenger.model, challenger.holdout)

    assert before.mean == pytest.approx(old, abs=0.0002)
    assert after.mean == pytest.approx(new, abs=0.0002) == challenger.metrics["brier"]
    assert before.mean - after.mean == pytest.approx(gain, abs=0.0002)
    assert lower_bound_of_gain(before, after) == pytest.approx(lower, abs=0.0005)


def test_scores_name_a_day_and_an_origin_for_every_flight(folder: Path, champion: TrainedModel) -> None:
    data = flights.extract(flights.week_end(11), folder)

    scores = flights.score(champion.model, data)

    assert len(scores.loss) == len(scores.block) == len(scores.slices["origin"])
    assert set(scores.slices["origin"]) == {"EWR", "JFK", "LGA"}
    assert scores.block[0] == "2013-01-22"
    assert all(0 <= loss <= 1 for loss in scores.loss)


def test_predictions_hold_the_latest_week_and_can_be_scored(folder: Path, champion: TrainedModel) -> None:
    path = flights.predict(champion.model, flights.extract(flights.week_end(15), folder))

    predicted = pandas.read_parquet(path)

    assert set(predicted["week"]) == {15}
    assert predicted["probability"].between(0, 1).all()
    loss = (predicted["probability"] - predicted["late"]) ** 2
    assert flights.score(champion.model, path).mean == pytest.approx(loss.mean())


def test_the_bad_model_is_worse_than_any_honest_one(folder: Path, champion: TrainedModel) -> None:
    bad = flights.make_bad(context_of(folder, flights.BAD_MODEL_WEEK))

    honest = flights.score(champion.model, bad.holdout).mean

    assert honest < 0.2
    assert bad.metrics["brier"] > 0.5


def test_the_functions_keep_their_contracts_with_one_type_to_trust(folder: Path, tmp_path: Path) -> None:
    context = context_of(folder, flights.FIRST_CHAMPION_WEEK)

    checked = check_train(flights.train, context, format="skops", folder=tmp_path, trusted_types=flights.TRUSTED_TYPES)

    check_score(flights.score, checked.model, checked.holdout)
    check_predict(flights.predict, checked.model, str(context.data))
    untrusted = skops.io.get_untrusted_types(file=next(tmp_path.glob("model*")))
    assert tuple(untrusted) == flights.TRUSTED_TYPES


def without_data(context: TrainingContext) -> TrainingContext:
    return replace(context, data=None)


def a_week_later(context: TrainingContext) -> TrainingContext:
    return replace(context, as_of=context.as_of + timedelta(weeks=1))


@pytest.mark.parametrize("spoil", [without_data, a_week_later])
def test_training_on_data_that_do_not_fit_the_moment_is_refused(
    folder: Path, spoil: Callable[[TrainingContext], TrainingContext]
) -> None:
    context = spoil(context_of(folder, 11))

    with pytest.raises(InvalidInput, match=r"extract\(\)"):
        flights.train(context)
