library(MAST)

# counts: genes x cells (sparse); group: 1 for the cells of group a, 0 for group b; batch: labels or NULL.
compare <- function(counts, group, batch, normalise, prior, shrink) {
  counts <- as.matrix(counts)
  if (normalise) {
    library_size <- colSums(counts)
    counts <- sweep(counts, 2, library_size / median(library_size), "/")
  }
  dimnames(counts) <- list(sprintf("g%07d", seq_len(nrow(counts))), sprintf("c%07d", seq_len(ncol(counts))))
  cells <- data.frame(wellKey = colnames(counts), group = group, row.names = colnames(counts))
  design <- ~group
  if (!is.null(batch)) {
    cells$batch <- factor(batch)
    design <- ~ batch + group
  }
  genes <- data.frame(primerid = rownames(counts), row.names = rownames(counts))
  data <- FromMatrix(log2(1 + counts), cells, genes)
  fit <- zlm(design, data, method = if (prior) "bayesglm" else "glm", ebayes = shrink, parallel = FALSE)
  tested <- lrTest(fit, "group")[rownames(counts), , ]
  fold_change <- logFC(fit)$logFC[rownames(counts), "group"]
  data.frame(
    log_fold_change = unname(fold_change), pvalue = tested[, "hurdle", "Pr(>Chisq)"],
    lr_continuous = tested[, "cont", "lambda"], lr_discrete = tested[, "disc", "lambda"],
    df = tested[, "hurdle", "df"]
  )
}
