"""What a request asks for, read from its method, path and query; nothing is answered here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from guard.testing.cluster.statuses import Cause, bad_request, invalid_options

LONGEST_MANAGER = 128


@dataclass(frozen=True)
class Call:
    """One HTTP request with its whole body; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip()

    @property
    def accepts(self) -> list[str]:
        """Media ranges in the client's order, parameters included and blanks removed."""
        ranges = self.headers.get("accept", "").split(",")
        return [item.replace(" ", "") for item in ranges if item.strip()] or ["*/*"]


@dataclass(frozen=True)
class Target:
    """The resource that a path names.

    `plural` is empty for the list of a group's resources; `name` is empty for a collection.
    """

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@dataclass(frozen=True)
class WriteOptions:
    """Options that every write takes.

    Attributes:
        manager: Who writes, for managedFields: `fieldManager`, else the User-Agent's first word.
        validation: `Ignore`, `Warn` or `Strict`, for unknown fields.
        force: Server-side apply takes fields over from their managers.
        operation: `Update`; `Replace` where the client sent the whole object; or `Apply`, where managedFields
            are already worked out.
        warnings: Filled by the write, for the Warning header.
    """

    manager: str = "unknown"
    validation: str = "Warn"
    dry_run: bool = False
    force: bool = False
    operation: str = "Update"
    warnings: list[str] = field(default_factory=list)


def parse_path(path: str) -> Target | None:
    """The target of `/api/v1/...` or `/apis/GROUP/VERSION/...`; None for any other path."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if (
        len(rest) >= 3
        and rest[0] == "namespaces"
        and not (len(rest) == 3 and rest[2] in ("status", "finalize"))
    ):
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "", "")[:3]
    return Target(group, version, plural, namespace, name, subresource)


def write_options(query: Mapping[str, str], user_agent: str, kind: str) -> WriteOptions:
    """The options of one request; `kind` is the kind of metav1 that describes them (`PatchOptions`).

    Raises:
        StatusError: 422 or 400, an option has no meaning.
    """
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        why = f'Unsupported value: ["{dry_run}"]: supported values: "All"'
        raise invalid_options(kind, Cause("FieldValueNotSupported", why, "dryRun"))
    if len(query.get("fieldManager", "")) > LONGEST_MANAGER:
        why = f"Too long: may not be more than {LONGEST_MANAGER} bytes"
        raise invalid_options(kind, Cause("FieldValueTooLong", why, "fieldManager"))
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Ignore", "Warn", "Strict"):
        why = f'Unsupported value: "{validation}": supported values: "Ignore", "Strict", "Warn"'
        raise invalid_options(kind, Cause("FieldValueNotSupported", why, "fieldValidation"))
    manager = query.get("fieldManager") or user_agent.partition("/")[0] or "unknown"
    return WriteOptions(manager, validation, dry_run == "All", query.get("force") == "true")


def number(query: Mapping[str, str], name: str) -> int | None:
    """An integer option; None where absent, and 0 where it is negative: the server ignores such a one."""
    text = query.get(name, "")
    if not text:
        return None
    if not text.removeprefix("-").isdigit():
        raise bad_request(f'{name}: Invalid value: "{text}": invalid syntax')
    return max(int(text), 0)
