import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).parent))  # tidy.py; planted.py, by jobs in processes of their own
sys.warnoptions.append("error")  # the processes of jobs are as strict as this one


@pytest.fixture(scope="session")
def small_h5ad(tmp_path_factory):
    """80 cells × 30 genes of two kinds and two batches, in a file as a user would bring it."""
    rng = np.random.default_rng(0)
    kind = np.arange(80) % 2
    mean = rng.gamma(2, 2, size=(2, 30))[kind] * rng.gamma(5, 0.2, size=(80, 1))
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical(np.array(["a", "b"])[kind]), "donor": pd.Categorical(["x"] * 40 + ["y"] * 40)},
        index=[f"cell{i}" for i in range(80)],
    )
    adata = ad.AnnData(sp.csr_matrix(rng.poisson(mean).astype(np.int32)), obs=obs)
    adata.var_names = [f"gene{i}" for i in range(30)]
    path = tmp_path_factory.mktemp("data") / "small.h5ad"
    adata.write_h5ad(path)
    return path
