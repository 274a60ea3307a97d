"""The command that makes keys; it reads and writes no library."""

from __future__ import annotations

from typing import Literal

import click

from airflow_provider_exia.cli.output import json_option, print_json


@click.group(name="key")
def key() -> None:
    """Make a key to sign published versions with."""


@key.command()
@click.option(
    "--algorithm",
    type=click.Choice(["ed25519", "hmac"]),
    default="ed25519",
    show_default=True,
    help="ed25519: who loads needs only the public key. hmac: one shared secret; whoever can load can also sign.",
)
@json_option
def generate(*, algorithm: Literal["ed25519", "hmac"], as_json: bool) -> None:
    """Print a new key: the private text, and for ed25519 the public one.

    The private text is the password of the connection that publishes. The public one belongs into 'public_keys' of the
    connections that load. The private text is shown here and kept nowhere.
    """
    from airflow_provider_exia.model_library.signing import generate_key, read_key

    private, public = generate_key(algorithm)
    name = read_key(private).name
    if as_json:
        print_json({"name": name, "private": private, "public": public})
        return
    click.echo(f"name     {name}")
    click.echo(f"private  {private}")
    if public is not None:
        click.echo(f"public   {public}")
