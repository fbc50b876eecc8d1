"""Everything that is measured while a Change runs: gateway counters, access log, probes, pods' gauges.

Owns the threads that read signals and the queue in which what they saw waits for the loop; whatever arrives
wakes it, so that a verdict does not wait for the next tick. Refuses to judge. A source that cannot be read
is remembered as an error, and gives no zeros.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from guard.adapters.endpoint import Endpoint
from guard.adapters.kubernetes.client import ENDPOINT_SLICES, SERVICES, KubernetesClient
from guard.adapters.kubernetes.services import endpoint_urls, service_name
from guard.adapters.signals.access_log import AccessLog, LoggedRequest
from guard.adapters.signals.gateway import Count, GatewayCounters, backend_of
from guard.adapters.signals.probes import Probes
from guard.api.guard import GuardSpec
from guard.core.blocks import CounterBlock
from guard.core.samples import Arm, RequestSample, Source
from guard.errors import TidegateError, UnreachableError

POLL_SECONDS = 0.5
RESOLVE_SECONDS = 5.0
BLIND_SECONDS = 10.0  # arbitrary: one slow reading is no outage, and a step is longer
LOG_SECONDS = 10.0  # a silent access log is proven to be readable every 2 s; a busy API server may be late


@dataclass
class Batch:
    """What was seen since the last batch, on this process's monotonic clock.

    A request that still waits is among the samples, without outcome, and comes again when it has ended.
    """

    samples: list[RequestSample] = field(default_factory=list)
    blocks: list[CounterBlock] = field(default_factory=list)


class Measurements:
    """The running measurements of one Change."""

    def __init__(
        self,
        client: KubernetesClient,
        namespace: str,
        spec: GuardSpec,
        targets: Callable[[], Mapping[Arm, list[Endpoint]]],
        wake: Callable[[], None],
        log_since: float | None = None,
    ) -> None:
        """`log_since` (Unix seconds): from when on the gateway's access log is read; None for now."""
        self._gateway_error: TidegateError | None = None
        self._read_at: float | None = None  # the gateway's last good reading
        self._counted_from: float | None = None  # the first reading of the pod that came last
        self._began_at = time.monotonic()
        self._last_canary_request_at: float | None = None
        self._client = client
        self._namespace = namespace
        self._spec = spec
        self._wake = wake
        self._log_since = log_since
        self._lock = threading.Lock()
        self._batch = Batch()
        self._stop = threading.Event()
        self._services = {
            spec.target.stable.service: Arm.BASELINE,
            spec.target.canary.service: Arm.CANARY,
        }
        self._logs: dict[str, AccessLog] = {}
        signals = spec.signals.probes
        model = spec.target.runtime.models[0]
        self.probes = Probes(targets, model, signals.per_minute, signals.max_tokens, self._take_sample)
        self._thread = threading.Thread(target=self._run, name="gateway-counters", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.probes.start()

    def stop(self) -> None:
        """Ends every thread; none is waited for longer than one reading."""
        self._stop.set()
        self.probes.stop()
        for log in self._logs.values():
            log.stop()
        if self._thread.is_alive():
            self._thread.join(5.0)

    def blind_because(self, now: float) -> str | None:
        """Why users' traffic cannot be seen; None while the gateway is read."""
        since = self._read_at if self._read_at is not None else self._began_at
        if now - since < BLIND_SECONDS:
            return None
        return str(self._gateway_error or f"the gateway's metrics were not read for {now - since:.0f} s")

    @property
    def log_seen_until(self) -> float | None:
        """Up to which moment (monotonic) the access log of every gateway pod has been read.

        A request that ended later may have been logged unseen. None where a log was never read.
        """
        moments = [log.seen_until for log in list(self._logs.values())]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    @property
    def seen_from(self) -> float | None:
        """Since when (monotonic) users' requests are seen: a gateway pod's first reading counts nothing.

        None while no pod was read. The access log is read from before a rollback's decision on.
        """
        return float("-inf") if self._log_alive else self._counted_from

    @property
    def seen_until(self) -> float | None:
        """Up to which moment (monotonic) users' requests were seen: by the log, else by the counters."""
        return self.log_seen_until if self._log_alive else self._read_at

    @property
    def _log_alive(self) -> bool:
        until = self.log_seen_until
        return until is not None and time.monotonic() - until <= LOG_SECONDS

    @property
    def last_canary_request_at(self) -> float | None:
        """When the canary's last request began (Unix seconds, the gateway's clock), by the access log.

        None where the log tells of none, and while it is not followed: a dead log's silence says nothing.
        """
        return self._last_canary_request_at if self._log_alive else None

    def take(self) -> Batch:
        """What has been seen since the last call."""
        with self._lock:
            batch, self._batch = self._batch, Batch()
        return batch

    def _take_sample(self, sample: RequestSample) -> None:
        with self._lock:
            self._batch.samples.append(sample)
        if sample.outcome is not None:
            self._wake()

    def _take_blocks(self, blocks: list[CounterBlock]) -> None:
        if blocks:
            with self._lock:
                self._batch.blocks += blocks
            self._wake()

    def _take_logged(self, request: LoggedRequest) -> None:
        if self._arm_of(request.backend) is Arm.CANARY:
            with self._lock:
                seen = self._last_canary_request_at or 0.0
                self._last_canary_request_at = max(seen, request.started_at)

    def _run(self) -> None:
        counters = GatewayCounters()
        urls: list[str] = []
        known: set[str] = set()
        resolved_at = float("-inf")
        read_at = time.monotonic()
        while not self._stop.wait(POLL_SECONDS):
            try:
                if time.monotonic() - resolved_at >= RESOLVE_SECONDS or not urls:
                    urls = self._resolve()
                    resolved_at = time.monotonic()
                counts = counters.read(urls)
                now = time.monotonic()
                if not known.issuperset(urls):
                    known.update(urls)
                    self._counted_from = now
                self._take_blocks(self._blocks(counts, read_at, now))
                read_at = now
                self._read_at, self._gateway_error = now, None
            except TidegateError as error:
                self._gateway_error = error
        counters.close()

    def _resolve(self) -> list[str]:
        """The metrics URLs of the gateway's pods; starts to follow the access log of new ones.

        Raises:
            UnreachableError: It has no pod; what nobody counts is not zero.
        """
        url = self._spec.signals.gateway.url
        name = service_name(url)
        if name is None:
            return [url]
        services = self._client.list(SERVICES, name[0])["items"]
        slices = self._client.list(ENDPOINT_SLICES, name[0])["items"]
        endpoints = endpoint_urls(url, services, slices)
        for endpoint in endpoints:
            if endpoint.namespace and endpoint.pod:
                self._follow(endpoint.namespace, endpoint.pod)
        self._leave_logs_except({endpoint.pod for endpoint in endpoints})
        if not endpoints:
            raise UnreachableError(
                f"Service {name[0]}/{name[1]} of the gateway's metrics has no ready endpoint"
            )
        return [endpoint.url for endpoint in endpoints]

    def _follow(self, namespace: str, pod: str) -> None:
        if pod not in self._logs:
            self._logs[pod] = AccessLog(self._client, namespace, pod, self._take_logged, self._log_since)
            self._logs[pod].start()

    def _leave_logs_except(self, pods: Collection[str | None]) -> None:
        """A pod that is no endpoint any more is followed while it ends its requests, and no longer."""
        for pod in [pod for pod, log in self._logs.items() if pod not in pods and log.error is not None]:
            self._logs.pop(pod).stop()

    def _blocks(self, counts: list[Count], start: float, end: float) -> list[CounterBlock]:
        """One block an arm: all requests that ended between two readings, errors by status code."""
        blocks = []
        for service, arm in self._services.items():
            mine = [c for c in counts if self._arm_of(c.backend) is arm]
            total = sum(c.requests for c in mine)
            if total:
                errors = {c.code: c.requests for c in mine if int(c.code or 0) >= 400}
                blocks.append(CounterBlock(Source.USER, arm, service, start, end - start, total, errors))
        return blocks

    def _arm_of(self, backend: str) -> Arm | None:
        service = backend_of(backend, self._namespace, self._services)
        return self._services[service] if service else None
