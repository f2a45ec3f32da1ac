"""Methods without a map to new cells: they describe the matrix they were fitted to, and no other."""

import numpy as np

from ..base import Method, check_batch


class Transductive(Method):
    """A method that answers for the cells of its own ``fit`` alone.

    SIMLR, MAGIC and MNN compute on the graph of the cells at hand. A rule for other cells would be our invention
    and not the published method, so a call with another matrix raises instead.
    """

    def _remember(self, counts, batch):
        self.counts_ = counts  # checked, hence canonical and comparable
        self.batch_ = check_batch(batch, counts.shape[0])

    def _recall(self, X, batch=None):
        """Return the fitted counts if ``X`` holds the same (and ``batch``, if given, the same labels)."""
        fitted = self.counts_
        same = X.shape == fitted.shape and all(
            np.array_equal(getattr(X, part), getattr(fitted, part)) for part in ("indptr", "indices", "data")
        )
        if same and batch is not None:
            same = np.array_equal(batch, self.batch_)
        if not same:
            raise ValueError(
                f"{type(self).__name__} has no map to cells it was not fitted to: "
                "call fit first with the matrix and batch labels that are passed here."
            )
        return fitted
