"""The kernels of SIMLR between neighbouring cells, computed in blocks so that they are never stored."""

import numpy as np
from sklearn.utils import gen_batches

SIGMAS = np.array([2.0, 1.75, 1.5, 1.25, 1.0])
CELL_BLOCK = 256
EPS = np.finfo(float).eps


class NeighborKernels:
    """Gaussian kernels of several widths between each cell and its neighbours (Wang et al. 2017, Methods).

    A kernel takes the squared distance as its argument and has the standard deviation sigma (T_i + T_j) / 2, T_i being
    the mean squared distance of cell i to its q nearest; q runs from half to one and a half times ``n_neighbors``.
    Kernels are used as distances, D_ij = (w_ii + w_jj) / 2 - w_ij.

    Parameters
    ----------
    squared_distance : ndarray, shape (n_cells, 2 n_neighbors)
        The cell itself first.
    neighbor : ndarray of int, shape (n_cells, 2 n_neighbors)
    n_neighbors : int
    """

    def __init__(self, squared_distance, neighbor, n_neighbors):
        step, last = -(-n_neighbors // 10), -(-3 * n_neighbors // 2)  # ceil(k / 10), ceil(1.5 k)
        nearest = [q for q in range(-(-n_neighbors // 2), last + 1, step) if q < neighbor.shape[1]]
        self.squared_distance = squared_distance
        self.neighbor = neighbor
        self.radius = np.stack([squared_distance[:, :q].mean(axis=1) + EPS for q in nearest])  # (n_q, n_cells)
        self.n_kernels = len(nearest) * SIGMAS.size
        self.self_density = self._density(slice(None), slice(1))[:, :, 0]  # (n_kernels, n_cells)

    def combine(self, weights):
        """Return the weighted sum of the kernel distances, (n_cells, 2 n_neighbors)."""
        combined = np.empty(self.neighbor.shape)
        for cells, kernel_distance in self._blocks():
            combined[cells] = np.tensordot(weights, kernel_distance, axes=1)
        return combined

    def scores(self, similarity):
        """Return, per kernel, its distances weighted by ``similarity``: small where the two agree, (n_kernels,)."""
        total = np.zeros(self.n_kernels)
        for cells, kernel_distance in self._blocks():
            total += np.tensordot(kernel_distance + EPS, similarity[cells] + EPS, axes=2)
        return total / self.neighbor.shape[1]

    def _blocks(self):
        """Yield a slice of cells and their kernel distances, (n_kernels, cells, 2 n_neighbors)."""
        for cells in gen_batches(self.neighbor.shape[0], CELL_BLOCK):
            own, others = self.self_density[:, cells, None], self.self_density[:, self.neighbor[cells]]
            yield cells, (own + others) / 2 - self._density(cells, slice(None)) + EPS

    def _density(self, cells, columns):
        """Return the normal density of every kernel, (n_kernels, cells, columns)."""
        radius = (self.radius[:, cells, None] + self.radius[:, self.neighbor[cells, columns]]) / 2
        sd = radius[:, None] * SIGMAS[:, None, None]  # (n_q, n_sigma, cells, columns)
        density = np.exp(-0.5 * (self.squared_distance[cells, columns] / sd) ** 2) / (np.sqrt(2 * np.pi) * sd)
        return density.reshape(self.n_kernels, *density.shape[2:])
