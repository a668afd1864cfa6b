"""What installed plug-ins offer, and whether it can be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.lrp import check_handler_plugin, check_rule
from seqplrp.methods import METHODS, RULES, check_method
from seqplrp.pipeline.format_checks import check_format
from seqplrp.pipeline.formats import FORMATS
from seqplrp.plugins import Kind, Named, Plugin, installed


@dataclass(frozen=True)
class PluginState:
    """Whether one plug-in can be used.

    Parameters
    ----------
    plugin : Plugin
    told : str
        In a word or two: usable, checked, not usable ...
    fault : SeqplrpError or None
        Why it can't be used, or is not what ours are.
    """

    plugin: Plugin
    told: str
    fault: SeqplrpError | None = None


_NAMED: dict[Kind, Named[Any]] = {"method": METHODS, "rule": RULES, "format": FORMATS}


def plugin_states(*, check: bool = False) -> Iterator[PluginState]:
    """Import every plug-in that is installed, and say whether it can be used.

    Parameters
    ----------
    check : bool
        Whether to hold methods, rules and formats to what ours are held to, too, each as it is without settings.
    """
    for plugin in installed():
        try:
            named = _NAMED.get(plugin.kind)
            check_handler_plugin(plugin) if named is None else named.check(plugin)
        except SeqplrpError as error:
            yield PluginState(plugin, "not usable", error)
            continue
        yield _checked(plugin) if check else PluginState(plugin, "usable")


def _checked(plugin: Plugin) -> PluginState:
    """Hold a plug-in to what ours are held to."""
    try:
        if plugin.kind == "method":
            check_method(plugin.name)
        elif plugin.kind == "format":
            check_format(plugin.name)
        elif plugin.kind == "rule":
            try:
                rule = RULES[plugin.name]()
            except TypeError:  # as our z-box
                return PluginState(plugin, "usable; needs numbers: seqplrp.lrp.check_rule checks it with some")
            check_rule(rule)
        else:
            return PluginState(plugin, "usable; seqplrp.lrp.check_handler checks it in a module that runs it")
    except SeqplrpError as error:
        return PluginState(plugin, "fails its check", error)
    except Exception as error:  # of code that we have not seen
        return PluginState(plugin, "fails its check", plugin.error(f"fails ({whole_message(error, kind=True)})"))
    return PluginState(plugin, "checked")
