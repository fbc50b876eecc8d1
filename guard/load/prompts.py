"""Prompts for load: short, seeded, each unlike any other from its first word on.

A prompt that shares its beginning with another would be answered from the prefix cache, and a load of
those measures the cache. Owns the word bank; knows nothing of tokens (a word is 1.3 tokens or so).
"""

import random

_SUBJECTS = (
    *("The ferry", "A grey heron", "The lock keeper", "The survey boat", "An old pump", "The harbour crane"),
    *("A night crew", "The flood gauge", "The pilot", "A cargo barge", "The dredger", "The signal lamp"),
)
_VERBS = (
    *("passed", "measured", "followed", "reported", "crossed", "lifted", "watched", "repaired", "reached"),
    *("cleared", "marked", "opened"),
)
_OBJECTS = (
    *(
        "the northern channel",
        "a broken sluice",
        "the eastern quay",
        "three empty wagons",
        "the stone bridge",
    ),
    *("a fallen mast", "the inner basin", "the tide table", "a row of piles", "the customs house"),
    *("two lost anchors", "the long breakwater"),
)
_WHEN = (
    *("before noon.", "after the storm.", "at low water.", "during the night watch.", "without delay."),
    *("in thick fog.", "on the last ebb.", "for the second time.", "under full moon.", "as ordered."),
)
_TASK = "Continue this report in plain words."


def prompt(seed: int, index: int, words: int) -> str:
    """The prompt of one request: the same for the same arguments, in every process and version of Python.

    Args:
        seed: The load's.
        index: The request's number; both arms of a pair ask the same.
        words: About as many words; at least the task itself and a number that makes it unlike others.
    """
    rng = random.Random(f"prompt:{seed}:{index}")
    opening = [f"{rng.randrange(10**6):06}-{index}:"]
    body = words - len(opening) - len(_TASK.split())
    report: list[str] = []
    while len(report) < body:
        parts = (rng.choice(_SUBJECTS), rng.choice(_VERBS), rng.choice(_OBJECTS), rng.choice(_WHEN))
        report += " ".join(parts).split()
    return " ".join([*opening, *report[: max(0, body)], _TASK])
