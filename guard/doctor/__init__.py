"""What keeps a guard from working, found before a Change finds it, each with its remedy.

Owns what is looked at and what to do about it. Only reads: it asks what may be written and writes nothing
but one temporary file in the evidence folder. Refuses to judge a deployment; that is the suites' part.
"""
