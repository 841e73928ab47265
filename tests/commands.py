"""Programs as the tests call them, in this process."""

from collections.abc import Callable


def status_of(main: Callable[[list[str]], int], *arguments: object) -> int:
    """The exit status of a program for a command line, whether it returns it or ends by SystemExit."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as error:
        return error.code
