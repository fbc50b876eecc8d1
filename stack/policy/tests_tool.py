"""tests: the commands that the operator has named, and a list of the names. No other argument exists."""

from collections.abc import Collection, Sequence

from stack.policy.calls import Risk
from stack.policy.rules import Refuse, Rule


def risk(argv: Sequence[str], names: Collection[str], refuse: Refuse) -> Risk:
    """The risk of the exact call; refuses what is not named."""
    if list(argv) == ["list"]:
        return Risk.R0
    if len(argv) != 2 or argv[0] != "run" or argv[1] not in names:
        rule = Rule.DISGUISED_NAME if argv[0].casefold() != argv[0] else Rule.TESTS_ESCAPE
        refuse(rule, f"tests {list(argv)!r}: expected list, or run and one of {', '.join(sorted(names))}")
    return Risk.R1
