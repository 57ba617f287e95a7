"""The errors and warnings that dem raises; each says what is wrong, where, and what to do."""


class DataError(ValueError):
    """The data cannot be used as it is: wrong shape, a value that is not finite, a missing chunk."""


class DegenerateComponentWarning(UserWarning):
    """A component collapsed onto too few distinct rows, or was left with no rows at all."""
