"""`tidegate report`: a finished gate run or Change, rendered again from its evidence alone.

Owns where a Change's folder is found, which formats go where, and that nothing is rendered of a folder that
is not whole. Needs no cluster.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from guard.cli.verify import expect_option

if TYPE_CHECKING:
    from guard.adapters.evidence import EvidenceFolder
    from guard.core.evidence import Report

_FORMATS = (".html", ".md", ".json", ".xml")


def _known_formats(
    context: click.Context, parameter: click.Parameter, values: tuple[Path, ...]
) -> tuple[Path, ...]:
    for value in values:
        if value.suffix not in _FORMATS:
            raise click.BadParameter(
                f"{value}: the format is told by the ending: {', '.join(_FORMATS)} (JUnit)"
            )
    return values


@click.command("report", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("subject", metavar="DIR|CHANGE")
@click.option("--artifacts", metavar="DIR", type=click.Path(path_type=Path), default=".tidegate/artifacts",
              show_default=True, help="Where the guard keeps evidence; for a CHANGE.")  # fmt: skip
@click.option("-n", "--namespace", metavar="NAME", default="default", show_default=True,
              envvar="TIDEGATE_NAMESPACE", help="Of the CHANGE.")  # fmt: skip
@click.option("-o", "files", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
              callback=_known_formats, help="Ends in .html, .md, .json or .xml; repeatable.")  # fmt: skip
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
              help="All four formats. [default, without -o and --json: tidegate-report]")  # fmt: skip
@expect_option
@click.option("--json", "as_json", is_flag=True, help="Print the JSON on stdout, and nothing else there.")
def command(
    subject: str,
    artifacts: Path,
    namespace: str,
    files: tuple[Path, ...],
    out: Path | None,
    expect: str | None,
    as_json: bool,
) -> int:
    """Render a finished gate run or Change from its evidence alone, without a cluster.

    Takes the folder, or a Change's name, whose folder is then DIR/NAMESPACE/CHANGE of --artifacts.
    The evidence is verified first: of a folder that is not whole nothing is rendered.
    Exit code: 0 rendered, 3 otherwise.

    \b
    Examples:
      tidegate report artifacts/inference/ops-1 -o report.html -o junit.xml
      tidegate report ops-1 -n inference --artifacts artifacts --out audit/ops-1
    """
    from reports.bundle import render_all, render_json

    folder, report = _whole_report(_folder_of(subject, artifacts, namespace), expect)
    if not (files or out or as_json):
        out = Path("tidegate-report")
    with _shown():
        contents = {file: _one(report, file, folder) for file in files}
        if out is not None:
            rendered = render_all(report, _reached(folder, out))
            contents |= {out / name: content for name, content in rendered.items()}
    _write(contents, folder)
    click.echo(render_json(report).decode() if as_json else "\n".join(map(str, contents)), nl=not as_json)
    return 0


def _folder_of(subject: str, artifacts: Path, namespace: str) -> Path:
    """A folder by its path; else a Change's by its name, the newest where the name was used again."""
    from guard.adapters.artifacts import folders_of
    from guard.errors import ConfigurationError

    if os.path.isdir(subject):
        return Path(subject)
    found = [] if "/" in subject else folders_of(artifacts / namespace, subject)
    if not found:
        where = artifacts / namespace / subject
        raise ConfigurationError(
            f"{subject}: no such folder, and no evidence of such a Change in {where}: "
            "name the guard's --artifacts and the namespace with -n"
        )
    if len(found) > 1:
        older = ", ".join(map(str, found[:-1]))
        click.echo(f"tidegate: {found[-1]}: the newest of this name; older: {older}", err=True)
    return found[-1]


def _whole_report(path: Path, expect: str | None) -> "tuple[EvidenceFolder, Report]":
    from guard.adapters.evidence import open_evidence, read_report
    from guard.adapters.evidence_check import verify
    from guard.errors import ConfigurationError

    folder = open_evidence(path)
    found = verify(folder, expect)
    if not found.whole:
        named = "\n".join(f"  {finding}" for finding in found.findings)
        raise ConfigurationError(f"{path}: not whole, so nothing is rendered:\n{named}")
    return folder, read_report(folder)


def _one(report: "Report", file: Path, folder: "EvidenceFolder") -> bytes:
    from reports.bundle import render_json
    from reports.html import render_html
    from reports.junit import render_junit
    from reports.markdown import render_markdown

    if file.suffix == ".html":
        return render_html(report, _reached(folder, file.parent)).encode()
    if file.suffix == ".md":
        return render_markdown(report).encode()
    return render_json(report) if file.suffix == ".json" else render_junit(report)


@contextlib.contextmanager
def _shown() -> Iterator[None]:
    """A report of numbers that no format can show was not written by a judge: refused by name."""
    from guard.errors import ConfigurationError

    try:
        yield
    except (ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        reason = f"evidence/report.json: cannot be shown: {type(error).__name__}: {error}"
        raise ConfigurationError(reason) from error


def _reached(folder: "EvidenceFolder", start: Path) -> str:
    """The evidence folder as a link from `start` has to say it."""
    return Path(os.path.relpath(folder.evidence.resolve(), start.resolve())).as_posix()


def _write(contents: dict[Path, bytes], folder: "EvidenceFolder") -> None:
    from guard.adapters.artifacts import check_replaceable, replace_file
    from guard.errors import ConfigurationError

    for path in contents:
        check_replaceable(path)
        if path.resolve().is_relative_to(folder.evidence.resolve()):
            raise ConfigurationError(f"{path}: inside the evidence, which would then not be whole any more")
    for path, content in contents.items():
        try:
            replace_file(path, content)
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror or error}") from error
