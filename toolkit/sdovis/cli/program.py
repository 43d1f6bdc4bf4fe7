"""The program `sdovis` itself: its help, the arguments that verbs share, and how a command ends."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from sdovis import errors, printing, waiting
from sdovis.errors import BadInput, Problem, SdovisError
from sdovis.version import __version__

app = typer.Typer(
    help="From a spreadsheet of solar active regions and SDO images to a published, citable, live classifier.\n\n"
    "Begin with [bold]sdovis init WORKBOOK[/bold], which drafts a study file. Then [bold]sdovis check study.toml[/bold] "
    "finds mistakes, and [bold]sdovis run study.toml[/bold] does everything up to the release. Results go to the run "
    "folder, runs/NAME, where NAME is study.name in the study file.\n\n"
    "Progress and errors go to stderr, results to stdout. Exit codes: 0 success, 1 internal error, 2 bad input, "
    "3 network or Hub failure, 4 conflict (something is in the way and was not overwritten, or the disk is full), "
    "130 interrupted.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Study file.", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Override one entry of the study, as in --set study.seed=1; may be repeated.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="Processes of this machine that open images; one for each core if not given.", show_default=False
    ),
]
Scheduler = Annotated[
    str,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Open images on the workers of a Dask cluster instead (the extra dask); they must see the files under the same "
        "paths. The result is the same.",
        show_default=False,
    ),
]


def refuse_both(workers: int | None, scheduler: str) -> None:
    """Raise `BadInput` if both `Workers` and a `Scheduler` are asked for."""
    if workers is not None and scheduler:
        raise BadInput(Problem("--workers are of this machine, and --scheduler uses others", "leave out one of them"))


def main() -> None:
    """Run the command line and exit with a documented code."""
    waiting.bounded()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code (see `sdovis.errors`). Errors go to stderr, one line each."""
    try:
        app(args=arguments, prog_name="sdovis")
    except (
        SystemExit
    ) as ended:  # typer ends a command this way, with codes of its own for --help, usage errors and Ctrl-C
        code = ended.code if isinstance(ended.code, int) else errors.EXIT_BAD_INPUT
        if code == errors.EXIT_INTERRUPTED:
            print("interrupted; run the same command again to continue", file=sys.stderr)
        return code
    except SdovisError as error:
        printing.problems(error)
        return error.exit_code
    except BrokenPipeError:
        # Whatever was reading our output has gone (`| head`): not our error, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if isinstance(error, OSError) and (failure := errors.DiskFailure.of(error)):
            printing.problems(failure)
            return failure.exit_code
        traceback.print_exc()
        print(f"sdovis {__version__}: internal error; please report the lines above", file=sys.stderr)
        return errors.EXIT_INTERNAL
    return errors.EXIT_OK


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of sdovis itself."""
