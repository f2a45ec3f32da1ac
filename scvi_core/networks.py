"""The neural networks of the paper (Figure 1b): the encoders of q(z | x, s) and q(l | x, s), and the decoder.

A hidden layer is dense -> batch normalisation -> ReLU, with dropout behind it or in front of it. The linear decoder of
Svensson et al. (Bioinformatics 36:3418, 2020) has none. Nothing in here draws a random number: what a training step
needs of them comes in as a `Noise`.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import batch_norm, log_softmax, one_hot

from .likelihood import LIKELIHOODS, Decoded
from .mmd import draw_features


@dataclass(frozen=True)
class Architecture:
    """What fixes the shape and the meaning of the networks; the fields are parameters of `SCVI`."""

    n_genes: int
    n_batches: int = 1
    n_latent: int = 10
    n_hidden: int = 128
    n_layers: int = 1
    dropout: float = 0.1
    dropout_on: str = "hidden"
    likelihood: str = "zinb"
    dispersion: str = "gene"
    library: str = "latent"
    library_encoder: str = "free"
    decoder: str = "network"
    encode_batch: bool = True
    log_input: bool = True
    batch_norm_momentum: float = 0.01
    batch_norm_eps: float = 1e-3
    framework: str = "torch"

    @property
    def n_covariates(self):
        """Columns of the one-hot batch: none with a single batch, where they would repeat the bias."""
        return self.n_batches if self.n_batches > 1 else 0

    @property
    def heads(self):
        """Names of the heads of the decoder, in their order; "dispersion" where theta is one per gene and cell."""
        own = LIKELIHOODS[self.likelihood]
        return ("rate", *own.heads, *(["dispersion"] if own.has_dispersion and self.dispersion == "gene-cell" else []))


class Noise(NamedTuple):
    """Everything random in one training step. Masks hold 0 or 1 / (1 - dropout), one tensor per hidden layer."""

    eps_z: torch.Tensor  # (cells, n_latent) standard normal
    eps_l: torch.Tensor | None  # (cells, 1) standard normal, where the library size is latent
    masks_z: tuple  # of (cells, n_hidden); the first is (cells, genes) with dropout_on="input"
    masks_l: tuple
    masks_decoder: tuple  # between the hidden layers only: empty with one layer, or none
    fourier: tuple | None = None  # weights and phases of `mmd.draw_features`, where the penalty uses them


class Posterior(NamedTuple):
    """Mean and log-variance of the Gaussians q(z | x, s) (cells, n_latent) and q(log l | x, s) (cells, 1)."""

    z_mean: torch.Tensor
    z_logvar: torch.Tensor
    l_mean: torch.Tensor | None
    l_logvar: torch.Tensor | None


class Linear(nn.Linear):
    """A linear layer whose weights `initialise` sets, from a local generator."""

    def reset_parameters(self):
        """Nothing: PyTorch would draw them from its global generator, and `skip_init` loads 500 modules to avoid it."""


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose running variance is PyTorch's or TensorFlow's.

    The running variance of PyTorch is that of the minibatch as an estimate of the cells', its squares over n - 1
    (``correction`` 1); TensorFlow's is the variance of the minibatch itself (0).
    """

    def __init__(self, width, arch):
        super().__init__(width, eps=arch.batch_norm_eps, momentum=arch.batch_norm_momentum)
        self.correction = 1 if arch.framework == "torch" else 0

    def forward(self, h):
        if self.correction == 1 or not self.training:
            return super().forward(h)
        if self.track_running_stats:
            self.track(h.mean(dim=0), h.var(dim=0, correction=0), len(h))
        return batch_norm(h, None, None, self.weight, self.bias, training=True, eps=self.eps)

    @torch.no_grad()
    def track(self, mean, var, n):
        """Move the running statistics to the mean and the (plain) variance of a minibatch of n cells."""
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(var * n / (n - self.correction), self.momentum)
        self.num_batches_tracked += 1


class Hidden(nn.Module):
    """[h, s] -> dense -> batch normalisation -> ReLU."""

    def __init__(self, n_in, n_out, arch):
        super().__init__()
        self.linear = Linear(n_in, n_out)
        self.norm = BatchNorm(n_out, arch)
        self.dropout_first = arch.dropout_on == "input"

    def forward(self, h, s, mask=None):
        if mask is not None and self.dropout_first:
            h = h * mask
        h = self.norm(self.linear(torch.cat([h, s], dim=1))).relu()  # (cells, n_hidden)
        return h * mask if mask is not None and not self.dropout_first else h


class Encoder(nn.Module):
    """Mean and log-variance of a Gaussian from the (log) counts and, by option, the batch."""

    def __init__(self, n_out, n_layers, arch):
        super().__init__()
        n_covariates = arch.n_covariates if arch.encode_batch else 0
        widths = [arch.n_genes] + [arch.n_hidden] * (n_layers - 1)
        self.hidden = nn.ModuleList(Hidden(width + n_covariates, arch.n_hidden, arch) for width in widths)
        self.mean = Linear(arch.n_hidden, n_out)
        self.logvar = Linear(arch.n_hidden, n_out)

    def forward(self, h, s, masks=()):
        for i, hidden in enumerate(self.hidden):
            h = hidden(h, s, masks[i] if masks else None)
        return self.mean(h), self.logvar(h)


class LinearHead(nn.Module):
    """[z, s] -> linear map without bias -> batch normalisation, whose shift is the bias; linear once it is trained."""

    def __init__(self, arch):
        super().__init__()
        self.linear = Linear(arch.n_latent + arch.n_covariates, arch.n_genes, bias=False)
        self.norm = BatchNorm(arch.n_genes, arch)

    def forward(self, h):
        return self.norm(self.linear(h))

    def weights(self):
        """The map as it is in evaluation mode, (genes, n_latent + n_covariates)."""
        return self.linear.weight * (self.norm.weight / (self.norm.running_var + self.norm.eps).sqrt())[:, None]


class Decoder(nn.Module):
    """f_w and f_h of the paper: a shared trunk, then one head per parameter; the batch enters every layer.

    As in the authors' code dropout stands between hidden layers only: not in front of the first one, whose input is z
    and s, and not in front of the heads. The linear decoder has no hidden layer.
    """

    def __init__(self, arch):
        super().__init__()
        self.arch = arch
        is_linear = arch.decoder == "linear"
        widths = [] if is_linear else [arch.n_latent] + [arch.n_hidden] * (arch.n_layers - 1)
        self.hidden = nn.ModuleList(Hidden(width + arch.n_covariates, arch.n_hidden, arch) for width in widths)
        n_in = arch.n_hidden + arch.n_covariates
        for name in arch.heads:
            if hasattr(self, name):
                raise ValueError(f"The likelihood {arch.likelihood!r} has a head {name!r}: choose a name not in use.")
            setattr(self, name, LinearHead(arch) if is_linear else Linear(n_in, arch.n_genes))

    def heads(self):
        """The last layers, in the order of their names in the architecture."""
        return [getattr(self, name) for name in self.arch.heads]

    def trunk(self, z, s, masks=()):
        """What the heads read, the last hidden layer or z, with the batch beside it: (cells, width + n_covariates)."""
        h = z
        for i, hidden in enumerate(self.hidden):
            h = hidden(h * masks[i - 1] if masks and i > 0 else h, s)
        return torch.cat([h, s], dim=1)

    def log_rho(self, h):
        """Logarithm of f_w from what `trunk` gives, (cells, genes)."""
        return self.rate(h) if self.arch.library == "none" else log_softmax(self.rate(h), dim=1)

    def forward(self, z, s, masks=()):
        """`Decoded` with log theta only where it is a head."""
        h = self.trunk(z, s, masks)
        log_rho = self.log_rho(h)
        others = {name: getattr(self, name)(h) for name in self.arch.heads[1:]}
        return Decoded(log_rho, others.pop("dispersion", None), others)


class Network(nn.Module):
    """All that is learned: encoders (the variational part), decoder and dispersion (the generative part).

    The prior of log l, mean and variance per batch, is a buffer: it is set from the training cells, not learned.
    """

    def __init__(self, arch):
        super().__init__()
        self.arch = arch
        self.encoder_z = Encoder(arch.n_latent, arch.n_layers, arch)
        self.encoder_l = Encoder(1, 1, arch) if arch.library == "latent" else None
        self.decoder = Decoder(arch)
        if self.likelihood.has_dispersion and arch.dispersion != "gene-cell":
            shape = (arch.n_genes,) if arch.dispersion == "gene" else (arch.n_batches, arch.n_genes)
            self.log_theta = nn.Parameter(torch.zeros(shape))
        self.register_buffer("library_mean", torch.zeros(arch.n_batches))
        self.register_buffer("library_var", torch.ones(arch.n_batches))

    @property
    def likelihood(self):
        """The `CountLikelihood` of the counts."""
        return LIKELIHOODS[self.arch.likelihood]

    def norms(self):
        """The layers that normalise by the minibatch."""
        return [module for module in self.modules() if isinstance(module, BatchNorm)]

    def one_hot(self, batch):
        """(cells,) batch codes -> (cells, n_covariates), nothing with a single batch."""
        if not self.arch.n_covariates:
            return self.library_mean.new_empty(len(batch), 0)
        return one_hot(batch, self.arch.n_batches).to(self.library_mean.dtype)

    def encode(self, x, batch, noise=None):
        """q(z | x, s) and q(log l | x, s) of counts x (cells, genes) with batch codes (cells,)."""
        h = x.log1p() if self.arch.log_input else x
        s = self.one_hot(batch)
        s = s if self.arch.encode_batch else s[:, :0]
        z_mean, z_logvar = self.encoder_z(h, s, noise.masks_z if noise else ())
        if self.encoder_l is None:
            return Posterior(z_mean, z_logvar, None, None)
        l_mean, l_logvar = self.encoder_l(h, s, noise.masks_l if noise else ())
        if self.arch.library_encoder == "offset":
            l_mean = l_mean + log_library(x)
        return Posterior(z_mean, z_logvar, l_mean, l_logvar)

    def decode(self, z, batch, noise=None):
        """`Decoded` at z (cells, n_latent); without a library size "rho" is the whole rate."""
        decoded = self.decoder(z, self.one_hot(batch), noise.masks_decoder if noise else ())
        log_theta = self.log_theta_of(batch)
        return decoded if log_theta is None else decoded._replace(log_theta=log_theta)

    def log_theta_of(self, batch):
        """log theta of cells, (genes,) or (cells, genes); None where the decoder says it or there is none."""
        if not hasattr(self, "log_theta"):
            return None
        return self.log_theta if self.arch.dispersion == "gene" else self.log_theta[batch]

    def log_rho(self, z, batch):
        """What `decode` says of rho, without the other heads."""
        return self.decoder.log_rho(self.decoder.trunk(z, self.one_hot(batch)))

    def scale(self, x, log_l=None):
        """The logarithm of what multiplies rho, (cells, 1): latent, observed, or zero without a library size.

        ``x`` has the counts of each cell, or their sum in one column.
        """
        if self.arch.library == "latent":
            return log_l
        return log_library(x) if self.arch.library == "observed" else torch.zeros_like(x[:, :1])


def log_library(x):
    """Logarithm of the number of counts of each cell, (cells, 1)."""
    return x.sum(dim=1, keepdim=True).log()


def initialise(network, init, generator):
    """Set the weights: "torch" is PyTorch's own rule, "authors" a normal of SD 0.01 truncated at 2 SD with zero bias.

    Either way log theta starts at N(0, 1) per gene, as in the authors' code.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear) and init == "authors":
            nn.init.trunc_normal_(module.weight, std=0.01, a=-0.02, b=0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            bound = 1 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound, generator=generator)
            if module.bias is not None:
                nn.init.uniform_(module.bias, -bound, bound, generator=generator)
    if hasattr(network, "log_theta"):
        nn.init.normal_(network.log_theta, generator=generator)


def draw_noise(arch, n_cells, generator, dtype=torch.float32, fourier=False):
    """Draw the `Noise` of a training step of ``n_cells`` from a local generator, on the generator's device.

    ``fourier``: also what the penalty on the difference between batches draws.
    """
    like = {"device": generator.device, "dtype": dtype}

    def masks(widths):
        if not arch.dropout:
            return ()
        return tuple(_draw_mask(n_cells, w, 1 - arch.dropout, generator, like) for w in widths)

    latent = arch.library == "latent"
    first = arch.n_genes if arch.dropout_on == "input" else arch.n_hidden
    return Noise(
        eps_z=torch.randn(n_cells, arch.n_latent, generator=generator, **like),
        eps_l=torch.randn(n_cells, 1, generator=generator, **like) if latent else None,
        masks_z=masks([first] + [arch.n_hidden] * (arch.n_layers - 1)),
        masks_l=masks([first]) if latent else (),
        masks_decoder=() if arch.decoder == "linear" else masks([arch.n_hidden] * (arch.n_layers - 1)),
        fourier=draw_features(arch.n_latent, generator, dtype) if fourier else None,
    )


def _draw_mask(n_cells, width, keep, generator, like):
    """0 or 1 / keep, by 16 random bits an entry cut from words of 64: bernoulli_ takes four times as long on a CPU."""
    words = torch.empty(-(-n_cells * width // 4), dtype=torch.int64, device=generator.device)
    bits = words.random_(-(2**63), None, generator=generator).view(torch.int16)[: n_cells * width]
    limit = round(keep * 2**16) - 2**15
    return torch.lt(bits.view(n_cells, width), limit, out=torch.empty(n_cells, width, **like)).div_(keep)
