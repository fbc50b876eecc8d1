"""Telling people and machines what happened: the forms of a message, and how it is sent."""
