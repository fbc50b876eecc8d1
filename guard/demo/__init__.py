"""The demo: real parts on this machine, users' traffic, and rollouts that a release pipeline begins.

Uses the doubles of `guard.testing` for the cluster; nothing of the product imports this.
"""
