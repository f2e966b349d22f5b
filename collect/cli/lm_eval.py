"""The command ``lm-eval`` runs lm-eval's own command line."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from . import options as o
from .setting_options import option_of

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command(
        "lm-eval",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )(lm_eval)


def lm_eval(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Arguments for lm-eval's own command line.")
    ] = None,
    store: o.StorePath = None,
    no_record: Annotated[
        bool, typer.Option("--no-record", help="Neither store responses nor use stored ones.")
    ] = False,
    answers_of: Annotated[str | None, option_of("answers_of")] = None,
    data_root: Annotated[str | None, option_of("data_root")] = None,
    allow_pickle: Annotated[bool, option_of("allow_pickle")] = False,
    allow_missing_weights: Annotated[
        bool,
        typer.Option(
            "--allow-missing-weights",
            help="Continue if weights are missing and therefore initialised at random; no "
            "responses are stored.",
        ),
    ] = False,
) -> None:
    """Run lm-eval's own command line, with capspace's models registered.

    Responses of a Hugging Face checkpoint are stored as by 'capspace collect', so that a killed run
    resumes where it stopped. Responses of any other model, such as one behind an API, are stored
    only with --answers-of; give each model a name of its own.
    """
    if {"-h", "--help"} & {*(arguments or [])}:
        typer.echo(f"{context.get_help()}\n")  # then lm-eval prints its own
    from ..runtime.optional import import_collect_extra

    import_collect_extra()
    from ..run.lm_eval_command import lm_eval_main
    from ..runtime.signals import terminable
    from ..storage.store import default_store_path

    def say(line: str) -> None:
        o.console(stderr=True).print(f"capspace: {line}", markup=False, soft_wrap=True)

    run = partial(
        lm_eval_main,
        arguments or [],
        data_root=data_root,
        allow_pickle=allow_pickle,
        allow_missing_weights=allow_missing_weights,
        say=say,
    )
    if no_record:
        run(store=None)
        return
    with o.resumable(), terminable():
        run(store=store or default_store_path(), answers_of=answers_of)
