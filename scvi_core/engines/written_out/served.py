"""What the derivatives that are written out serve: every field of the architecture, with all values that are known."""

from dataclasses import fields

from ...likelihood import LIKELIHOODS, NegativeBinomial, ZeroInflatedNegativeBinomial

ANY = object()  # a size, a rate: the value is passed on
LIKELIHOOD_CLASSES = {"zinb": ZeroInflatedNegativeBinomial, "nb": NegativeBinomial}
SERVED = {
    "n_genes": ANY,
    "n_batches": ANY,
    "n_latent": ANY,
    "n_hidden": ANY,
    "n_layers": ANY,
    "dropout": ANY,
    "dropout_on": ("hidden", "input"),
    "likelihood": tuple(LIKELIHOOD_CLASSES),
    "dispersion": ("gene", "gene-batch", "gene-cell"),
    "library": ("latent", "observed", "none"),
    "library_encoder": ("free", "prior", "offset"),
    "decoder": ("network",),
    "encode_batch": (True, False),
    "log_input": (True, False),
    "batch_norm_momentum": ANY,
    "batch_norm_eps": ANY,
    "framework": ("torch", "tensorflow"),
}


def unknown(arch):
    """Say which option of an `Architecture` is not served; None where all are."""
    for field in fields(arch):
        name, value = field.name, getattr(arch, field.name)
        known = SERVED.get(name, ())
        if known is not ANY and value not in known:
            return f"it does not know {name}={value!r}"
    if type(LIKELIHOODS[arch.likelihood]) is not LIKELIHOOD_CLASSES[arch.likelihood]:
        return f"likelihood={arch.likelihood!r} is no longer the one it was written for"
    return None
