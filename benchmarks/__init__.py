"""Figures that anyone can repeat: `make bench`. What they mean stands in docs/performance.md."""
