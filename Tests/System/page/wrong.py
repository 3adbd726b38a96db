"""What is wrong with a payload."""


class Malformed(Exception):
    """Why a payload is dropped."""


def require(condition, otherwise):
    if not condition:
        raise Malformed(otherwise)
