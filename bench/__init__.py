"""Side-by-side measurements: `python -m bench NAME` starts what it needs, and tells medians, spreads and ratios.

Rules of this package:
- Contestants take turns within one run, so that a machine whose speed drifts is unfair to nobody.
- What a contestant costs is processor time (user and system, all threads), of its own process alone: others may be
  at work on the machine. Where time on the wall is told, it says so.
- Each run leaves a JSON in bench/results: every figure of the documents is taken from there (`python -m bench page`).
- Nothing here is a test: `tests/bench` sees that each command runs, and holds to bounds what can be counted.
"""
