"""Jobs computed twice on this machine, by the code of an earlier commit and by today's.

Training takes another path on another kind of processor, so a record from elsewhere never comes out equal here. Whether
a change of code changed anything is then seen by running both codes here.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from .executors.local import run_jobs
from .paths import ROOT
from .store import Store

# Run in the tree of the earlier commit, with its own code; it uses nothing but what stands here.
EARLIER = """
import json, sys
from experiments.loop.carry import settings_of, today_of
from experiments.loop.executors.local import run_jobs
from experiments.loop.store import Store

asked = json.load(open(sys.argv[1]))
jobs = []
for key in asked["keys"]:
    old = today_of(Store(asked["results"], asked["experiment"]).load(key), settings_of)
    if old.job.key != key:
        sys.exit(f"the record {key} is not of this code")
    jobs.append(old.job)
run_jobs(jobs, asked["folder"], threads=1, n_jobs=asked["n_jobs"])
"""


@contextlib.contextmanager
def computed_twice(sample, results, experiment, commit, n_jobs="auto"):
    """Compute the jobs of records by the code of ``commit`` and by today's, in a folder that is removed afterwards.

    Parameters
    ----------
    sample : list of carry.Old
        Their records are under the keys that they have with the code of ``commit``.
    results : Path
        Folder with the records.
    experiment : str
    commit : str
        As git names it.

    Yields
    ------
    earlier, today : Store
        The first by the keys of the records, the second by those of today's jobs.

    Raises
    ------
    ValueError
        In a sentence: there is no such commit, or the records are not of its code.
    """
    with tempfile.TemporaryDirectory(prefix="rekey-") as folder:
        tree, earlier, today = (Path(folder) / name for name in ("tree", "earlier", "today"))
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            asked = {"keys": [old.record["key"] for old in sample], "results": str(Path(results).absolute())}
            asked |= {"experiment": experiment, "folder": str(earlier), "n_jobs": n_jobs}
            (Path(folder) / "asked.json").write_text(json.dumps(asked))
            done = subprocess.run(
                [sys.executable, "-c", EARLIER, str(Path(folder) / "asked.json")],
                cwd=tree,
                env=os.environ | {"PYTHONPATH": str(tree)},
                text=True,
                stderr=subprocess.PIPE,
            )
        finally:
            _git("worktree", "remove", "--force", str(tree))
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise ValueError(f"The code of {commit} could not compute the sample again: {said}.")
        run_jobs([old.job for old in sample], today, threads=1, n_jobs=n_jobs)
        yield Store(earlier, experiment), Store(today, experiment)


def _git(*arguments):
    done = subprocess.run(["git", *arguments], cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        raise ValueError(f"git {arguments[0]} {arguments[1]} failed: {done.stderr.strip()}.")
