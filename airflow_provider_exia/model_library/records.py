"""What the model library keeps, as values, and the collections that they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from airflow_provider_exia.storage.codec import LATER, STRICT, Moment
from airflow_provider_exia.storage.documents import Collection


class State(StrEnum):
    """The life of a version's document. Being retired is a fact of the model's journal, not a state."""

    PENDING = "PENDING"
    READY = "READY"
    ABANDONED = "ABANDONED"
    COLLECTED = "COLLECTED"


class Role(StrEnum):
    """What a file of a version is for."""

    MODEL = "model"
    HOLDOUT = "holdout"
    OTHER = "other"


class Action(StrEnum):
    """What an entry of a model's journal did."""

    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETIRE = "retire"
    RESTORE = "restore"
    COLLECT = "collect"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One file of a version.

    :param path: relative, plain segments
    :param role: what it is for
    :param sha256: of its bytes, hexadecimal
    :param size: in bytes
    """

    path: str
    role: Role
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The version in another library that this one is a copy of; model, files and format are the same.

    :param number: its number there
    :param signature: its signature there, over the manifest with that number
    :param ready_at: when it became READY there
    """

    number: int
    signature: str | None = None
    ready_at: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a version came from.

    :param as_of: event time up to which data was used
    :param data_digest: SHA-256 of the training data
    :param parameters: settings of the training
    :param training_blocks: the blocks (days, customers) it was trained on; the gate refuses a holdout with one of them
    :param dag_run: ``dag_id``, ``run_id``, ``task_id``, ``map_index`` of the task that published it
    :param code_version: of the code that trained, as its authors count
    :param environment: distribution name to version, with ``python``
    :param champion: reference of the champion when training began
    :param snapshot: the parameters in Consul that were fixed for the run: prefix, values, sources, digest
    :param origins: the versions in other libraries that this one was copied from, the first one first
    """

    as_of: Moment | None = None
    data_digest: str | None = None
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    training_blocks: tuple[str, ...] | None = None
    dag_run: Mapping[str, JsonValue] | None = None
    code_version: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    champion: str | None = None
    snapshot: Annotated[Mapping[str, JsonValue] | None, LATER] = None
    origins: Annotated[tuple[Origin, ...], LATER] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One immutable publication of a model, as its document says.

    :param model: the model's name
    :param number: unique in the model; grows, with gaps
    :param publication: SHA-256 over work key and digest: the same work with the same bytes is the same publication
    :param work: what makes a retry the same work
    :param digest: SHA-256 over the list of files and the format
    :param format: of the file with the role ``model``
    :param files: all its files, by path
    :param state: only READY can be used
    :param metrics: name to value, as measured by the training
    :param lineage: where it came from
    :param input_schema: column name to type of what the model expects
    :param signature: over the manifest, where a key is configured
    :param supersedes: number of the newest version of the same work with other bytes, for information
    :param created_at: when the publication began
    :param ready_at: when it became READY
    :param inline: path to text of the files that lie in this document and not in the blob store
    :param revision: of the document
    """

    model: str
    number: int
    publication: str
    work: str
    digest: str
    format: str
    files: tuple[FileRecord, ...]
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    input_schema: Mapping[str, str] | None = None
    signature: str | None = None
    supersedes: int | None = None
    created_at: Moment
    ready_at: Moment | None = None
    inline: Annotated[Mapping[str, str] | None, LATER] = None
    revision: int = 0

    __pydantic_config__ = STRICT

    @property
    def reference(self) -> str:
        """The reference that always names this version, as in ``flight_delay/3``."""
        return f"{self.model}/{self.number}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def inline_text(self, path: str) -> str | None:
        """Return the text of a file that lies in this document; None: it lies in the blob store."""
        return self.inline.get(path) if self.inline else None

    def file(self, role: Role) -> FileRecord | None:
        """Return the first file with this role, or None."""
        return next((file for file in self.files if file.role is role), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasState:
    """Where an alias stands after a journal entry.

    :param since: sequence of the alias's last move
    :param stack: version numbers: the live one, then what a rollback returns to
    """

    since: int
    stack: Annotated[tuple[int, ...], Field(min_length=1)]

    @property
    def live(self) -> int:
        """Number of the version the alias names."""
        return self.stack[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One change of a model's aliases or of a version's standing; the newest entry is the state.

    :param model: the model's name
    :param sequence: 1, 2, 3, ... without a hole
    :param action: what was done
    :param version: the version it is about (for a rollback: the one returned to)
    :param alias: the alias that moved, for promote and rollback
    :param token: names the operation, so that a repetition finds its own entry
    :param expected: the ``since`` on which the caller decided
    :param by: who did it
    :param reason: why, in words
    :param decision: id of the gate's decision, where there was one
    :param at: when; never earlier than the entry before
    :param aliases: all aliases after this entry
    :param revision: of the document
    """

    model: str
    sequence: int
    action: Action
    version: int
    alias: str | None = None
    token: str
    expected: int | None = None
    by: str
    reason: str = ""
    decision: str | None = None
    at: Moment
    aliases: Mapping[str, AliasState]
    revision: int = 0

    __pydantic_config__ = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The version that one DAG run uses wherever it names a reference.

    :param scope: names the run
    :param reference: as written in the DAG
    :param version: the number it meant at the run's first look
    :param revision: of the document
    """

    scope: str
    reference: str
    version: int
    revision: int = 0

    __pydantic_config__ = STRICT


VERSIONS = Collection(
    name="versions",
    fields={"model": str, "publication": str, "number": int, "work": str, "state": str},
    unique=(("model", "publication"), ("model", "number")),
    indexes=(("model", "work", "number"), ("model", "state", "number")),
)
MODEL_JOURNAL = Collection(
    name="model_journal",
    fields={"model": str, "sequence": int, "token": str, "version": int, "at": str},
    unique=(("model", "sequence"),),
    indexes=(("model", "token", "sequence"), ("model", "version", "sequence"), ("model", "at", "sequence")),
)
PINS = Collection(
    name="pins",
    fields={"scope": str, "reference": str, "version": int},
    unique=(("scope", "reference"),),
)
