"""What a run has on record in the end: something for each of its jobs, whatever became of the files."""

from .job import failure
from .outcome import one_line


def collect(store, jobs):
    """The record and the arrays of every job, in order; a failure that says so where a record is gone or damaged.

    Parameters
    ----------
    store : Store
    jobs : list of Job

    Returns
    -------
    records : list of dict
        Under the name and label that the method has in this run.
    arrays : list of dict
    """
    records, arrays = [], []
    for job in jobs:
        record, its_arrays = _read(store, job)
        now = {"method": job.method, "label": job.label, "role": job.role, "dataset": job.dataset["name"]}
        records.append(record | now)
        arrays.append(its_arrays)
    return records, arrays


def _read(store, job):
    record, lost = store.read(job.key), "its record is gone"
    if record is not None:
        try:
            return record, store.arrays(record)
        except FileNotFoundError:
            lost = "its arrays are gone"
        except Exception as error:  # zipfile, zlib, OSError, ValueError: whatever damage raises
            lost = f"its arrays cannot be read ({one_line(str(error))})"
    reason = f"{lost}: {store.folder} lost it while the run went on; the same command computes it again"
    return failure(job, None, "failed", reason), {}
