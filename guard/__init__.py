"""Tidegate's own code: the guard daemon, the gate and the command line. The suites live in `suites/`."""

__version__ = "0.1.0"
