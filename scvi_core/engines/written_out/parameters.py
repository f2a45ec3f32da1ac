"""The parameters of a network in one vector, laid out for the fused step."""

import torch


class ParameterVector:
    """Moves the trained parameters of a network into one vector, of which they become views.

    Linear layers that read the same input stand side by side as one matrix (n_in + 1, sum of n_out), the transposed
    weights with the bias as last row: an input with a column of ones gives all their outputs in one product, and the
    weights of one gene in the first layer are contiguous.

    Parameters
    ----------
    network : nn.Module
    groups : iterable of lists
        Its linear layers, those that read the same input in one list.

    Attributes
    ----------
    values, gradient : tensors (n_parameters,)
    """

    def __init__(self, network, groups):
        self._places, self._matrices, self._end = {}, {}, 0
        for group in groups:
            self._place_matrix(group)
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        for parameter in trained:
            if parameter not in self._places:
                self._places[parameter] = (parameter.shape, parameter.stride(), self._reserve(parameter.numel()))
        self.values, self.gradient = torch.zeros(self._end), torch.zeros(self._end)
        for parameter in trained:
            view = self.part(self.values, parameter)
            view.copy_(parameter.data)
            parameter.data = view

    def release(self, network):
        """Give every parameter memory of its own again."""
        for parameter in network.parameters():
            parameter.data = parameter.data.clone(memory_format=torch.contiguous_format)

    def part(self, vector, parameter):
        """Where a parameter stands in a vector of this layout, with the shape of the parameter."""
        return vector.as_strided(*self._places[parameter])

    def matrix(self, vector, linear):
        """The matrix (n_in + 1, ...) in which the given linear layer comes first."""
        return vector.as_strided(*self._matrices[linear])

    def _place_matrix(self, group):
        n_in, width = group[0].in_features, sum(linear.out_features for linear in group)
        start = self._reserve((n_in + 1) * width)
        self._matrices[group[0]] = ((n_in + 1, width), (width, 1), start)
        column = start
        for linear in group:
            self._places[linear.weight] = ((linear.out_features, n_in), (1, width), column)
            self._places[linear.bias] = ((linear.out_features,), (1,), column + n_in * width)
            column += linear.out_features

    def _reserve(self, size):
        start = self._end
        self._end += -(-size // 16) * 16  # every part starts on a cache line
        return start


def side_by_side(network):
    """Lists of linear layers of a `scvi_core.networks.Network` with the same input."""
    for encoder in (network.encoder_z, network.encoder_l):
        if encoder is not None:
            yield from ([hidden.linear] for hidden in encoder.hidden)
            yield [encoder.mean, encoder.logvar]
    decoder = network.decoder
    yield from ([hidden.linear] for hidden in decoder.hidden)
    yield decoder.heads()
