"""``exia decisions``: what the gate said about each challenger, refusals included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from airflow_provider_exia.cli.output import Column, json_option, print_json, print_table, time_text
from airflow_provider_exia.cli.places import with_library

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary
    from airflow_provider_exia.monitoring.decisions import GateDecision

_COLUMNS = (
    Column(title="WHEN"),
    Column(title="VERSION"),
    Column(title="AGAINST"),
    Column(title="VERDICT"),
    Column(title="LOSS", right=True),
    Column(title="GAIN", right=True),
    Column(title="LOWER BOUND", right=True),
    Column(title="WHY", wraps=True),
)


@click.command()
@click.argument("model")
@json_option
@with_library
def decisions(library: ModelLibrary, *, model: str, as_json: bool) -> None:
    """List what the gate decided on MODEL, newest first."""
    from airflow_provider_exia.monitoring.decisions import DecisionLog

    library.versions(model)  # an unknown model is an error, not an empty list
    found = DecisionLog(library.resources.documents).of_model(model)
    if as_json:
        print_json([_facts(decision) for decision in found])
    elif not found:
        click.echo(f"No gate has judged a version of {model!r} yet.", err=True)
    else:
        print_table(_COLUMNS, [_row(decision) for decision in found])


def _facts(decision: GateDecision) -> dict[str, Any]:
    from airflow_provider_exia.storage.codec import to_document

    document = to_document(decision)
    del document["revision"]  # the store's own bookkeeping
    return {"id": decision.id, **document}


def _row(decision: GateDecision) -> tuple[str, ...]:
    judgement = decision.judgement
    return (
        time_text(decision.at),
        f"{decision.model}/{decision.challenger}",
        "" if decision.champion is None else f"{decision.model}/{decision.champion}",
        judgement.verdict.value,
        " -> ".join(_number(loss) for loss in (judgement.champion_loss, judgement.challenger_loss) if loss is not None),
        "" if judgement.gain is None else f"{judgement.gain:+.4g}",
        "" if judgement.lower_bound is None else f"{judgement.lower_bound:+.4g}",
        "; ".join(judgement.reasons),
    )


def _number(loss: float) -> str:
    return f"{loss:.4g}"
