"""The guard daemon: observe -> analyse -> decide -> act, and the loop.

Deciding is `guard.core.decision`, pure; everything here gathers what it needs or performs what it returned.
"""
