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
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch.distributed as dist

from .data.on_disk import StoredCounts
from .files.storage import counts_of
from .model import SCVI
from .parameters import OPTIONS
from .training import TrainingDiverged


def read_counts(path, layer=None, batch_key=None):
    """Return counts, batch labels and gene names of an .h5ad, a folder of `StoredCounts` or a scipy .npz (counts only).

    Those of a folder stay on disk; its batches are the codes that it has of them.
    """
    if path.endswith(".npz"):
        return sp.load_npz(path), None, None
    folder = Path(path)
    if folder.is_dir():
        batch = None if batch_key is None else np.load(folder / f"obs.{batch_key}.npy")
        return StoredCounts.open(folder), batch, (folder / "genes.txt").read_text().splitlines()
    import anndata

    adata = anndata.read_h5ad(path)
    return *counts_of(adata, layer, batch_key), list(adata.var_names)


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
    """Train as the command line says and return the model."""
    own = vars(arguments)
    parameters = {name: own[name] for name in inspect.signature(SCVI).parameters if name in own}
    if arguments.engine == "auto" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        parameters["engine"] = "distributed"
    X, batch, genes = read_counts(arguments.counts, arguments.layer, arguments.batch_key)
    run = {name: own[name] for name in ("resume", "checkpoint_every", "log")}
    return SCVI(**parameters).fit(X, batch, gene_names=genes, checkpoint=arguments.out, **run)


def main(arguments=None):
    arguments = parser().parse_args(arguments)
    again = f"The same command with --resume goes on from {arguments.out}, if that was written."
    me = f"scvi_core.train, process {os.environ.get('RANK', 0)}"

    def ended(number, frame):
        sys.exit(f"{me}: ended from outside. {again}")

    signal.signal(signal.SIGTERM, ended)  # of torchrun when another process died, of Slurm when the time is up
    try:
        train(arguments)
    except (ValueError, KeyError, OSError, TrainingDiverged) as error:
        sys.exit(f"{me}: {error.args[0] if isinstance(error, KeyError) else error}")
    except RuntimeError as error:  # what the collectives raise
        if not dist.is_initialized():
            raise
        sys.exit(f"{me}: the training stopped, probably because another process did. {again} It was: {error}")
    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
