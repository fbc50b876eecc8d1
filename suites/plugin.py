"""The pytest plugin that turns the suites' tests into a machine-readable result."""
