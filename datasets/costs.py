"""What a sample costs, measured by `python benchmarks/family_costs.py`.

Seconds of one core (x86-64, a server with two) to draw, solve and label a sample at the family's defaults, in a batch.
"""

CORE_SECONDS: dict[str, float] = {}
