"""The policy suite: attempts to get past a policy gateway, and calls that must get through it."""
