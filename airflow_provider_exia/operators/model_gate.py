"""The gate: champion against challenger on the challenger's holdout."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.functions import Function, load_function
from airflow_provider_exia.operators.base import ExiaOperator
from airflow_provider_exia.operators.scoring import call_score
from airflow_provider_exia.task_identity import work_key

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_exia.model_library.records import Version
    from airflow_provider_exia.monitoring.gate import Judgement
    from airflow_provider_exia.monitoring.policy import Policy


class ModelGateOperator(ExiaOperator):
    """Decide whether a version may become champion, and keep the decision with its numbers.

    :param challenger: reference of the version to judge, as the training task returns it (templated)
    :param score: ``score(model, data) -> Scores``, or ``"package.module:function"``; ``data`` is the holdout's path
    :param policy: minimum gain, confidence and limits
    :param alias: the alias that the challenger wants (templated)
    :returns: the decision's id, for ``ModelPromoteOperator(decision=...)``
    :raises InvalidInput: there is no holdout, it overlaps the training data, or the scores cannot be used
    """

    template_fields: Sequence[str] = ("challenger", "alias")

    def __init__(
        self, *, challenger: str, score: Function, policy: Policy, alias: str = "champion", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.challenger = challenger
        self.score = score
        self.policy = policy
        self.alias = alias

    def execute(self, context: Context) -> str:
        """Find the decision of an earlier try, or score and decide."""
        from airflow_provider_exia.model_library.records import Role
        from airflow_provider_exia.monitoring.decisions import GateDecision

        challenger = self.library.resolve(self.challenger)
        work = work_key(context, self.alias)
        decision = self.hook.decisions.find(challenger.model, work)
        if decision is None:
            # One journal entry gives champion and since: the decision is about exactly this champion.
            alias = self.library.alias(challenger.model, self.alias)
            champion = alias.live if alias.stack else None
            holdout = challenger.file(Role.HOLDOUT)
            decision = self.hook.decisions.record(
                GateDecision(
                    model=challenger.model,
                    work=work,
                    challenger=challenger.number,
                    champion=champion,
                    alias=self.alias,
                    since=alias.since,
                    holdout_digest=holdout.sha256 if holdout else None,
                    policy=self.policy.as_document(),
                    judgement=self._judge(challenger, champion),
                    at=self.library.resources.clock.now(),
                )
            )
        self.log.info("%s", decision.describe())
        return decision.id

    def _judge(self, challenger: Version, champion: int | None) -> Judgement:
        from airflow_provider_exia.model_library.records import Role
        from airflow_provider_exia.monitoring.gate import check_holdout_blocks, judge, judge_first

        if champion == challenger.number:
            raise InvalidInput(f"{challenger.reference} is {self.alias} already: there is nothing to decide")
        holdout = challenger.file(Role.HOLDOUT)
        if holdout is None:
            if champion is None:
                return judge_first(None)
            raise InvalidInput(
                f"{challenger.reference} has no holdout to be judged on: return TrainedModel(..., holdout=...) from "
                "train(), or give ModelWriteOperator a holdout"
            )
        score = load_function(self.score, purpose="score")
        with tempfile.TemporaryDirectory(prefix="exia-") as folder:
            self.library.fetch(challenger, folder)
            data = str(Path(folder) / holdout.path)
            challenger_scores = call_score(score, self.library.load(challenger), data)
            check_holdout_blocks(challenger_scores, challenger.lineage.training_blocks or ())
            if champion is None:
                return judge_first(challenger_scores)
            champion_scores = call_score(score, self.library.load(f"{challenger.model}/{champion}"), data)
        return judge(self.policy, champion_scores, challenger_scores)
