"""What `make docs` does beyond mkdocs: formulas, notebooks, and what pages link to outside docs/."""

from __future__ import annotations

import html
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = "repository"
"""Where files of the repository that pages link to stand in the site."""

SHOWN_AS_CODE = {".py": "python", ".sh": "bash", ".yaml": "yaml", ".toml": "toml"}
_LINK = re.compile(r"(!?\[[^\]]*\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^(```|~~~).*?^\1", flags=re.M | re.S)


def on_files(files: Files, config: Any) -> Files:
    """Add the notebooks as pages, and each file outside docs/ that a page links to, and those that it links to."""
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        _add_notebook(files, config, path)
    files.append(File.generated(config, "api/commands.md", content=commands_page()))
    asked = [(file.src_uri, file.content_string) for file in files.documentation_pages()]
    while asked:
        source, text = asked.pop()
        for target in _outside(source, text):
            if files.get_file_from_path(_place(target)) is not None:
                continue
            file = _file_of(target, config)
            files.append(file)
            if file.is_documentation_page():
                asked.append((file.src_uri, file.content_string))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links to what lies outside docs/ lead to its copy in the site."""

    def moved(match: re.Match[str]) -> str:
        target = _repository_path(page.file.src_uri, match[2])
        if target is None:
            return match[0]
        place = target.removeprefix("docs/") if target.startswith("docs/") else _place(target)
        link = posixpath.relpath(place, posixpath.dirname(page.file.src_uri) or ".")
        return f"{match[1]}{link}{match[3] or ''}{match[4]}"

    return _outside_fences(markdown, lambda text: _LINK.sub(moved, text))


def on_page_content(content: str, page: Any, config: Any, files: Files) -> str:
    """Turn TeX into MathML, which browsers draw by themselves."""
    content = re.sub(
        r'<span class="arithmatex">\\\((.*?)\\\)</span>', lambda m: mathml(m[1], "inline"), content, flags=re.S
    )
    return re.sub(r'<div class="arithmatex">\\\[(.*?)\\\]</div>', lambda m: mathml(m[1], "block"), content, flags=re.S)


@cache
def mathml(tex: str, display: str) -> str:
    """Return a formula as MathML."""
    from latex2mathml.converter import convert

    return convert(html.unescape(tex).strip(), display=display)


def _outside_fences(text: str, change: Any) -> str:
    parts, last = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, change(text[last:])])


def _repository_path(source: str, link: str) -> str | None:
    """Return the path in the repository of a link that leads out of the page's own tree, None of all other links."""
    if re.match(r"[a-z]+:", link) or link.startswith("/"):
        return None
    inside = source.removeprefix(f"{OUTSIDE}/") if source.startswith(f"{OUTSIDE}/") else f"docs/{source}"
    target = posixpath.normpath(posixpath.join(posixpath.dirname(inside), link))
    return None if target.startswith("docs/") and inside.startswith("docs/") else target


def _outside(source: str, text: str) -> list[str]:
    found: list[str] = []
    _outside_fences(
        text,
        lambda part: found.extend(filter(None, (_repository_path(source, m[2]) for m in _LINK.finditer(part)))) or "",
    )
    return [path for path in found if not path.startswith("docs/")]


def _place(path: str) -> str:
    """Return where a path of the repository stands in the site's sources."""
    at = ROOT / path
    if at.is_dir():
        return f"{OUTSIDE}/{path}/" + ("README.md" if (at / "README.md").exists() else "index.md")
    if path.endswith(".ipynb"):
        return f"notebooks/{at.stem}.md"
    return f"{OUTSIDE}/{path}" + (".md" if at.suffix in SHOWN_AS_CODE else "")


def _file_of(path: str, config: Any) -> File:
    at, place = ROOT / path, _place(path)
    if not at.exists():
        raise PluginError(f"docs: a page links to {path}, which is not there")
    if at.is_dir() and not (at / "README.md").exists():
        return File.generated(config, place, content=_listing(path))
    at = at / "README.md" if at.is_dir() else at
    if at.suffix in SHOWN_AS_CODE:
        text = f"# {path}\n\n````{SHOWN_AS_CODE[at.suffix]}\n{at.read_text(encoding='utf-8')}\n````\n"
        return File.generated(config, place, content=text)
    return File.generated(config, place, abs_src_path=str(at))


def _listing(path: str) -> str:
    names = sorted(at.name + "/" * at.is_dir() for at in (ROOT / path).iterdir() if at.name[0] not in "._")
    return "\n".join([f"# {path}", "", *(f"- [{name}]({name})" for name in names)]) + "\n"


def commands_page() -> str:
    """Return the reference of all commands, as the command line itself describes them."""
    import typer

    from seqplrp.cli.app import build_app

    lines = [
        "# Command line",
        "",
        "What each command's `--help` says. Exit codes: 0; 2 with one line on standard error for",
    ]
    lines += ["anything that you can mend; 130 after Ctrl-C.", ""]
    ahead: list[tuple[str, Any]] = [("seqplrp", typer.main.get_command(build_app()))]
    while ahead:
        name, command = ahead.pop(0)
        inside = getattr(command, "commands", {})
        ahead[:0] = [(f"{name} {key}", one) for key, one in inside.items()]
        if not inside:
            lines += _command_section(name, command)
    return "\n".join(lines) + "\n"


def _command_section(name: str, command: Any) -> list[str]:
    told = re.sub(r"\n{2,}", "\n\n", html.escape((command.help or "").strip(), quote=False))
    lines = [
        f"## {name}",
        "",
        told.replace("*", "\\*").replace("_", "\\_"),
        "",
        "| option | what it says |",
        "|---|---|",
    ]
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or "--help" in parameter.opts:
            continue
        spelled = ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))
        if parameter.param_type_name == "argument":
            spelled = f"`{(parameter.metavar or parameter.name).upper()}`"
        notes = ["required"] if parameter.required else []
        default = None if callable(parameter.default) else parameter.default
        if not parameter.required and default not in (None, False, True, (), []):
            notes.append(f"`{default}` unless given")
        text = html.escape(getattr(parameter, "help", None) or "", quote=False).replace("|", "\\|").replace("*", "\\*")
        lines.append(f"| {spelled} | {' '.join(text.split())}{' (' + '; '.join(notes) + ')' if notes else ''} |")
    return [*lines, ""]


def _add_notebook(files: Files, config: Any, path: Path) -> None:
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_filename(str(path))
    text = re.sub(r"<style scoped>.*?</style>\n?", "", text, flags=re.S)
    text = (
        f"{text}\n\n*This page is [a notebook](../{OUTSIDE}/examples/{path.name}); its outputs are those of a run.*\n"
    )
    for name, content in resources["outputs"].items():
        text = text.replace(f"({name})", f"({path.stem}_files/{name})")
        files.append(File.generated(config, f"notebooks/{path.stem}_files/{name}", content=content))
    files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
    files.append(File.generated(config, f"{OUTSIDE}/examples/{path.name}", abs_src_path=str(path)))
