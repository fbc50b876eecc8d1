"""What a path and method mean, and the verb that answers it.

Fixed documents (version, health, discovery, OpenAPI) first, then resources. Knows neither sockets nor
faults.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from typing import Any

import yaml

from guard.testing.cluster import protobuf, statuses
from guard.testing.cluster.access import Access
from guard.testing.cluster.api import Api, check_kind
from guard.testing.cluster.documents import Documents
from guard.testing.cluster.lists import Lists
from guard.testing.cluster.logs import PodLogs
from guard.testing.cluster.objects import Json
from guard.testing.cluster.patching import APPLY_PATCH, patch_function, patch_scale
from guard.testing.cluster.replies import Reply, dump
from guard.testing.cluster.requests import Call, Target, WriteOptions, number, parse_path, write_options
from guard.testing.cluster.resources import Catalog, ResourceType
from guard.testing.cluster.scale import scale_of, scaled
from guard.testing.cluster.selectors import selector
from guard.testing.cluster.views import View, wanted_view
from guard.testing.cluster.watch import Signals, Watch, WatchQuery

DEFAULT_WATCH_SECONDS = 2700  # kube-apiserver: a random time between 30 and 60 minutes


class Routes:
    """Answers calls against one cluster."""

    def __init__(self, api: Api, lists: Lists, signals: Signals) -> None:
        self._api = api
        self._lists = lists
        self._signals = signals
        self._documents = Documents(api.catalog)
        self._logs = PodLogs()
        self._access = Access(api.store)

    def reply(self, call: Call) -> Reply:
        """The answer to one call.

        Raises:
            StatusError: The call is refused.
        """
        fixed = self._documents.reply(call)
        if fixed is not None:
            return fixed
        reviewed = self._access.reply(call)
        if reviewed is not None:
            return reviewed
        target = parse_path(call.path)
        if target is None:
            raise statuses.unknown_path()
        type_ = self._api.catalog.find(target.group, target.version, target.plural)
        if type_ is None:
            raise statuses.unknown_path()
        if target.subresource and target.subresource not in type_.subresources | {"finalize"}:
            raise statuses.unknown_path()
        handler = self._handler(call, target)
        return handler(_Request(call, target, type_))

    def joint(self, call: Call, others: Iterable[ResourceType]) -> Reply:
        """A document that tells of all groups, with another server's kinds in it.

        Raises:
            StatusError: There is no such document.
        """
        found = Documents(Catalog([*self._api.catalog, *others])).reply(call)
        if found is None:
            raise statuses.unknown_path()
        return found

    def admit(self, call: Call) -> None:
        """Refuse what another server is not to be asked: it knows neither our users nor our namespaces.

        Raises:
            StatusError: The caller may not do it, or would create something in a missing or ending namespace.
        """
        self._access.reply(call)
        target = parse_path(call.path)
        if target is None or not target.namespace or target.subresource:
            return
        applied = call.method == "PATCH" and call.content_type == APPLY_PATCH
        if applied or call.method == "POST":
            type_ = ResourceType(target.group, target.version, target.plural, target.plural)
            self._api.require_namespace(type_, target.namespace, target.name)

    def ended_namespace(self, call: Call) -> str | None:
        """The namespace that this call deleted; None for any other call."""
        target = parse_path(call.path)
        if call.method != "DELETE" or target is None or call.query.get("dryRun"):
            return None
        names_one = (target.group, target.plural, target.subresource) == ("", "namespaces", "")
        return target.name or None if names_one else None

    def _handler(self, call: Call, target: Target) -> "Callable[[_Request], Reply]":
        if target.subresource in ("log", "scale"):
            return self._log if target.subresource == "log" else self._scale
        on_collection = {"GET": self._list, "POST": self._create, "DELETE": self._delete_all}
        on_object = {"GET": self._get, "PUT": self._put, "PATCH": self._patch, "DELETE": self._delete}
        table = on_object if target.name else on_collection
        if call.method not in table:
            raise statuses.method_not_allowed()
        return table[call.method]

    def _get(self, request: "_Request") -> Reply:
        return Reply(request.view.one(self._api.get(*request.key)))

    def _list(self, request: "_Request") -> Reply:
        call = request.call
        if call.query.get("watch") in ("true", "1"):
            return self._watch(request)
        items, fields = self._lists.page(request.type, request.target.namespace, call.query)
        return Reply(request.view.many(items, fields))

    def _watch(self, request: "_Request") -> Reply:
        query = request.call.query
        matches = selector(request.type, query.get("labelSelector", ""), query.get("fieldSelector", ""))
        initial = query.get("sendInitialEvents") == "true"
        if initial and query.get("resourceVersionMatch") != "NotOlderThan":
            raise statuses.no_match_rule()
        revision = number(query, "resourceVersion") or None
        bookmarks = query.get("allowWatchBookmarks") == "true"
        wanted = WatchQuery(
            storage=request.type.storage,
            namespace=request.target.namespace,
            matches=matches,
            revision=None if initial else revision,
            bookmarks=bookmarks,
            initial_bookmark=initial and bookmarks,
            timeout_seconds=number(query, "timeoutSeconds") or DEFAULT_WATCH_SECONDS,
        )
        watch = Watch(self._api.store, self._signals, wanted)
        return Reply(stream=_lines(watch, request.view))

    def _create(self, request: "_Request") -> Reply:
        if "create" not in request.type.verbs:
            raise statuses.method_not_allowed()
        options = request.options
        body = request.document()
        made = self._api.create(request.type, request.target.namespace, body, options)
        return request.written(made, 201)

    def _put(self, request: "_Request") -> Reply:
        body = request.document()
        check_kind(request.type, body)
        options = replace(request.options, operation="Replace")
        kept = self._api.update(*request.key, lambda _: body, options, request.target.subresource)
        return request.written(kept)

    def _apply(self, request: "_Request") -> Reply:
        options = replace(request.options, operation="Apply")
        if not request.call.query.get("fieldManager"):
            raise statuses.no_field_manager()
        body = request.document()
        kept, new = self._api.apply(*request.key, body, options, request.target.subresource)
        return request.written(kept, 201 if new else 200)

    def _scale(self, request: "_Request") -> Reply:
        type_, call = request.type, request.call

        def change(document: Json) -> Json:
            seen = scale_of(type_, document)
            wanted = (
                request.body()
                if call.method == "PUT"
                else patch_scale(call.content_type, seen, request.body())
            )
            return scaled(type_, document, wanted)

        if call.method == "GET":
            document = self._api.get(*request.key)
        elif call.method in ("PUT", "PATCH"):
            document = self._api.update(*request.key, change, request.options, "scale")
        else:
            raise statuses.method_not_allowed()
        return Reply(scale_of(type_, document))

    def _patch(self, request: "_Request") -> Reply:
        if request.call.content_type == APPLY_PATCH:
            return self._apply(request)
        change = patch_function(request.type, request.call.content_type, request.body())
        kept = self._api.update(*request.key, change, request.options, request.target.subresource)
        return request.written(kept)

    def _delete(self, request: "_Request") -> Reply:
        last, gone = self._api.delete(*request.key, request.wishes(), dry_run=request.options.dry_run)
        if gone and not request.type.returns_deleted:
            details = {"name": request.target.name, "group": request.type.group, "kind": request.type.plural}
            return Reply(statuses.success(details | {"uid": last["metadata"]["uid"]}))
        return request.written(last)

    def _delete_all(self, request: "_Request") -> Reply:
        items, fields = self._lists.page(request.type, request.target.namespace, request.call.query)
        for item in items:
            namespace = item["metadata"].get("namespace", "")
            self._api.delete(request.type, namespace, item["metadata"]["name"], request.wishes())
        return Reply(request.view.many(items, fields))

    def _log(self, request: "_Request") -> Reply:
        if request.call.method != "GET":
            raise statuses.method_not_allowed()
        pod = self._api.get(*request.key)

        def ended() -> bool:
            now = self._api.store.get(request.type.storage, request.target.namespace, request.target.name)
            same = now is not None and now["metadata"]["uid"] == pod["metadata"]["uid"]
            phase = ((now or {}).get("status") or {}).get("phase")
            return self._signals.closing or not same or phase in ("Succeeded", "Failed")

        return self._logs.reply(pod, request.call.query, ended)


class _Request:
    """One call on one resource."""

    def __init__(self, call: Call, target: Target, type_: ResourceType) -> None:
        self.call = call
        self.target = target
        self.type = type_
        self.key = (type_, target.namespace, target.name)
        kind = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}.get(call.method)
        agent = call.headers.get("user-agent", "")
        self.options: WriteOptions = write_options(call.query, agent, kind or "PatchOptions")
        view = wanted_view(type_, call)
        if view is None:
            raise statuses.not_acceptable(["application/json"])
        self.view: View = view

    def body(self) -> Any:
        """The body as data, from JSON or YAML."""
        if self.call.content_type == protobuf.CONTENT_TYPE:
            return self._from_protobuf()
        if self.call.content_type and not any(name in self.call.content_type for name in ("json", "yaml")):
            raise statuses.unsupported_media_type(["application/json", "application/yaml"])
        try:
            if "yaml" in self.call.content_type:
                return yaml.safe_load(self.call.body)
            return json.loads(self.call.body)
        except (ValueError, yaml.YAMLError) as error:
            raise statuses.bad_request(f"the body of the request does not parse: {error}") from error

    def _from_protobuf(self) -> Json:
        try:
            return protobuf.decode(self.call.body)
        except ValueError as error:
            refusal = statuses.unsupported_media_type(["application/json", "application/yaml"])
            raise refusal from error

    def document(self) -> Json:
        body = self.body()
        if not isinstance(body, dict):
            raise statuses.bad_request("the body of the request is not an object")
        return body

    def wishes(self) -> Json:
        """DeleteOptions from the body and the query."""
        options = self.body() if self.call.body else {}
        wishes: Json = dict(options) if isinstance(options, dict) else {}
        if "propagationPolicy" in self.call.query:
            wishes["propagationPolicy"] = self.call.query["propagationPolicy"]
        if (grace := number(self.call.query, "gracePeriodSeconds")) is not None:
            wishes["gracePeriodSeconds"] = grace
        return wishes

    def written(self, document: Json, code: int = 200) -> Reply:
        return Reply(self.view.one(document), code, warnings=tuple(self.options.warnings))


async def _lines(watch: Watch, view: View) -> AsyncIterator[bytes]:
    async for kind, document in watch.events(view.empty):
        shown = document if kind in ("ERROR", "BOOKMARK") else view.event(document)
        yield dump({"type": kind, "object": shown}) + b"\n"
