"""Everything that Dagster runs or shows: the only folder that imports dagster.

`definitions`, beside it, puts the parts together.
"""
