"""Where the tables and figures of a run go: never in the place of a run of other data, or of one that finished more.

A table is made of the records that the jobs of a run have under their keys. What was finished under other code is not
merged into it: a mean over both would be that of neither. Where it comes out the same, ``python -m experiments.rekey``
carries the records over, and then they are in it.
"""

import io
import json

import pandas as pd

from . import spreadsheet
from .names import Change, data_word, stem

UNFINISHED = Change("unfinished", alters=False)


def place(results_dir, names, identity, source, hashes, jobs, axes):
    """What a run is called among those that are there.

    Parameters
    ----------
    results_dir : Path
    names : sequence of str
        Of the experiment, the data set and the protocol.
    identity : experiments.loop.config.Identity
    source : dict
        ``uns["source"]`` of the data.
    hashes : list of str
        Content hashes of the data in the records, one unless a file changed under way.
    jobs : pandas.DataFrame
        One row per job (experiments.report.table.frame).
    axes : list of str

    Returns
    -------
    changes : list of Change
        Those of ``identity``, with what else tells it apart; `names.stem` makes the name of its files of them.
    lost : list of str
        The jobs that the table of this name has finished and this run has not: it is to stay, and this run to stand
        beside it as `UNFINISHED`.
    """
    found = list(identity.changes)
    found += [Change(f"{axis}=missing", alters=False) for axis in axes if set(jobs[axis]) == {"missing"}]  # of a peer
    if identity.own_file or _is_of_other_data(results_dir / "runs" / f"{stem(names, found)}.json", hashes):
        found.append(Change(data_word(source), alters=False))
    found.sort()
    before = _finished(results_dir / "tables" / f"{stem(names, found)}_jobs.csv", axes)
    now = {job: row.status == "done" for job, row in zip(_of(jobs, axes), jobs.itertuples(), strict=True)}
    lost = [", ".join(job) for job in before if now.get(job) is False]
    return found, lost


def clear_unfinished(results_dir, names, found):
    """Remove what a run left that could not finish as much as its table had: now it has."""
    left = stem(names, sorted([*found, UNFINISHED]))
    for folder in ("runs", "tables", "figures"):
        for path in (results_dir / folder).glob("*"):
            if path.name.startswith((f"{left}.", f"{left}_")):
                path.unlink()


def _is_of_other_data(path, hashes):
    try:
        return not set(json.loads(path.read_text())["provenance"]["dataset_hash"]) & set(hashes)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _finished(path, axes):
    """The finished jobs of a table: (method, axes, seed) as text."""
    try:
        jobs = pd.DataFrame(spreadsheet.read(path))
        return _of(jobs[jobs["status"] == "done"], axes)
    except (OSError, ValueError, KeyError):
        return []


def _of(jobs, axes):
    columns = ["method", *axes, "seed"]
    text = pd.read_csv(io.StringIO(jobs[columns].to_csv(index=False)), dtype=str, keep_default_na=False)
    return list(text.itertuples(index=False, name=None))
