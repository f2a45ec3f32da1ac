"""The marginal likelihood of held-out cells, from the best place to sample it that a method has."""

PROPOSAL_EPOCHS = 100  # on the held-out cells, of the encoder that sampling starts from


def held_out_marginal(fitted, X, batch, seed):
    """Log-probability of each cell, all latent variables integrated out, and its Monte Carlo error: (n_cells,), nats.

    That of scVI is sampled from distributions that start from an encoder tuned on these cells; the generative part is
    that of training.
    """
    proposal = fitted
    if hasattr(fitted, "tune_encoder"):
        proposal = fitted.tune_encoder(X, batch, n_epochs=PROPOSAL_EPOCHS)
    return proposal.marginal_loglik(X, batch=batch, random_state=seed)
