"""The one exception that means "the user can mend this"."""


class PcftError(Exception):
    """Bad input: the message names the file, setting or row and says what would be right.

    The command line prints the message alone, without a traceback, and exits with status 2.
    """
