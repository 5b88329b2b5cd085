"""What can go wrong before anything runs, as a sentence for the person at the terminal."""


class LocalError(Exception):
    """The run cannot start (or go on) like this.

    The message is one line that says what is wrong and what to do. It is all that the person sees:
    no traceback.
    """


class Unresolvable(LocalError):
    """A value of the template is known only to AWS, or by means that are not imitated here."""
