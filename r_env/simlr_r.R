library(SIMLR)

# log_counts: genes x cells (sparse); n_clusters: a number, or NULL to estimate it as the scVI paper does.
fit <- function(log_counts, n_clusters, n_neighbors, n_components, seed) {
  set.seed(seed)
  log_counts <- as.matrix(log_counts)
  if (is.null(n_clusters)) {
    candidates <- 2:20
    estimate <- SIMLR_Estimate_Number_of_Clusters(log_counts, NUMC = candidates, cores.ratio = 0)
    n_clusters <- candidates[which.min(estimate$K1)]
  }
  found <- SIMLR_Large_Scale(log_counts, c = n_clusters, k = n_neighbors, kk = n_components)
  list(
    n_clusters = n_clusters, latent = found$F, similarity = found$S0, neighbor = found$ind,
    kernel_weights = found$alphaK, cluster = found$y$cluster, embedding = found$ydata
  )
}
