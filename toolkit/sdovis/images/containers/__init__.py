"""Stores that hold many images: zarr, NetCDF, Parquet. Each has a module that opens its members."""
