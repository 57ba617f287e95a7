"""What a person sees of a fit: progress while it runs."""

from dem.report.progress import Bars, Lines, Progress, Silent

__all__ = ["Bars", "Lines", "Progress", "Silent"]
