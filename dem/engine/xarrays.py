"""xarray in, xarray out: what comes of an `xarray.DataArray` keeps the coordinates of its rows."""

from __future__ import annotations

from typing import Any

from dem.engine.readers.base import is_a


def like(data: Any, result: Any, axis: str = "") -> Any:
    """The result (n,) or (n, width) of rows of `data` as a DataArray, if data are one; else itself.

    axis : what the second dimension is to be called; "" where it is that of the columns of data,
        whose coordinates it then has as well.
    """
    if not is_a(data, "xarray", "DataArray"):
        return result
    from xarray import DataArray

    dims = (data.dims[0], axis or data.dims[1])[: result.ndim]
    kept = {name: at for name, at in data.coords.items() if set(at.dims) <= set(dims)}
    return DataArray(result, coords=kept, dims=dims)
