"""The load engine: a plan in, request samples out.

`run` is what others call; `worker` is the process that measures. Only `worker` imports locust, which
monkey-patches whatever imports it, and nothing imports `worker`.
"""
