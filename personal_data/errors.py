"""What ends a run early.

- `PersonalDataError`: exit status 1; the message says what happened
  - `UsageError`: exit status 2; the message says which option is missing or wrong
"""


class PersonalDataError(Exception):
    """A run that failed, or found something wrong; the message says what."""

    exit_status = 1


class UsageError(PersonalDataError):
    """A run that needs other options; the message says which."""

    exit_status = 2
