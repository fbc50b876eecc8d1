"""The pure heart: no I/O, no clock, no threads; `now` is always an argument.

Imports the standard library and numeric libraries only.
"""
