"""What experiments share of the science: which cells, what is hidden, how latent spaces are laid out, what it costs."""
