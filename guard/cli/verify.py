"""`tidegate verify`: whether an evidence folder is as it was sealed."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from guard.adapters.evidence_check import Verification

FORMAT = "tidegate.dev/verification/v1"
NOT_WHOLE, NO_JUDGEMENT = 1, 3
DIGEST = r"sha256:[0-9a-f]{64}"


def check_digest(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """For `--expect`: refuses what can be no digest, which would make any folder look changed."""
    if value is not None and not re.fullmatch(DIGEST, value):
        raise click.BadParameter(
            "expected sha256: and 64 hexadecimal digits, as status.evidenceDigest has it"
        )
    return value


expect_option = click.option(
    "--expect",
    metavar="DIGEST",
    callback=check_digest,
    help="sha256:... of the manifest, kept elsewhere: a Change's status.evidenceDigest.",
)


@click.command("verify", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@expect_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, and nothing else there.")
def command(folder: Path, expect: str | None, as_json: bool) -> int:
    """Find every file of an evidence folder that was changed, added or lost, and name it.

    DIR is the folder that a gate or a guard wrote, or its folder `evidence` alone.
    Exit code: 0 whole, 1 not whole, 3 no evidence folder, a newer format, or files that cannot be read.

    \b
    Example, with the digest that the cluster keeps:
      tidegate verify artifacts/inference/ops-1 --expect "$(kubectl get change ops-1 -n inference \\
        -o jsonpath='{.status.evidenceDigest}')"
    """
    from guard.adapters.evidence import open_evidence
    from guard.adapters.evidence_check import verify
    from guard.adapters.evidence_manifest import Problem
    from reports.bundle import OUTPUTS

    found = verify(open_evidence(folder), expect, OUTPUTS)
    click.echo(_document(found) if as_json else _words(found))
    if all(finding.problem is Problem.UNREADABLE for finding in found.findings):
        return 0 if found.whole else NO_JUDGEMENT
    return NOT_WHOLE


def _document(found: "Verification") -> str:
    import json

    document = {
        "format": FORMAT,
        "whole": found.whole,
        "digest": found.digest,
        "files": len(found.files),
        "bytes": sum(file.bytes for file in found.files),
        "findings": [{"path": f.path, "problem": str(f.problem), "reason": f.reason} for f in found.findings],
    }
    return json.dumps(document, indent=2)


def _words(found: "Verification") -> str:
    lines = [str(finding) for finding in found.findings]
    size = sum(file.bytes for file in found.files)
    sealed = f"{len(found.files)} files, {size} bytes, manifest {found.digest}"
    lines.append(f"whole: {sealed}" if found.whole else f"NOT WHOLE: {len(lines)} findings; {sealed}")
    return "\n".join(lines)
