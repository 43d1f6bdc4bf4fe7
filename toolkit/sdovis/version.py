"""The version of sdovis: written here, and read from here by everything else."""

__version__ = "0.1.0"
