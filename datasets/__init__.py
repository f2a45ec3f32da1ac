"""One file per dataset; each has a function ``load`` that returns an AnnData obeying :mod:`datasets.base`."""
