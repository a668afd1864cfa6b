"""README and docs as a reader follows them: every fenced block in order, run in one directory, or checked otherwise.

`STORIES` names what is followed together: a page, or a section of the README. Commands of ours are run, unless
`NOT_RUN` gives the reason why not; these are read by the real command line, like the programs of others that
`PROGRAMS` knows how to check. What is neither makes the tests fail.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from other_programs import PROGRAMS, Unchecked
from stand_ins import given, lay

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")))

SHOWN_ONLY = {"", "text", "html", "json"}
"""Languages of blocks without instructions. Of ``console``, what follows a ``$`` is parsed; the rest is answers."""

NOT_RUN = {
    ("README.md", "make demo"): "tests/cli/test_demo.py runs it",
    ("docs/image_networks.md", "seqplrp image simulate"): "10,000 images; tests/cli/test_image_commands.py: the chain",
    ("docs/image_networks.md", "seqplrp image train"): "trains a network for minutes",
    ("docs/image_networks.md", "seqplrp image explain --network slim"): "explains what the command before trained",
    ("docs/image_networks.md", "seqplrp image explain --network resnet50"): "downloads torchvision's weights",
    ("docs/image_networks.md", "seqplrp image explain --network vgg16"): "needs ECSSD and half a gigabyte of weights",
    ("docs/image_networks.md", "seqplrp image explain --network lab.nets:make"): "tests/cli/test_image_commands.py",
    ("docs/image_networks.md", "seqplrp image benchmark"): "trains six networks for hours",
    ("docs/modisco_and_browsers.md", "seqplrp filters"): "compiles memelite; tests/cli/test_filters_command.py",
    ("docs/own_method.md", "seqplrp benchmark --config mine.yaml"): "trains three models; its file is read and checked",
    ("docs/report.md", "seqplrp report benchmark-output/small"): "tests/cli/test_report_command.py: of a benchmark",
    ("docs/scale.md", "seqplrp explain --model model --fasta some.fa"): "needs a GPU",
    ("docs/scale.md", "seqplrp explain --model model --fasta peaks.fa"): "needs a Ray cluster of GPUs",
    ("docs/scale.md", "seqplrp export out"): "makes files of what the command before explained",
}
"""Page and beginning of a command of ours that is parsed and not run, and why."""

BY_SECTION = {"README.md"}
"""Pages whose sections (##) are stories of their own: their commands write the same directories."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its fence, the section (##) that it stands in, its language and text."""

    page: str
    line: int
    section: str
    language: str
    title: str | None
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass
class Story:
    """What came of a page, or a section of it."""

    directory: Path
    names: dict[str, Any] = field(default_factory=dict)
    commands: list[tuple[list[str], int, str, str]] = field(default_factory=list)
    """What was run: arguments, exit code, standard output and error."""
    failures: list[str] = field(default_factory=list)
    reasons: set[tuple[str, str]] = field(default_factory=set)
    """Which of `NOT_RUN` were met."""


def blocks_of(page: str) -> list[Block]:
    """Return the fenced blocks of a page of the repository, also those in lists."""
    found, section = [], ""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    for i, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            section = tokens[i + 1].content
        if token.type == "fence" and token.map is not None:
            language, _, rest = token.info.strip().partition(" ")
            title = re.search(r'title="([^"]+)"', rest)
            found.append(Block(page, token.map[0] + 1, section, language, title[1] if title else None, token.content))
    return found


def stories() -> list[tuple[str, str | None]]:
    """Return what is followed together, as page and section; sections without blocks are none."""
    found = []
    for page in PAGES:
        if page in BY_SECTION:
            found += [(page, section) for section in dict.fromkeys(block.section for block in blocks_of(page))]
        elif blocks_of(page):
            found.append((page, None))
    return found


def commands_in(text: str) -> list[str]:
    """Return the commands of a block of shell, continued lines joined; comments and empty lines left out."""
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if shlex.split(line, comments=True)]


def follow(page: str, section: str | None, directory: Path) -> Story:
    """Follow a page, or a section of it, in an empty directory."""
    story = Story(directory, given(page))
    with _at_home(directory):
        for block in blocks_of(page):
            if section is not None and block.section != section:
                continue
            for failure in _obey(block, story):
                story.failures.append(f"{block.place}: {failure}")
    if "matplotlib.pyplot" in sys.modules:  # what a page leaves open is not the next test's
        sys.modules["matplotlib.pyplot"].close("all")
    return story


def _obey(block: Block, story: Story) -> Iterator[str]:
    """Do what a block says; give what went wrong."""
    if block.title is not None:
        at = Path(block.title)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(block.text, encoding="utf-8")
        if block.language == "python":
            try:
                compile(block.text, block.place, "exec")
            except SyntaxError as error:
                yield f"{block.title} is no Python: {error}"
    elif block.language == "bash":
        for command in commands_in(block.text):
            failure = _command(block.page, command, story)
            if failure is not None:
                yield f"{command}\n  {failure}"
    elif block.language == "console":
        for command in commands_in("\n".join(re.findall(r"^\$ (.*(?:\\\n.*)*)", block.text, flags=re.M))):
            program, *arguments = shlex.split(command, comments=True)
            failure = _parsed(arguments) if program == "seqplrp" else _checked(program, arguments)
            if failure is not None:
                yield f"{command}\n  {failure}"
    elif block.language == "python":
        lay(re.findall(r"""["']([^"'\s]+)["']""", block.text), story.directory)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                exec(compile("\n" * block.line + block.text, block.page, "exec"), story.names)
        except Exception:
            yield traceback.format_exc(limit=-3)
    elif block.language not in SHOWN_ONLY:
        yield f"nobody knows how to run or check a block of {block.language!r}; see tests/docs/pages.py"


def _command(page: str, command: str, story: Story) -> str | None:
    """Run or check one command; return what is wrong with it."""
    program, *arguments = shlex.split(command, comments=True)
    for at, start in NOT_RUN:
        if at == page and command.startswith(start):
            story.reasons.add((at, start))
            return _parsed(arguments) if program == "seqplrp" else _checked(program, arguments)
    if program != "seqplrp":
        return _checked(program, arguments)
    written = [arguments[i + 1] for i, argument in enumerate(arguments[:-1]) if argument == "--out"]
    lay([argument for argument in arguments if argument not in written], story.directory)
    code, out, err = run(arguments)
    story.commands.append((arguments, code, out, err))
    return None if code == 0 else f"ended with {code}: {err}{out[-500:]}"


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Run the command line in this process; return its exit code, standard output and standard error."""
    from seqplrp.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return code, out.getvalue(), err.getvalue()


def _parsed(arguments: list[str]) -> str | None:
    """Let the real command line read a command without running it: its options exist and take such values."""
    import typer

    from seqplrp.cli.app import build_app
    from seqplrp.recovery.benchmark import read_config

    asked = list(arguments)
    command: Any = typer.main.get_command(build_app())
    name = "seqplrp"
    try:
        while hasattr(command, "commands"):
            context = command.make_context(name, list(arguments), resilient_parsing=False)
            name, command, arguments = command.resolve_command(context, arguments)
        command.make_context(name, list(arguments))
        if name == "benchmark" and "--config" in arguments and "image" not in asked:
            read_config(arguments[arguments.index("--config") + 1])
    except Exception as error:
        return f"is not understood: {error}"
    return None


def _checked(program: str, arguments: list[str]) -> str | None:
    check: Callable[[list[str], Path], None] | None = PROGRAMS.get(program)
    if check is None:
        return f"nobody knows how to run or check {program!r}; see tests/docs/other_programs.py"
    try:
        check(arguments, ROOT)
    except Unchecked as error:
        return str(error)
    return None


@contextlib.contextmanager
def _at_home(directory: Path) -> Iterator[None]:
    """Be in a directory, and able to import its modules; forget them afterwards."""
    sys.path.insert(0, str(directory))
    try:
        with contextlib.chdir(directory):
            yield
    finally:
        sys.path.remove(str(directory))
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(directory)):
                del sys.modules[name]
