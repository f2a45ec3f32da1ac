"""What is given to a fitted model, counts and batch labels, as it takes them."""

import numpy as np

from .data.counts import InvalidCounts, check_batch, check_counts
from .data.minibatch import Cells

NAMED = 10  # batches in a message


class Given:
    """Checks of counts and labels against what `SCVI` was fitted to."""

    def _cells(self, X, batch):
        """Counts and labels, checked, as `Cells`."""
        self._check_fitted()
        X = check_counts(X)
        self._check_genes(X)
        return Cells(X, self._codes(batch, X.shape[0]), self.device_)

    def _check_genes(self, X):
        if X.shape[1] != self.n_features_in_:
            raise InvalidCounts(
                f"There are {X.shape[1]} genes and the model was fitted to {self.n_features_in_}: pass the same genes."
            )

    def _codes(self, batch, n_cells):
        """Batch codes of the cells: the positions of their labels in ``batches_``, zero where there are no batches."""
        labels = check_batch(batch, n_cells)
        if self.batches_ is None:
            if batch is not None and self.use_batch:
                raise InvalidCounts("The model was fitted without batches: leave batch= out, or fit again with them.")
            return np.zeros(n_cells, dtype=np.int64)
        known = ", ".join(map(repr, self.batches_[:NAMED].tolist()))
        if len(self.batches_) > NAMED:
            known += f" and {len(self.batches_) - NAMED} more"
        if batch is None:
            raise InvalidCounts(f"The model was fitted with batches: pass batch=, one label per cell, each of {known}.")
        codes = np.full(n_cells, -1)
        for code, label in enumerate(self.batches_):
            codes[labels == label] = code
        if (codes < 0).any():
            row = int(np.argmin(codes))
            raise InvalidCounts(
                f"The batch {labels.tolist()[row]!r} at row {row} was not seen in fit: pass one of {known}."
            )
        return codes

    def _targets(self, decode_batch):
        """Batch codes to decode in with their weights, None for each cell's own."""
        if isinstance(decode_batch, str) and decode_batch == "all":
            if self.batches_ is not None and "all" in self.batches_.tolist():
                raise ValueError(
                    "decode_batch='all' is a batch as well: pass ['all'] for that one, or a list of batches."
                )
            codes = np.arange(len(self.batch_frequency_))
        elif decode_batch is None or not self.use_batch:
            return None
        else:
            labels = [decode_batch] if np.ndim(decode_batch) == 0 else decode_batch
            if len(labels) == 0:
                raise ValueError("decode_batch is empty: name a batch, or pass None for each cell's own.")
            codes = self._codes(labels, len(labels))
        weights = self.batch_frequency_[codes] / self.batch_frequency_[codes].sum()
        return [(int(c), float(w)) for c, w in zip(codes, weights, strict=True)]
