"""The figures of a run: drawn by the module of the experiment's name in figures/, saved beside those of other runs."""

import importlib
import json
import traceback
from pathlib import Path

from scvi_core.files.atomic import NotWritten

from ..loop import spreadsheet
from ..loop.names import as_file_name
from ..loop.store import atomic

FORMATS = (
    (".png", {"dpi": 200, "metadata": {"Software": None}}),
    (".pdf", {"dpi": 300, "metadata": {"CreationDate": None}}),  # of what is not vector: crowded points, images
)


def draw(experiment, summary, done, results_dir, stem):
    """Draw and save the figures of a run in the place of those that it had before.

    A figure that cannot be drawn takes nothing else with it, no other figure and nothing of the run: a sentence stands
    in its place.

    Parameters
    ----------
    experiment : str
        Its module, e.g. ``experiments.imputation``; the figures are those of ``experiments.figures.imputation``.
    summary, done : pandas.DataFrame
        What ``figure`` takes: the summary over seeds, and the finished jobs with their arrays.
    results_dir : Path
    stem : str
        What the files of the run are called.

    Returns
    -------
    files : list of str
        Names of the figures, without an ending.
    failures : list of str
        A sentence for each that there is not.

    Raises
    ------
    scvi_core.files.atomic.NotWritten
        The folder takes no file: then there is no place for anything else either.
    """
    folder, files, failures = results_dir / "figures", [], []
    before = _before(results_dir / "runs" / f"{stem}.json")

    def attempt(what, call, *arguments):
        try:
            return call(*arguments)
        except NotWritten:
            raise
        except (Exception, SystemExit) as error:  # of the code of whoever wrote the figure, nearly anything
            at = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"
            failures.append(f"{what} of {experiment} cannot be drawn: {reason}.")

    figures = attempt("the figures", figures_of, experiment, summary, done) or {}
    for name, figure in figures.items():
        files.append(attempt(f"the figure {name!r}", _save, figure, folder, f"{stem}_{as_file_name(name)}"))
    files = [name for name in files if name]
    for name in set(before) - set(files):
        for suffix in (".png", ".pdf", ".csv"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return files, failures


def _before(path):
    """The figures that the run of this name had, as its summary has them."""
    try:
        return [name for name in json.loads(path.read_text())["figures"] if Path(name).name == name]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def figures_of(experiment, summary, done):
    """{name: Figure} of a run, not yet saved; arguments as of `draw`. None where the experiment has no figures."""
    package, _, name = experiment.rpartition(".")
    module = f"{package}.figures.{name}".lstrip(".")
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # there is no such folder either
        found = None
    if found is None:
        print(f"Figure: none, there is no module {module}.")
        return {}
    return dict(importlib.import_module(module).figure(summary, done))


def _save(figure, folder, name):
    if not hasattr(figure, "data"):
        raise TypeError("it has no data, end with return figure.finish(alt, data)")
    for suffix, options in FORMATS:
        with atomic(folder / f"{name}{suffix}", "wb") as file:
            figure.savefig(file, format=suffix[1:], **options)
    with atomic(folder / f"{name}.csv", "w") as file:
        spreadsheet.write(figure.data, file)
    return name
