"""Why a server is not there; every text starts with one sentence for people."""


class ServerMissing(Exception):
    """A server is needed and not there; the text says what to install or start."""


class ServerFailed(Exception):
    """A server was started and did not come up; the text ends with the last lines of its log."""


class PortLost(ServerFailed):
    """Something else took the port between finding it free and using it."""
