"""The executors as users' own configurations have named them: ``_target_: experiments.executors.local.run_cells``."""

from types import SimpleNamespace

from .loop import executors as _executors
from .loop.executors import local as _local
from .loop.executors import ray as _ray
from .loop.executors import slurm as _slurm

supervise, record_failure, resources = _executors.supervise, _executors.record_failure, _executors.resources
local, ray, slurm = (SimpleNamespace(run_cells=module.run_jobs) for module in (_local, _ray, _slurm))
