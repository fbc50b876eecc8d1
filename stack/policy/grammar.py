"""The forms that a tool's calls may have: an allow-list, whose risk is the form's.

Owns how an argv is held against a form. What matches none is refused; an option that is not written in a form
is not known, whatever the tool itself would make of it (git takes `--outp=F` for `--output=F`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stack.policy.calls import Risk


@dataclass(frozen=True)
class Form:
    """One allowed shape of a call; all patterns must match a whole token.

    Attributes:
        verb: The first tokens, as they are.
        options: Pattern of an option that stands alone, `--name=value` included.
        valued: Option -> pattern of the next token, its value.
        operand: Pattern of what is no option; `least` to `most` of them.
        first: Pattern of the first of them, where it differs.
        path: Pattern of what may follow `--`; empty: no `--`.
        required: Pattern that one of the options must match.
    """

    verb: tuple[str, ...]
    risk: Risk
    options: str = "(?!)"
    valued: Mapping[str, str] = field(default_factory=dict)
    operand: str = "(?!)"
    least: int = 0
    most: int = 0
    path: str = ""
    first: str = ""
    required: str = ""

    def matches(self, argv: Sequence[str]) -> bool:
        if tuple(argv[: len(self.verb)]) != self.verb:
            return False
        tokens = list(argv[len(self.verb) :])
        if "--" in tokens:
            at = tokens.index("--")
            tokens, paths = tokens[:at], tokens[at + 1 :]
            if not self.path or not all(re.fullmatch(self.path, path) for path in paths):
                return False
        return self._match(tokens)

    def _match(self, tokens: list[str]) -> bool:
        options, operands = [], 0
        while tokens:
            token = tokens.pop(0)
            if token in self.valued:
                if not tokens or not re.fullmatch(self.valued[token], tokens.pop(0)):
                    return False
            elif token.startswith("-"):
                options.append(token)
                if not re.fullmatch(self.options, token):
                    return False
            elif re.fullmatch(self.first if self.first and not operands else self.operand, token):
                operands += 1
            else:
                return False
        wanted = not self.required or any(re.fullmatch(self.required, option) for option in options)
        return wanted and self.least <= operands <= self.most


def risk_in(forms: Sequence[Form], argv: Sequence[str]) -> Risk | None:
    """The risk of the first form that the argv has; None when it has none."""
    return next((form.risk for form in forms if form.matches(argv)), None)


def is_one_of(token: str, options: Sequence[str], abbreviated: bool = False) -> bool:
    """Whether the tool might take the token for one of these options: with a value, joined, abbreviated."""
    name = token.partition("=")[0]
    long = abbreviated and name.startswith("--") and len(name) > 4
    return any(
        name == option
        or (long and option.startswith(name))
        or (len(option) == 2 and option[0] == "-" and option[1] != "-" and token.startswith(option))
        for option in options
    )
