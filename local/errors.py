"""The errors of the local runner: each is a line for the developer at the terminal."""


class LocalError(Exception):
    """The runner cannot start, or cannot go on after an edit.

    The message is one line that says what is wrong and what to do. It is printed without a
    traceback.
    """


class Unresolvable(LocalError):
    """A value of the template cannot be resolved."""


class Unknown(Unresolvable):
    """A value of the template is known only to AWS, or needs what is not imitated here."""
