"""The description of a benchmark, read from YAML and checked as a whole before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from seqplrp.benchmark.aims import Aims, Stage, read_aims
from seqplrp.benchmark.asked import asked_measures
from seqplrp.benchmark.domain import Domain
from seqplrp.benchmark.entries import Entry, read_entries
from seqplrp.benchmark.networks import Architecture
from seqplrp.benchmark.protocols import Options, measures_of
from seqplrp.benchmark.tasks import BenchmarkTask
from seqplrp.benchmark.variants import Offered, Variant, read_variants, variant_named
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import Measure

CUT = " | cut to "
"""Between a method's name and that of the method to whose sparsity it was cut, in names that `cut_name` makes."""

KEYS = (
    "name",
    "description",
    "tasks",
    "architectures",
    "seeds",
    "training",
    "learned",
    "sequences",
    "common",
    "methods",
    "default",
    "peers",
    "comparisons",
    "protocols",
    "matched_sparsity",
    "must_hold",
    "cost",
    "pictures",
)
_LONGEST_NAME = 100  # bytes: a directory's has 255 at most
_REQUIRED = ("tasks", "architectures", "seeds", "methods", "default", "peers", "protocols")


@dataclass(frozen=True)
class CostOptions:
    """How the cost of a method is measured.

    Parameters
    ----------
    sequences : int
        In a batch.
    repeats : int
        Batches whose median is taken, each after one of gradient x input; one more is run before them to warm up.
    """

    sequences: int = 32
    repeats: int = 5

    def __post_init__(self) -> None:
        for name in ("sequences", "repeats"):
            if getattr(self, name) < 1:
                raise SeqplrpError(name, f"is {getattr(self, name)}", "give 1 or more")


@dataclass(frozen=True)
class MatchedSparsity:
    """The control for sparsity: methods cut down, input by input, to the Gini index of another one's map.

    Parameters
    ----------
    to : Variant
        The method whose sparsity is matched.
    methods : tuple of Variant
        The methods that are cut.
    """

    to: Variant
    methods: tuple[Variant, ...]


@dataclass(frozen=True)
class Comparison:
    """A method that is tested against others.

    Parameters
    ----------
    reference : Variant
        The method that is asked about.
    peers : tuple of Variant
        What it is tested against; Holm's correction is over them.
    """

    reference: Variant
    peers: tuple[Variant, ...]


@dataclass(frozen=True)
class PictureOptions:
    """What is drawn.

    Parameters
    ----------
    sequences : int
        Inputs of each task whose maps are drawn.
    methods : tuple of str
        The methods whose maps are drawn; the default and its peers where empty.
    """

    sequences: int = 2
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.sequences <= 20:
            raise SeqplrpError("sequences", f"is {self.sequences}", "give 0 to 20")


@dataclass(frozen=True)
class BenchmarkConfig:
    """All that decides a benchmark. `read_config` reads one from YAML, where the keys are described.

    Attributes
    ----------
    domain : Domain
    name, description, source : str
    tasks : tuple of BenchmarkTask
    architectures : tuple of Architecture
    seeds : tuple of int
        One model of each architecture is trained on each task by each; of a network whose weights are given there is
        one, by the first.
    training : mapping
        How models are trained, as the domain has read it.
    learned : float
        A model of which the fact that the domain goes by is below this did not learn: it is left out and counted.
    sequences : int
        Test inputs of each task that are explained, at most; those that a model gets wrong are left out.
    variants : tuple of Variant
        The methods.
    default : Variant
        The method that is tested against its peers.
    peers : tuple of Variant
    comparisons : tuple of Comparison
        What else is tested, such as the default on both strands against peers on both.
    protocols : mapping of str to Options
        What is measured of each input, with its settings.
    model_protocols : mapping of str to Options
        What is measured of each model as a whole, with its settings.
    cost : CostOptions or None
    matched : MatchedSparsity or None
    pictures : PictureOptions
    must_hold : Aims or None
        What the report holds the default to. Nothing that is measured depends on it.
    """

    domain: Domain = field(repr=False, compare=False)
    name: str
    description: str
    source: str
    tasks: tuple[BenchmarkTask, ...]
    architectures: tuple[Architecture, ...]
    seeds: tuple[int, ...]
    training: Mapping[str, Any]
    learned: float
    sequences: int
    variants: tuple[Variant, ...]
    default: Variant
    peers: tuple[Variant, ...]
    protocols: Mapping[str, Options]
    model_protocols: Mapping[str, Options]
    cost: CostOptions | None
    matched: MatchedSparsity | None = None
    pictures: PictureOptions = field(default_factory=PictureOptions)
    comparisons: tuple[Comparison, ...] = ()
    must_hold: Aims | None = None

    @property
    def tested(self) -> tuple[Comparison, ...]:
        """All that is tested: the default against its peers, then the further comparisons; none without peers."""
        return tuple(one for one in (Comparison(self.default, self.peers), *self.comparisons) if one.peers)

    @property
    def measures(self) -> dict[str, Measure]:
        """What is measured of each input, by name."""
        return measures_of(self.domain.protocols, self.protocols)

    def least(self, task: BenchmarkTask) -> float:
        """Return the quality below which a model of a task did not learn."""
        return self.learned if task.learned is None else task.learned


def read_config(path: Path | str, domain: Domain) -> BenchmarkConfig:
    """Read a benchmark from YAML.

    Keys: ``tasks`` (NAME: {group: development | report | control, seed, learned, and what the domain asks for});
    ``architectures`` (NAME: what the domain asks for); ``seeds``; ``training``; ``learned``; ``sequences``, or as the
    domain calls its inputs; ``common`` (fields of every method that does not set its own); ``methods`` (NAME: {method,
    FIELD: VALUE}, where a list makes one method of each value); ``default``; ``peers``; ``comparisons`` (NAME: [PEER,
    ...] of other methods that are tested, against peers of their own, which may be peers of others, too);
    ``protocols`` (NAME: OPTIONS, of the domain's); ``matched_sparsity`` ({to, methods}); ``must_hold`` (below);
    ``cost``; ``pictures``.

    ``must_hold`` names what the report holds the default to on report tasks, in a table of its own; nothing that is
    measured depends on it, so it can be changed after a run. Any of: ``p`` (0.01; what Holm-corrected p has to be
    below, over sequences and over models); ``better_in`` ([MEASURE, ...]: better than each of the peers);
    ``matched_better_in`` ([MEASURE, ...]: better than each method that ``matched_sparsity`` cuts to the default's);
    ``not_below_best`` ({MEASURE: SHARE}: not further below the best peer's mean than this share of it);
    ``cost_shares`` ([{method, of, at_most: SHARE}, ...]); ``leads`` ([{method, over, measure, by}, ...]: ahead by so
    much in the measure's own unit).

    Parameters
    ----------
    path : path
    domain : Domain

    Raises
    ------
    SeqplrpError
        With file, line and key, for every key or value that can't be, for a peer that no protocol measures, and for a
        protocol whose library is missing.
    """
    root, many = read_entries(path), domain.words.many
    called = {"sequences": many}
    required = [key for key in _REQUIRED if key != "seeds" or domain.is_seeded]
    given = root.mapping([called.get(key, key) for key in KEYS], required)
    offered = Offered(domain.common, domain.references, domain.own_references)
    variants = _variants(given["methods"], given.get("common"), offered)
    default = variant_named(variants, given["default"])
    protocols, model_protocols = _protocols(given["protocols"], variants, domain, called)
    config = BenchmarkConfig(
        domain=domain,
        name=given["name"].text() if "name" in given else Path(path).stem,
        description=given["description"].text() if "description" in given else "",
        source=str(path),
        tasks=tuple(domain.read_task(_slug(one, name), one) for name, one in _some(given["tasks"]).items()),
        architectures=tuple(
            domain.read_architecture(_slug(one, name), one) for name, one in _some(given["architectures"]).items()
        ),
        seeds=_seeds(given["seeds"]) if "seeds" in given else (0,),
        training=domain.read_training(given["training"]) if "training" in given else {},
        learned=given["learned"].number(0, 1) if "learned" in given else domain.least,
        sequences=given[many].whole(1) if many in given else 200,
        variants=variants,
        default=default,
        peers=_peers(given["peers"], variants, default),
        protocols=protocols,
        model_protocols=model_protocols,
        cost=_cost(given.get("cost"), called),
        matched=_matched(given.get("matched_sparsity"), variants),
        pictures=_pictures(given.get("pictures"), variants, called),
        comparisons=_comparisons(given.get("comparisons"), variants, default),
    )
    _check_measured(config, given)
    if "must_hold" in given:
        config = replace(config, must_hold=read_aims(given["must_hold"], _stage(config)))
    for entry, architecture in zip(given["architectures"].mapping().values(), config.architectures, strict=True):
        entry.told(partial(architecture.check, config.training))
    return config


def _protocols(
    entry: Entry, variants: tuple[Variant, ...], domain: Domain, called: Mapping[str, str]
) -> tuple[dict[str, Options], dict[str, Options]]:
    """Read what is measured of each input, and what of each model as a whole."""
    known, of_whole = domain.protocols, domain.model_protocols
    of_inputs: dict[str, Options] = {}
    of_models: dict[str, Options] = {}
    names = [*dict.fromkeys(variant.family for variant in variants), *(variant.name for variant in variants)]
    for name, one in _some(entry).items():
        replace(one, value=name).choice((*known, *of_whole))
        kind = known[name].options if name in known else of_whole[name].options
        if name in of_whole:
            one.told(of_whole[name].require)
        options = kind() if one.value is None else one.made(kind, called=called)
        if name in known:
            known[name].check(one, options)
        if options.methods:
            for method in one.mapping()["methods"].items():
                method.choice(names)
        (of_inputs if name in known else of_models)[name] = options
    if not of_inputs:
        raise entry.error(f"measures nothing of single {domain.words.many}", f"add one of {', '.join(known)}")
    return of_inputs, of_models


def _variants(entry: Entry, common: Entry | None, offered: Offered) -> tuple[Variant, ...]:
    for name, one in entry.mapping().items():
        if CUT in name:
            raise one.error(f"{name!r} is what a method is called that was cut down", f"leave out {CUT.strip()!r}")
    return read_variants(entry, common, offered)


def _check_measured(config: BenchmarkConfig, given: Mapping[str, Entry]) -> None:
    """Refuse to test what nothing will be measured of: limits of protocols leave some methods out."""
    asked = {
        variant.name: asked_measures(config.domain.protocols, config.protocols, variant) for variant in config.variants
    }
    remedy = "name it in a protocol's methods, or leave it out here"
    if not asked[config.default.name]:
        raise given["default"].error(f"{config.default.name!r} is measured by no protocol", remedy)
    of_default = (config.default.name, given["peers"])
    further = given["comparisons"].mapping().items() if "comparisons" in given else ()
    for reference, entry in (of_default, *further):
        if not asked[reference]:
            raise entry.error(f"{reference!r} is measured by no protocol", remedy)
        for one in entry.items():
            if not asked[one.text()] & asked[reference]:
                raise one.error(f"no protocol measures both {one.text()!r} and {reference!r}", remedy)
    if config.matched is not None:
        methods = given["matched_sparsity"].mapping()["methods"]
        for one, variant in zip(methods.items(), config.matched.methods, strict=True):
            cut = asked_measures(config.domain.protocols, config.protocols, variant, cut=True)
            if not cut & asked[config.matched.to.name]:
                raise one.error(
                    f"no protocol measures both {variant.name!r}, cut down, and {config.matched.to.name!r}",
                    "add a protocol that needs a map alone, such as localisation, or leave it out",
                )


def _stage(config: BenchmarkConfig) -> Stage:
    return Stage(
        variants=config.variants,
        default=config.default,
        peers=config.peers,
        cut_to=None if config.matched is None else config.matched.to,
        cut=() if config.matched is None else config.matched.methods,
        known=config.domain.protocols,
        protocols=config.protocols,
        has_costs=config.cost is not None,
        reports=any(task.group == "report" for task in config.tasks),
    )


def _some(entry: Entry) -> dict[str, Entry]:
    found = entry.mapping()
    if not found:
        raise entry.error("is empty", "name at least one")
    return found


def _slug(entry: Entry, name: str) -> str:
    """Return a name that can be that of a directory."""
    plain = name and not name.startswith(".") and all(c.isalnum() or c in "._-" for c in name)
    if not plain or len(name.encode()) > _LONGEST_NAME:
        raise entry.error(f"{name[:60]!r} can't name a directory", "use a few letters, digits, - and _")
    return name


def _seeds(entry: Entry) -> tuple[int, ...]:
    seeds = tuple(one.whole() for one in entry.items())
    if not seeds or len(set(seeds)) != len(seeds):
        raise entry.error("is empty" if not seeds else "holds a seed twice", "write [0, 1, 2]")
    return seeds


def _peers(entry: Entry, variants: tuple[Variant, ...], default: Variant) -> tuple[Variant, ...]:
    peers = tuple(variant_named(variants, one) for one in entry.items())
    for one, peer in zip(entry.items(), peers, strict=True):
        if peer == default or peers.count(peer) > 1:
            raise one.error("is the method itself" if peer == default else "is there twice", "leave it out")
    return peers


def _comparisons(entry: Entry | None, variants: tuple[Variant, ...], default: Variant) -> tuple[Comparison, ...]:
    found: list[Comparison] = []
    for name, one in ({} if entry is None else entry.mapping()).items():
        reference = variant_named(variants, replace(one, value=name))
        if reference == default:
            raise one.error("is the default, whose peers have a key of their own", "name them under peers")
        of_this = _peers(one, variants, reference)
        if not of_this:
            raise one.error("names no peer", "name at least one")
        found.append(Comparison(reference, of_this))
    return tuple(found)


def _cost(entry: Entry | None, called: Mapping[str, str]) -> CostOptions | None:
    if entry is None:
        return CostOptions()
    return None if entry.value is False else entry.made(CostOptions, called=called)


def _matched(entry: Entry | None, variants: tuple[Variant, ...]) -> MatchedSparsity | None:
    if entry is None:
        return None
    given = entry.mapping(("to", "methods"), ("to", "methods"))
    to = variant_named(variants, given["to"])
    methods = tuple(variant_named(variants, one) for one in given["methods"].items())
    if to in methods:
        raise given["methods"].error(f"{to.name!r} can't be matched to itself", "leave it out")
    return MatchedSparsity(to, methods)


def _pictures(entry: Entry | None, variants: tuple[Variant, ...], called: Mapping[str, str]) -> PictureOptions:
    if entry is None:
        return PictureOptions()
    found = entry.made(PictureOptions, called=called)
    if found.methods:
        for one in entry.mapping()["methods"].items():
            variant_named(variants, one)
    return found
