"""The commands on parameters in Consul."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_exia.cli.connections import reading_connection
from airflow_provider_exia.cli.output import Column, json_option, print_json, print_table, time_text
from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.task_identity import login_name

if TYPE_CHECKING:
    from airflow_provider_exia.parameters.records import Parameter, Revision
    from airflow_provider_exia.parameters.store import ParameterStore

_SHOWN_CHARACTERS = 60
_reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")


@click.group(context_settings={"max_content_width": 100})
def parameters() -> None:
    """Read and change parameters in Consul.

    The Consul is that of an Airflow connection of the type 'consul'.
    """


def _with_store(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the parameters that its options name, as first argument."""

    @click.option("--connection", default="consul_default", show_default=True, metavar="CONN_ID", help="The Consul.")
    @click.option("--environment", metavar="NAME", help="As in 'prod'; default: the connection's.")
    @functools.wraps(command)
    def run(*arguments: Any, connection: str, environment: str | None, **options: Any) -> None:
        command(open_parameters(connection, environment), *arguments, **options)

    return run


@parameters.command("list")
@click.argument("prefix", default="")
@json_option
@_with_store
def list_command(store: ParameterStore, *, prefix: str, as_json: bool) -> None:
    """Show the parameters below a prefix, with those that are inherited."""
    found = store.find(prefix)
    if as_json:
        print_json({name: asdict(item) for name, item in found.items()})
        return
    columns = (Column(title="NAME"), Column(title="VALUE", wraps=True), Column(title="IN"), Column(title="REVISION"))
    print_table(columns, [(item.name, _short(item.value), item.environment, _number(item)) for item in found.values()])


@parameters.command()
@click.argument("name")
@json_option
@_with_store
def get(store: ParameterStore, *, name: str, as_json: bool) -> None:
    """Print a parameter's value as JSON."""
    found = store.get(name)
    print_json(asdict(found) if as_json else found.value)


@parameters.command()
@click.argument("name")
@click.argument("value")
@click.option("--expected", type=click.IntRange(min=0), help="Refuse unless it is at this index; 0: not there.")
@_reason_option
@_with_store
def put(store: ParameterStore, *, name: str, value: str, expected: int | None, reason: str) -> None:
    """Set a parameter to a JSON VALUE, as in 3, 0.1, '"text"' or '{"depth": 3}'."""
    written = store.put(name, _json(value), by=login_name(), reason=reason, expected=expected)
    click.echo(f"{written.name} in {written.environment} is now at revision {written.revision}.")


@parameters.command()
@click.argument("name")
@json_option
@_with_store
def history(store: ParameterStore, *, name: str, as_json: bool) -> None:
    """Show the changes of a parameter, newest first."""
    found = store.history(name)
    if as_json:
        from airflow_provider_exia.storage.codec import to_document

        print_json([{key: value for key, value in to_document(item).items() if key != "token"} for item in found])
        return
    columns = (
        *(Column(title="REVISION", right=True), Column(title="VALUE", wraps=True), Column(title="AT")),
        *(Column(title="BY"), Column(title="REASON", wraps=True)),
    )
    rows = [(str(item.number), _what(item), time_text(item.at), item.by, item.reason) for item in found]
    print_table(columns, rows)


@parameters.command()
@click.argument("name")
@click.argument("before", type=click.IntRange(min=1))
@click.argument("after", type=click.IntRange(min=1))
@json_option
@_with_store
def diff(store: ParameterStore, *, name: str, before: int, after: int, as_json: bool) -> None:
    """Show where two revisions of a parameter differ."""
    changes = store.diff(name, before, after)
    if as_json:
        print_json([asdict(change) for change in changes])
        return
    columns = (Column(title="WHERE"), Column(title="BEFORE", wraps=True), Column(title="AFTER", wraps=True))
    print_table(columns, [(item.path or name, _short(item.before), _short(item.after)) for item in changes])


@parameters.command()
@click.argument("name")
@click.argument("revision", type=click.IntRange(min=1))
@_reason_option
@_with_store
def rollback(store: ParameterStore, *, name: str, revision: int, reason: str) -> None:
    """Set a parameter to the value of an earlier revision, as a new one."""
    written = store.rollback(name, revision, by=login_name(), reason=reason)
    click.echo(f"{written.name} in {written.environment} is now at revision {written.revision}, as {revision} was.")


@parameters.command("import")
@click.argument("key")
@click.argument("name")
@_reason_option
@_with_store
def import_command(store: ParameterStore, *, key: str, name: str, reason: str) -> None:
    """Read a value of the 2020 toolkit under KEY in Consul, and put it as the parameter NAME.

    It is read as a literal and never evaluated; the old key stays as it is.
    """
    from airflow_provider_exia.parameters.importing import read_2020_value

    found = store.key_values.get(key)
    if found is None:
        raise InvalidInput(f"there is no key {key!r} in this Consul: name one that the 2020 toolkit wrote")
    value = read_2020_value(key, found.value)
    written = store.put(name, value, by=login_name(), reason=reason or f"imported from {key}")
    click.echo(f"{written.name} in {written.environment} is now at revision {written.revision}: {_short(value)}")


def open_parameters(connection: str, environment: str | None = None) -> ParameterStore:
    """Return the parameters that an Airflow connection of the type ``consul`` names.

    :param environment: where writes go and reads look first; None: the connection's
    :raises InvalidInput: the connection cannot be used
    """
    with reading_connection(connection):
        from airflow_provider_exia.hooks.consul import ConsulParamHook

        return ConsulParamHook(connection, environment=environment).store


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is no JSON value ({error}): write text as '\"text\"', and objects as '{{\"depth\": 3}}'"
        ) from error


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _number(item: Parameter) -> str:
    return str(item.revision) if item.revision else "another program's"


def _what(item: Revision) -> str:
    if item.is_deletion:
        return "(deleted)"
    return "(no JSON)" if item.raw is not None else _short(item.value)
