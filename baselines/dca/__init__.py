from .method import DCA
from .network import Autoencoder

__all__ = ["DCA", "Autoencoder"]
