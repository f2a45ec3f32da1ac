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

from .metrics import METRICS
from .store import atomic

TOLERANCE = 0.05  # share of the published value: seeds and split alone move the scores of one method by up to this much


def write(results_dir):
    """Write ``results_dir/report/index.html`` from the runs in ``results_dir`` and return its path.

    The page needs no server and nothing beside itself: figures are in it, style and script too.
    """
    results_dir = Path(results_dir)
    files = sorted((results_dir / "runs").glob("*.json"))
    runs = [_run(file, results_dir) for file in files]
    rows = [row for run in runs for row in run["rows"]]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["groups"] = _groups
    page = environment.get_template("report.html").render(
        runs=runs,
        claims=_claims(rows),
        counts=Counter(row["verdict"] for row in rows if row["published"]),
        datasets=sorted({run["dataset"] for run in runs}),
        methods=list(dict.fromkeys(row["label"] for row in rows)),
        tolerance=f"{TOLERANCE:.0%}",
    )
    path = results_dir / "report" / "index.html"
    with atomic(path, "w") as file:
        file.write(page)
    return path


def _groups(items, key):
    """Items with an equal value under ``key`` together, in the order they come (jinja2's groupby sorts)."""
    groups = {}
    for item in items:
        groups.setdefault(item[key], []).append(item)
    return groups.items()


def _run(file, results_dir):
    """Everything that the page says about one run."""
    notes = []
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        config = run["config"]
        experiment, dataset, protocol = (config[key]["name"] for key in ("experiment", "dataset", "protocol"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        run, config = {}, {}
        experiment, dataset, protocol = file.stem, "?", "?"
        notes.append(f"runs/{file.name} cannot be read ({type(error).__name__}: {error}): run the experiment again.")
    stem, axes, source = run.get("stem", file.stem), run.get("axes") or [], run.get("source") or {}
    summary = _table(results_dir, stem, notes)
    cells = _table(results_dir, f"{stem}_cells", notes)
    stand_in_for = (config.get("dataset") or {}).get("stand_in_for")
    identity = {
        "id": re.sub(r"[^a-z0-9]+", "-", f"run {stem}".lower()).strip("-"),
        "experiment": experiment,
        "dataset": dataset,
        "protocol": protocol,
        "tag": run.get("tag") or "",
        "stand_in_for": stand_in_for,
    }
    return identity | {
        "source": source,
        "steps": source.get("steps") or [],
        "figures": sorted(_figures(results_dir, run, notes), key=lambda figure: -figure["width"]),
        "rows": [_row(row, axes) | {"run": identity} for row in summary],
        "undone": _undone(cells, axes),
        "times": _times(cells),
        "provenance": _provenance(run.get("provenance") or {}, source),
        "config": json.dumps(config, indent=1, sort_keys=True, ensure_ascii=False),
        "csv": [_link(results_dir, f"tables/{name}.csv") for name in (stem, f"{stem}_cells")],
        "notes": notes,
    }


def _table(results_dir, name, notes):
    path = results_dir / "tables" / f"{name}.csv"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
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
        except (OSError, ValueError, SyntaxError) as error:
            notes.append(f"figures/{path.name} cannot be read ({type(error).__name__}).")
            continue
        title = words.get("Title") or name.removeprefix(run.get("stem", "")).strip("_").replace("_", " ")
        yield {
            "uri": "data:image/png;base64," + base64.b64encode(content).decode(),
            "width": round(width / 1.6),  # of 200 dots per inch: the figure's 7.5 points become 13 pixels
            "height": round(height / 1.6),
            "title": title,
            "alt": words.get("Description") or f"Figure: {title}. The table below has the numbers.",
            "pdf": _link(results_dir, f"figures/{name}.pdf"),
        }


def _row(row, axes):
    """One line of a table: what ``experiments.table.summarise`` found, in words and rounded numbers."""
    ours, low, high, published = (_float(row.get(name)) for name in ("mean", "ci_low", "ci_high", "published"))
    verdict, why = _verdict(row, ours, low, high, published)
    score = row.get("score", "")
    return {
        "label": row.get("label", ""),
        "role": row.get("role", "method"),
        "setting": ", ".join(f"{axis}: {row.get(axis, '')}" for axis in axes),
        "score": METRICS[score].label if score in METRICS else score,
        "better": METRICS[score].better if score in METRICS else "",
        "ours": number(ours),
        "interval": f"{number(low)} to {number(high)}" if math.isfinite(low) else "",
        "published": number(published),
        "published_in": row.get("published_in", ""),
        "difference": number(ours - published, sign=True),
        "difference_interval": f"{number(low - published, sign=True)} to {number(high - published, sign=True)}"
        if math.isfinite(low - published)
        else "",
        "n_seeds": row.get("n_seeds", ""),
        "n_missing": int(_float(row.get("n_missing")) or 0) if row.get("n_missing") else 0,
        "verdict": verdict,
        "why": why,
    }


def _verdict(row, ours, low, high, published):
    """Whether a published value holds: (reproduced, differs, no published value, not run), and why."""
    if not math.isfinite(ours):
        return "not run", row.get("status", "") or "no result"
    if not math.isfinite(published):
        return "no published value", ""
    if low <= published <= high:
        return "reproduced", "the published value is inside our interval"
    share = abs(ours - published) / abs(published) if published else math.inf
    if share <= TOLERANCE:
        return "reproduced", f"within {TOLERANCE:.0%} of the published value ({share:.1%} off)"
    better = METRICS[row["score"]].better if row.get("score") in METRICS else None
    side = "lower" if ours < published else "higher"
    judged = f", {'better' if side == better else 'worse'}" if better else ""
    return "differs", f"{share:.0%} {side} than published{judged}" if published else f"{side} than published{judged}"


def _claims(rows):
    """Rows with a published value, those of one claim (under several protocols) together."""
    claims = {}
    for row in rows:
        if row["published"]:
            run = row["run"]
            key = (run["experiment"], run["dataset"], row["setting"], row["score"], row["label"], row["published"])
            claims.setdefault(key, []).append(row)
    return list(claims.values())


def _undone(cells, axes):
    """What failed, timed out or was skipped: the same reason once, with the cells it hit."""
    groups = {}
    for cell in cells:
        if cell.get("status") != "done":
            key = (cell.get("label", ""), cell.get("status", ""), cell.get("reason", ""))
            setting = ", ".join(f"{axis}: {cell.get(axis, '')}" for axis in axes)
            groups.setdefault(key, {}).setdefault(setting, []).append(cell.get("seed", ""))
    return [
        {"label": label, "status": status, "reason": reason,
         "cells": [" ".join(filter(None, [setting, "seed " + ", ".join(seeds)])) for setting, seeds in hit.items()]}
        for (label, status, reason), hit in groups.items()
    ]  # fmt: skip


def _times(cells):
    """Wall time and peak memory of the finished cells of each method."""
    groups = {}
    for cell in cells:
        if cell.get("status") == "done":
            groups.setdefault(cell.get("label", ""), []).append(cell)
    rows = []
    for label, group in groups.items():
        seconds = [_float(cell.get("seconds")) for cell in group]
        memory = max(_float(cell.get("peak_memory_mb")) for cell in group)
        rows.append({"label": label, "n": len(group), "median": duration(statistics.median(seconds)),
                     "total": duration(sum(seconds)), "memory": f"{memory:,.0f}"})  # fmt: skip
    return rows


PROVENANCE = {
    "dataset_hash": "Data (sha256 of the counts and annotations)",
    "git_commit": "Commit",
    "versions": "Versions",
    "r_session": "R session",
    "machine": "Machine",
    "threads": "Threads per cell",
}


def _provenance(provenance, source):
    items = [("Source file (sha256)", [source["sha256"]])] if source.get("sha256") else []
    known = [name for name in PROVENANCE if provenance.get(name)]
    for name in known + sorted(set(provenance) - set(PROVENANCE)):
        items.append((PROVENANCE.get(name, name), [_words(value) for value in provenance[name]]))
    return items


def _words(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return str(value)


def _float(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan


def number(value, sign=False):
    """A number as the page prints it; nothing for NaN."""
    if not math.isfinite(value):
        return ""
    form = ".2e" if 0 < abs(value) < 0.001 else ",.3f" if abs(value) < 100 else ",.1f"
    return format(value, ("+" if sign else "") + form).replace("-", "−").replace("e−", "e-")


def duration(seconds):
    """Seconds as people say them: 4.2 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
