"""Arrays in, arrays out: no classes of dem, no Dask. Where the time is spent."""
