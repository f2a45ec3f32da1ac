"""Maximum mean discrepancy between the latent positions of the batches (paper, 4.2; Louizos et al. 2016)."""

import math

import torch

N_FEATURES = 500  # random Fourier features
RELATIVE_VARIANCES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernels of the mixture, in units of the number of dimensions


def mmd(z, batch, n_batches, features=None):
    """Squared MMD between each batch and all the others, averaged over the batches present; zero if there is one.

    Parameters
    ----------
    z : tensor (cells, n_latent)
    batch : tensor of int (cells,)
    features : tuple (weights (n_latent, N_FEATURES), phases (N_FEATURES,)), optional
        Standard normal and uniform draws. With them the kernel is exp(-|a - b|² / (2 n_latent)), estimated by random
        Fourier features; without, the mean of the exact Gaussian kernels of `RELATIVE_VARIANCES`.
    """
    own = torch.nn.functional.one_hot(batch, n_batches).to(z.dtype).T  # (batches, cells)
    sizes = own.sum(dim=1, keepdim=True)
    present = ((sizes > 0) & (sizes < len(z))).squeeze(1).to(z.dtype)
    # v = mean over own - mean over others, as weights on the cells: the squared MMD is v' K v
    contrast = own / sizes.clamp(min=1) - (1 - own) / (len(z) - sizes).clamp(min=1)
    n_latent = z.shape[1]
    if features is None:
        squared = (z[:, None] - z[None]).square().sum(dim=2)  # (cells, cells)
        kernel = sum((-squared / (2 * v * n_latent)).exp() for v in RELATIVE_VARIANCES) / len(RELATIVE_VARIANCES)
        per_batch = ((contrast @ kernel) * contrast).sum(dim=1)
    else:
        weights, phases = features
        phi = (z @ weights / math.sqrt(n_latent) + 2 * math.pi * phases).cos() * math.sqrt(2 / len(phases))
        per_batch = (contrast @ phi).square().sum(dim=1)
    return (per_batch * present).sum() / present.sum().clamp(min=1)


def draw_features(n_latent, generator, dtype=torch.float32):
    """Draw the random weights and phases of the Fourier features."""
    like = {"generator": generator, "device": generator.device, "dtype": dtype}
    return torch.randn(n_latent, N_FEATURES, **like), torch.rand(N_FEATURES, **like)
