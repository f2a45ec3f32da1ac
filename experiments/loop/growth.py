"""Sizes one after the other: what a limit stopped at one size is not started at a larger one."""

from .executors import record_failure
from .store import Store


def run_growing(run_cells, cells, results_dir, axis):
    """Compute ``cells`` size by size; what a method has not finished beyond a size that it was stopped at is skipped.

    Where a method ends at its limit of hours, each larger size would cost those hours again and end there too.

    Parameters
    ----------
    run_cells : callable
        Of an executor: ``run_cells(cells, results_dir)``.
    cells : list of Cell
        Those that are not finished.
    results_dir : path
    axis : str
        The axis along which time and memory grow; its values are numbers.
    """
    stopped = {}  # row -> why its larger sizes are not started
    for size in sorted({cell.axes[axis] for cell in cells}):
        started = []
        for cell in (cell for cell in cells if cell.axes[axis] == size):
            if _row(cell, axis) not in stopped:
                started.append(cell)
            elif not Store(results_dir, cell.experiment).is_final(cell.key):  # another run may have been here
                reason = stopped[_row(cell, axis)]
                record_failure(cell, results_dir, threads=None, status="skipped", reason=reason)
        run_cells(started, results_dir)
        for cell in started:
            limit = _limit(Store(results_dir, cell.experiment).read(cell.key))
            if limit:
                stopped[_row(cell, axis)] = f"not started: {limit} was reached at {axis}={size}"


def _row(cell, axis):
    """What tells a cell from others of the same size."""
    return cell.method, cell.seed, *(value for name, value in cell.axes.items() if name != axis)


def _limit(record):
    """The option that ended a cell, if one did."""
    if record is not None and record["status"] == "timeout":
        return "timeout_minutes"
    return "memory_gb" if record is not None and record["reason"].startswith("memory: ") else None
