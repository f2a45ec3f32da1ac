"""The network of DCA."""

from itertools import pairwise

import numpy as np
from torch import nn

MEAN_RANGE = (1e-5, 1e6)  # what the heads may say, as in the authors' program
DISPERSION_RANGE = (1e-4, 1e4)


class Autoencoder(nn.Module):
    """The network; its weights are drawn with ``generator`` by Glorot's uniform rule, its offsets are zero."""

    def __init__(self, n_genes, n_hidden, generator):
        super().__init__()
        widths = [n_genes, *n_hidden]
        self.dense = nn.ModuleList(_linear(a, b, generator) for a, b in pairwise(widths))
        # As in the authors' Keras layers: running means of momentum 0.99, an offset and no scale.
        self.norm = nn.ModuleList(nn.BatchNorm1d(width, eps=1e-3, momentum=0.01) for width in n_hidden)
        for norm in self.norm:
            norm.weight.requires_grad_(False)
            norm.correction = 1  # the running variance is PyTorch's (scvi_core.networks.BatchNorm)
        self.middle = len(n_hidden) // 2
        self.mean, self.dispersion, self.dropout = (_linear(widths[-1], n_genes, generator) for _ in range(3))

    def side_by_side(self):
        """Lists of linear layers with the same input."""
        return [*([dense] for dense in self.dense), [self.mean, self.dropout, self.dispersion]]

    def encode(self, x):
        """Return the bottleneck before normalisation and activation, (cells, width)."""
        for dense, norm in zip(self.dense[: self.middle], self.norm, strict=False):
            x = norm(dense(x)).relu()
        return self.dense[self.middle](x)

    def forward(self, x, log_size):
        """Return log mean, log inverse dispersion and dropout logit, each (cells, genes)."""
        x = self.norm[self.middle](self.encode(x)).relu()
        for dense, norm in zip(self.dense[self.middle + 1 :], self.norm[self.middle + 1 :], strict=True):
            x = norm(dense(x)).relu()
        low, high = np.log(MEAN_RANGE)
        dispersion = nn.functional.softplus(self.dispersion(x)).clamp(*DISPERSION_RANGE)
        return self.mean(x).clamp(low, high) + log_size, dispersion.log(), self.dropout(x)


def _linear(n_in, n_out, generator):
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
