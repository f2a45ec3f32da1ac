library(zinbwave)

# counts: cells x genes (sparse), without empty cells or genes.
fit <- function(counts, n_latent, max_iter, tol, seed) {
  set.seed(seed)
  counts <- as.matrix(counts)
  serial <- BiocParallel::SerialParam()
  model <- zinbModel(n = nrow(counts), J = ncol(counts), K = n_latent)
  model <- zinbInitialize(model, counts, BPPARAM = serial)
  model <- zinbOptimize(model, counts, maxiter = max_iter, stop.epsilon = tol, BPPARAM = serial)
  list(
    W = getW(model),
    alpha_mu = t(getAlpha_mu(model)), alpha_pi = t(getAlpha_pi(model)),
    beta_mu = getBeta_mu(model)[1, ], beta_pi = getBeta_pi(model)[1, ],
    gamma_mu = getGamma_mu(model)[1, ], gamma_pi = getGamma_pi(model)[1, ],
    zeta = getZeta(model)[1], objective = loglik(model, counts) - penalty(model)
  )
}
