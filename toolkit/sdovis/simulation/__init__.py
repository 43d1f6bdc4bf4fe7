"""Simulated active regions, magnetograms and discs with known truth, and their workbooks."""
