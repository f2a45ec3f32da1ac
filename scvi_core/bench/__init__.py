"""How fast training is: ``python -m scvi_core.bench --help``, and ``.cuda`` and ``.disk``."""
