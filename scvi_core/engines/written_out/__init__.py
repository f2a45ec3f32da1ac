"""The derivative of the bound written out, layer by layer: what the fast paths share."""
