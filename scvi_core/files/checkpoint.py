"""Fits that outlive their process: checkpoints to go on from, and a log that others can read along."""

import glob
import json
import math
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from .atomic import NotWritten, sweep
from .storage import as_written, read, restore

# What may change between a checkpoint and the fit that goes on from it; everything else decides what is learned.
FREE = {"n_epochs", "kl_schedule", "point", "compare_mode", "engine", "device", "warm_start", "verbose"}


class Checkpoint:
    """Saves the model at the end of an epoch, if the last time is at least so many seconds ago.

    Parameters
    ----------
    model : SCVI
    keep_states : callable
        Puts what resuming needs, as it is now, on the model.
    path : path
    every : float, seconds
    """

    def __init__(self, model, keep_states, path, every):
        self.model, self.keep_states, self.path, self.every = model, keep_states, path, every
        sweep(Path(path).parent.glob(f".{glob.escape(Path(path).name)}.*.tmp"))
        self.write()  # a folder that is not there or not writable is found now and not after hours

    def __call__(self, row):
        if time.monotonic() - self.written >= self.every:
            self.write()

    def write(self):
        self.keep_states()
        self.model.save(self.path)
        self.written = time.monotonic()


class Log:
    """Appends each epoch to a text file as one JSON object: the row of the history, the ELBO and the time."""

    def __init__(self, path):
        self.path = path
        self._append("")  # a place where nothing can be written is found now and not after the first epoch

    def __call__(self, row):
        row = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "elbo": -row["loss"]} | row
        row = {name: None if value != value else value for name, value in row.items()}  # JSON knows no nan
        self._append(json.dumps(row) + "\n")

    def _append(self, line):
        try:
            with open(self.path, "a") as file:  # closed, and with that handed on, after every line
                file.write(line)
        except OSError as error:
            raise NotWritten(error.errno, f"The log {self.path} could not be written ({error.strerror}).") from error


def to_resume(path, resume):
    """The bytes of the checkpoint to go on from, None where training begins.

    Raises
    ------
    ValueError
        ``resume`` without a path.
    FileExistsError
        There is a file and ``resume`` is not set: a model that somebody has trained is not replaced by one that is not
        trained yet.
    """
    if path is None:
        if resume:
            raise ValueError("fit(resume=True) does not say from where: pass checkpoint=.")
        return None
    if not Path(path).is_file():
        return None
    if not resume:
        raise FileExistsError(
            f"{path} is there already and is not replaced: pass resume=True to go on from it, or name another file."
        )
    return Path(path).read_bytes()


def take_up(model, step, stopping, saved, path):
    """Bring a model that is about to be fitted into the state of a checkpoint, or raise ValueError: it is of another.

    Parameters
    ----------
    model : SCVI
        With its networks and the prior of its library size, not yet trained.
    step, stopping
        Of this fit; ``stopping`` may be None.
    saved : bytes
        Of the checkpoint.
    """
    content, about = read(saved, path)
    with as_written(path):
        difference = _difference(model, content, about)
    if difference:
        raise ValueError(f"{path} cannot be resumed: {difference}; name another checkpoint.")
    with as_written(path):
        restore(model, content, about)
        step.restore(model._optimiser_state)
        if stopping:
            stopping.restore(model._stopping_state)


def _difference(model, content, about):
    """What a checkpoint and a model do not have in common, in words; None if nothing."""
    mine = model.get_params()
    for name, value in about["parameters"].items():
        if name not in FREE and mine.get(name) != value:
            return f"it was trained with {name}={value!r} and this model has {name}={mine.get(name)!r}"
    n_genes = about["architecture"]["n_genes"]
    if n_genes != model.n_features_in_:
        return f"it has {n_genes} genes and the data have {model.n_features_in_}"
    theirs, ours = about["gene_names"] or [None] * n_genes, model.gene_names_ or [None] * n_genes
    for column, (their, our) in enumerate(zip(theirs, ours, strict=True)):
        if their != our:
            return f"its gene in column {column} is {their!r} and that of the data {our!r}"
    batches = None if model.batches_ is None else model.batches_.tolist()
    if about["batches"] != batches:
        return f"its batches are {about['batches']} and those of the data {batches}"
    if not np.allclose(about["batch_frequency"], model.batch_frequency_):
        return "its batches have other shares of the cells than those of the data"
    for name in ("library_mean", "library_var"):
        theirs, ours = content["network"][name].tolist(), getattr(model.network_, name).tolist()
        for their, our in zip(theirs, ours, strict=True):
            if not math.isclose(their, our, rel_tol=1e-5):
                return f"it was trained on other cells ({name.replace('_', ' ')} {their:.6g}, of the data {our:.6g})"
    return None
