"""Evidence in, bytes out: HTML, Markdown, JUnit and JSON over one `guard.core.evidence.Report`.

Owns how a judgement is shown. Reads nothing but the report: no file, no clock, no network.
"""
