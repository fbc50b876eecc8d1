"""The documents at fixed paths: version, health, discovery, OpenAPI."""

from guard.testing.cluster import discovery, openapi, statuses
from guard.testing.cluster.objects import Json
from guard.testing.cluster.replies import Reply
from guard.testing.cluster.requests import Call
from guard.testing.cluster.resources import Catalog

_HEALTH = ("healthz", "livez", "readyz")


def is_joint(call: Call) -> bool:
    """Whether the document at this path tells of all groups: the list of groups, OpenAPI."""
    path = call.path.rstrip("/")
    return call.method in ("GET", "HEAD") and (path == "/apis" or path.startswith("/openapi/"))


class Documents:
    """Answers GETs of everything that is not a resource."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def reply(self, call: Call) -> Reply | None:
        """The document at the call's path; None where there is none."""
        if call.method not in ("GET", "HEAD"):
            return None
        parts = tuple(part for part in call.path.split("/") if part)
        if parts and parts[0] in _HEALTH:
            return Reply("ok", content_type="text/plain; charset=utf-8")
        if parts in (("api",), ("apis",)) and discovery.AGGREGATED_TYPE in call.accepts:
            body = discovery.aggregated(self._catalog, core=parts == ("api",))
            return Reply(body, content_type=discovery.AGGREGATED_TYPE)
        found = self._discovered(parts)
        if found is None and parts[:1] == ("openapi",):
            found = self._openapi(parts[1:], call)
        return None if found is None else Reply(found)

    def _openapi(self, parts: tuple[str, ...], call: Call) -> Json | None:
        if not any("json" in item or "*/*" in item for item in call.accepts):
            raise statuses.not_acceptable(["application/json"])
        match parts:
            case ("v2",):
                return openapi.version2(self._catalog)
            case ("v3",):
                return openapi.version3_index(self._catalog)
            case ("v3", "api", version):
                return openapi.version3(self._catalog, "", version)
            case ("v3", "apis", group, version):
                return openapi.version3(self._catalog, group, version)
        return None

    def _discovered(self, parts: tuple[str, ...]) -> Json | None:
        match parts:
            case ("version",):
                return discovery.VERSION
            case ("api",):
                return discovery.core_versions()
            case ("apis",):
                return discovery.groups(self._catalog)
            case ("apis", group):
                return discovery.group(self._catalog, group)
            case ("api", version):
                return discovery.resources(self._catalog, "", version)
            case ("apis", group, version):
                return discovery.resources(self._catalog, group, version)
        return None
