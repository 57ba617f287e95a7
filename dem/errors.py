"""The errors and warnings that dem raises; each says what is wrong, where, and what to do."""


class DataError(ValueError):
    """The data cannot be used as they are: their shape, a value, a chunk that is missing."""


class DegenerateComponentWarning(UserWarning):
    """A component collapsed onto too few distinct rows, or was left with no rows at all."""
