"""The errors and warnings that dem raises; each says what is wrong, where, and what to do."""


class DataError(ValueError):
    """The data cannot be used as they are: their shape, a value, a chunk that is missing."""


class SupportError(DataError):
    """A value that the model gives no density, such as a count below zero.

    row, column : where it is in the rows that were given; whoever knows more says more.
    """

    def __init__(self, what: str, value: float, row: int, column: int) -> None:
        super().__init__(what, value, row, column)
        self.what, self.value, self.row, self.column = what, value, row, column

    def __str__(self) -> str:
        place = f"row {self.row}, column {self.column}"
        return f"Input X has the value {self.value:g}: {place}. {self.what}."


class DegenerateComponentWarning(UserWarning):
    """A component collapsed onto too few distinct rows, or was left with no rows at all."""
