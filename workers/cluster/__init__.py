"""Dask clusters: which workers may join, how they are prepared, and a cluster of one's own on this machine."""
