echo <- function(x) list(x = x)

what <- function(x) list(type = typeof(x), class = class(x), dim = dim(x))

nothing <- function() NULL

missing_values <- function() {
  list(
    integer = c(1L, NA), real = c(1, NA, NaN, Inf), logical = c(TRUE, NA), string = c("a", NA, "\u00e9"),
    whole = c(TRUE, FALSE), empty = integer(0), factor = factor(c("u", NA, "v"), levels = c("v", "u")),
    frame = data.frame(n = 1:2, s = c("x", NA), row.names = c("first", "second")),
    nested = list(1L, list(deep = "yes")), matrix = matrix(1:6, 2), letters = matrix(letters[1:4], 2), null = NULL
  )
}

chatty <- function() {
  print("printed")
  message("a message")
  for (i in 1:3) warning("a warning")
  list(x = 1L)
}

fail <- function(x) stop("gene ", x, " cannot be fitted")

unusual <- function() globalenv()

endless <- function() repeat NULL

dense <- function(x) list(x = as.matrix(x))
