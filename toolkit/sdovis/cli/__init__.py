"""The command line: verbs only. Each leaves the work to a stage, or to another room, and prints the outcome."""

from sdovis.cli import data, exports, fetching, models, prediction, releases  # each adds its verbs, in this order
from sdovis.cli.program import app, main, run_command

__all__ = ["app", "data", "exports", "fetching", "main", "models", "prediction", "releases", "run_command"]
