# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first look at cells with scVI
#
# Open this file as a notebook with Jupytext, or run it with `python notebook.py`. It takes a minute.

# %%
import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from baselines.pca import PCA
from datasets import presets
from scvi_core import SCVI

# %% [markdown]
# The cells are simulated from the model of the paper, so the truth is known: three types, two batches.

# %%
adata = presets.load("simulated", n_cells=400, n_genes=60, n_clusters=3)
label, batch = adata.obs["label"], adata.obs["batch"]
print(adata)

# %% [markdown]
# scVI and PCA have the same interface. `fit` takes raw counts, `latent` places the cells.

# %%
methods = {"scVI": SCVI(n_latent=5, n_epochs=600), "PCA": PCA(n_latent=5)}
spaces = {name: method.fit(adata.X, batch=batch).latent(adata.X, batch=batch) for name, method in methods.items()}


# %%
def agreement(space):
    """Adjusted Rand index of k-means with the true types: 1 is perfect, 0 is chance."""
    clusters = KMeans(label.nunique(), n_init=10, random_state=0).fit_predict(space)
    return adjusted_rand_score(label, clusters)


scores = {name: agreement(space) for name, space in spaces.items()}
for name, score in scores.items():
    print(f"{name}: {score:.2f}")

# %% [markdown]
# The inferred library size follows the number of counts of a cell.

# %%
model = methods["scVI"]
inferred = model.library_size(adata.X, batch=batch)
observed = np.asarray(adata.X.sum(axis=1)).ravel()
correlation = np.corrcoef(np.log(inferred), np.log(observed))[0, 1]
print(f"correlation of the logarithms: {correlation:.2f}")

# %% [markdown]
# Where matplotlib draws, a picture says it better.

# %%
import matplotlib.pyplot as plt  # noqa: E402  a cell of its own

figure, axes = plt.subplots(1, 2, figsize=(8, 4))
for axis, (name, space) in zip(axes, spaces.items(), strict=True):
    axis.scatter(space[:, 0], space[:, 1], c=label.cat.codes, s=5)
    axis.set(title=f"{name}, two of five dimensions", xticks=[], yticks=[])
