"""The command line: one file for each group of commands, in the order in which `--help` lists them."""

# isort: off
from tf_lottery.cli import run, tune, studies, verdict, connectivity, masks  # noqa: F401
from tf_lottery.cli import classes, weights, inputs, tensorboard  # noqa: F401
from tf_lottery.cli import ledger, report, upkeep, data, export  # noqa: F401
from tf_lottery.cli.app import app

__all__ = ["app"]
