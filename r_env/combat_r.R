library(sva)

# data: samples x genes; batch: labels; reference: the label of a batch that stays, or NULL.
combat <- function(data, batch, covariates, parametric, mean_only, reference) {
  corrected <- ComBat(
    t(data), batch,
    mod = if (is.null(covariates)) NULL else cbind(1, covariates),
    par.prior = parametric, mean.only = mean_only, ref.batch = reference
  )
  t(corrected)
}
