"""A field: one experiment on one data set under one protocol, with the jobs of all who take part and their records."""

import dataclasses

from .. import titles
from ..loop.jobs import expected
from ..loop.prepare import check, prepare
from ..loop.store import Store
from ..report.numbers import duration
from .contests import NOT_ON_RECORD


@dataclasses.dataclass
class Field:
    """Who takes part in an experiment on a data set."""

    experiment: str
    dataset: str  # as records have it
    protocol: str
    axes: list
    seeds: list
    source: dict  # of the data
    stand_in_for: str
    jobs: list
    records: list = dataclasses.field(default_factory=list)  # of every job, in their order

    def look_up(self, records):
        """Take the record of every job; where there is none, one that says so."""
        self.records = [records.shown(job) for job in self.jobs]

    def missing(self, mine):
        """The jobs of others that are not on record."""
        pairs = zip(self.jobs, self.records, strict=True)
        return [job for job, record in pairs if record["status"] == NOT_ON_RECORD and job.method not in mine]

    def undone(self, mine):
        """The records of the user's methods that are not finished."""
        return [record for record in self.records if record["method"] in mine and record["status"] != "done"]


def fields(entries, resolved):
    """The `Field` of every entry, from its resolved settings; reads the data and says which."""
    found = []
    for entry, settings in zip(entries, resolved, strict=True):
        check(settings)
        config, source, jobs = prepare(settings)
        _require_names_apart(jobs, entry.mine)
        found.append(
            Field(
                experiment=entry.experiment,
                dataset=config["dataset"]["name"],
                protocol=config["protocol"]["name"],
                axes=list(config["experiment"].get("axes") or {}),
                seeds=list(config["seeds"]),
                source=source,
                stand_in_for=config["dataset"].get("stand_in_for") or source.get("stand_in_for") or "",
                jobs=jobs,
            )
        )
    return found


def _require_names_apart(jobs, mine):
    """ValueError where a method of the user's is called as another: nobody could tell their rows apart."""
    labels = {job.method: job.label for job in jobs}
    for name in mine:
        for other, label in labels.items():
            if other != name and label == labels[name]:
                raise ValueError(
                    f"methods.{name} and methods.{other} are both called {label}: give one another _label_."
                )


def lacking(field, mine, folder):
    """What others lack in a field, in a sentence, and about how long it would take; "" where they lack nothing.

    Parameters
    ----------
    field : Field
    mine : set of str
    folder : Path
        A results folder whose records say how long jobs take.
    """
    missing = field.missing(mine)
    if not missing:
        return ""
    counts = {}
    for job in missing:
        counts[job.label] = counts.get(job.label, 0) + 1
    known = [seconds for seconds in expected(missing, Store(folder, field.experiment)) if seconds is not None]
    about = f" (about {duration(sum(known))} for {len(known)} of them, on one core)" if known else ""
    rows = ", ".join(f"{label} {n}" for label, n in counts.items())
    return (
        f"{titles.experiment(field.experiment)}, {titles.data(field.dataset)}: {len(missing)} jobs of others are not "
        f"on record: {rows}; --others all computes them{about}."
    )
