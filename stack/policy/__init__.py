"""A small policy gateway: the tools `git`, `kubectl` and `tests` for an agent, read-only unless approved.

    python -m stack.policy --port 8460 --config policy.yaml

It is the reference that suites/policy is held against, and small enough to be read whole: `wire` and
`principals` say what was asked and by whom, `grammar` with `git`, `kubectl` and `tests_tool` which risk the
exact call has, `approvals` which approvals are good, `cedar` whether that is enough, `audit` and `alerts`
what is remembered of it, `executor` runs it. `gateway` is that path in order.
"""
