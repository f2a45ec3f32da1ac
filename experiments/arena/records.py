"""What is on record: in the results folder of the call and, behind it, in the repository."""

from pathlib import Path

from ..loop.job import failure
from ..loop.paths import ROOT
from ..loop.store import FINAL, Store
from .contests import NOT_ON_RECORD


class Records:
    """The records of two results folders as one.

    Parameters
    ----------
    results_dir : Path
        Where the methods of the user leave theirs.
    """

    def __init__(self, results_dir):
        here, repository = Path(results_dir).resolve(), ROOT / "results"
        self.folders = [here] if here == repository else [here, repository]
        self._known = {}

    def _stores(self, experiment):
        for folder in self.folders:
            if (folder, experiment) not in self._known and (folder / "records" / experiment).is_dir():
                self._known[folder, experiment] = Store(folder, experiment)
        return [store for (_, name), store in self._known.items() if name == experiment]

    def of(self, job):
        """The record of a job, the finished one where there are several; None where there is none."""
        found = [record for store in self._stores(job.experiment) if (record := store.read(job.key))]
        return next((record for record in found if record["status"] in FINAL), found[0] if found else None)

    def is_done(self, job):
        """Whether a job is finished."""
        record = self.of(job)
        return record is not None and record["status"] in FINAL

    def shown(self, job):
        """The record of a job under the name that it has in this run; where there is none, one that says so."""
        record = self.of(job) or failure(job, None, NOT_ON_RECORD, "")
        return record | {"method": job.method, "label": job.label, "role": job.role, "dataset": job.dataset["name"]}

    def others(self, experiment, protocol, mine):
        """{data set: names of the scores that somebody else, no control, has there under a protocol}."""
        found = {}
        for store in self._stores(experiment):
            for record in store.finished():
                if record["protocol"] == protocol and record["method"] not in mine and record["role"] != "control":
                    found.setdefault(record["dataset"], set()).update(record["scores"])
        return found
