"""`python -m guard.cli`: the same program as `tidegate`."""

from guard.cli import main

main()
