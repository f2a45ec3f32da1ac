"""The figures of a run: drawn by the module of the experiment's name in figures/, saved beside those of other runs."""

import importlib
import json
import sys
import traceback
from pathlib import Path

from ..loop import spreadsheet
from ..loop.names import as_file_name
from ..loop.store import atomic

FORMATS = (
    (".png", {"dpi": 200, "metadata": {"Software": None}}),
    (".pdf", {"dpi": 300, "metadata": {"CreationDate": None}}),  # of what is not vector: crowded points, images
)


def draw(experiment, summary, done, results_dir, stem):
    """Draw and save the figures of a run in the place of those that it had before.

    What cannot be drawn takes nothing else of the run with it: it is said in a sentence on standard error, and there
    are no figures then.

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
    is_whole : bool
        Whether all was drawn.
    """
    folder, files, is_whole = results_dir / "figures", [], True
    before = _before(results_dir / "runs" / f"{stem}.json")
    try:
        figures = _figures(experiment, summary, done) if len(done) else {}
        for name, figure in figures.items():
            if not hasattr(figure, "data"):
                raise TypeError(f"the figure {name!r} has no data: end with return figure.finish(alt, data)")
        files = [_save(figure, folder, f"{stem}_{as_file_name(name)}") for name, figure in figures.items()]
    except Exception as error:  # of the code of whoever wrote the figure, nearly anything
        at = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"
        print(f"error: the figures of {experiment} cannot be drawn: {reason}.", file=sys.stderr)
        files, is_whole = [], False
    for name in set(before) - set(files):
        for suffix in (".png", ".pdf", ".csv"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    return files, is_whole


def _before(path):
    """The figures that the run of this name had, as its summary has them."""
    try:
        return [name for name in json.loads(path.read_text())["figures"] if Path(name).name == name]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _figures(experiment, summary, done):
    package, _, name = experiment.rpartition(".")
    module = f"{package}.figures.{name}".lstrip(".")
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # there is no such folder either
        found = None
    if found is None:
        print(f"Figure: none, there is no module {module}.")
        return {}
    return importlib.import_module(module).figure(summary, done)


def _save(figure, folder, name):
    for suffix, options in FORMATS:
        with atomic(folder / f"{name}{suffix}", "wb") as file:
            figure.savefig(file, format=suffix[1:], **options)
    with atomic(folder / f"{name}.csv", "w") as file:
        spreadsheet.write(figure.data, file)
    return name
