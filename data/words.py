"""Numbers in messages."""


def counted(number: int, one: str, several: str = "") -> str:
    """How many there are of something, in words: 1 pair, 2 pairs, or as `several` calls more than one."""
    return f"{number} {one}" if number == 1 else f"{number} {several or one + 's'}"
