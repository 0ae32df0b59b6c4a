"""`rlkit launch`: `accelerate launch` whose end is the script's own last line."""

import typer


def launch(context: typer.Context) -> None:
    """Start a script as `accelerate launch` does, on all GPUs or as --config_file says, with its words.

    What it fills in by itself it does not talk about, and where the script fails, the script's message is the
    last one and its exit code is kept.

    rlkit launch recipes/grpo.py --config recipes/configs/gsm8k_qwen2.5_0.5b.yaml
    rlkit launch --config_file recipes/accelerate/fsdp2.yaml recipes/grpo.py --config ...
    """
    import logging
    import os
    from subprocess import CalledProcessError

    from accelerate.commands.config.config_args import default_config_file
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    if not context.args:
        raise ValueError("the script is missing: rlkit launch [--config_file FILE] SCRIPT [its settings]")
    arguments = launch_command_parser().parse_args(context.args)
    if arguments.config_file is None and (arguments.cpu or not os.path.isfile(default_config_file)):
        _fill_in(arguments)
    # It repeats, with the traceback of each process, what the processes have printed.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        launch_command(arguments)
    except CalledProcessError as error:
        raise typer.Exit(error.returncode) from error
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            typer.echo(f"rlkit: process {rank} was ended by {failure.signal_name()}", err=True)
        raise typer.Exit(failure.exitcode if failure.exitcode > 0 else 1) from error


def _fill_in(arguments) -> None:
    """What accelerate takes where nothing is said, so that it need not say so."""
    import torch

    found = torch.cuda.device_count()
    defaults = {
        "num_processes": 1 if arguments.cpu else max(found, 1),
        "num_machines": 1,
        "mixed_precision": "no",
        "dynamo_backend": "no",
    }
    for name, value in defaults.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if found > 1 and arguments.num_processes > 1 and not arguments.cpu:
        arguments.multi_gpu = True
