"""Fold batch normalisation into the convolution before it: the same function with half the operations to convert.

OpenVINO folds them too, but only after torch.export has decomposed each one, which is a fifth of a conversion's time.
"""

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """`network`, in evaluation mode, with each batch normalisation that only follows a convolution folded into it.

    `network` is not changed. The result shares its other parameters. If torch.fx cannot trace the network (because its
    Python code depends on values), the result is the network itself.
    """
    tracer = _Tracer()
    try:
        graph = tracer.trace(network)
    except Exception:  # any exception of a network's code whose input is not a tensor
        return network
    modules = dict(network.named_modules())
    traced = fx.GraphModule(network, graph)
    for node in list(graph.nodes):
        conv = node.args[0] if node.args else None
        if not isinstance(conv, fx.Node) or len(conv.users) > 1:
            continue
        if not _calls(node, _BatchNorm, modules) or not _calls(conv, _ConvNd, modules):
            continue
        if modules[node.target].running_mean is None or modules[conv.target].transposed:
            continue
        name = f"folded_{conv.name}"  # a new name, because a module may be called in several places
        traced.add_submodule(name, fuse_conv_bn_eval(modules[conv.target], modules[node.target]))
        conv.target = name
        node.replace_all_uses_with(conv)
        graph.erase_node(node)
    traced.recompile()
    return traced


class _Tracer(fx.Tracer):
    """Treats each convolution as one operation, even a subclass that pads its input."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _ConvNd) or super().is_leaf_module(m, module_qualified_name)


def _calls(node: object, kind: type, modules: dict[str, nn.Module]) -> bool:
    return isinstance(node, fx.Node) and node.op == "call_module" and isinstance(modules.get(node.target), kind)
