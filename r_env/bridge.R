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
  list(value = plain(value), error = error, messages = messages, warnings = warnings)
}

# Python's integers and booleans have no NA and its floats call it NaN: vectors with NA become numbers with NaN.
plain <- function(x) {
  if (is.data.frame(x) || (is.list(x) && !is.object(x))) {
    x[] <- lapply(x, plain)
  } else if ((is.numeric(x) || is.logical(x)) && !is.object(x) && anyNA(x)) {
    storage.mode(x) <- "double"
    x[is.na(x)] <- NaN
  }
  x
}

installed <- function(packages) nzchar(vapply(packages, function(p) system.file(package = p), ""))

sparse <- function(i, p, x, dim) {
  methods::new(methods::getClass("dgCMatrix", where = asNamespace("Matrix")), i = i, p = p, x = x, Dim = dim)
}

session <- function() {
  packages <- setdiff(loadedNamespaces(), rownames(utils::installed.packages(priority = "base")))
  list(R = R.version.string, packages = vapply(sort(packages), getNamespaceVersion, ""), names = sort(packages))
}
