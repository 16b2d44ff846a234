"""Tests of the pipeline: real HTTP on loopback, real DuckDB files, a real daemon where it matters."""
