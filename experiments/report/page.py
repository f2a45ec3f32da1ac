"""The report: one static page in the order of the paper, ours beside the published value.

``python -m experiments.report.page`` writes it again from what lies in the results folder: ``runs/*.json`` say what was
run, ``tables/`` and ``figures/`` hold what came out. A file that is missing or damaged is named on the page and breaks
nothing else. Pictures are linked; ``--single-file`` puts them into the page.
"""

import argparse
import functools
from collections import Counter
from pathlib import Path

import jinja2

from .. import titles
from ..loop.store import atomic
from . import claims, exhibits, ledger
from .numbers import interval_words, number
from .pictures import picture
from .results import fullest, read_runs

NAME = "index.html"


def main():
    about = __doc__.split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m experiments.report.page", description=about)
    parser.add_argument("--results", default="results", help="folder with the runs (results)")
    parser.add_argument("--single-file", action="store_true", help="with the pictures in it, to be handed on")
    arguments = parser.parse_args()
    print(f"Report: {write(arguments.results, single_file=arguments.single_file)}")


def write(results_dir, single_file=False):
    """Write ``results_dir/report/index.html`` from the runs in ``results_dir`` and return its path.

    The page needs no server and no network. With ``single_file`` it needs nothing beside itself either.
    """
    results_dir = Path(results_dir)
    runs = read_runs(results_dir)
    speaking = fullest(runs)
    shown = functools.partial(picture, results_dir, embed=single_file)
    own = [run for run in runs if exhibits.is_own(run)]
    paper = [run for run in speaking if run not in own]
    in_order = exhibits.sections(paper, shown)
    used = {run["stem"] for section in in_order for block in section["blocks"] for run in block["runs"]}
    of_the_user = exhibits.the_rest(own, shown, "own")
    others = exhibits.the_rest([run for run in runs if run["stem"] not in used and run not in own], shown, "more")
    exhibits.with_addresses([*of_the_user, *in_order, *others])
    statements = [_statement(each, own) for each in claims.answered(speaking)]
    lines = ledger.ledger([run for run in runs if run not in own])
    of_run = {run["stem"]: run["dataset"] for run in runs}
    page = _template().render(
        runs=[run | {"times": exhibits.times(run["jobs"]), "undone": _undone(run)} for run in runs],
        own=of_the_user,
        exhibits=in_order,
        others=others,
        deviations=(results_dir / "DEVIATIONS.md").exists(),
        statements=[each for each in statements if each["answers"]],
        placed={section["id"] for section in in_order},
        unasked=[each for each in statements if not each["answers"]],
        tally=Counter(each["verdict"] for each in statements if each["answers"]),
        answers=Counter(answer["verdict"] for each in statements for answer in each["answers"]),
        ledger=[_ledger_row(row, of_run) for row in lines if row["published"] is not None] if paper else [],
        told=ledger.summary(lines),
        datasets=dict(sorted((run["dataset"], run["title"]) for run in runs if run["dataset"])),
        methods=list(dict.fromkeys(line["label"] for run in runs for line in run["table"])),
        provenance=_provenance,
    )
    path = results_dir / "report" / NAME
    with atomic(path, "w") as file:
        file.write(page)
    return path


@functools.cache
def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"protocol": titles.protocol, "experiment": titles.experiment}
    return environment.get_template("page.html")


def _statement(claim, own):
    """A statement with its verdict over all runs, and its answers by verdict and data set.

    Runs of a user's data that do not speak of it are left out: the paper did not ask for them.
    """
    answers = [each for each in claim["answers"] if each["verdict"] != "not run" or each["run"] not in own]
    claim, lines = claim | {"answers": answers}, []
    for verdict in ("holds", "contradicted", "undecided", "not run"):
        runs = {}
        for answer in claim["answers"]:
            if answer["verdict"] == verdict:
                runs.setdefault(answer["run"]["dataset"], []).append(answer["run"])
        if runs:
            lines.append((verdict, list(runs.items())))
    return {"exhibit": ""} | claim | {"verdict": claims.over_all(claim["answers"]), "verdicts": lines}


def _ledger_row(row, of_run):
    """A row of the ledger with its numbers in words; ``of_run``: the data set of each run."""
    told = {}
    for protocol in ledger.PROTOCOLS:
        value = row[f"{protocol}_value"]
        low, high = (row[f"{protocol}_{end}"] for end in ("low", "high"))
        words = number(value) if value != "" else ""
        words += f" ({interval_words(low, high)})" if low != "" else ""
        told[protocol] = words
    data = dict.fromkeys(row[f"{p}_data"] for p in ledger.PROTOCOLS if row[f"{p}_data"])
    notes = dict.fromkeys(row[f"{p}_note"] for p in ledger.PROTOCOLS if row[f"{p}_note"])
    return row | {
        "published": number(float(row["published"])),
        "ours": told,
        "data": "; ".join(data),
        "verdict": ledger.verdict_of(row),
        "remark": row["reason"] or "; ".join(notes),
        "run": row["as_written_run"] or row["as_run_run"],
        "run_dataset": of_run.get(row["as_written_run"] or row["as_run_run"], ""),
    }


def _undone(run):
    """What failed, timed out or was skipped: each reason once, with the seeds it hit."""
    groups = {}
    for job in run["jobs"]:
        if job.get("status") != "done":
            what = tuple(job.get(name, "") for name in ("label", "status", "reason"))
            setting = exhibits.setting_of(job, run["axes"], run["dataset"])
            groups.setdefault(what, {}).setdefault(setting, []).append(job.get("seed", ""))
    undone = []
    for (label, status, reason), hit in groups.items():
        where = "; ".join(f"{setting or 'seeds'}: {', '.join(seeds)}" for setting, seeds in hit.items())
        undone.append({"label": label, "status": status, "reason": reason, "where": where})
    return undone


PROVENANCE = {
    "dataset_hash": "Data (sha256)",
    "git_commit": "Commit",
    "versions": "Versions",
    "r_session": "R session",
    "machine": "Machine",
    "threads": "Threads per job",
}


def _provenance(run):
    """Terms and their values: all that a run was made from."""
    provenance = run["provenance"]
    items = [("Steps on the data", run["steps"]), ("Source file (sha256)", [run["sha256"]])]
    for name in [*PROVENANCE, *sorted(set(provenance) - set(PROVENANCE))]:
        items.append((PROVENANCE.get(name, name), provenance.get(name)))
    return [(term, [_words(value) for value in values]) for term, values in items if values and any(values)]


def _words(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value)


if __name__ == "__main__":
    main()
