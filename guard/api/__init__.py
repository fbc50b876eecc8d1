"""The documents that users write: Guard, Change, and the configuration of suites and objectives.

Owns their shape, their defaults and the refusal of anything else, by name. One set of models serves the
CRDs' schemas, `--config` files and the daemon.
"""
