"""The error of a model that cannot be used, with a reason and a remedy for the operator."""


class ModelUnusable(Exception):
    """A model cannot be used.

    Args:
        reason: what is wrong, with the name of the file or the setting.
        remedy: what the operator can do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
