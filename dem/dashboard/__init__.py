"""A page on the Dask dashboard that shows the fits of a scheduler.

It is there once a client of the scheduler has used dem, or from the beginning after
``dask scheduler --preload dem.dashboard``. Nothing that goes wrong here makes a fit fail.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

__all__ = ["PATH", "dask_setup", "serve"]

PATH = "/individual-dem-fits"  # JupyterLab's extension offers what begins with "individual-"
logger = logging.getLogger(__name__)


def serve(scheduler: Any) -> bool:
    """Add the page to the dashboard of a scheduler, on its event loop; whether it has one."""
    if "bokeh" not in sys.modules:  # then it has none
        return False
    try:
        return _served(scheduler)
    except Exception as error:  # whatever other versions of Bokeh and Dask make of what follows
        logger.warning("The page of dem could not be added to the dashboard: %r", error)
        return False


def dask_setup(scheduler: Any) -> None:
    """What ``--preload dem.dashboard`` calls."""
    serve(scheduler)


def _served(scheduler: Any) -> bool:
    from bokeh.server.tornado import BokehTornado
    from distributed.dashboard.core import BokehApplication
    from tornado.ioloop import IOLoop

    web = scheduler.http_application
    site = next((app for app in web.applications if isinstance(app, BokehTornado)), None)
    if site is None or PATH in site.app_paths:
        return site is not None
    page = BokehApplication({PATH: _document}, scheduler, prefix=site.prefix)
    page.initialize(IOLoop.current())
    web.add_application(page)
    page.start()
    site._applications.update(page._applications)  # /individual-plots.json lists those of the first
    return True


def _document(scheduler: Any, extra: Any, doc: Any) -> None:
    from dem.dashboard.page import open_page

    open_page(scheduler, doc)
