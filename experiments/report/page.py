"""The report: one static page with every table and figure, ours beside the published value.

It is a function of what lies in the results folder: ``runs/*.json`` say what was run, ``tables/`` and ``figures/``
hold what came out. A file that is missing or damaged is named on the page and breaks nothing else.
"""

import base64
import csv
import json
import math
import re
import statistics
from collections import Counter
from pathlib import Path
from urllib.parse import quote

import jinja2
from PIL import Image

from ..loop.registry import METRICS
from ..loop.spreadsheet import plain
from ..loop.store import atomic
from . import claims
from .numbers import duration, number, to_float


def write(results_dir):
    """Write ``results_dir/report/index.html`` from the runs in ``results_dir`` and return its path.

    The page needs no server and nothing beside itself: figures are in it, style and script too.
    """
    results_dir = Path(results_dir)
    files = sorted((results_dir / "runs").glob("*.json"))
    runs = [run for file in files if not (run := _run(file, results_dir))["flip"]]  # those are in DEVIATIONS.md
    rows = [row for run in runs for row in run["rows"]]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["groups"] = _groups
    published = _published(rows)
    statements = [s | {"verdicts": _by_verdict(s["answers"])} for s in claims.answered(fullest(runs))]
    answers = Counter(answer["verdict"] for statement in statements for answer in statement["answers"])
    told = [row for methods in published.values() for rows in methods for row in rows]
    verdicts = Counter(row["verdict"] for row in told)
    verdicts["own data"] = sum(  # each published value once, however many protocols it was held against
        any(row["verdict"] in ("reproduced", "differs") for row in rows)
        for methods in published.values()
        for rows in methods
    )
    verdicts["other data, close"] = sum(row["is_close"] and row["verdict"] == "other data" for row in told)
    page = environment.get_template("page.html").render(
        runs=runs,
        deviations=(results_dir / "DEVIATIONS.md").exists(),
        statements=statements,
        answers=answers,
        tally=Counter(claims.over_all(statement["answers"]) for statement in statements),
        published=published,
        counts=verdicts,
        datasets=sorted({run["dataset"] for run in runs} - {""}),
        methods=list(dict.fromkeys(row["label"] for row in rows)),
    )
    path = results_dir / "report" / "index.html"
    with atomic(path, "w") as file:
        file.write(page)
    return path


def fullest(runs):
    """The runs that speak for the settings as they stand: of those that only leave jobs out or add some, the plain one.

    Where there is none, of one experiment, data set and protocol that with the most finished jobs.
    """
    speak = {}
    for run in runs:
        if not run["alters"]:
            what = (run["experiment"], run["dataset"], run["protocol"], run["data"], *run["flip"])
            before, size = speak.get(what), (not run["tag"], sum(job.get("status") == "done" for job in run["jobs"]))
            if before is None or size > before[0]:
                speak[what] = size, run
    return [run for _, run in speak.values()]


def _groups(items, key):
    """Items with an equal value under ``key`` together, in the order they come (jinja2's groupby sorts)."""
    groups = {}
    for item in items:
        groups.setdefault(item[key], []).append(item)
    return groups.items()


def _run(file, results_dir):
    """Everything that the page says about one run; of one that is damaged, that it is."""
    try:
        return _summary(file, results_dir)
    except Exception as error:  # whatever a hand or a disk has left in the place of a summary
        note = f"runs/{file.name} cannot be read ({type(error).__name__}: {error}): run the experiment again."
        return _section(file.stem, experiment="unreadable", dataset="", protocol="", notes=[note])


def _summary(file, results_dir):
    run = json.loads(file.read_text(encoding="utf-8"))
    stem, config, axes = run["stem"], run["config"], run["axes"]
    if stem != file.stem or any(Path(name).name != name for name in run.get("figures") or []):
        raise ValueError("it speaks of files that are not its own")
    names = {key: str(config[key]["name"]) for key in ("experiment", "dataset", "protocol")}
    notes, source = list(run.get("notes") or []), run.get("source") or {}
    tag, flip = run.get("tag", ""), config.get("flip") or []
    run_id = _section(stem, **names, tag=tag, file=run.get("file"), stand_in_for=_stand_in(config, source))
    jobs, table = _table(results_dir, f"{stem}_jobs", JOBS, notes), _table(results_dir, stem, ROWS, notes)
    return run_id | {
        "origin": source.get("origin", ""),
        "alters": run.get("alters", bool(tag)),
        "flip": flip,
        "data": str((run.get("provenance") or {}).get("dataset_hash")),
        "axes": axes,
        "figures": list(_figures(results_dir, run, notes)),
        "table": table,
        "jobs": jobs,
        "rows": [_row(row, axes, run_id) for row in table],
        "remarks": [(m.get("_label_", name), m["_note_"]) for name, m in config["methods"].items() if m.get("_note_")],
        "undone": _undone(jobs, axes),
        "times": _times(jobs),
        "provenance": _provenance(run.get("provenance") or {}, source),
        "config": json.dumps({key: config.get(key) for key in CONFIGURATION}, indent=1, ensure_ascii=False),
        "csv": [_link(results_dir, f"tables/{name}.csv") for name in (stem, f"{stem}_jobs")],
        "notes": notes,
    }


def _stand_in(config, source):
    """The sentence that says which data these stand in for, if they do."""
    return config["dataset"].get("stand_in_for") or source.get("stand_in_for")


def _section(stem, *, experiment, dataset, protocol, tag="", file=None, stand_in_for=None, notes=()):
    """A section of the page that names a run, with nothing in it yet."""
    variant = ", ".join(filter(None, [protocol, file, tag]))
    name = ", ".join(filter(None, [dataset, variant])) or stem
    empty = dict.fromkeys(("axes", "figures", "table", "jobs", "rows", "remarks", "undone", "times", "provenance"), ())
    return empty | {
        "id": re.sub(r"\s", "-", f"run-{stem}"),
        "experiment": experiment,
        "dataset": dataset,
        "protocol": protocol,
        "variant": variant,
        "tag": tag,
        "alters": True,
        "flip": [],
        "data": "",
        "name": name,
        "stand_in_for": stand_in_for,
        "origin": "",
        "config": "",
        "csv": (None, None),
        "notes": notes,
    }


JOBS = {"label", "status", "seed", "seconds", "peak_memory_mb"}
ROWS = {"label", "score", "status", "mean", "ci_low", "ci_high", "vs_scvi", "vs_scvi_low", "vs_scvi_high"}


def _table(results_dir, name, columns, notes):
    """The lines of a table, none with a note where it is not whole."""
    path = results_dir / "tables" / f"{name}.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{plain(key): plain(value) for key, value in row.items()} for row in csv.DictReader(file)]
        if any(not columns <= row.keys() or None in row or None in row.values() for row in rows):
            raise ValueError("a column or a field is missing")
        return rows
    except (OSError, ValueError, csv.Error) as error:
        notes.append(f"tables/{path.name} cannot be read ({type(error).__name__}).")
        return []


def _link(results_dir, path):
    """Address relative to the page, or None where there is no such file."""
    return "../" + quote(path) if (results_dir / path).is_file() else None


def _figures(results_dir, run, notes):
    for name in run.get("figures") or []:
        path = results_dir / "figures" / f"{name}.png"
        try:
            content = path.read_bytes()
            with Image.open(path) as image:
                image.load()
                (width, height), words = image.size, image.info
        except Exception as error:  # an image that is damaged can raise nearly anything
            notes.append(f"figures/{path.name} cannot be read ({type(error).__name__}).")
            continue
        title = words.get("Title") or name.removeprefix(run.get("stem", "")).strip("_").replace("_", " ")
        yield {
            "uri": "data:image/png;base64," + base64.b64encode(content).decode(),
            "width": round(width / 1.7),  # of 200 dots per inch: the 7.5 points of a figure's words become 12 pixels
            "height": round(height / 1.7),
            "title": title,
            "alt": words.get("Description") or f"Figure: {title}. The table below has the numbers.",
            "pdf": _link(results_dir, f"figures/{name}.pdf"),
        }


def _row(row, axes, run):
    """One line of a table: what ``experiments.report.table.summarise`` found, in words and rounded numbers."""
    ours, low, high, published = (to_float(row.get(name)) for name in ("mean", "ci_low", "ci_high", "published"))
    metric = METRICS.get(row.get("score"))
    verdict, why = _verdict(ours, low, high, published, row.get("status"), metric)
    is_close = verdict == "reproduced"
    if run["stand_in_for"] and verdict in ("reproduced", "differs"):
        verdict = "other data"
    if row.get("role") == "control" and verdict == "no published value":
        verdict = "control"
    return {
        "run": run,
        "label": row.get("label", ""),
        "role": row.get("role", ""),
        "setting": _setting(row, axes),
        "score": metric.title if metric else row.get("score", ""),
        "ours": number(ours),
        "interval": _interval(low, high),
        "published": number(published),
        "published_in": row.get("published_in", ""),
        "difference": number(ours - published, "+"),
        "difference_interval": _interval(low - published, high - published, "+"),
        "vs_scvi": number(to_float(row.get("vs_scvi")), "+"),
        "vs_scvi_interval": _interval(to_float(row.get("vs_scvi_low")), to_float(row.get("vs_scvi_high")), "+"),
        "n_seeds": row.get("n_seeds", ""),
        "n_missing": int(to_float(row.get("n_missing", 0))),
        "verdict": verdict,
        "is_close": is_close,
        "why": why,
    }


def _verdict(ours, low, high, published, status, metric):
    """What became of a published value: reproduced, differs, no published value or not run; and why."""
    if not math.isfinite(ours):
        return "not run", status or "no result"
    if not math.isfinite(published):
        return "no published value", ""
    if low <= published <= high:
        return "reproduced", "inside our interval"
    side = "lower" if ours < published else "higher"
    share = abs(ours - published) / abs(published) if published else math.inf
    why = f"{share:.1%} {side}" if published else side
    if share <= (metric.tolerance if metric else 0.0):
        return "reproduced", why if share else "equal"
    ranked = metric and metric.better
    return "differs", why + (", better" if side == ranked else ", worse" if ranked else "")


def _interval(low, high, sign=""):
    return f"{number(low, sign)} to {number(high, sign)}" if math.isfinite(low) else ""


def _by_verdict(answers):
    """What answers say, in a line for each verdict: [(verdict, [(data set, [run of one protocol, …]), …]), …]."""
    lines = []
    for verdict in ("holds", "contradicted", "undecided", "not run"):
        runs = [answer["run"] for answer in answers if answer["verdict"] == verdict]
        if runs or (verdict == "not run" and not answers):
            lines.append((verdict, list(_groups(runs, "dataset"))))
    return lines


def _published(rows):
    """Rows with a published value, as {where: [rows of one method, one per protocol]}; once, if runs share records."""
    published = {}
    for row in rows:
        if row["published"]:
            where = (row["run"]["experiment"], row["run"]["dataset"], row["setting"], row["score"])
            told = published.setdefault(", ".join(filter(None, where)), {}).setdefault(row["label"], {})
            told.setdefault((row["run"]["protocol"], row["ours"], row["interval"]), row)
    return {where: [list(told.values()) for told in methods.values()] for where, methods in published.items()}


def _undone(jobs, axes):
    """What failed, timed out or was skipped: each reason once, with the seeds it hit."""
    groups = {}
    for job in jobs:
        if job.get("status") != "done":
            what = tuple(job.get(name, "") for name in ("label", "status", "reason"))
            groups.setdefault(what, {}).setdefault(_setting(job, axes), []).append(job.get("seed", ""))
    undone = []
    for (label, status, reason), hit in groups.items():
        where = "; ".join(f"{setting or 'seeds'}: {', '.join(seeds)}" for setting, seeds in hit.items())
        undone.append({"label": label, "status": status, "reason": reason, "where": where})
    return undone


def _setting(row, axes):
    return ", ".join(f"{axis}: {row.get(axis, '')}" for axis in axes)


def _times(jobs):
    """Wall time and peak memory of the finished jobs of each method."""
    done = [job for job in jobs if job.get("status") == "done"]
    times = []
    for label, group in _groups(done, "label"):
        seconds = [to_float(job.get("seconds")) for job in group]
        memory = max(to_float(job.get("peak_memory_mb")) for job in group)
        row = {"label": label, "n": len(group), "memory": f"{memory:,.0f}"}
        times.append(row | {"median": duration(statistics.median(seconds)), "longest": duration(max(seconds))})
    return times


CONFIGURATION = ("experiment", "protocol", "methods", "seeds")  # the rest is where files are, not what is computed
PROVENANCE = {
    "dataset_hash": "Data (sha256)",
    "git_commit": "Commit",
    "versions": "Versions",
    "r_session": "R session",
    "machine": "Machine",
    "threads": "Threads per job",
}


def _provenance(provenance, source):
    """Terms and their values: all that a run was made from."""
    items = [("Steps on the data", source.get("steps")), ("Source file (sha256)", [source.get("sha256")])]
    for name in [*PROVENANCE, *sorted(set(provenance) - set(PROVENANCE))]:
        items.append((PROVENANCE.get(name, name), provenance.get(name)))
    return [(term, [_words(value) for value in values]) for term, values in items if values and any(values)]


def _words(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value)
