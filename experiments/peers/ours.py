"""`scvi_core` as one of the two programs of a comparison; run as a script."""

import sys

try:
    from .worker import Worker
except ImportError:  # run as a script
    from worker import Worker


class Ours(Worker):
    """The estimator through its public interface."""

    def load(self, counts, heldout, parameters, weights):
        """Read the counts and make an untrained model, whose weights are left in the file ``weights``."""
        import numpy as np
        import scipy.sparse as sp

        from scvi_core import SCVI

        self.X, self.heldout = sp.load_npz(counts), sp.load_npz(heldout)
        self.model = SCVI(**parameters | {"n_epochs": 0, "warm_start": True}).fit(self.X)
        state = self.model.network_.state_dict()
        np.savez(weights, **{name: value.numpy() for name, value in state.items()})

    def train(self, n_epochs, kl_warmup_epochs):
        from scvi_core.training import warmup

        weight = warmup(kl_warmup_epochs)

        def schedule(epoch):  # asked for before each epoch
            if epoch > 0:
                self.turn()
            return weight(epoch)

        self.model.set_params(n_epochs=n_epochs, kl_schedule=schedule, kl_warmup_of="z").fit(self.X)

    def steps(self, n_steps, noise):
        """Losses of some steps from the initial weights; the rows and all that is random go into the file ``noise``."""
        import copy

        import numpy as np
        import torch

        from scvi_core.data.minibatch import Cells
        from scvi_core.engines.choose import make_step
        from scvi_core.engines.plain import StepOptions
        from scvi_core.networks import draw_noise

        model, generator = copy.deepcopy(self.model), torch.Generator().manual_seed(self.model.random_state)
        cells = Cells(self.X, np.zeros(self.X.shape[0]))
        step = make_step(model.engine, model.network_, cells, generator, StepOptions(model.lr, model.adam_eps))
        losses, drawn = [], {}
        for i in range(n_steps):
            rows = torch.randperm(len(cells), generator=generator)[: model.batch_size]
            once = draw_noise(model.network_.arch, len(rows), generator)
            losses.append(float(step.step(rows, noise=once)))
            encoders = [*once.masks_z, once.eps_z], [*once.masks_l, once.eps_l]
            in_order = [rows, *encoders[0], *(encoders[1] if once.eps_l is not None else [])]
            drawn |= {f"{i}.{k}": array.numpy() for k, array in enumerate(in_order)}
        np.savez(noise, **drawn)
        return losses

    def gemm_peak(self):
        """Operations per second of a square product, and of the large products of training per cell."""
        from scvi_core.bench.cpu import flops_per_cell, gemm_peak

        return {"peak": gemm_peak(), "per_cell": flops_per_cell(self.model.network_.arch)}

    def elbo(self):
        """Mean over the held-out cells, nats."""
        return float(self.model.loglik(self.heldout).mean())

    def loglik(self, n_cells, n_samples):
        return float(self.model.loglik(self.heldout[:n_cells], n_samples=n_samples).mean())

    def latent(self, path=None):
        return self.keep(path, self.model.latent(self.X))

    def impute(self, path=None):
        return self.keep(path, self.model.impute(self.X, n_samples=1))

    def compare(self, n_groups, n_draws):
        """Bayes factors of each group against the rest, the draws of z shared out to pairs of cells, 50 to each."""
        import numpy as np

        group = np.arange(self.X.shape[0]) % n_groups
        for g in range(n_groups):
            self.model.compare(self.X, group == g, group != g, n_pairs=n_draws // 50, n_samples=50)


if __name__ == "__main__":
    Ours(int(sys.argv[1])).serve()
