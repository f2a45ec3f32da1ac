"""Train a model on a file of counts, in one process or, under torchrun, in several.

    python -m scvi_core.train counts.h5ad --out model.pt --batch-key donor --n-epochs 100
    torchrun --nproc-per-node=4 -m scvi_core.train counts.h5ad --out model.pt --resume

The model file is written while it is trained; the same command with --resume goes on from it.
"""

import argparse
import inspect
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch.distributed as dist

from .convergence import NotConverged
from .data.on_disk import StoredCounts
from .files.checkpoint import to_resume
from .files.storage import counts_of, read
from .model import SCVI
from .parameters import OPTIONS
from .training import TrainingDiverged


def read_counts(path, layer=None, batch_key=None):
    """Return counts, batch labels and gene names of an .h5ad, a folder of `StoredCounts` or a scipy .npz (counts only).

    Those of a folder stay on disk; its batches are the codes that it has of them.

    Raises
    ------
    OSError, ValueError, KeyError
        One sentence: what is not there or cannot be read.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"There is no file or folder {path}.")
    kind = "folder" if file.is_dir() else file.suffix
    if kind not in (".h5ad", ".npz", "folder"):
        raise ValueError(f"{path} is not of a kind that is read here: pass an .h5ad, a folder of counts, or an .npz.")
    if layer is not None and kind != ".h5ad":
        raise ValueError(f"{path} has no layers: leave --layer out.")
    if batch_key is not None and kind == ".npz":
        raise ValueError(f"{path} has counts alone and no batches: leave --batch-key out, or pass an .h5ad.")
    if kind == ".npz":
        return _read(path, sp.load_npz), None, None
    if kind == "folder":
        labels = file / f"obs.{batch_key}.npy"
        if batch_key is not None and not labels.exists():
            known = ", ".join(path.name[4:-4] for path in sorted(file.glob("obs.*.npy"))) or "none"
            raise KeyError(f"There are no batches {batch_key!r} in {path}: it has {known}.")
        batch = None if batch_key is None else _read(labels, np.load)
        genes = _read(file / "genes.txt", lambda genes: genes.read_text().splitlines())
        return _read(file, StoredCounts.open), batch, genes
    import anndata

    adata = _read(path, anndata.read_h5ad)
    return *counts_of(adata, layer, batch_key), list(adata.var_names)


def _read(path, read):
    """``read(path)``, or one sentence in place of what a library says."""
    try:
        return read(path)
    except Exception as error:  # not of this kind, damaged, not ours to read, without what belongs to it
        reason = (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
        raise ValueError(f"{path} could not be read as counts ({reason}).") from error


def parser():
    """The options: those of a run written out, those of the model from its signature."""
    parser = argparse.ArgumentParser("scvi_core.train", description=__doc__.splitlines()[0])
    parser.add_argument("counts", help=".h5ad, a folder of counts on disk, or .npz of a CSR matrix (scipy)")
    parser.add_argument("--out", required=True, help="the model, written while it is trained")
    parser.add_argument("--layer", help="where an .h5ad has the counts, if not in X")
    parser.add_argument("--batch-key", help="column of obs with the batches")
    parser.add_argument("--resume", action="store_true", help="go on from OUT where it is there")
    parser.add_argument("--checkpoint-every", type=float, default=60.0, help="seconds between writes (60)")
    # not --log: torchrun would take it for the beginning of its own --log-dir
    parser.add_argument("--log-file", dest="log", help="append one JSON object per epoch to this file")
    model = parser.add_argument_group("parameters of scvi_core.SCVI")
    for name, parameter in inspect.signature(SCVI).parameters.items():
        default, option = parameter.default, f"--{name.replace('_', '-')}"
        if name in ("kl_schedule", "warm_start"):  # a function, and what --resume is for
            continue
        if isinstance(default, bool):
            model.add_argument(option, action=argparse.BooleanOptionalAction, default=default)
            continue
        choices = [choice for choice in OPTIONS.get(name, ()) if choice is not None] or None
        kind = str if choices else int if default is None else type(default)
        model.add_argument(option, type=kind, choices=choices, default=default, help=f"({default})")
    return parser


def train(arguments):
    """Train as the command line says; return the model and in one sentence what was done."""
    own = vars(arguments)
    parameters = {name: own[name] for name in inspect.signature(SCVI).parameters if name in own}
    if arguments.engine == "auto" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        parameters["engine"] = "distributed"
    X, batch, genes = read_counts(arguments.counts, arguments.layer, arguments.batch_key)
    run = {name: own[name] for name in ("resume", "checkpoint_every", "log")}
    start, saved = time.monotonic(), to_resume(arguments.out, arguments.resume)
    before = 0 if saved is None else len(read(saved, arguments.out)[1]["history"])
    model = SCVI(**parameters).fit(X, batch, gene_names=genes, checkpoint=arguments.out, **run)
    return model, what_was_done(model, X.shape, before, time.monotonic() - start, arguments.out)


def what_was_done(model, shape, before, seconds, path):
    """One or two sentences: the data, the epochs of this run after those of earlier ones, the bound, the file."""
    history = model._history
    done, asked = len(history) - before, model.n_epochs
    stopped = ", where early stopping ended it" if len(history) < asked else ""
    if not done:
        return f"Nothing was trained: {path} has {before} epochs already{stopped or ', as many as asked for'}."
    batches = "" if model.batches_ is None else f" in {_counted(len(model.batches_), 'batch', 'batches')}"
    after = f" after the {before} it had" if before else ""
    weight = history[-1]["kl_weight"]
    return (
        f"Trained on {_counted(shape[0], 'cell')} × {_counted(shape[1], 'gene')}{batches}: "
        f"{_counted(done, 'epoch')}{after}{stopped}, in {seconds:,.0f} s ({model.engine_}, {model.device_}). "
        f"The bound of the last epoch is {-history[-1]['loss']:,.2f} nats per cell"
        f"{'' if weight == 1 else f' with a KL weight of {weight:.2f}'}; the model is in {path}."
    )


def _counted(n, one, many=None):
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def main(arguments=None):
    arguments = parser().parse_args(arguments)
    again = f"The same command with --resume goes on from {arguments.out}, if that was written."
    rank = int(os.environ.get("RANK", 0))
    me = f"scvi_core.train, process {rank}"

    def ended(number, frame):
        # said at once: what is under way may wait for a process that is gone until this one is killed as well
        os.write(2, f"{me}: ended from outside. {again}\n".encode())
        sys.exit(1)

    signal.signal(signal.SIGTERM, ended)  # of torchrun when another process died, of Slurm when the time is up
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConverged)  # said below
            model, done = train(arguments)
    except FileExistsError:
        out = f"{arguments.out} is there already and is not replaced"
        sys.exit(f"{me}: {out}: add --resume to go on from it, or name another file.")
    except (ValueError, KeyError, OSError, MemoryError, TrainingDiverged) as error:
        sys.exit(f"{me}: {error.args[0] if isinstance(error, KeyError) else error}")
    except KeyboardInterrupt:
        sys.exit(f"{me}: interrupted. {again}")
    except RuntimeError as error:  # what the collectives raise
        if not dist.is_initialized():
            raise
        sys.exit(f"{me}: the training stopped, probably because another process did. {again} It was: {error}")
    if dist.is_initialized():
        dist.destroy_process_group()
    if rank == 0:
        print(done)
        if model.convergence_.converged is False:
            print(f"Warning: {model.convergence_}")


if __name__ == "__main__":
    main()
