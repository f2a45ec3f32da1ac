library(DESeq2)

# counts: genes x cells (sparse); group: 1 for the cells of group a, 0 for group b; batch: labels or NULL.
compare <- function(counts, group, batch, test, size_factors, use_t, min_mu, replace_outliers) {
  cells <- data.frame(group = factor(group, levels = 0:1))
  design <- ~group
  if (!is.null(batch)) {
    cells$batch <- factor(batch)
    design <- ~ batch + group
  }
  counts <- as.matrix(counts)
  storage.mode(counts) <- "integer"
  dds <- DESeqDataSetFromMatrix(countData = counts, colData = cells, design = design)
  options <- list(
    dds, test = test, sfType = size_factors, useT = use_t, minmu = min_mu,
    minReplicatesForReplace = if (replace_outliers) 7 else Inf
  )
  if (test == "LRT") options$reduced <- if (is.null(batch)) ~1 else ~batch
  result <- results(do.call(DESeq, options), name = "group_1_vs_0")
  as.data.frame(result)[c("baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue")]
}
