"""The table of cells: which rollouts are simulated, and what is aimed at in each.

Owns names, scenarios and aims. A cell's name is fleet/traffic/kind; `good` says that rolling back is a
mistake. Aims are the project's, none is a result.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.decisions.decision import Settings
from benchmarks.decisions.scenario import Scenario

SMALL = ("1+1", "1+2", "2+2")


@dataclass(frozen=True)
class Aim:
    """What a cell should show; None where nothing is asked.

    Attributes:
        most_rolled_back: Share of good canaries.
        least_found: Share of bad ones that are rolled back within `within_seconds`.
        most_median_seconds: Until they are, over those that are.
        most_promoted: Share of those that must not be.
    """

    most_rolled_back: float | None = None
    least_found: float | None = None
    most_median_seconds: float | None = None
    within_seconds: float = 1800.0
    most_promoted: float | None = None


USUAL = Settings()


@dataclass(frozen=True)
class Cell:
    """One kind of rollout in the table."""

    group: str
    kind: str
    scenario: Scenario
    aim: Aim = Aim()
    settings: Settings = USUAL

    @property
    def name(self) -> str:
        return f"{self.scenario.fleet}/{self.scenario.traffic}/{self.kind}"

    @property
    def good(self) -> bool:
        """Whether rolling back is a mistake."""
        return self.aim.most_rolled_back is not None


GOOD: dict[str, dict[str, Any]] = {
    "quiet": {},
    "drift": {"drift": 0.35},
    "noisy": {"noise": 2.0},
    "outage": {"outages": 1},
    "cold-cache": {"canary_hits": 0.25},
    "warm-cache": {"canary_hits": 0.7},
    "autoscaler": {"autoscaler": True},
    "cold-start": {"cold": True},
    "unequal": {"unequal": True},
}
MILLE = Aim(most_rolled_back=0.001)


def cells() -> tuple[Cell, ...]:
    """All, in the order of the table; names are unique."""
    found = (
        *_good_large(),
        *_good_small(),
        *_slow_hardware(),
        *_incident(),
        *_faults_large(),
        *_faults_small(),
        *_probes(),
        *_tail(),
        *_margins(),
        *_no_data(),
        *_histograms(),
    )
    assert len({cell.name for cell in found}) == len(found)
    return found


def _good_large() -> Iterator[Cell]:
    for traffic in ("M", "L"):
        for kind, changes in GOOD.items():
            yield Cell("good-20", kind, Scenario("20", traffic, **changes), MILLE)
    yield Cell("good-20", "quiet", Scenario("20", "H"), MILLE)


def _good_small() -> Iterator[Cell]:
    for fleet in SMALL:
        for traffic in ("M", "L"):
            for kind, changes in GOOD.items():
                if kind != "unequal" or fleet == "2+2":
                    yield Cell("good-small", kind, Scenario(fleet, traffic, **changes), MILLE)


def _incident() -> Iterator[Cell]:
    """No aim: half a minute on one replica and a bad build look alike, and the faults have to be found."""
    for fleet in ("20", *SMALL):
        for traffic in ("M", "L"):
            yield Cell("incident", "incident", Scenario(fleet, traffic, incident=True))


def _slow_hardware() -> Iterator[Cell]:
    for fleet in ("20", *SMALL):
        for traffic in ("M", "L"):
            scenario = Scenario(fleet, traffic, slow_canary=True)
            yield Cell("slow-hardware", "slow-hardware", scenario, Aim(most_rolled_back=0.01))


def _faults_large() -> Iterator[Cell]:
    aims = {
        "ttft_x2": Aim(least_found=1.0, most_median_seconds=80),
        "ttft_x1_5": Aim(least_found=1.0, most_median_seconds=200),
        "err_5pct": Aim(least_found=1.0, most_median_seconds=255),
        "dead": Aim(least_found=1.0, most_median_seconds=20),
    }
    for fault in ALL_FAULTS:
        yield Cell("faults-20", fault, Scenario("20", "M", fault), aims.get(fault, Aim()))
    for fault in ALL_FAULTS:
        yield Cell("faults-20", fault, Scenario("20", "L", fault))
    for fault in ("ttft_x2", "err_2pct"):
        yield Cell("faults-20", fault, Scenario("20", "H", fault))


ALL_FAULTS = (
    "ttft_x2",
    "ttft_x1_5",
    "itl_x1_3",
    "err_5pct",
    "err_2pct",
    "dead",
    "crashloop",
    "hang_5pct",
    "leak_x2",
    "qual_-10",
)


def _faults_small() -> Iterator[Cell]:
    aims = {
        ("M", "ttft_x2"): Aim(least_found=1.0, most_median_seconds=70),
        ("M", "ttft_x1_5"): Aim(least_found=0.95, most_median_seconds=575),
        ("M", "err_5pct"): Aim(least_found=1.0, most_median_seconds=255),
        ("M", "err_2pct"): Aim(least_found=0.97, most_median_seconds=1040),
        ("M", "dead"): Aim(least_found=1.0, most_median_seconds=15),
        ("L", "ttft_x2"): Aim(least_found=1.0, most_median_seconds=430),
        ("L", "err_5pct"): Aim(least_found=0.92),
    }
    for traffic in ("M", "L"):
        for fault in ALL_FAULTS:
            yield Cell(
                "faults-1+1", fault, Scenario("1+1", traffic, fault), aims.get((traffic, fault), Aim())
            )
    for fleet in SMALL[1:]:
        for traffic in ("M", "L"):
            for fault in ("ttft_x2", "ttft_x1_5", "itl_x1_3", "err_5pct"):
                yield Cell("faults-few", fault, Scenario(fleet, traffic, fault))


def _probes() -> Iterator[Cell]:
    for every, errors in ((1.0, 170), (5.0, 485)):
        aims = {
            "null": MILLE,
            "ttft_x2": Aim(least_found=1.0, most_median_seconds=30),
            "err_5pct": Aim(least_found=1.0, most_median_seconds=errors),
            "ttft_x1_5": Aim(),
            "err_2pct": Aim(),
        }
        for fault, aim in aims.items():
            scenario = Scenario("1+1", "L", fault, probe_every_seconds=every)
            yield Cell("probes", f"{fault}, probes every {every:g} s", scenario, aim)


def _tail() -> Iterator[Cell]:
    aim = Aim(least_found=0.8)
    for fleet in ("20", "1+1"):
        yield Cell("tail", "tail", Scenario(fleet, "M", "tail"), aim)
    probed = Scenario("1+1", "L", "tail", probe_every_seconds=1.0)
    yield Cell("tail", "tail, probes every 1 s", probed, aim)


def _margins() -> Iterator[Cell]:
    for fleet in ("20", *SMALL):
        for traffic in ("M", "L"):
            scenario = Scenario(fleet, traffic, "within_margin")
            yield Cell("margin", "within_margin", scenario, Aim(most_rolled_back=0.002))
    proof = Settings(policy="NonInferior")
    for fleet in ("20", "1+1"):
        for fault in ("ttft_x1_5", "err_2pct", "itl_x1_3", "qual_-10", "null"):
            scenario = Scenario(fleet, "M", fault)
            aim = MILLE if fault == "null" else Aim(most_promoted=0.01)
            yield Cell("margin", f"{fault}, NonInferior", scenario, aim, proof)


def _no_data() -> Iterator[Cell]:
    for fleet in ("20", "1+1"):
        aim = Aim(most_rolled_back=0.0, most_promoted=0.0)
        yield Cell("no-data", "no-data", Scenario(fleet, "M", no_data=True), aim)


def _histograms() -> Iterator[Cell]:
    """No aim for faults: times are promised for requests one by one (DESIGN 5.11)."""
    seen = Settings(histogram_seconds=10.0)
    for fleet in ("20", "1+1"):
        for traffic in ("M", "L"):
            for kind, changes in GOOD.items():
                if kind != "unequal" or fleet == "20":
                    scenario = Scenario(fleet, traffic, **changes)
                    yield Cell("histograms-good", f"{kind}, histograms", scenario, MILLE, seen)
            for fault in ("ttft_x2", "ttft_x1_5", "itl_x1_3", "err_5pct"):
                yield Cell("histograms", f"{fault}, histograms", Scenario(fleet, traffic, fault), Aim(), seen)
