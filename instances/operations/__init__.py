"""Everything dockmgr does to instances, for Python callers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instances.operations.provision_result import ProvisionResult
    from instances.operations.service import provision, validate_deployment
    from instances.operations.validate import Validation

__all__ = ["ProvisionResult", "Validation", "provision", "validate_deployment"]
_HOMES = {
    "ProvisionResult": "provision_result",
    "Validation": "validate",
    "provision": "service",
    "validate_deployment": "service",
}


def __getattr__(name: str) -> Any:
    """Imported by who asks for it: a command that only reads needs none of what changes containers."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
