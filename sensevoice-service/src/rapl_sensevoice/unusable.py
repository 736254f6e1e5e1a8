"""Why a model cannot be used, for a person."""


class ModelUnusable(Exception):
    """
    Args:
        reason: what is wrong, naming the file or the setting.
        remedy: what a person can do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
