"""Which library a command works on: a connection, two URLs, the environment, or the embedded default."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from airflow_provider_exia.cli.connections import reading_connection
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.embedded import airflow_home, embedded_locations

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.library import ModelLibrary

Arguments = ParamSpec("Arguments")
Command = TypeVar("Command", bound=Callable[..., object])

DOCUMENTS_VARIABLE, BLOBS_VARIABLE = "EXIA_DOCUMENTS", "EXIA_BLOBS"
_MINE = "airflow_provider_exia.cli."
_HOW_TO_NAME_ONE = f"--documents and --blobs, {DOCUMENTS_VARIABLE} and {BLOBS_VARIABLE}, or --connection"


class NoLibrary(InvalidInput):
    """There is no library yet where the command looked.

    :param place: where it looked
    """

    def __init__(self, place: str) -> None:
        self.place = place
        super().__init__(
            f"no model library at {place}: publish a first model there to make it, or name another library with "
            f"{_HOW_TO_NAME_ONE}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a library is: an Airflow connection, or the URLs of its two stores.

    :param connection: id of an Airflow connection
    :param documents: URL of the document store
    :param blobs: URL of the blob store
    """

    connection: str | None = None
    documents: str = ""
    blobs: str = ""

    def open(self, *, make: bool = False) -> ModelLibrary:
        """Open the library that is there.

        :param make: make one where there is none
        :raises NoLibrary: there is none, and none is to be made
        :raises InvalidInput: the URLs or the connection name none
        """
        if self.connection is not None:
            library = _open_connection(self.connection)
        else:
            from airflow_provider_exia.model_library.library import open_library

            library = open_library(self.documents, blobs=self.blobs)
        file = getattr(library.resources.documents, "file", None)
        # unlike Path.exists, os.path.exists is False where we may not look
        if file is not None and not make and not os.path.exists(file):
            raise NoLibrary(f"sqlite:///{file}")
        return library

    def describe(self) -> str:
        """Name the place, without its passwords."""
        if self.connection is not None:
            return f"connection {self.connection}"
        return f"{_without_password(self.documents)} with {_without_password(self.blobs)}"


def choose_place(
    *, connection: str | None, documents: str | None, blobs: str | None, environment: Mapping[str, str]
) -> Place:
    """Return the place that the options and the environment name; the two URLs always come from the same side.

    :raises click.UsageError: two places are named, or half of one
    """
    if connection is not None:
        if documents is not None or blobs is not None:
            raise click.UsageError("--connection already names the stores: leave out --documents and --blobs.")
        return Place(connection=connection)
    if documents is not None or blobs is not None:
        for name, url in (("--documents", documents), ("--blobs", blobs)):
            _refuse_password(name, url or "")
        return _pair("--documents", documents, "--blobs", blobs)
    documents, blobs = environment.get(DOCUMENTS_VARIABLE), environment.get(BLOBS_VARIABLE)
    if documents or blobs:
        return _pair(DOCUMENTS_VARIABLE, documents, BLOBS_VARIABLE, blobs)
    documents, blobs = embedded_locations(airflow_home(environment))
    return Place(documents=documents, blobs=blobs)


def place_named(text: str, *, environment: Mapping[str, str]) -> Place:
    """Return the place that one word names.

    :param text: the id of an Airflow connection, ``embedded``, or the URLs of documents and blobs with a space between
    """
    if text == "embedded":
        documents, blobs = embedded_locations(airflow_home(environment))
        return Place(documents=documents, blobs=blobs)
    documents, _, blobs = text.partition(" ")
    for url in (documents, blobs):
        _refuse_password("the library's name", url)
    return Place(documents=documents, blobs=blobs.strip()) if blobs else Place(connection=text)


def library_options(*, hidden: bool = False) -> Callable[[Command], Command]:
    """Give a command the options that name a library; it finds them in the context, wherever they were written.

    :param hidden: whether the help leaves them out
    """
    named = (
        ("--connection", "CONN_ID", "The library of an Airflow connection of type 'exia'."),
        ("--documents", "URL", "Document store, as in sqlite:////srv/exia/library.db"),
        ("--blobs", "URL", "Blob store, as in file:///srv/exia/blobs"),
    )

    def decorate(command: Command) -> Command:
        for name, metavar, text in reversed(named):
            add = click.option(name, metavar=metavar, help=text, hidden=hidden, expose_value=False, callback=_remember)
            command = add(command)
        return command

    return decorate


def with_library(
    command: Callable[Concatenate[ModelLibrary, Arguments], None],
) -> Callable[Arguments, None]:
    """Give a command the library that its caller named, as first argument, and close it afterwards."""

    @functools.wraps(command)
    def run(*arguments: Arguments.args, **options: Arguments.kwargs) -> None:
        with chosen_place().open() as library:
            command(library, *arguments, **options)

    return library_options(hidden=True)(run)


def chosen_place() -> Place:
    """Return the place that the command under way was given by its options and the environment.

    :raises click.UsageError: two places are named, or half of one
    """
    chosen = click.get_current_context().meta
    return choose_place(
        connection=chosen.get(f"{_MINE}connection"),
        documents=chosen.get(f"{_MINE}documents"),
        blobs=chosen.get(f"{_MINE}blobs"),
        environment=os.environ,
    )


def chosen_connection() -> str | None:
    """Return the connection that the command under way was given, for a command that takes no other library.

    :raises click.UsageError: a library is named by its URLs
    """
    chosen = click.get_current_context().meta
    if f"{_MINE}documents" in chosen or f"{_MINE}blobs" in chosen:
        raise click.UsageError("this takes --connection only: tasks find a library by a connection, not by URLs.")
    connection: str | None = chosen.get(f"{_MINE}connection")
    return connection


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta[f"{_MINE}{parameter.name}"] = value


def _pair(documents_name: str, documents: str | None, blobs_name: str, blobs: str | None) -> Place:
    if not documents or not blobs:
        missing, given = (blobs_name, documents_name) if documents else (documents_name, blobs_name)
        raise click.UsageError(f"{given} names half a library: give {missing} too.")
    return Place(documents=documents, blobs=blobs)


def _refuse_password(name: str, url: str) -> None:
    """Refuse a password among the arguments, where every user of the machine can read it."""
    if _without_password(url) != url:
        raise click.UsageError(
            f"{name} holds a password, which every user of this machine can read: give both URLs in "
            f"{DOCUMENTS_VARIABLE} and {BLOBS_VARIABLE}, or an Airflow connection."
        )


def _without_password(url: str) -> str:
    """Return a URL whose password is three stars."""
    scheme, found, rest = url.partition("://")
    who, at, where = rest.rpartition("@")
    login, colon, _ = who.partition(":")
    return f"{scheme}{found}{login}:***@{where}" if at and colon else url


def _open_connection(connection: str) -> ModelLibrary:
    with reading_connection(connection):
        from airflow_provider_exia.hooks.model_library import ModelLibraryHook

        return ModelLibraryHook(exia_conn_id=connection).library
