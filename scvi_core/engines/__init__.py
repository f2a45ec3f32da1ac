"""Who computes a training step and the answers of a fitted model."""
