"""One judgement of a candidate before promotion: preflight, then the suites in order, then one verdict.

Owns the order, when to stop, and how suites combine. Judges nothing itself: suites do. Writes nothing but
the evidence folder; how the report is shown belongs to `reports`.
"""
