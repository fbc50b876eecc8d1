from guard.api.suites import ErrorObjective, LatencyObjective, latency_limits


def test_of_two_quantiles_the_strictest_limit_counts_for_goodput_in_either_order() -> None:
    tight = LatencyObjective(signal="ttft", quantile="p50", limit="200ms")
    wide = LatencyObjective(signal="ttft", quantile="p99", limit="2s")
    errors = ErrorObjective(signal="errors", limit="1%")
    assert latency_limits([tight, wide, errors]) == latency_limits([wide, errors, tight]) == {"ttft": 0.2}
