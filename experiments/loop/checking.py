"""Jobs on record computed once more, and held against what the record says."""

import random
import tempfile
from typing import NamedTuple

from . import carry
from .executors.local import run_jobs
from .provenance import machine
from .store import Store, stores

CLOSE = 1e-6  # share by which the scores of another machine differ by rounding
ONE_SEED = 0.05  # share where there is no other seed to tell how much a score varies


class Checked(NamedTuple):
    """One job computed again."""

    job: str
    is_alike: bool
    found: str  # what differs, or how equal it is


def candidates(results_dir, settings, experiment=None, keys=(), at_most=float("inf")):
    """The finished records that can be computed again here.

    Parameters
    ----------
    results_dir : Path
    settings : callable
        As of `carry.today_of`.
    experiment : str, optional
        Only this one.
    keys : sequence of str
        Only these.
    at_most : float
        Only jobs that took at most so many seconds.

    Returns
    -------
    found : list of carry.Old
    passed_over : list of str
        A sentence for each record that has no job of today.
    damaged : list of str
        A sentence for each record, and for each archive, that is not as it was written.
    """
    found, passed_over, damaged = [], [], []
    for store in stores(results_dir):
        if experiment not in (None, store.folder.name):
            continue
        for key in store:
            if keys and key not in keys:
                continue
            try:
                record = store.load(key)
                if record["status"] == "done" and record["seconds"]["total"] <= at_most:
                    store.arrays(record)
                    found.append(carry.today_of(record, settings))
            except carry.NotMapped as error:
                passed_over.append(f"{key}: {error}")
            except Exception as error:  # of a file that was torn, nearly anything
                damaged.append(f"The record {key} is damaged ({error}).")
        damaged += store.damaged
    return found, passed_over, damaged


def check(results_dir, sample, n_jobs="auto", timeout_minutes=120.0):
    """Compute jobs again in a folder of their own and compare.

    On a machine of the kind that made a record, with as many threads and the same libraries, scores and facts are the
    same to the last digit. Elsewhere training may take another path: where not all is equal within a millionth, a score
    is alike where it moved by no more than it does from seed to seed, and a fact that names what was computed on
    (``…_sha256``) where it is the same.

    Parameters
    ----------
    results_dir : Path
    sample : list of carry.Old

    Returns
    -------
    list of Checked
    """
    with tempfile.TemporaryDirectory(prefix="check-") as folder:
        for threads in sorted({old.record["threads"] or 1 for old in sample}):
            jobs = {old.job.key: old.job for old in sample if (old.record["threads"] or 1) == threads}
            run_jobs(list(jobs.values()), folder, threads=threads, n_jobs=n_jobs, timeout_minutes=timeout_minutes)
        return [_compared(Store(results_dir, old.record["experiment"]), Store(folder, old.record["experiment"]), old)
                for old in sample]  # fmt: skip


def draw(found, n, seed):
    """n of them at random, the same for the same seed."""
    found = sorted(found, key=lambda old: old.record["key"])
    return random.Random(seed).sample(found, min(n, len(found)))


def _compared(store, computed, old):
    before, now = old.record, computed.read(old.job.key)
    if now is None or now["status"] != "done":
        return Checked(carry.name_of(before), False, f"not computed ({now['reason'] if now else 'it left no record'})")
    code = "" if old.job.key == before["key"] else "; the code has changed since"
    here = machine()["cpu"]
    where = "" if before["machine"]["cpu"] == here else f" (computed on {before['machine']['cpu']}, here {here})"

    def exact(tolerance=0.0):
        return carry.differences(before, now, store.arrays(before), computed.arrays(now), tolerance)

    apart = exact()
    if not apart:
        return Checked(carry.name_of(before), True, f"equal to the last digit{where}{code}")
    if all(before[name] == now[name] for name in ("machine", "threads", "versions")):
        return Checked(carry.name_of(before), False, ", ".join(apart) + code)
    if not exact(CLOSE):
        return Checked(carry.name_of(before), True, f"equal within {CLOSE:g}{where}{code}")
    apart = [
        f"{name} {before['scores'].get(name)} → {now['scores'].get(name)}"
        for name in sorted(before["scores"].keys() | now["scores"].keys())
        if not _is_near(before["scores"].get(name), now["scores"].get(name), _spread(store, before, name))
    ]
    apart += [
        f"{name} {value} → {now['facts'].get(name)}"
        for name, value in before["facts"].items()
        if name.endswith("_sha256") and not name.startswith("generative") and now["facts"].get(name) != value
    ]
    said = f"as near as another seed{where}"
    return Checked(carry.name_of(before), not apart, (", ".join(apart) or said) + code)


def _is_near(before, now, spread):
    if before is None or now is None:
        return False
    return abs(now - before) <= max(spread, CLOSE * abs(before))


def _spread(store, record, score):
    """By how much a score differs between the seeds of a row."""
    same = ("dataset", "protocol_config", "method", "axes")
    alike = (other for other in store.finished() if all(other[name] == record[name] for name in same))
    values = [other["scores"][score] for other in alike if score in other["scores"]]
    return max(values) - min(values) if len(values) > 1 else ONE_SEED * abs(record["scores"][score])
