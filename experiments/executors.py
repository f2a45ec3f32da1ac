"""The executors under the address that users' own configurations name: ``experiments.executors.local.run_cells``."""

from .loop.executors import local, ray, slurm  # noqa: F401
