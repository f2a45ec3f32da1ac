library(edgeR)

# counts: genes x cells (sparse); group: 1 for the cells of group a, 0 for group b; batch: labels or NULL.
compare <- function(counts, group, batch, test) {
  group <- factor(group, levels = 0:1)
  design <- if (is.null(batch)) model.matrix(~group) else model.matrix(~ factor(batch) + group)
  data <- DGEList(counts = as.matrix(counts))
  data <- calcNormFactors(data)
  data <- estimateDisp(data, design)
  switch(test,
    QLF = as_table(glmQLFTest(glmQLFit(data, design), coef = ncol(design))$table, "F"),
    LRT = as_table(glmLRT(glmFit(data, design), coef = ncol(design))$table, "LR"),
    weighted_f = weighted_f(glmFit(data, design))
  )
}

as_table <- function(table, statistic) {
  data.frame(logFC = table$logFC, statistic = table[[statistic]], pvalue = table$PValue)
}

# The test that zinbwave adds to edgeR (Van den Berge et al. 2018) without the weights: the likelihood ratio of the
# last coefficient against an F distribution, whose denominator grows as the counts of the typical gene shrink.
weighted_f <- function(fit) {
  design <- fit$design
  null <- glmFit(
    fit$counts, design = design[, -ncol(design), drop = FALSE], offset = fit$offset, dispersion = fit$dispersion,
    prior.count = 0
  )
  ratio <- null$deviance - fit$deviance
  overdispersion <- median(fit$dispersion) * median(fit$fitted.values)
  df2 <- fit$df.residual + fit$prior.df / (overdispersion / (1 + overdispersion))^2
  data.frame(
    logFC = unname(fit$coefficients[, ncol(design)]) / log(2), statistic = ratio,
    pvalue = pf(ratio, 1, df2, lower.tail = FALSE)
  )
}
