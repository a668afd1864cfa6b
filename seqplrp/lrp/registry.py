"""Which handler serves which operation: ours, those that users register, those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Node, Operation, op_name
from seqplrp.lrp.steps import Handler, Step
from seqplrp.plugins import Plugin, find

HANDLERS: dict[Operation, Handler] = {}


def register(*operations: Operation) -> Callable[[type[Handler]], type[Handler]]:
    """Register a handler class for ATen operations.

    Parameters
    ----------
    *operations
        Overloads such as ``torch.ops.aten.relu.default``.

    Raises
    ------
    SeqplrpError
        Where an operation has a handler already.
    """

    def decorate(handler: type[Handler]) -> type[Handler]:
        for operation in operations:
            if operation in HANDLERS:
                raise SeqplrpError(
                    f"register({operation})",
                    f"the operation is handled by {type(HANDLERS[operation]).__name__} already",
                    "register a custom op of your own, or change that handler",
                )
            HANDLERS[operation] = handler()
        return handler

    return decorate


class Unknown(Handler):
    """Stands for an operation without a handler: relevance never passes through what nobody thought about."""

    def prepare(self, step: Step) -> None:
        """Raise the error that names the operation and where it runs."""
        raise SeqplrpError(
            step.path,
            f"the operation {step.node.op} ({op_name(step.node.op)}) has no relevance handler",
            "register a handler (seqplrp.lrp.register), install a plug-in that has one, or explain the model up to the "
            "layer before it",
        )


def handler_of(node: Node) -> Handler:
    """Return the handler of a node's operation, a plug-in's where we have none; an `Unknown` where nobody has one.

    Raises
    ------
    SeqplrpError
        Where a plug-in says that it has one, and it can't be imported or is none.
    """
    if node.op not in HANDLERS:
        _register_plugin(node.op)
    return HANDLERS.get(node.op) or Unknown()


def _register_plugin(operation: Operation) -> None:
    """Register the handler that a plug-in has for an operation, if there is one."""
    plugin = find("handler", str(operation))
    if plugin is None:
        return
    handler = _handler_class(plugin)
    if operation not in HANDLERS:  # as it is where the plug-in's module registers it by itself
        register(operation)(handler)


def _handler_class(plugin: Plugin) -> type[Handler]:
    found = plugin.load()
    if not (isinstance(found, type) and issubclass(found, Handler)):
        raise plugin.error(f"({plugin.place}) is no handler: it does not extend seqplrp.lrp.Handler")
    return found


def check_handler_plugin(plugin: Plugin) -> None:
    """Import the handler that a plug-in has for an operation, and check that it can be used.

    Raises
    ------
    SeqplrpError
        Where it can't: we have a handler of that operation, another plug-in has, or it is none.
    """
    if not plugin.has_name_to_type:
        raise plugin.error("names no operation", "write it as torch does: aten.relu.default")
    handler = next((one for operation, one in HANDLERS.items() if str(operation) == plugin.name), None)
    if handler is not None and type(handler).__module__.startswith("seqplrp."):
        raise plugin.error("is of an operation that seqplrp has a handler of, which goes before", "leave it out")
    find("handler", plugin.name)
    _handler_class(plugin)
