"""The pages of the site that are made from the sources: methods, keys, metrics, figures of the paper, the ledger.

Nothing in them is written by hand: what a class, a key or a score means is said where it is defined.
"""

import csv
import importlib
import inspect
import re
from pathlib import Path

from configuration import configuration
from table import code, table

from baselines.base import ANSWERS
from baselines.table import target_of
from experiments import titles
from experiments.report import exhibits, ledger
from experiments.report.pictures import picture
from experiments.report.results import fullest, read_runs
from experiments.scores import Score

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results"


def write(folder):
    """Write every page into ``folder``; a page that has not changed keeps its date, so that a second build is quick."""
    pages = {"methods.md": methods(), "configuration.md": configuration(), "metrics.md": metrics()}
    pages |= {"ledger.md": published(), **figures()}
    folder.mkdir(exist_ok=True)
    for file in set(folder.iterdir()) - {folder / name for name in pages}:
        file.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def methods():
    """Every class that a yaml of conf/method/ names, with its rows, what it answers, and its docstring."""
    rows = {}
    for path in sorted((ROOT / "conf" / "method").glob("*.yaml")):
        rows.setdefault(target_of(path), []).append(path.stem)
    rows.pop("scvi_core.SCVI")  # on a page of its own
    rows.setdefault("baselines.controls.BulkReference", ["(conf/exp/differential.yaml)"])
    lines = [
        "# The methods",
        "",
        "One section for each class. A row is a file of `conf/method/`: the class with its settings.",
        "",
    ]
    for target in sorted(rows, key=lambda name: name.rpartition(".")[2].lower()):
        module, _, name = target.rpartition(".")
        cls = getattr(importlib.import_module(module), name)
        answers = ", ".join(f"`{each}`" for each in (*ANSWERS, "compare") if hasattr(cls, each))
        names = ", ".join(f"`{row}`" for row in rows[target])
        lines += [f"## {name}", "", f"Rows: {names}. It answers {answers}.", ""]
        lines += ["```{eval-rst}", f".. autoclass:: {cls.__module__}.{name}", "   :members:", "```", ""]
    return "\n".join(lines)


def metrics():
    """Every score that an experiment declares, with its formula and its direction."""
    lines = ["# The metrics", ""]
    lines += [
        "Each experiment declares its scores in `SCORES` (`experiments/<name>.py`): the name in tables, what it is,"
    ]
    lines += [
        "which way is better, and how it is computed. A score without a direction describes and does not rank.",
        "",
    ]
    for path in sorted((ROOT / "experiments").glob("*.py")):
        module = importlib.import_module(f"experiments.{path.stem}")
        scores = getattr(module, "SCORES", None)
        if not isinstance(scores, dict):
            continue
        assert all(isinstance(score, Score) for score in scores.values())
        rows = [(code(name), score.label, score.better or "describes", score.formula) for name, score in scores.items()]
        name = titles.experiment(path.stem)
        about = inspect.getdoc(module.evaluate).split("\n\n")[0].replace("\n", " ")
        lines += [f"## {name[:1].upper()}{name[1:]}", "", f"`+exp={path.stem}`. {about}", ""]
        lines += [table(("score", "what it is", "better", "how it is computed"), rows), ""]
    lines += ["## The functions", "", "What several experiments share stands in `experiments/metrics/`.", ""]
    for path in sorted((ROOT / "experiments" / "metrics").glob("[a-z]*.py")):
        lines += ["```{eval-rst}", f".. automodule:: experiments.metrics.{path.stem}", "   :members:", "```", ""]
    return "\n".join(lines)


def figures():
    """A page for each table and figure of the paper: what it says, the commands, ours, and one page that lists them."""
    runs = fullest([run for run in read_runs(RESULTS) if not exhibits.is_own(run)])
    sections = exhibits.sections(runs, lambda run, name: (name, picture(RESULTS, run, name)))
    pages = {f"{section['id']}.md": _figure(section) for section in sections}
    rows = [(f"[{section['title']}]({section['id']}.md)", section["says"]) for section in sections]
    contents = "\n".join(section["id"] for section in sections)
    pages["figures.md"] = (
        "# The tables and figures\n\nIn the order of the paper. Each page has ours, with the commands behind them.\n\n"
        f"{table(('of the paper', 'what it says'), rows)}\n\n```{{toctree}}\n:hidden:\n\n{contents}\n```\n"
    )
    return pages


def _figure(section):
    lines = [f"# {section['title']}", "", f"The paper says: {section['says']}", ""]
    for block in section["blocks"]:
        lines += [f"## {block['title'][:1].upper()}{block['title'][1:]}", ""]
        if block["origin"]:
            origin = block["origin"].rstrip(".")
            lines += [f"Source of the data: {origin}.", ""]
        for called, command, took in block["commands"]:
            lines += [f"{called[:1].upper()}{called[1:]}{f' ({took})' if took else ''}:", ""]
            lines += ["```sh", command, "```", ""] if command else ["No configuration of today makes this run.", ""]
        for name, shown in filter(lambda pair: pair[1], block["pictures"]):
            alt = re.sub(r"([\[\]*_`])", r"\\\1", shown["alt"])
            lines += [f"![{alt}](../../results/figures/{name}.png)", ""]
    return "\n".join(lines)


def published():
    """Every published number with ours beside it, from results/ledger.csv."""
    rows = list(csv.DictReader((RESULTS / "ledger.csv").open(encoding="utf-8")))
    lines = ["# The ledger", "", ledger.summary([row | {"published": row["published"] or None} for row in rows]), ""]
    lines += [
        "Every published number stands here once, as the paper prints it. Beside it stand ours with the paper's text"
    ]
    lines += [
        "followed (*as written*) and with the authors' code followed (*as run*), or the reason why there is none."
    ]
    lines += ["[How verdicts are made](../explanation/verdicts.md) says what each verdict means.", ""]
    for figure in dict.fromkeys(row["figure"] for row in rows):
        own = [row for row in rows if row["figure"] == figure]
        lines += [f"## {figure}", ""]
        head = ("data", "method", "quantity", "published", "as written", "as run")
        lines += [table(head, [_number(row) for row in own]), ""]
    return "\n".join(lines)


def _number(row):
    what = f"{row['metric']} ({row['setting']})" if row["setting"] else row["metric"]
    ours = [_of_protocol(row, protocol) for protocol in ledger.PROTOCOLS]
    if not any(ours):
        ours = [row["reason"], ""]
    return row["dataset"], row["method"], what, row["published"] or "none", *ours


def _of_protocol(row, protocol):
    if not row[f"{protocol}_value"]:
        return ""
    words = f"{float(row[f'{protocol}_value']):.4g}, {row[f'{protocol}_verdict']}"
    other = row[f"{protocol}_verdict"] == "other data"
    return f"{words}: {row[f'{protocol}_data']}" if other else words
