"""Cut the stand-ins to what the experiments read: ``python -m datasets.embedded.make_standins [NAME ...]``.

The files they are cut from are named below; they are looked for in the data folder (``SCVI_REPRO_DATA``), and README.md
says where each is from.
"""

import argparse

from .. import h5ad
from ..base import sha256_of
from ..io.fetch import data_folder
from . import HERE
from .write import arrays_of, write

BULK = [f"{name}_{part}" for name in ("CD", "BDC", "BDC2") for part in ("logFC", "P.Value", "adj.P.Val")]
QUALITY = ("num_umi", "num_reads", "mean_reads_per_umi", "std_reads_per_umi", "mapped_reads", "genome_not_gene")
QUALITY += ("unmapped_reads", "umi_corrected", "barcode_corrected")
CUTS = {  # the file, and how datasets.h5ad.load reads it
    "pbmc": (
        "pbmc4k_asurat.h5ad",
        {
            "label_key": "cell_type",
            "batch_key": "batch",
            "keep_cells": "in_scVI_metadata",
            "genes_with": "CD_P.Value",
            "annotations": "raw/molecule_qc_4k.txt",
            "obs_columns": {f"qc_{metric}": metric for metric in QUALITY},
            "var_columns": BULK,
        },
    ),
    "brain_large": ("brain_large_10k.h5ad", {"batch_key": "gem_group", "n_genes": 720, "drop_empty_cells": True}),
    "cbmc": (
        "cbmc_citeseq.h5ad",
        {"label_key": "cell_type", "protein_key": "protein_clr", "n_genes": 600, "var_columns": ["name_sure"]},
    ),
    "retina": ("baron_pancreas.h5ad", {"label_key": "cell_type", "batch_key": "batch"}),
    "hemato": (
        "hemato_spring_hpc.h5ad",
        {"keep_cells": "pass_spring_filter", "keep_genes": "in_paper_7397", "obs_columns": ["library"]},
    ),
    "hemato_continuous": ("paul15.h5ad", {"label_key": "paul15_clusters", "drop_empty_cells": True}),
}


def cut(name, data_dir=None):
    """The stand-in as it was read before it came with the package: an AnnData."""
    file, options = CUTS[name]
    folder = data_folder(data_dir)
    if "annotations" in options:
        options = {**options, "annotations": folder / options["annotations"]}
    return h5ad.load(folder / file, name=name, **options)


def main():
    """Write the files and say what belongs into SHA256SUMS."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CUTS)} (default: all)")
    for name in parser.parse_args().names or CUTS:
        adata = cut(name)
        write(f"{name}.npz", arrays_of(adata, adata.obs, adata.var, adata.obsm))
        print(f"{sha256_of(HERE / f'{name}.npz')}  {name}.npz", flush=True)


if __name__ == "__main__":
    main()
