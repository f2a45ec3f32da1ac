# Runs one function of a script, in an environment of its own, and returns what it said beside what it gave.
run <- function(script, name, arguments) {
  messages <- warnings <- character()
  keep_message <- function(m) {
    messages <<- c(messages, conditionMessage(m))
    invokeRestart("muffleMessage")
  }
  keep_warning <- function(w) {
    warnings <<- c(warnings, conditionMessage(w))
    invokeRestart("muffleWarning")
  }
  work <- function() {
    scope <- new.env(parent = globalenv())
    sys.source(script, envir = scope)
    do.call(scope[[name]], arguments, quote = TRUE)
  }
  error <- NULL
  value <- tryCatch(
    withCallingHandlers(work(), message = keep_message, warning = keep_warning),
    error = function(e) {
      error <<- conditionMessage(e)
      NULL
    }
  )
  list(value = value, error = error, messages = messages, warnings = warnings)
}

# The structure that Python cannot see in the bare vectors.
describe <- function(x) {
  kind <- if (is.null(x)) "null" else if (is.data.frame(x)) "frame" else if (is.factor(x)) "factor" else
    if (is.list(x) && !is.object(x)) "list" else if (is.atomic(x) && !is.complex(x) && !is.raw(x)) "vector" else
      class(x)[1]
  list(
    kind = kind,
    dim = if (kind == "vector") dim(x),
    names = if (kind %in% c("frame", "list")) names(x),
    levels = if (kind == "factor") levels(x),
    rows = if (kind == "frame") as.character(attr(x, "row.names"))
  )
}

installed <- function(packages) nzchar(vapply(packages, function(p) system.file(package = p), ""))

sparse <- function(i, p, x, dim) {
  methods::new(methods::getClass("dgCMatrix", where = asNamespace("Matrix")), i = i, p = p, x = x, Dim = dim)
}

session <- function() {
  packages <- setdiff(loadedNamespaces(), rownames(utils::installed.packages(priority = "base")))
  list(R = R.version.string, packages = vapply(sort(packages), getNamespaceVersion, ""), names = sort(packages))
}
