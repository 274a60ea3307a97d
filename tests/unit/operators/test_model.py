"""Write, read, promote and roll back as tasks: what they hand on, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.hooks.model_library import ModelLibraryHook
from airflow_provider_exia.model_library.exceptions import (
    AliasMoved,
    NotFound,
    NothingToRollBackTo,
    TokenTaken,
    UnknownModel,
)
from airflow_provider_exia.model_library.records import Role
from airflow_provider_exia.monitoring.decisions import DecisionLog, GateDecision
from airflow_provider_exia.monitoring.gate import Judgement, Verdict
from airflow_provider_exia.operators.model import (
    ModelPromoteOperator,
    ModelReadOperator,
    ModelRollbackOperator,
    ModelWriteOperator,
)
from tests.unit.operators.conftest import NOON, context_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary


def write_json(path: Path, value: Any) -> str:
    path.write_text(json.dumps(value))
    return str(path)


def publish(library: ModelLibrary, folder: Path, *values: Any) -> None:
    """Publish one version of ``delay`` for each value."""
    for value in values:
        library.publish("delay", write_json(folder / "model.json", value), format="json")


def decide(library: ModelLibrary, verdict: Verdict, *, challenger: int, since: int, champion: int | None = None) -> str:
    """Keep a decision of the gate and return its id."""
    scored = {
        "champion_loss": 0.2,
        "challenger_loss": 0.19,
        "gain": 0.01,
        "lower_bound": -0.01,
        "rows": 70,
        "blocks": 7,
    }
    decision = GateDecision(
        model="delay",
        work=f"gate of {challenger}",
        challenger=challenger,
        champion=champion,
        alias="champion",
        since=since,
        holdout_digest=None,
        policy={"metric": "brier"},
        judgement=Judgement(verdict=verdict, **scored),
        at=NOON,
    )
    return DecisionLog(library.resources.documents).record(decision).id


def test_written_files_are_one_version_with_its_lineage(library: ModelLibrary, tmp_path: Path) -> None:
    operator = ModelWriteOperator(
        task_id="write",
        model="delay",
        file=write_json(tmp_path / "rules.json", {"limit": 15}),
        format="json",
        holdout=write_json(tmp_path / "week.json", [1, 2]),
        others=[write_json(tmp_path / "words.json", ["JFK"])],
        metrics={"brier": "0.2"},  # type: ignore[dict-item]  # what a template renders
        parameters={"depth": 3},
    )

    reference = operator.execute(context_of("write"))

    version = library.resolve(reference)
    assert reference == "delay/1"
    assert {file.path: file.role for file in version.files} == {
        "rules.json": Role.MODEL,
        "week.json": Role.HOLDOUT,
        "words.json": Role.OTHER,
    }
    assert (version.metrics, version.lineage.parameters) == ({"brier": 0.2}, {"depth": 3})
    assert version.lineage.dag_run == {"dag_id": "delay", "run_id": "week-9", "task_id": "write", "map_index": -1}


def test_a_retry_writes_no_second_version_and_a_cleared_task_does(library: ModelLibrary, tmp_path: Path) -> None:
    def write(**changes: Any) -> str:
        file = write_json(tmp_path / "rules.json", {"limit": 15})
        return ModelWriteOperator(task_id="write", model="delay", file=file, format="json").execute(
            context_of("write", **changes)
        )

    assert [write(), write(try_number=2), write(clear_number=1)] == ["delay/1", "delay/1", "delay/2"]
    assert len(library.versions("delay")) == 2


def test_an_inline_value_is_a_version_beside_its_holdout(library: ModelLibrary, tmp_path: Path) -> None:
    holdout = write_json(tmp_path / "week.json", [1, 2])
    operator = ModelWriteOperator(
        task_id="write", model="delay", inline={"limit": 15}, format="json", holdout=holdout, metrics={"brier": 0.2}
    )

    again = [operator.execute(context_of("write")), operator.execute(context_of("write", try_number=2))]

    version = library.resolve("delay/1")
    assert again == ["delay/1", "delay/1"]
    assert (version.inline, version.metrics) == ({"model.json": '{"limit":15}'}, {"brier": 0.2})
    assert [file.path for file in version.files if file.role is Role.HOLDOUT] == ["week.json"]
    assert ModelLibraryHook().read_inline("delay@latest") == {"limit": 15}


@pytest.mark.parametrize("value", [0, [], "", False], ids=repr)
def test_an_empty_inline_value_is_a_value(library: ModelLibrary, value: Any) -> None:
    ModelWriteOperator(task_id="write", model="delay", inline=value, format="json").execute(context_of("write"))

    assert library.read_inline("delay/1") == value


def test_an_inline_value_is_rendered(library: ModelLibrary) -> None:
    operator = ModelWriteOperator(task_id="write", model="delay", inline={"limit": "{{ limit }}"}, format="json")
    context = context_of("write")

    operator.render_template_fields({**context, "limit": 15})
    operator.execute(context)

    assert library.read_inline("delay/1") == {"limit": "15"}


@pytest.mark.parametrize("both", [{"file": "model.json", "inline": 1}, {}], ids=["both", "neither"])
@pytest.mark.usefixtures("library")
def test_either_a_file_or_a_value_is_written(both: dict[str, Any]) -> None:
    operator = ModelWriteOperator(task_id="write", model="delay", format="json", **both)

    with pytest.raises(InvalidInput, match="ModelWriteOperator of 'delay': give either 'file' or 'inline'"):
        operator.execute(context_of("write"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"file": "/no/such/model.json"}, "/no/such/model.json: no such file to publish"),
        ({"format": "pickle"}, "a pickle file of 'delay' is refused without a signing key"),
        ({"format": "pmml"}, "'pmml' is no model format: expected one of code, json, onnx, raw, safetensors, skops"),
        ({"format": "skops"}, "model.json is not a skops file"),
        ({"holdout": "/no/such/week.json"}, "/no/such/week.json: no such file to publish"),
        ({"metrics": {"brier": "low"}}, "metric 'brier' of 'delay' is 'low': expected a number"),
        ({"metrics": {"brier": "nan"}}, "metric 'brier' of 'delay' is nan: expected a finite number"),
        ({"parameters": {"since": NOON}}, "parameter 'since' of 'delay'"),
        ({"model": "Delay of flights"}, "'Delay of flights'"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(
    library: ModelLibrary, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    file = write_json(tmp_path / "model.json", {"limit": 15})
    operator = ModelWriteOperator(**{"task_id": "w", "model": "delay", "file": file, "format": "json", **changes})

    with pytest.raises(Exception, match=problem):
        operator.execute(context_of("write"))

    assert library.models() == []


def test_reading_hands_on_the_number_and_writes_the_files(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, {"limit": 15})
    library.promote("delay/1")

    reference = ModelReadOperator(task_id="read", reference="delay@champion", folder=str(tmp_path / "out")).execute(
        context_of("read")
    )

    assert reference == "delay/1"
    assert json.loads((tmp_path / "out" / "model.json").read_text()) == {"limit": 15}


def test_a_run_reads_the_version_that_it_saw_first(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    library.promote("delay/1")
    read = ModelReadOperator(task_id="read", reference="delay@champion")
    before = read.execute(context_of("first"))

    library.promote("delay/2")

    assert (before, read.execute(context_of("second", clear_number=1))) == ("delay/1", "delay/1")
    assert read.execute(context_of("first", run_id="week-10")) == "delay/2"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("cancelled@champion", "no model 'cancelled'"),
        ("delay/7", "no version delay/7"),
        ("delay@shadow", "model 'delay' has no alias 'shadow'"),
    ],
)
def test_a_reference_to_nothing_is_refused(library: ModelLibrary, tmp_path: Path, reference: str, problem: str) -> None:
    publish(library, tmp_path, 1)

    with pytest.raises(NotFound, match=problem):
        ModelReadOperator(task_id="read", reference=reference).execute(context_of("read"))


def test_a_promotion_is_signed_by_the_task(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1)

    promoted = ModelPromoteOperator(task_id="promote", reference="delay/1", reason="by hand").execute(
        context_of("promote")
    )

    (entry,) = library.history("delay")
    assert promoted == "delay/1"
    assert (entry.by, entry.reason, entry.decision) == ("delay/week-9/promote", "by hand", None)


def test_a_retry_of_a_promotion_finds_its_own_move(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    decision = decide(library, Verdict.ACCEPTED, challenger=1, since=0)
    promote = ModelPromoteOperator(task_id="promote", decision=decision)
    promote.execute(context_of("promote"))
    library.promote("delay/2")

    again = promote.execute(context_of("promote", try_number=2))

    assert again == "delay/1"
    assert [entry.version for entry in library.history("delay")] == [2, 1]


def test_a_training_run_of_an_episode_may_promote_more_than_one_alias(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    library.promote("delay/1")
    context = context_of("promote")
    context["dag_run"].conf = {"monitor": "loss", "episode": 3, "ticket": "t"}

    for alias in ("canary", "champion"):
        ModelPromoteOperator(task_id="promote", reference="delay/2", alias=alias).execute(context)

    assert (library.alias("delay", alias="canary").live, library.alias("delay").live) == (2, 2)
    assert [entry.token for entry in library.history("delay")][:2] == [
        "episode:loss:3:champion",
        "episode:loss:3:canary",
    ]


def test_an_episode_does_not_promote_a_second_version_and_says_so(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    context = context_of("promote")
    context["dag_run"].conf = {"monitor": "loss", "episode": 3, "ticket": "t"}
    ModelPromoteOperator(task_id="promote", reference="delay/1").execute(context)

    with pytest.raises(TokenTaken, match="promote of version 1 as champion.*promote of version 2 as champion"):
        ModelPromoteOperator(task_id="promote", reference="delay/2").execute(context)


def test_a_promotion_keeps_the_decision_and_its_numbers(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1)
    decision = decide(library, Verdict.ACCEPTED, challenger=1, since=0)

    ModelPromoteOperator(task_id="promote", decision=decision).execute(context_of("promote"))

    (entry,) = library.history("delay")
    assert entry.decision == decision
    assert "gain +0.01" in entry.reason


def test_a_refused_challenger_skips_the_promotion_with_the_numbers(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    library.promote("delay/1")
    decision = decide(library, Verdict.REFUSED, challenger=2, champion=1, since=1)

    with pytest.raises(AirflowSkipException, match=r"delay/2 against delay/1: refused: brier 0.2 -> 0.19, gain \+0.01"):
        ModelPromoteOperator(task_id="promote", decision=decision).execute(context_of("promote"))

    assert library.alias("delay").live == 1


def test_a_decision_about_an_older_champion_is_refused_and_names_who_moved_the_alias(
    library: ModelLibrary, tmp_path: Path
) -> None:
    publish(library, tmp_path, 1, 2, 3)
    library.promote("delay/1")
    decision = decide(library, Verdict.ACCEPTED, challenger=2, champion=1, since=1)
    library.promote("delay/3", by="ann")

    with pytest.raises(AliasMoved) as caught:
        ModelPromoteOperator(task_id="promote", decision=decision).execute(context_of("promote"))

    assert str(caught.value) == (
        "alias 'champion' of 'delay' is at move 2 (version 3, promote by ann), not at move 1 as it was when this was "
        "decided: look again ('exia history delay') before moving it"
    )
    assert caught.value.winner is not None
    assert library.alias("delay").live == 3


def test_a_first_champion_that_came_second_is_refused(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    decision = decide(library, Verdict.FIRST, challenger=2, since=0)
    library.promote("delay/1")

    with pytest.raises(AliasMoved, match="not at move 0"):
        ModelPromoteOperator(task_id="promote", decision=decision).execute(context_of("promote"))


@pytest.mark.parametrize("change", [{"reference": "delay/1"}, {"alias": "shadow"}])
def test_a_decision_about_something_else_is_refused(
    library: ModelLibrary, tmp_path: Path, change: dict[str, str]
) -> None:
    publish(library, tmp_path, 1, 2)
    decision = decide(library, Verdict.ACCEPTED, challenger=2, since=0)

    with pytest.raises(InvalidInput, match="the decision is about delay/2 as champion, not about"):
        ModelPromoteOperator(task_id="promote", decision=decision, **change).execute(context_of("promote"))


def test_the_version_may_be_named_beside_the_decision(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2)
    decision = decide(library, Verdict.ACCEPTED, challenger=2, since=0)

    operator = ModelPromoteOperator(task_id="promote", decision=decision, reference="delay/2")

    assert operator.execute(context_of("promote")) == "delay/2"


@pytest.mark.parametrize("empty", [{}, {"reference": ""}, {"reference": None, "decision": ""}])
def test_a_promotion_of_nothing_is_refused(library: ModelLibrary, empty: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="give a reference, a decision of the gate, or both"):
        ModelPromoteOperator(task_id="promote", **empty).execute(context_of("promote"))


def test_an_unknown_decision_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(InvalidInput, match="no decision 'delay:lost': pass on what the gate's task returned"):
        ModelPromoteOperator(task_id="promote", decision="delay:lost").execute(context_of("promote"))


def test_two_rollbacks_go_back_two_versions_and_a_retry_none(library: ModelLibrary, tmp_path: Path) -> None:
    publish(library, tmp_path, 1, 2, 3)
    for number in (1, 2, 3):
        library.promote(f"delay/{number}")
    rollback = ModelRollbackOperator(task_id="rollback", model="delay", reason="worse")

    live = [
        rollback.execute(context_of("rollback")),
        rollback.execute(context_of("rollback", try_number=2)),
        rollback.execute(context_of("rollback", run_id="week-10")),
    ]

    assert live == ["delay/2", "delay/2", "delay/1"]
    with pytest.raises(NothingToRollBackTo, match="promote the version you want instead"):
        rollback.execute(context_of("rollback", run_id="week-11"))


def test_a_rollback_of_an_unknown_model_is_refused(library: ModelLibrary) -> None:
    with pytest.raises(UnknownModel, match="no model 'delay'"):
        ModelRollbackOperator(task_id="rollback", model="delay").execute(context_of("rollback"))
