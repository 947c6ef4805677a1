"""What can go wrong, sorted by what to do about it: try again, or tell the person who asked."""

import socket

DEFECT = "dockmgr itself failed here; its log has the details."


class DockmgrError(Exception):
    """A failure whose text is one clear sentence for an operator, free of secrets."""


class RequestError(DockmgrError):
    """The request itself is wrong (unknown customer, malformed id); nothing was touched."""


class NotAllowed(RequestError):
    """Whoever asks may not have this; somebody else may."""


class BusyError(DockmgrError):
    """Another operation holds the instance, or another sweep is running."""


class NotUndoneYet(DockmgrError):
    """What failed can't be undone for now; it is gone on with later, by whoever comes then."""


class TransientError(DockmgrError):
    """Something out of our hands failed in a way that may pass; trying again is sensible."""


class RetryLater(TransientError):
    """Somebody has had too many requests. `seconds` is the wait that was asked for, None for none."""

    def __init__(self, sentence: str, seconds: float | None = None) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class DiskFull(TransientError):
    """An engine's disk has no room for what it was to keep there."""


class BetweenRuns(TransientError):
    """The engine is about to start a container again that ended, and can't do this to it meanwhile."""


class TaskLeftBehind(TransientError):
    """The engine was killed while it started the container, which it mostly can't start any more since."""


class OutOfReachError(TransientError):
    """A part we need (engine, broker, database, registry) does not answer."""


class EngineUnreachable(OutOfReachError):
    """The Docker Engine of a host does not answer, or not in time."""


class EngineUnusable(EngineUnreachable):
    """A certificate, a key, a file or an address on the way to a host's engine is not what it must be."""


class AnotherEngine(EngineUnreachable):
    """The engine at a host's address is not the host's: as good as out of reach, nothing is done there."""


class PermanentError(DockmgrError):
    """Trying the same again would fail the same way."""


class OwnTrouble(DockmgrError):
    """dockmgr itself is at fault: what it runs on, its keys or a defect. Of nobody else it says anything."""


class OwnPassingTrouble(OwnTrouble, TransientError):
    """The machine dockmgr runs on lacks something for now: sockets, memory, its name service."""


class OwnDefect(OwnTrouble, PermanentError):
    """dockmgr, or a library it is made of, fails; its log has the details."""

    def __init__(self, sentence: str = DEFECT) -> None:
        super().__init__(sentence)


class UnreadableSecret(OwnTrouble, PermanentError):
    """A stored secret was encrypted with a key that this machine does not have (any more); others may."""

    why = f"can't be decrypted: DOCKMGR_ENCRYPTION_KEYS of {socket.gethostname()} lacks its key."

    def __init__(self, which: str = "A stored secret") -> None:
        super().__init__(f"{which} {self.why}")


class MisplacedSecret(UnreadableSecret):
    """A stored secret stands in another row or column than the one it was encrypted for."""

    why = "is not that of its row: it was moved here from another place."


class WrongKeys(PermanentError):
    """None of the stored secrets can be opened: nothing may be written with these keys."""

    def __init__(self) -> None:
        super().__init__(
            "DOCKMGR_ENCRYPTION_KEYS opens none of the stored secrets: its keys are not this database's."
        )


class LoginRefused(PermanentError):
    """A registry wants a login, or another one than was given."""


class UntrustedRegistry(PermanentError):
    """An engine does not trust a registry's certificate."""


class NotFoundOnEngine(PermanentError):
    """The engine has no such container, image or volume."""


class NoSuchCall(PermanentError):
    """The engine does not know what it is asked to do: it is too old, or none of Docker's."""


class ContainerHung(PermanentError):
    """The engine answers, but its calls about this one container do not come back in time."""


class NameTaken(PermanentError):
    """A container has the name, be it one that an engine still makes, or removes, and does not show."""


class PortTaken(PermanentError):
    """The published port is held by something else on the host; another port may work."""


class NoPlace(PermanentError):
    """The network that a container is to be in has no address for it, or not the one it is to have."""


class NotOurs(PermanentError):
    """A container that dockmgr neither made nor knows stands in the place of an instance's own."""


class CannotRemake(PermanentError):
    """A lost container can't be made again as it was; `reason` is the code of health it is told by."""

    reason = "missing"


class DataMissing(CannotRemake):
    """A volume, or a file or folder of the host, that an instance's data is in is not there, or another's."""

    reason = "data_missing"


class ImageMissing(CannotRemake):
    """The exact image that ran is neither on the host nor to be had from a registry."""

    reason = "image_missing"


class GateFailed(PermanentError):
    """The instance did not become healthy within its time."""


class LeftPaused(GateFailed):
    """Somebody paused the container all the time, which says nothing of its image."""


class RemovedMeanwhile(GateFailed):
    """Somebody removed the container before it was seen to be well: nothing is said of its image."""


class NotWell(PermanentError):
    """What is to be adopted does not answer well where it would be asked."""


class LeaseLost(DockmgrError):
    """Another process took this operation over; the loser must stop without touching anything."""
