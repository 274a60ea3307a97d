"""Documents in MongoDB: the fields of the keys beside the document's text, one collection of ours in one of MongoDB's.

Every change is one conditional write of one document, so a stand-alone server is enough. Every write waits for a
majority and its journal, every read for a majority, from the primary. The driver repeats nothing: an error then
belongs to one attempt, and who asked repeats after reading.
"""

from __future__ import annotations

import importlib.util
import os
import re
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from airflow_provider_exia.crash_points import crash_point
from airflow_provider_exia.exceptions import InvalidInput, MissingExtra
from airflow_provider_exia.storage.codec import read_body
from airflow_provider_exia.storage.documents import (
    BODY,
    REVISION,
    Collection,
    Document,
    Query,
    StorageError,
    StoreRefused,
    StoreUnavailable,
    WriteConflict,
    WriteUnknown,
    body_text,
    check_query,
    check_values,
    field_values,
)
from airflow_provider_exia.storage.mongo_schema import (
    check_schema,
    conflicting_key,
    ensure_indexes,
    has_indexes,
)
from airflow_provider_exia.storage.server_facts import ServerFacts, Way, way_to

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection as Target
    from pymongo.database import Database
    from pymongo.errors import PyMongoError

Result = TypeVar("Result")

SCHEMES = ("mongodb", "mongodb+srv")
_MEMBER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\[\]]*)(:[0-9]{1,5})?")

_REFUSALS = {
    13: "this user may not do that",
    18: "the user or the password is wrong",
    85: "an index of other options has the same fields",
    86: "an index of other fields has the same name",
    121: "the collection has a validator of its own, which refuses the document",
    166: "there is a view of that name",
    8000: "the user or the password is wrong",
    10334: "the document is too large",
    14031: "the disk is full",
}
_NOT_PRIMARY = (10107, 13435, 13436)
_COUNTER_TRIES = 10


class MongoDocuments:
    """A document store in a MongoDB database; nothing is connected before the first call.

    :param uri: as in ``mongodb://user:password@host:27017/exia``
    :param database: the database's name; None for the one in the URI's path
    :param options: options of the client, as :class:`pymongo.MongoClient` takes them; they come before those of the URI
    :param answer_timeout: how long to wait for a server that was found, unless ``socketTimeoutMS`` is among the options
    :raises InvalidInput: the URI is none of MongoDB, or no database is named
    :raises MissingExtra: pymongo is not installed
    """

    def __init__(
        self,
        uri: str,
        *,
        database: str | None = None,
        options: Mapping[str, Any] | None = None,
        answer_timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._uri, self._database = uri, database or _database_in(uri)
        self._where = f"{_hosts_in(uri)}/{self._database}"
        milliseconds = int(answer_timeout.total_seconds() * 1_000)
        self._options = _client_options(uri, options or {}, milliseconds)
        self._majority_milliseconds = int(milliseconds * 0.9)  # so that the server says so before nobody listens
        self._client: MongoClient[dict[str, Any]] | None = None
        self._lock = threading.Lock()
        self._ready: set[str] = set()
        if importlib.util.find_spec("pymongo") is None:
            raise MissingExtra(library="pymongo", extra="mongo", purpose="a document store in MongoDB")
        _stores.add(self)

    def insert(self, collection: Collection, document: Document) -> None:
        """Store a new document at revision 1."""
        kept = _kept(collection, document, revision=1)
        self._write(collection, lambda target: target.insert_one(kept))

    def swap(self, collection: Collection, document: Document, *, revision: int) -> None:
        """Replace the document with the same identity if it is still at ``revision``."""
        kept = _kept(collection, document, revision=revision + 1)
        same = {**{name: kept[name] for name in collection.identity}, REVISION: revision}
        changed = self._write(collection, lambda target: target.replace_one(_equal(same), kept))
        if changed.matched_count != 1:
            raise WriteConflict(collection=collection.name, key=(REVISION,))

    def get(self, collection: Collection, key: Mapping[str, str | int]) -> Document | None:
        """Return the document with this unique key, or None."""
        chosen = _equal(check_values(collection, key))
        kept = self._read(collection, lambda target: target.find_one(chosen, [BODY, *collection.fields]))
        return None if kept is None else read_body(collection, kept)

    def find(self, collection: Collection, query: Query) -> Sequence[Document]:
        """Return the documents that match, in order."""
        check_query(collection, query)
        if query.limit == 0:
            return []  # to MongoDB it would mean all of them
        chosen = _equal(query.where)
        for operator, bound in (("$gte", query.at_least), ("$lte", query.at_most)):
            if bound is not None:
                chosen.setdefault(query.order, {})[operator] = bound
        ties = (name for name in collection.identity if name != query.order)
        order = [(name, -1 if query.descending else 1) for name in (query.order, *ties)]

        def documents(target: Target[dict[str, Any]]) -> list[Document]:
            cursor = target.find(chosen, [BODY, *collection.fields]).sort(order).limit(query.limit or 0)
            return [read_body(collection, kept) for kept in cursor]

        return self._read(collection, documents)

    def next_number(self, counter: str) -> int:
        """Return a number that no earlier call for ``counter`` returned."""
        from pymongo import ReturnDocument
        from pymongo.errors import DuplicateKeyError, PyMongoError

        for _ in range(_COUNTER_TRIES):
            try:
                self._check_schema(making=True)
                kept = self._open()["exia_counters"].find_one_and_update(
                    {"_id": counter}, {"$inc": {"value": 1}}, upsert=True, return_document=ReturnDocument.AFTER
                )
                crash_point("documents.statement-done")
                if kept is not None:  # SecantusDB gives none where two first calls meet: a gap, if it has counted
                    return int(kept["value"])
            except DuplicateKeyError:
                continue  # two first calls at once: the other one made the counter, and this one did nothing
            except PyMongoError as error:
                raise self._failure(error, unanswered=WriteUnknown) from error
        raise StoreUnavailable(f"{self._where}: counter {counter!r} could be neither found nor made")

    def delete(self, collection: Collection, key: Mapping[str, str | int]) -> None:
        """Remove a document by its identity; absent is success."""
        chosen = _equal(check_values(collection, key))
        self._write(collection, lambda target: target.delete_one(chosen))

    def server(self) -> ServerFacts:
        """Ask the server what it is, and for its clock."""
        from pymongo.errors import PyMongoError

        admin = self._open().client.admin
        try:
            version, now = admin.command("buildInfo")["version"], admin.command("hello")["localTime"]
        except PyMongoError as error:
            raise self._failure(error, unanswered=StoreUnavailable) from error
        way = _way(self._uri, self._options)
        return ServerFacts(product=f"answers as MongoDB {version}", way=way, now=now.replace(tzinfo=UTC))

    def close(self) -> None:
        """Release connections; the store can be used again afterwards."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            self._closing()

    def _write(self, collection: Collection, request: Callable[[Target[dict[str, Any]]], Result]) -> Result:
        from pymongo.errors import DuplicateKeyError, PyMongoError

        target = self._target(collection, making=True)
        try:
            result = request(target)
        except DuplicateKeyError as error:
            raise WriteConflict(collection=collection.name, key=conflicting_key(collection, error)) from error
        except PyMongoError as error:
            raise self._failure(error, unanswered=WriteUnknown) from error
        crash_point("documents.statement-done")
        return result

    def _read(self, collection: Collection, request: Callable[[Target[dict[str, Any]]], Result]) -> Result:
        from pymongo.errors import AutoReconnect, NetworkTimeout, PyMongoError, ServerSelectionTimeoutError

        target = self._target(collection, making=False)
        try:
            try:
                return request(target)
            except (NetworkTimeout, ServerSelectionTimeoutError):
                raise  # it was waited for already
            except AutoReconnect:
                return request(target)  # the connection was open for long, or there is another primary now
        except PyMongoError as error:
            raise self._failure(error, unanswered=StoreUnavailable) from error

    def _target(self, collection: Collection, *, making: bool) -> Target[dict[str, Any]]:
        """Return MongoDB's collection, with its indexes; a read makes nothing where nothing is."""
        from pymongo.errors import PyMongoError

        target = self._open()[f"exia_{collection.name}"]
        if collection.name in self._ready:
            return target
        try:
            self._check_schema(making=making)
            there = has_indexes(target, collection)
            if there is False or (there is None and making):
                ensure_indexes(target, collection)
            if there is not None or making:
                self._ready.add(collection.name)
        except PyMongoError as error:
            raise self._failure(error, unanswered=StoreUnavailable) from error
        return target

    def _check_schema(self, *, making: bool) -> None:
        """Refuse what a newer version made, once for each store; a read leaves an empty database empty."""
        if "schema" not in self._ready and check_schema(self._open(), where=self._where, making=making):
            self._ready.add("schema")

    def _open(self) -> Database[dict[str, Any]]:
        from pymongo import ReadPreference
        from pymongo.read_concern import ReadConcern
        from pymongo.write_concern import WriteConcern

        with self._lock:
            if self._client is None:
                self._client = self._make_client()
                self._closing = weakref.finalize(self, self._client.close)
            return self._client.get_database(
                self._database,
                read_preference=ReadPreference.PRIMARY,
                read_concern=ReadConcern("majority"),
                write_concern=WriteConcern(w="majority", j=True, wtimeout=self._majority_milliseconds),
            )

    def _make_client(self) -> MongoClient[dict[str, Any]]:
        from pymongo import MongoClient
        from pymongo.errors import ConfigurationError, InvalidURI

        try:
            return MongoClient(self._uri, **self._options)
        except InvalidURI:
            # Neither the text nor what pymongo says about it: both may hold a password.
            raise InvalidInput(
                f"the address of the document store {self._where} is no MongoDB URI: expected one as in "
                "'mongodb://user:password@host:27017/exia', with %-escapes in user and password"
            ) from None
        except (ConfigurationError, TypeError, ValueError, OSError) as error:  # the last one: of a certificate's file
            raise InvalidInput(f"an option of the document store {self._where} is not for MongoDB: {error}") from error

    def _failure(self, error: PyMongoError, *, unanswered: type[StorageError]) -> StorageError:
        """Return the error of ours for one of pymongo's.

        :param unanswered: what it means that nothing is known about the request
        """
        from pymongo.errors import ServerSelectionTimeoutError, WaitQueueTimeoutError, WriteConcernError

        details = getattr(error, "details", None)
        code = details.get("code") if isinstance(details, Mapping) else None
        text = str(error).partition(", Timeout:")[0].partition(", full error:")[0]
        if isinstance(error, WriteConcernError):  # the write was made, and perhaps not by a majority
            return unanswered(f"{self._where}: no word from a majority of its members: {text}")
        if code in _REFUSALS:
            return StoreRefused(f"{self._where}: {_REFUSALS[code]} ({text}); nothing was written")
        if code in _NOT_PRIMARY or isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
            return StoreUnavailable(f"{self._where}: {text}; nothing was written")
        return unanswered(f"{self._where}: {text}")


_stores: weakref.WeakSet[MongoDocuments] = weakref.WeakSet()
_inherited: list[MongoClient[dict[str, Any]]] = []
"""Clients of the parent in a forked child: never used, and never closed, since the parent goes on with them."""


def _forget_after_fork() -> None:
    for store in list(_stores):
        store._lock = threading.Lock()  # a thread that is not in the child may have held it
        if store._client is not None:
            store._closing.detach()
            _inherited.append(store._client)
            store._client = None


os.register_at_fork(after_in_child=_forget_after_fork)


def _split(uri: str) -> SplitResult:
    unreadable = InvalidInput(  # neither the text nor what Python says about it: both may hold a password
        "the document store's address cannot be read: expected one as in 'mongodb://user:password@host:27017/exia', "
        "with %-escapes in user and password"
    )
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise unreadable from None
    if not all(_MEMBER.fullmatch(member) for member in _hosts_in(uri).split(",")):
        raise unreadable  # where the host is missing, the password stands in the place of a port
    return parts


def _database_in(uri: str) -> str:
    parts = _split(uri)
    name = unquote(parts.path.lstrip("/"))
    if parts.scheme not in SCHEMES:
        # Not the text itself: it may hold a password.
        raise InvalidInput("the document store's address is none of MongoDB: expected 'mongodb://host:27017/exia'")
    if not name or set(name) & set(' ."$/\\\0'):
        raise InvalidInput(
            f"{parts.scheme}://{_hosts_in(uri)} names no database: put its name behind the host, as in "
            "'mongodb://host:27017/exia'"
        )
    return name


def _hosts_in(uri: str) -> str:
    """Return what may be shown: neither user nor password, also where a '/' in the password splits it wrongly."""
    return re.split("[/?]", uri.partition("://")[2].rpartition("@")[2])[0]


def _client_options(uri: str, options: Mapping[str, Any], answer_milliseconds: int) -> dict[str, Any]:
    """Return what the client is made with: our time-outs where nobody chose others."""
    ours = {
        "appname": "airflow-provider-exia",
        "connectTimeoutMS": 3_000,
        "serverSelectionTimeoutMS": 4_500,  # pymongo looks at the time every half second: an error within five
        "socketTimeoutMS": answer_milliseconds,
    }
    chosen = {name.lower() for name in (*options, *dict(parse_qsl(_split(uri).query)))}
    free = {name: value for name, value in ours.items() if name.lower() not in chosen}
    return {**free, **options, "retryReads": False, "retryWrites": False}


def _way(uri: str, options: Mapping[str, Any]) -> Way:
    asked = {**dict(parse_qsl(_split(uri).query)), **options}
    chosen = {name.lower(): str(value).lower() for name, value in asked.items()}
    by_default = "true" if uri.startswith("mongodb+srv") else "false"
    believes = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")
    return way_to(
        (unquote(urlsplit(f"//{member}").hostname or "") for member in _hosts_in(uri).split(",")),
        encrypted=chosen.get("tls", chosen.get("ssl", by_default)) == "true",
        checked=not any(chosen.get(name) == "true" for name in believes),
    )


def _kept(collection: Collection, document: Document, *, revision: int) -> dict[str, Any]:
    text = body_text(collection, document, revision=revision)
    return {**field_values(collection, document), REVISION: revision, BODY: text}


def _equal(values: Mapping[str, str | int]) -> dict[str, Any]:
    return {name: {"$eq": value} for name, value in values.items()}
