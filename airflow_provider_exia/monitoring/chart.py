"""The chart of a monitor: its metric, the thresholds, the states, and what happened. Plain data in, a PNG out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from airflow_provider_exia.exceptions import InvalidInput, MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from airflow_provider_exia.monitoring.entries import MonitorEntry
    from airflow_provider_exia.monitoring.policy import Policy

Place: TypeAlias = float | datetime
"""Where something stands on the time axis: a moment, or the number of a week."""

_STATES = {
    "HEALTHY": "#b7d9b9",
    "SUSPECT": "#f2d57e",
    "DEGRADED": "#e8884a",
    "RETRAINING": "#4f83b8",
    "ENDED": "#b9b9b9",
    "CANDIDATE": "#b59fd4",
    "ROLLED_BACK": "#c65a5a",
    "HALTED": "#3c3c3c",
}
_SERIES = ("#2f5f8f", "#d07f1e", "#3d8b57", "#8457a8", "#b03a36", "#4d4d4d")
_KINDS = {
    "degraded": ("o", "#d9682b"),
    "promoted": ("^", "#2f8f4e"),
    "refused": ("X", "#8a8a8a"),
    "rolled back": ("v", "#b8302f"),
    "halted": ("s", "#3c3c3c"),
    "blind": ("D", "#b9a400"),
}
_OTHER_KIND = ("|", "#333333")
_KIND_OF_ACTION = {
    "degraded": "degraded",
    "retrain asked": "degraded",
    "refused": "refused",
    "failed": "refused",
    "promoted": "promoted",
    "rolled back": "rolled back",
    "halted": "halted",
    "stopped": "halted",
    "resumed": "resumed",
}
_MOST_LABELS = 40
_LABEL_DISTANCE = 0.017  # of the width: what a slanted line of text needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One value of the metric.

    :param place: on the time axis
    :param value: None: a gap in the line
    :param series: what it belongs to, as in "version 2"; empty: no legend
    """

    place: Place
    value: float | None
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A stretch of time in one state.

    :param state: name of a monitor's state
    :param blind: whether nothing was heard in it
    """

    start: Place
    end: Place
    state: str
    blind: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened.

    :param place: on the time axis
    :param kind: ``degraded``, ``promoted``, ``refused``, ``rolled back``, ``halted``, ``blind``, or another word
    :param label: a few words; empty: the kind
    """

    place: Place
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What is written on a chart.

    :param title: above it
    :param time: along the time axis; empty where dates speak for themselves
    :param metric: along the other one
    """

    title: str
    metric: str
    time: str = ""


def draw(
    path: Path,
    dots: Sequence[Dot],
    *,
    words: Words,
    thresholds: Sequence[tuple[str, float]] = (),
    bands: Iterable[Band] = (),
    marks: Iterable[Mark] = (),
) -> None:
    """Draw a chart into a PNG file.

    :param path: the file; replaced if it exists
    :param dots: the metric, in order of time
    :param words: what is written on it
    :param thresholds: names and values, as in ``("bad from", 0.1975)``
    :param bands: of states, in order of time
    :param marks: what happened, in order of time
    :raises InvalidInput: there is nothing to draw, or the file cannot be written
    :raises MissingExtra: matplotlib is not installed
    """
    if not dots:
        raise InvalidInput(f"{path}: there is no point to draw")
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra(library="matplotlib", extra="demo", purpose="drawing a chart") from error
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    top, axes, strip = figure.subplots(3, 1, sharex=True, height_ratios=(0.9, 5, 0.45))
    _draw_metric(axes, dots, thresholds)
    shown = list(bands)
    _draw_bands(strip, axes, shown)
    _draw_marks(top, axes, list(marks), [dot.place for dot in dots])
    figure.suptitle(words.title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    axes.set_ylabel(words.metric)
    strip.set_xlabel(words.time)
    _write_legends(figure, axes, shown, has_series=any(dot.series for dot in dots))
    try:
        figure.savefig(path, dpi=130, format="png")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}; name another file") from error


def bands_of(entries: Sequence[MonitorEntry], until: datetime) -> list[Band]:
    """Return the states that a journal went through, in event time.

    :param entries: oldest first
    :param until: where the last state's band ends
    """
    ends = [*(entry.event_time for entry in entries[1:]), until]
    return [
        Band(start=entry.event_time, end=end, state=entry.state, blind=entry.blind_since is not None)
        for entry, end in zip(entries, ends, strict=True)
        if end > entry.event_time
    ]


def marks_of(entries: Sequence[MonitorEntry]) -> list[Mark]:
    """Return what happened according to a journal.

    :param entries: oldest first
    """
    marks: list[Mark] = []
    was_blind = False
    for entry in entries:
        kind = _KIND_OF_ACTION.get(entry.action)
        if kind is not None:
            label = f"episode {entry.episode}" if kind == "degraded" else entry.action
            marks.append(Mark(place=entry.event_time, kind=kind, label=label))
        is_blind = entry.blind_since is not None
        if is_blind and not was_blind:
            marks.append(Mark(place=entry.event_time, kind="blind"))
        was_blind = is_blind
    return marks


def thresholds_of(policy: Policy) -> list[tuple[str, float]]:
    """Return the lines of a policy: where bad begins, and where good does."""
    lines: list[tuple[str, float]] = []
    leave = None if policy.exit == policy.enter else policy.exit
    for name, limit in (("bad from", policy.enter), ("good from", leave)):
        if limit is not None:
            lines += [(name, value) for value in (limit if isinstance(limit, tuple) else (limit,))]
    return lines


def _draw_metric(axes: Axes, dots: Sequence[Dot], thresholds: Sequence[tuple[str, float]]) -> None:
    places, values = [_number(dot.place) for dot in dots], [_value(dot) for dot in dots]
    size = 26 if len(dots) <= 120 else 9
    axes.plot(places, values, color="#9a9a9a", linewidth=1.1, zorder=2)
    names = list(dict.fromkeys(dot.series for dot in dots))
    for index, name in enumerate(names):
        own = [place for place, dot in enumerate(dots) if dot.series == name]
        axes.scatter(
            [places[place] for place in own],
            [values[place] for place in own],
            color=_SERIES[index % len(_SERIES)],
            s=size,
            zorder=3,
            label=name or None,
        )
    for name, value in thresholds:
        axes.axhline(value, linestyle="--" if name.startswith("bad") else ":", color="#555555", linewidth=1.0)
        axes.annotate(
            f"{name} {value:g}",
            (1.004, value),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
            color="#333333",
        )
    if isinstance(dots[0].place, datetime):
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()  # type: ignore[no-untyped-call]  # no types there
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # no types there
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.015)
    _keep_readable(axes, dots, [value for _name, value in thresholds])


def _keep_readable(axes: Axes, dots: Sequence[Dot], limits: Sequence[float]) -> None:
    """Let a few far-off values not flatten all others: they are written at the edge, with an arrow, where they left."""
    values = sorted(dot.value for dot in dots if dot.value is not None)
    if not values:
        return
    tail = max(len(values) // 10, 1) if len(values) > 4 else 0
    inner = [*values[tail : len(values) - tail], *limits]
    low, high = min(inner), max(inner)
    reach = (high - low) or abs(high) or 1.0
    bottom = low - 0.5 * reach if values[0] < low - reach else min(low, values[0]) - 0.08 * reach
    top = high + 0.5 * reach if values[-1] > high + reach else max(high, values[-1]) + 0.08 * reach
    axes.set_ylim(bottom, top)
    for index, dot in enumerate(dots):
        if dot.value is None or bottom <= dot.value <= top:
            continue
        is_above = dot.value > top
        axes.annotate(
            f"{dot.value:.3g}",
            (_number(dot.place), 0.985 if is_above else 0.015),
            xycoords=("data", "axes fraction"),
            xytext=(0, (-30 if index % 2 else -18) * (1 if is_above else -1)),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            arrowprops={"arrowstyle": "->", "color": "#555555", "linewidth": 0.8},
        )


def _draw_bands(strip: Axes, axes: Axes, bands: Sequence[Band]) -> None:
    for band in bands:
        start, end = _number(band.start), _number(band.end)
        colour = _STATES.get(band.state, "#dddddd")
        strip.axvspan(start, end, color=colour, linewidth=0)
        axes.axvspan(start, end, color=colour, alpha=0.22, linewidth=0, zorder=0)
        if band.blind:
            strip.axvspan(start, end, facecolor="none", edgecolor="#222222", hatch="////", linewidth=0)
    strip.set_yticks([])
    strip.set_ylabel("state", rotation=0, ha="right", va="center")
    strip.spines[["top", "right", "left"]].set_visible(False)


def _draw_marks(top: Axes, axes: Axes, marks: Sequence[Mark], places: Sequence[Place]) -> None:
    """Draw a row of symbols above the metric, each with its words unless there are too many to read."""
    top.axis("off")
    top.set_ylim(0, 1)
    is_crowded = len(marks) > _MOST_LABELS
    reached = float("-inf")
    apart = (_number(places[-1]) - _number(places[0])) * _LABEL_DISTANCE
    for mark in marks:
        place = _number(mark.place)
        symbol, colour = _KINDS.get(mark.kind, _OTHER_KIND)
        axes.axvline(place, color=colour, linewidth=0.9, linestyle=":", zorder=1)
        shown_at = place if is_crowded else max(place, reached + apart)
        reached = shown_at
        top.plot([place, shown_at], [-0.25, 0.1], color=colour, linewidth=0.9, linestyle=":", clip_on=False)
        top.plot([shown_at], [0.1], marker=symbol, color=colour, markersize=7, clip_on=False)
        if is_crowded:
            continue
        top.annotate(
            mark.label or mark.kind,
            (shown_at, 0.3),
            rotation=38,
            rotation_mode="anchor",
            fontsize=8.5,
            color=colour,
            annotation_clip=False,
        )


def _write_legends(figure: Figure, axes: Axes, bands: Sequence[Band], *, has_series: bool) -> None:
    from matplotlib.patches import Patch

    if has_series:
        axes.legend(frameon=False, fontsize=9, loc="best")
    present = {band.state for band in bands if band.end != band.start}
    handles = [
        Patch(color=colour, label=state.lower().replace("_", " "))
        for state, colour in _STATES.items()
        if state in present
    ]
    if any(band.blind for band in bands):
        handles.append(Patch(facecolor="white", edgecolor="#222222", hatch="////", label="blind"))
    if handles:
        figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, fontsize=9)


def _value(dot: Dot) -> float:
    return float("nan") if dot.value is None else dot.value


def _number(place: Place) -> float:
    """Return a place as matplotlib counts: days for moments."""
    if not isinstance(place, datetime):
        return float(place)
    from matplotlib.dates import date2num

    return float(date2num(place))  # type: ignore[no-untyped-call]  # no types there
