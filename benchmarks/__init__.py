"""Measurements of Tidegate's own claims; each writes its table into docs/benchmarks."""
