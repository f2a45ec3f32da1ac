"""The loss of a minibatch and its gradient, layer after layer."""

import torch

from ...mmd import mmd
from .layers import Decoder, Encoder


class Pass:
    """The buffers for minibatches of one size, and the loss and its gradient computed in them."""

    def __init__(self, step, batch):
        network, arch, n = step.network, step.network.arch, batch.n
        self.step, self.batch = step, batch
        self.losses = torch.zeros(3, n)  # minus log-likelihood / n, KL of z, KL of l
        log_l, by_log_l = None if arch.library == "none" else self.batch.log_library, torch.empty(n)
        if arch.library == "latent":
            log_l = torch.empty(n)
        self.decoder = Decoder(self.batch, network, log_l, by_log_l, self.losses[0])
        prior, z = torch.tensor([[0.0, 1.0]]), (self.decoder.z, self.decoder.by_z)
        self.encoder_z = Encoder(self.batch, network.encoder_z, prior, None, *z, self.losses[1])
        self.encoder_l = None
        if arch.library == "latent":
            prior = torch.stack([network.library_mean, network.library_var], dim=1)
            offset = self.batch.log_library if arch.library_encoder == "offset" else None
            each = (log_l[:, None], by_log_l[:, None], self.losses[2])
            self.encoder_l = Encoder(self.batch, network.encoder_l, prior, offset, *each)

    def loss_and_gradient(self, rows, weight_z, weight_l, noise):
        """Return the loss; the gradient is left in ``step.parameters``."""
        encoder_z, encoder_l, decoder = self.encoder_z, self.encoder_l, self.decoder
        self.batch.take(rows)
        encoder_z.forward(noise.masks_z, noise.eps_z)
        if encoder_l is not None:
            encoder_l.forward(noise.masks_l, noise.eps_l)
        decoder.forward(noise.masks_decoder)

        decoder.backward(noise.masks_decoder)
        likelihood, kl_z, kl_l = self.losses.sum(dim=1).unbind()
        loss = likelihood + (weight_z * kl_z + weight_l * kl_l) / self.batch.n
        if self.step.options.mmd_weight:
            penalty, slope = self._penalty(noise.fourier)
            loss = loss + penalty
            decoder.by_z += slope
        encoder_z.backward(noise.masks_z, noise.eps_z, weight_z / self.batch.n)
        if encoder_l is not None:
            encoder_l.backward(noise.masks_l, noise.eps_l, weight_l / self.batch.n)
        return loss

    def _penalty(self, features):
        """The penalty on the difference between batches and its derivative; small, so PyTorch differentiates it."""
        with torch.enable_grad():
            z = self.decoder.z.clone().requires_grad_()
            penalty = self.step.options.mmd_weight * mmd(z, self.batch.codes, self.batch.arch.n_batches, features)
            return penalty.detach(), torch.autograd.grad(penalty, z)[0]
