"""Who may move a protected alias.

This guards against mistakes: a move by a DAG or a person that was not meant to make it. It does not guard against
somebody who holds the credentials of the stores, and can write there without asking this code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import MoveRefused
from airflow_provider_exia.model_library.names import check_alias, check_model_name

if TYPE_CHECKING:
    from airflow_provider_exia.task_identity import Actor

MONITOR = "monitor"
_MOVER = re.compile(rf"dag:\S+|person:\S.*|{MONITOR}")
_SHAPE = '{"champion": ["dag:churn_train", "person:ann", "monitor"]}'


class AliasProtected(MoveRefused):
    """The alias may be moved by others only.

    :param model: the model
    :param alias: the alias
    :param actor: who tried
    :param movers: who may
    """

    def __init__(self, *, model: str, alias: str, actor: Actor, movers: Sequence[str]) -> None:
        self.model, self.alias, self.actor, self.movers = model, alias, actor, tuple(movers)
        who = f"{actor.kind}:{actor.name}"
        super().__init__(
            f"alias {alias!r} of {model!r} is protected: it is moved by {_in_words(movers)}, not by {_in_words([who])};"
            " let one of them do it, or change the protected aliases of the connection"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Who may move which alias. An alias that is not named may be moved by anybody.

    :param movers: alias, or ``model@alias`` for one model's, to those who may move it: ``dag:<dag_id>``,
        ``person:<login>``, and ``monitor`` for what a monitor rolls back by itself, in whichever DAG
    """

    movers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def check(self, model: str, alias: str, actor: Actor) -> None:
        """Refuse a move by somebody who is not named.

        :raises AliasProtected: the alias is protected, and the actor is not among its movers
        """
        movers = self.movers.get(f"{model}@{alias}", self.movers.get(alias))
        if movers is None or f"{actor.kind}:{actor.name}" in movers or (actor.automatic and MONITOR in movers):
            return
        raise AliasProtected(model=model, alias=alias, actor=actor, movers=movers)


def read_permissions(written: Any) -> Permissions:
    """Read who may move which alias, as JSON text or as the value it means.

    :raises InvalidInput: it has another shape, or a name that can be none
    """
    if isinstance(written, str):
        try:
            written = json.loads(written or "{}")
        except ValueError as error:
            raise InvalidInput(f"it is no JSON ({error}): expected it as in {_SHAPE}") from error
    written = {} if written is None else written
    if not isinstance(written, Mapping):
        raise InvalidInput(f"it is {written!r}: expected aliases with those who may move them, as in {_SHAPE}")
    return Permissions(movers={_checked_alias(name): _checked_movers(name, movers) for name, movers in written.items()})


def _checked_alias(name: str) -> str:
    model, found, alias = name.rpartition("@")
    if found:
        check_model_name(model)
    check_alias(alias)
    return name


def _checked_movers(name: str, movers: Any) -> tuple[str, ...]:
    listed = isinstance(movers, list | tuple) and all(isinstance(mover, str) for mover in movers)
    wrong = [mover for mover in movers if not _MOVER.fullmatch(mover)] if listed else [movers]
    if wrong:
        raise InvalidInput(
            f"{name!r} has {wrong[0]!r}: expected a list of 'dag:<dag_id>', 'person:<login>' and 'monitor', as in "
            f"{_SHAPE}"
        )
    return tuple(movers)


def _in_words(movers: Sequence[str]) -> str:
    """Say who is meant, as in "the DAG churn_train, ann, or a monitor by itself"."""
    words = []
    for mover in movers:
        kind, _, name = mover.partition(":")
        words.append({"dag": f"the DAG {name}", "person": name}.get(kind, "a monitor by itself"))
    if not words:
        return "nobody"
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
