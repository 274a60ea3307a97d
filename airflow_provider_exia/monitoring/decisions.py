"""The gate's decisions, kept with their inputs: one per piece of work, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.monitoring.gate import Judgement
from airflow_provider_exia.storage.codec import STRICT, Moment, from_document, to_document
from airflow_provider_exia.storage.documents import Collection, DocumentStore, Query, WriteConflict, WriteUnknown

DECISIONS = Collection(
    name="decisions",
    fields={"model": str, "work": str, "at": str},
    unique=(("model", "work"),),
    indexes=(("model", "at"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """What the gate decided about one version, and on what.

    :param model: the model's name
    :param work: the work key of the gate's task
    :param challenger: number of the version that was judged
    :param champion: number of the version it was judged against, or None
    :param alias: the alias that the challenger wants
    :param since: of that alias when the gate began; a promotion on an older champion is refused
    :param holdout_digest: SHA-256 of the file that both were scored on
    :param policy: the policy's values
    :param judgement: verdict and numbers
    :param at: when it was decided
    :param revision: of the document
    """

    model: str
    work: str
    challenger: int
    champion: int | None
    alias: str
    since: int
    holdout_digest: str | None
    policy: Mapping[str, JsonValue]
    judgement: Judgement
    at: Moment
    revision: int = 0

    __pydantic_config__ = STRICT

    @property
    def id(self) -> str:
        """What names the decision in XCom, in the journal and in messages."""
        return f"{self.model}:{self.work}"

    def describe(self) -> str:
        """Return the decision in one line, with its numbers."""
        against = f" against {self.model}/{self.champion}" if self.champion is not None else ""
        return f"{self.model}/{self.challenger}{against}: {self.judgement.describe(str(self.policy['metric']))}"


class DecisionLog:
    """The decisions of all models.

    :param documents: where they lie
    """

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents

    def find(self, model: str, work: str) -> GateDecision | None:
        """Return the decision of one piece of work, or None."""
        document = self._documents.get(DECISIONS, {"model": model, "work": work})
        return None if document is None else from_document(GateDecision, document)

    def get(self, decision_id: str) -> GateDecision:
        """Return a decision by its id.

        :raises InvalidInput: there is none
        """
        model, _, work = decision_id.partition(":")
        decision = self.find(model, work) if work else None
        if decision is None:
            raise InvalidInput(f"no decision {decision_id!r}: pass on what the gate's task returned")
        return decision

    def record(self, decision: GateDecision) -> GateDecision:
        """Keep a decision; where this work has decided already, that decision stands.

        :returns: the decision that stands
        :raises WriteUnknown: no answer, and no decision to be seen: run the same work again
        """
        try:
            self._documents.insert(DECISIONS, to_document(decision))
        except (WriteConflict, WriteUnknown):
            standing = self.find(decision.model, decision.work)
            if standing is None:
                raise
            return standing
        return decision

    def of_model(self, model: str) -> list[GateDecision]:
        """Return all decisions about a model, newest first."""
        query = Query(where={"model": model}, order="at", descending=True)
        return [from_document(GateDecision, document) for document in self._documents.find(DECISIONS, query)]
