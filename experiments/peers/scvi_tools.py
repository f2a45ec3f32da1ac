"""scvi-tools as one of the two programs of a comparison; run as a script by the interpreter that has it."""

import sys
import warnings

try:
    from .worker import Worker
except ImportError:  # run as a script
    from worker import Worker

NAMES = (  # of the parts of the network, ours and theirs, tried in this order
    ("encoder_z.", "z_encoder."),
    ("encoder_l.", "l_encoder."),
    ("decoder.hidden.", "decoder.px_decoder.hidden."),
    ("decoder.rate.", "decoder.px_scale_decoder.0."),
    ("decoder.dropout.", "decoder.px_dropout_decoder."),
    ("encoder.hidden.", "encoder.encoder.hidden."),
    (".logvar.", ".var_encoder."),
    (".mean.", ".mean_encoder."),
    (".linear.", ".0."),
    (".norm.", ".1."),
)


class ScviTools(Worker):
    """The model with the settings, the initial weights and the schedule of ours."""

    def load(self, counts, heldout, parameters, weights):
        """Read the counts and make an untrained model with the weights in the file ``weights``."""
        warnings.simplefilter("ignore")
        import anndata
        import scipy.sparse as sp
        import scvi

        self.adata, self.heldout = (anndata.AnnData(sp.load_npz(path).astype("float32")) for path in (counts, heldout))
        self.parameters = parameters
        scvi.settings.seed = parameters["random_state"]
        scvi.model.SCVI.setup_anndata(self.adata)
        self.model = scvi.model.SCVI(
            self.adata,
            n_hidden=parameters["n_hidden"],
            n_latent=parameters["n_latent"],
            n_layers=parameters["n_layers"],
            dropout_rate=parameters["dropout"],
            dispersion="gene",
            gene_likelihood=parameters["likelihood"],
            use_observed_lib_size=parameters["library"] == "observed",
        )
        self._set_weights(weights)
        self.model.module.eval()  # as training leaves it: what is asked for before training is without dropout
        self.model.is_trained = True

    def _set_weights(self, path):
        """Those of ours; what theirs has beside (heads of other options) is left as it is."""
        import numpy as np
        import torch

        theirs = self.model.module.state_dict()
        for name, value in np.load(path).items():
            if name.startswith("library_") and self.parameters["library"] == "observed":
                continue  # a prior that nothing reads
            name = _name(name)
            if theirs[name].numel() != value.size:
                raise ValueError(f"{name}: {value.shape} here and {tuple(theirs[name].shape)} in scvi-tools")
            theirs[name] = torch.from_numpy(value).reshape(theirs[name].shape)
        self.model.module.load_state_dict(theirs)

    def train(self, n_epochs, kl_warmup_epochs):
        from lightning.pytorch.callbacks import Callback

        class Turns(Callback):
            def on_train_epoch_start(_, trainer, plan):
                if trainer.current_epoch > 0:
                    self.turn()

        self.model.module.train()  # Lightning trains in the mode it finds
        self.model.train(
            max_epochs=n_epochs,
            train_size=1.0,
            batch_size=self.parameters["batch_size"],
            accelerator="cpu",
            devices=1,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Turns()],
            plan_kwargs={
                "lr": self.parameters["lr"],
                "eps": self.parameters["adam_eps"],
                "weight_decay": 0.0,
                "n_epochs_kl_warmup": kl_warmup_epochs or None,
            },
        )

    def steps(self, n_steps, noise):
        """Losses of the same steps as ours, on the rows and with the masks and normal draws in the file ``noise``."""
        import copy
        from unittest import mock

        import numpy as np
        import torch

        module, drawn, losses = copy.deepcopy(self.model.module).train(), np.load(noise), []
        optimiser = torch.optim.Adam(module.parameters(), lr=self.parameters["lr"], eps=self.parameters["adam_eps"])
        for i in range(n_steps):
            n_drawn = sum(name.startswith(f"{i}.") for name in drawn.files)
            rows, *left = (torch.from_numpy(drawn[f"{i}.{k}"]) for k in range(n_drawn))
            x = torch.from_numpy(self.adata.X[rows.numpy()].toarray())
            none = torch.zeros(len(x), 1, dtype=torch.int64)

            def normal(shape, dtype, device, left=left):
                return left.pop(0).reshape(shape)

            def dropout(h, p, training, inplace, left=left):
                return h * left.pop(0) if p > 0 else h

            with (
                mock.patch("torch.distributions.normal._standard_normal", normal),
                mock.patch("torch.nn.functional.dropout", dropout),
            ):
                _, _, result = module({"X": x, "batch": none, "labels": none}, loss_kwargs={"kl_weight": 1.0})
            if left:
                raise RuntimeError(f"scvi-tools drew {len(left)} fewer random arrays than scvi_core")
            optimiser.zero_grad()
            result.loss.backward()
            optimiser.step()
            losses.append(float(result.loss))
        return losses

    def elbo(self):
        """Mean over the held-out cells, nats."""
        return float(self.model.get_elbo(self.heldout))

    def loglik(self, n_cells, n_samples):
        return float(self.model.get_marginal_ll(self.heldout[:n_cells].copy(), n_mc_samples=n_samples))

    def latent(self, path=None):
        return self.keep(path, self.model.get_latent_representation())

    def impute(self, path=None):
        expected = self.model.get_normalized_expression(library_size="latent", n_samples=1, return_numpy=True)
        return self.keep(path, expected)

    def compare(self, n_groups, n_draws):
        """Bayes factors of each group against the rest."""
        import numpy as np

        self.adata.obs["group"] = (np.arange(self.adata.n_obs) % n_groups).astype(str)
        self.model.differential_expression(
            groupby="group", mode="vanilla", n_samples_overall=n_draws, all_stats=False, silent=True
        )


def _name(ours):
    """Their name of a parameter of ours."""
    if ours in ("library_mean", "library_var"):
        return {"library_mean": "library_log_means", "library_var": "library_log_vars"}[ours]
    if ours == "log_theta":
        return "px_r"
    for here, there in NAMES:
        ours = ours.replace(here, there)
    parts = ours.split(".")
    if "hidden" in parts:  # hidden.0.1.weight -> fc_layers.Layer 0.1.weight
        i = parts.index("hidden")
        parts[i : i + 2] = ["fc_layers", f"Layer {parts[i + 1]}"]
    return ".".join(parts)


if __name__ == "__main__":
    ScviTools(int(sys.argv[1])).serve()
