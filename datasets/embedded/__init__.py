"""Counts that come with the package: what each file is and where it is from stands in ``README.md`` beside this one."""

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from ..base import InvalidDataset, check_dataset, differences, make_dataset, sha256_of

HERE = Path(__file__).parent
SLOTS = ("obs", "var", "obsm")


def load(file, name, stand_in_for, comparisons=None, expect=None):
    """A data set from one of the files of this folder.

    Parameters
    ----------
    file : str
        Its name, e.g. ``"retina.npz"``.
    name : str
        What the data set is called in records and tables.
    stand_in_for : str
        One line on the data set of the paper that this one stands in for.
    comparisons : dict, optional
        ``{name: [label, label]}`` (see :mod:`datasets.base`).
    expect : dict, optional
        ``cells``, ``genes``, ``labels``, ``batches`` that the file must have.

    Returns
    -------
    anndata.AnnData
        The slots that :func:`datasets.embedded.write.arrays_of` was given.

    Raises
    ------
    InvalidDataset
        The file is missing or damaged, or does not hold what ``expect`` says.
    """
    stored, digest = read(file)
    slots = {slot: {} for slot in SLOTS}
    for key, values in stored.items():
        slot, _, column = key.partition(".")
        if slot in SLOTS:
            slots[slot][column] = values
    adata = make_dataset(
        stored["counts"],
        cells=stored["cells"],
        genes=stored["genes"],
        source={"name": name, "origin": stand_in_for, "sha256": digest, "steps": [f"read {file} of the package"]},
        **slots,
    )
    wrong = differences(adata, expect, genes=adata.n_vars)
    if wrong:
        there = "; ".join(f"{sentence} where it has {value}" for sentence, value in wrong)
        raise InvalidDataset(f"{file} does not hold what {name} expects ({there}): correct expect in its yaml.")
    if comparisons:
        adata.uns["comparisons"] = {title: list(groups) for title, groups in comparisons.items()}
    return check_dataset(adata, counts=False)


def read(file):
    """The arrays of a file of this folder and its sha256, once that is the one in ``SHA256SUMS``.

    ``counts`` comes as CSR int32 (n_cells, n_genes).
    """
    path, known = HERE / file, dict(reversed(line.split()) for line in (HERE / "SHA256SUMS").read_text().splitlines())
    if not path.is_file():
        raise InvalidDataset(f"{path} is missing: restore it (git checkout -- {file}) or install the package again.")
    digest = sha256_of(path)
    if digest != known.get(file):
        raise InvalidDataset(
            f"{path} is damaged (its sha256 is not the one in SHA256SUMS): restore it (git checkout -- {file}) or "
            "install the package again."
        )
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["counts"] = sp.csr_matrix(arrays["counts"].T.astype(np.int32))
    return arrays, digest
